"""Balances, funds and margin of one account, as the trading side shows them: mostly text such as ``994,831 USD``."""

from __future__ import annotations

from typing import Any

from ib_simulator.answers.refusals import account_of, needs_accounts
from ib_simulator.call import Answer, Call
from ib_simulator.world import World
from ib_simulator.world.valuation import OWNED, Valuation

_COMMODITIES = ("FUT", "FOP")
_SECURITIES = ("STK", "OPT", "BOND", "CASH")


def _valuation(world: World, call: Call) -> Valuation:
    account = account_of(world, call)
    needs_accounts(call)
    return world.valuation(account, call.now)


def get_brokerage_account_summary(world: World, call: Call) -> Answer:
    value = _valuation(world, call)
    base = value.account.currency
    balances = [
        {"currency": currency, "balance": round(amount, 2), "settledCash": round(amount, 2)}
        for currency, amount in sorted(value.account.cash.items())
    ]
    total = round(value.cash, 2)
    return Answer(
        {
            "accountType": "",
            "status": "",
            "balance": round(value.available_funds, 2),
            "SMA": round(value.available_funds * 0.4, 2),
            "buyingPower": round(value.buying_power, 2),
            "availableFunds": round(value.available_funds, 2),
            "excessLiquidity": round(value.excess_liquidity, 2),
            "netLiquidationValue": round(value.net_liquidation, 2),
            "equityWithLoanValue": round(value.net_liquidation, 2),
            "regTLoan": 0.0,
            "securitiesGVP": round(value.gross, 2),
            "totalCashValue": total,
            "accruedInterest": round(value.accrued_interest(), 2),
            "regTMargin": 0.0,
            "initialMargin": round(value.initial_margin, 2),
            "maintenanceMargin": round(value.maintenance_margin, 2),
            "cashBalances": [*balances, {"currency": f"Total (in {base})", "balance": total, "settledCash": total}],
        }
    )


class _Segments:
    """Formats amounts of the account's segments."""

    def __init__(self, value: Valuation) -> None:
        self.value = value
        self.currency = value.account.currency
        self.commodities = value.margin(*_COMMODITIES)
        self.securities = value.maintenance_margin - self.commodities
        self.crypto = value.total("CRYPTO")

    def text(self, amount: float) -> str:
        return f"{amount:,.0f} {self.currency}"


def get_available_funds(world: World, call: Call) -> Answer:
    segments = _Segments(_valuation(world, call))
    value, text = segments.value, segments.text
    available, excess = segments.commodities * 0.1, segments.commodities * 0.2

    def funds(free: float, surplus: float, **more: str) -> dict[str, str]:
        return {
            "current_available": text(free),
            "current_excess": text(surplus),
            "Prdctd Pst-xpry Excss": text(0),
            "Lk Ahd Avlbl Fnds": text(free),
            "Lk Ahd Excss Lqdty": text(surplus),
            "overnight_available": text(free),
            "overnight_excess": text(surplus),
            **more,
        }

    leverage = f"{value.gross / value.net_liquidation:.2f}" if value.net_liquidation else "n/a"
    return Answer(
        {
            "total": funds(
                value.available_funds,
                value.excess_liquidity,
                **{
                    "buying_power": text(value.buying_power),
                    "leverage": "n/a",
                    "Lk Ahd Nxt Chng": "@ 16:00:00",
                    "day_trades_left": "Unlimited",
                    "SMA": text(value.available_funds * 0.4),
                },
            ),
            "securities": funds(
                value.available_funds - available,
                value.excess_liquidity - excess,
                leverage=leverage,
                SMA=text(value.available_funds * 0.4),
            ),
            "commodities": funds(available, excess),
            "Crypto at Paxos": funds(0, 0),
        }
    )


def get_balances(world: World, call: Call) -> Answer:
    segments = _Segments(_valuation(world, call))
    value, text = segments.value, segments.text
    reserve = segments.commodities * 1.2

    def balances(net: float, cash: float, **more: str) -> dict[str, str]:
        return {
            "net_liquidation": text(net),
            "equity_with_loan": text(net),
            "cash": text(cash),
            "MTD Interest": text(0),
            "Pndng Dbt Crd Chrgs": text(0),
            **more,
        }

    positions = {
        "sec_gross_pos_val": text(value.gross),
        "Prvs Dy Eqty Wth Ln Vl": text(value.net_liquidation - value.daily_pnl),
    }
    return Answer(
        {
            "total": balances(value.net_liquidation, value.cash, **positions, **{"Nt Lqdtn Uncrtnty": text(0)}),
            "securities": balances(
                value.net_liquidation - reserve - segments.crypto, value.cash - reserve, **positions
            ),
            "commodities": balances(reserve, reserve),
            "Crypto at Paxos": balances(segments.crypto, 0),
        }
    )


