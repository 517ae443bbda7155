"""Whether anything may be traded at this moment: the owner's policy, the kill switch, and what has to be writable."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from ib_keepalive.trading.audit import Audit
from ib_keepalive.trading.policy import Mode, Policy, PolicyFile
from ib_keepalive.trading.stop import KillSwitch, Stopped
from ibkr.errors import IbError, OperationForbidden


class Standing:
    """``ledger_problem`` tells why the ledger cannot be written, None while it can."""

    def __init__(
        self, policy: PolicyFile, switch: KillSwitch, audit: Audit, ledger_problem: Callable[[], str | None]
    ) -> None:
        self._policy = policy
        self._ledger_problem = ledger_problem
        self.switch = switch
        self.audit = audit

    def policy(self) -> Policy:
        return self._policy.current()

    def stopped(self) -> Stopped | None:
        return self.switch.state()

    def problem(self) -> str | None:
        """What keeps trading off although the owner wants it, in one sentence."""
        policy = self.policy()
        if policy.mode == "off" or policy.problem is not None:
            return policy.problem
        return self._ledger_problem() or self.audit.problem()

    def effective_mode(self) -> Mode:
        """What the policy says, unless something keeps it from being carried out."""
        mode = self.policy().mode
        if mode in ("off", "preview"):
            return mode
        return "off" if self.problem() is not None or self.stopped() is not None else mode

    def refuse_placing(self) -> IbError | None:
        """Why nothing is placed or changed now, whatever it is."""
        policy, stopped = self.policy(), self.stopped()
        if policy.mode == "off":
            if policy.problem is not None:
                return OperationForbidden(policy.problem, action="Ask the owner to mend the policy.")
            return OperationForbidden(
                "Trading is off: mode is off.", action="Ask the owner to permit it in the policy."
            )
        if policy.mode == "preview":
            return OperationForbidden(
                "mode is preview: orders are previewed, none is sent.",
                action="Ask the owner to permit more in the policy.",
            )
        if stopped is not None:
            return OperationForbidden(
                f"Trading is stopped by {stopped.by}: {stopped.reason or 'no reason was given'}.",
                action="Only the owner starts it again; orders can be cancelled meanwhile.",
            )
        problem = self.problem()
        return None if problem is None else OperationForbidden(problem, action="Tell the owner.")

    def hindrance(self) -> str:
        """What ``refuse_placing`` is about, in one word."""
        if self.policy().mode in ("off", "preview"):
            return "mode"
        return "stopped" if self.stopped() is not None else "unwritable"

    def to_json(self) -> dict[str, Any]:
        """The part that is the same for everybody who may ask."""
        policy, stopped = self.policy(), self.stopped()
        return {
            "mode": policy.mode,
            "effective_mode": self.effective_mode(),
            "problem": self.problem(),
            "stopped": None if stopped is None else asdict(stopped),
            "approval": policy.approval,
        }
