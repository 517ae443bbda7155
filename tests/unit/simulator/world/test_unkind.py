"""What is easily taken for something else: every such pair exists, can be looked up, and is told apart by one field."""

from __future__ import annotations

from typing import Any

import pytest

from ib_simulator.world import World
from support.simulator import FRIDAY, Asker, utc

ODD = "U7430001"


def positions(ask: Asker, account: str = ODD) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = ask("list_positions", path={"accountId": account, "pageId": "0"})
    return rows


def test_the_odd_user_has_an_alias_two_accounts_of_one_name_a_group_and_a_model() -> None:
    ask = Asker("odd")
    accounts = ask("list_portfolio_accounts")
    names = [row["displayName"] for row in accounts]
    assert names == ["AccountAlias", "Jane Doe", "Jane Doe"]
    assert all(row["faclient"] for row in accounts)
    trading = ask("list_brokerage_accounts")
    assert trading["groups"] == ["Income"]
    assert trading["aliases"][ODD] == "AccountAlias"
    assert {row["model"] for row in positions(ask)} == {"", "Growth"}
    rows = ask.twice("get_profit_and_loss")["upnl"]
    assert set(rows) == {f"{ODD}.Core", f"{ODD}.Growth"}


def test_positions_are_of_every_class_and_place() -> None:
    rows = positions(Asker("odd"))
    assert len(rows) < 100
    assert {row["assetClass"] for row in rows} == {
        *("STK", "CFD", "BOND", "BILL", "FUND", "CMDTY", "CRYPTO", "WAR", "IOPT", "OPT", "FOP", "FUT")
    }
    assert {row["listingExchange"] for row in rows} >= {"LSE", "TSEJ", "SEHK", "SEHKSZSE", "ASX", "JSE", "FORECASTX"}
    tickers = {row["ticker"] for row in rows if row["assetClass"] == "STK"}
    assert {"4391", "7203", "700", "5", "000001"} <= tickers
    assert {row["currency"] for row in rows} >= {"USD", "GBP", "JPY", "HKD", "AUD", "ZAR", "EUR", "CNH"}
    assert [row["ticker"] for row in rows if row["position"] == 0] == ["TSLA"]


@pytest.mark.parametrize(
    ("asset_class", "same", "different"),
    [
        ("OPT", ("ticker", "expiry", "strike", "putOrCall"), "contractDesc"),
        ("FUT", ("ticker", "expiry"), "multiplier"),
    ],
)
def test_some_derivatives_differ_in_one_thing_only(asset_class: str, same: tuple[str, ...], different: str) -> None:
    groups: dict[tuple[Any, ...], set[Any]] = {}
    for row in positions(Asker("odd")):
        if row["assetClass"] == asset_class:
            groups.setdefault(tuple(row[name] for name in same), set()).add(row[different])
    assert sum(len(found) > 1 for found in groups.values()) >= 2


def test_morning_and_afternoon_options_are_told_apart_by_class_and_adjusted_ones_by_multiplier() -> None:
    ask = Asker()
    ask("search_contracts", symbol="SPX")
    rows = ask("get_derivative_contracts", conid=416904, sectype="OPT", month="DEC26", strike=7500, right="C")
    third = [row for row in rows if row["maturityDate"] == "20261218"]
    assert sorted(row["tradingClass"] for row in third) == ["SPX", "SPXW"]
    assert len({row["conid"] for row in third}) == 2
    assert {row["tradingClass"] for row in rows if row["maturityDate"] != "20261218"} == {"SPXW"}
    ask("search_contracts", symbol="PFE")
    rows = ask("get_derivative_contracts", conid=11031, sectype="OPT", month="DEC26", strike=25, right="C")
    assert {(row["tradingClass"], row["multiplier"]) for row in rows if row["maturityDate"] == "20261218"} == {
        ("PFE", "100"),
        ("2PFE", "150"),
    }


def test_futures_of_oil_expire_in_the_month_before_their_own() -> None:
    ask = Asker(now=utc("2026-11-10 15:00:00"))
    nearest = ask("list_futures", symbols="CL")["CL"][:2]
    assert [row["expirationDate"] for row in nearest] == [20261120, 20261221]
    ask("search_contracts", symbol="CL")
    december = ask("get_derivative_contracts", conid=17340715, sectype="FUT", month="DEC26")
    assert [row["maturityDate"] for row in december] == ["20261120"]
    info = ask("get_contract_info", path={"conid": str(december[0]["conid"])})
    assert (info["contract_month"], info["expiry_full"]) == ("202612", "20261120")


def test_options_on_oil_are_found_by_the_month_of_their_future() -> None:
    ask = Asker(now=utc("2026-11-10 15:00:00"))
    sections = ask("search_contracts", symbol="CL")[1]["sections"]
    months = next(section["months"] for section in sections if section["secType"] == "FOP")
    assert months.startswith("DEC26;JAN27")
    rows = ask(
        "get_derivative_contracts", conid=17340715, sectype="FOP", month="DEC26", exchange="NYMEX", strike=60, right="P"
    )
    assert [row["maturityDate"] for row in rows] == ["20261117"]
    info = ask("get_contract_info", path={"conid": str(rows[0]["conid"])})
    future = ask("get_contract_info", path={"conid": str(info["underlying_con_id"])})
    assert (future["instrument_type"], future["contract_month"]) == ("FUT", "202612")