def get_margins(world: World, call: Call) -> Answer:
    segments = _Segments(_valuation(world, call))

    def margins(maintenance: float, **more: str) -> dict[str, str]:
        initial, kept = segments.text(maintenance * 1.1), segments.text(maintenance)
        return {
            "current_initial": initial,
            "Prdctd Pst-xpry Mrgn @ Opn": segments.text(0),
            "current_maint": kept,
            "projected_liquidity_inital_margin": initial,
            "Prjctd Lk Ahd Mntnnc Mrgn": kept,
            "projected_overnight_initial_margin": initial,
            "Prjctd Ovrnght Mntnnc Mrgn": kept,
            **more,
        }

    total = segments.value.maintenance_margin
    reg_t = {"RegT Margin": segments.text(segments.value.gross / 2)}
    return Answer(
        {
            "total": margins(total, **reg_t),
            "securities": margins(segments.securities, **reg_t),
            "commodities": margins(segments.commodities),
            "Crypto at Paxos": margins(0),
        }
    )


def get_market_values(world: World, call: Call) -> Answer:
    value = _valuation(world, call)
    rows: dict[str, dict[str, str]] = {
        currency: _market_values(value, currency) for currency in sorted(value.currencies)
    }
    rows[f"Total (in {value.account.currency})"] = _market_values(value, None)
    return Answer(rows)


def _market_values(value: Valuation, currency: str | None) -> dict[str, str]:
    def text(*kinds: str, of: str = "value") -> str:
        return f"{value.total(*kinds, currency=currency, of=of):,.0f}"

    cash = value.cash if currency is None else value.account.cash.get(currency, 0.0)
    worth = value.total(*OWNED, currency=currency) + value.total("CFD", currency=currency, of="unrealized")
    worth += value.accrued_interest(currency)
    treasuries = value.treasuries(currency)
    empty = dict.fromkeys(
        (
            "dividends_receivable",
            "funds",
            "money_market",
        ),
        "0",
    )
    return empty | {
        "total_cash": f"{cash:,.0f}",
        "settled_cash": f"{cash:,.0f}",
        "stock": text("STK"),
        "options": text("OPT"),
        "futures": text("FUT", of="unrealized"),
        "future_options": text("FOP"),
        "bonds": f"{value.total('BOND', currency=currency) - treasuries:,.0f}",
        "Govt Bonds": f"{treasuries:,.0f}",
        "t_bills": text("BILL"),
        "mutual_funds": text("FUND"),
        "commodity": text("CMDTY"),
        "warrants": text("WAR"),
        "issuer_option": text("IOPT"),
        "cfd": text("CFD", of="unrealized"),
        "Notional CFD": text("CFD"),
        "MTD Interest": f"{value.accrued_interest(currency):,.0f}",
        "Cryptocurrency": text("CRYPTO"),
        "net_liquidation": f"{cash + worth:,.0f}",
        "unrealized_pnl": text(of="unrealized"),
        "realized_pnl": text(of="realized"),
        "Exchange Rate": "1" if currency is None else f"{value.rates[currency]:.6g}",
    }


def list_account_owners(world: World, call: Call) -> Answer:
    account = account_of(world, call)
    first, _, last = account.title.partition(" ")
    entity: dict[str, Any] = {
        "firstName": first,
        "lastName": last,
        "entityType": "INDIVIDUAL",
        "entityName": account.title,
        "dateOfBirth": "1980-02-29",
    }
    owner = {"roleId": "OWNER", "hasRightCodeInd": True, "userName": world.user_name, "entity": entity}
    return Answer({"accountId": account.id, "users": [owner], "applicant": {"signatures": [account.title]}})


ANSWERS = {
    "get_brokerage_account_summary": get_brokerage_account_summary,
    "get_available_funds": get_available_funds,
    "get_balances": get_balances,
    "get_margins": get_margins,
    "get_market_values": get_market_values,
    "list_account_owners": list_account_owners,
}
