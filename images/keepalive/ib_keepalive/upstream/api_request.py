"""One call of an operation of IBKR's Web API, in canonical form."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ib_service.http.urls import query_of
from ibkr.operation import Operation

PREFIX = "/v1/api"


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """One call of an operation. ``path`` is without prefix; ``body`` is canonical JSON, None for a GET.

    Two requests are equal exactly when IBKR is asked the same.
    """

    endpoint: Operation
    path: str
    query: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None

    @property
    def key(self) -> tuple[str, str, tuple[tuple[str, str], ...], bytes | None]:
        return self.endpoint.id, self.path, self.query, self.body

    @property
    def target(self) -> str:
        """Path and query as sent to the gateway."""
        query = query_of(self.query)
        return f"{PREFIX}{self.path}?{query}" if query else PREFIX + self.path

    def argument(self, name: str) -> str | None:
        """The value of a query parameter."""
        return next((value for given, value in self.query if given == name), None)

    def without(self, name: str) -> ApiRequest:
        """The same request without a query parameter."""
        return replace(self, query=tuple(pair for pair in self.query if pair[0] != name))