def test_futures_of_one_symbol_come_in_several_sizes() -> None:
    ask = Asker()
    ask("search_contracts", symbol="DAX")
    rows = ask("get_derivative_contracts", conid=825711, sectype="FUT", month="DEC26")
    assert {(row["tradingClass"], row["multiplier"]) for row in rows} == {("FDAX", "25"), ("FDXM", "5"), ("FDXS", "1")}
    assert len({row["maturityDate"] for row in rows}) == 1


@pytest.mark.parametrize(("conid", "price"), [(29612256, 27.0), (750000009, 161.5), (750000008, 1150.0)])
def test_market_data_are_in_pence_and_cents_while_positions_are_in_the_currency(conid: int, price: float) -> None:
    ask = Asker("odd", now=utc("2026-11-20 12:00:00"))
    position = next(row for row in positions(ask) if row["conid"] == conid)
    assert price / 2 < position["mktPrice"] < price * 2
    last = float(ask.snapshot(conid, fields="31")[0]["31"].lstrip("C"))
    assert last == pytest.approx(position["mktPrice"] * 100, rel=0.02)
    bars = ask("get_price_history", conid=conid, period="1w", bar="1d")
    assert bars["data"][-1]["c"] == pytest.approx(last, rel=0.02)
    rules = ask("get_contract_info_and_rules", path={"conid": str(conid)})["rules"]
    assert rules["priceMagnifier"] == 100
    assert ask("get_contract_info_and_rules", path={"conid": "265598"})["rules"]["priceMagnifier"] is None


def test_corn_is_quoted_in_cents_and_held_in_dollars() -> None:
    ask = Asker("odd")
    position = next(row for row in positions(ask) if row["ticker"] == "ZC")
    ask("search_contracts", symbol="ZC")
    last = float(ask.snapshot(position["conid"], fields="31")[0]["31"].lstrip("C"))
    assert 100 < last == pytest.approx(position["mktPrice"] * 100, rel=0.02)
    assert (position["currency"], position["multiplier"]) == ("USD", 5000)


def test_an_expired_contract_is_described_no_more() -> None:
    ask = Asker(now=utc("2026-11-10 15:00:00"))
    conid = ask("list_futures", symbols="CL")["CL"][0]["conid"]
    assert len(ask("get_security_definitions", conids=f"{conid},265598")["secdef"]) == 2
    ask.now = utc("2026-11-23 15:00:00")
    assert [row["conid"] for row in ask("get_security_definitions", conids=f"{conid},265598")["secdef"]] == [265598]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("US0378331005", {"NASDAQ", "EBS", "MEXI"}),
        ("037833100", {"NASDAQ", "EBS", "MEXI"}),
        ("GB0005405286", {"LSE", "SEHK"}),
    ],
)
def test_a_search_by_isin_or_cusip_finds_every_listing(text: str, found: set[str]) -> None:
    assert {row["description"] for row in Asker()("search_contracts", symbol=text)} == found


def test_an_isin_that_is_not_known_is_not_found() -> None:
    assert Asker()("search_contracts", symbol="US0000000000") == {"error": "No symbol found"}


@pytest.mark.parametrize("size", [30, 7])
def test_positions_come_in_pages_of_the_size_that_is_set(size: int) -> None:
    world = World(7, "odd", positions_page=size)
    ask = Asker(world=world)
    pages = [ask("list_positions", path={"accountId": ODD, "pageId": str(page)}) for page in range(20)]
    assert max(map(len, pages)) == size
    assert sum(map(len, pages)) == len(world.holdings(world.accounts[0], FRIDAY))
    world.pages_repeat = True
    assert ask("list_positions", path={"accountId": ODD, "pageId": "19"}) == [page for page in pages if page][-1]


@pytest.mark.parametrize("user", ["paper", "live", "odd"])
def test_the_columns_of_the_ledger_add_up(user: Any) -> None:
    ask = Asker(user)
    columns = (
        *("cashbalance", "stockmarketvalue", "stockoptionmarketvalue", "futureoptionmarketvalue", "interest"),
        *("corporatebondsmarketvalue", "tbondsmarketvalue", "tbillsmarketvalue", "funds", "commoditymarketvalue"),
        *("warrantsmarketvalue", "issueroptionsmarketvalue", "cryptocurrencyvalue"),
    )
    for account in ask.world.accounts:
        base = ask("get_ledger", path={"accountId": account.id})["BASE"]
        gained = ask.world.valuation(account, FRIDAY).total("CFD", of="unrealized")
        assert sum(base[name] for name in columns) + gained == pytest.approx(base["netliquidationvalue"], abs=0.2)


def test_classes_within_another_row_are_found_through_its_sections() -> None:
    ask = Asker()
    sections = {section["secType"]: section for section in ask("search_contracts", symbol="AAPL")[0]["sections"]}
    assert sections["CFD"]["conid"] == "750000021"
    assert "BAG" in sections
    rows = ask("search_contracts", symbol="SAP")
    warrants = next(s for row in rows for s in row["sections"] if s["secType"] == "WAR")
    month = warrants["months"].partition(";")[0]
    found = ask("get_derivative_contracts", conid=14204, sectype="WAR", month=month, exchange="FWB")
    assert {row["secType"] for row in found} == {"WAR"}
