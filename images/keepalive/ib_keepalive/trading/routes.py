"""What the guard hands on: order calls of IBKR's API, and the paths under ``/trading/`` with the bodies they take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from ib_keepalive.guard.auth import Token
from ib_keepalive.http.asgi import HttpReply, json_reply
from ib_keepalive.pacing.shared_call import Caller
from ib_keepalive.trading.intent import OrderIntent, read_modify, read_place
from ib_keepalive.trading.service import Trading
from ib_keepalive.upstream.api_request import ApiRequest
from ib_service import strict_json
from ibkr.errors import InvalidRequest, OperationForbidden, OperationUnknown, TokenRequired
from ibkr.operation import Operation

APPROVER_HEADER = b"ib-approver"
_LONGEST_REASON = 200


class TradingRoutes:
    """``approver`` is the secret that tells a person's decision from an agent's, None where nobody may decide."""

    def __init__(self, trading: Trading, approver: Token | None) -> None:
        self._trading = trading
        self._approver = approver

    @property
    def under_way(self) -> int:
        return self._trading.under_way

    def serves(self, endpoint: Operation) -> bool:
        return self._trading.serves(endpoint)

    async def call(self, request: ApiRequest, caller: Caller, sign_in: int | None) -> HttpReply:
        """The answer to an order call of IBKR's own API."""
        return await self._trading.answer(request, caller, sign_in)

    async def route(
        self,
        method: str,
        path: str,
        query: bytes,
        headers: Mapping[bytes, bytes],
        content: bytes,
        caller: Caller,
        sign_in: int | None,
    ) -> HttpReply:
        """``path`` is what follows ``/trading/``. Every refusal is an IbError."""
        trading = self._trading
        match method, path.split("/"):
            case "GET", ["status"]:
                return json_reply(await trading.status())
            case "GET", ["orders"]:
                given = dict(parse_qsl(query.decode("latin-1")))
                found = await trading.orders(given.get("account"), given.get("client_order_id"))
                return json_reply({"orders": found})
            case "POST", ["tickets"]:
                body = _read(content)
                intent = _intent(body, caller.name, sign_in)
                summary = body.get("summary") or {}
                if not isinstance(summary, dict):
                    raise InvalidRequest("summary must be an object.")
                return json_reply(await trading.preview(intent, summary, caller))
            case "POST", ["tickets", ticket, "submit"]:
                outcome, repeated = await trading.desk.submit(ticket, caller, is_approver=self._is_approver(headers))
                return json_reply({"mode": trading.account_mode, **outcome.to_json(repeated=repeated)})
            case "POST", ["tickets", ticket, "decision"]:
                self._require_approver(headers)
                body = _read(content)
                approve, by = body.get("approve"), body.get("by")
                if not isinstance(approve, bool) or not isinstance(by, str) or not by:
                    raise InvalidRequest("A decision has approve (true or false) and by (who decided).")
                return json_reply(await trading.desk.decide(ticket, approve=approve, by=by))
            case "GET", ["approvals"]:
                self._require_approver(headers)
                return json_reply({"approvals": await trading.approvals()})
            case "POST", ["stop"]:
                body = _read(content)
                return json_reply(
                    await trading.stop(caller.name, read_reason(body), cancel_orders=read_cancel_orders(body))
                )
        raise OperationUnknown("There is nothing at this path.", action="Use a path of docs/trading.md.")

    def _is_approver(self, headers: Mapping[bytes, bytes]) -> bool:
        if APPROVER_HEADER not in headers:
            return False
        self._require_approver(headers)
        return True

    def _require_approver(self, headers: Mapping[bytes, bytes]) -> None:
        try:
            if self._approver is None:
                raise TokenRequired("No approver is set.")
            self._approver.check({b"authorization": b"Bearer " + headers.get(APPROVER_HEADER, b"")})
        except TokenRequired:
            raise OperationForbidden(
                "Only a person's decision counts here, and this request does not prove one.",
                action="Let the owner approve it on the approval page.",
            ) from None


def read_reason(body: Mapping[str, Any]) -> str:
    """Why trading is stopped."""
    reason = body.get("reason", "")
    if not isinstance(reason, str):
        raise InvalidRequest("reason must be a text.")
    return reason[:_LONGEST_REASON]


def read_cancel_orders(body: Mapping[str, Any]) -> bool:
    """Whether working orders are to be cancelled too."""
    wish = body.get("cancel_orders", False)
    if not isinstance(wish, bool):
        raise InvalidRequest("cancel_orders must be true or false.")
    return wish


def _intent(body: Mapping[str, Any], caller: str, sign_in: int | None) -> OrderIntent:
    account, orders = body.get("account"), body.get("orders")
    if not isinstance(account, str):
        raise InvalidRequest("account must be a text.")
    match body.get("kind"):
        case "place":
            return read_place(account, orders, caller=caller, sign_in=sign_in)
        case "modify":
            order_id = body.get("order_id")
            if not isinstance(orders, list) or len(orders) != 1:
                raise InvalidRequest("A change has one order, the whole of it.")
            return read_modify(account, str(order_id), orders[0], caller=caller, sign_in=sign_in)
    raise InvalidRequest("kind must be place or modify.")


def _read(content: bytes) -> dict[str, Any]:
    try:
        body = strict_json.load(content) if content.strip() else {}
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise InvalidRequest("The body is not a JSON object.")
    return body
