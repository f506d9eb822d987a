"""Fees: by the account's tier, in the settle coin or in another one."""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal
from typing import Any

import pytest

from services.venue.answers import AccountSpec, CommandRefused, FeeCoin
from services.venue.core import VenueCore
from tests.services.venue.floor import MS, ORIGIN_NS, SYMBOL, Floor, items, topics
from undertow.markets.instruments import instruments_for, risk_tiers_for

STEP = Decimal("0.00000001")


class FeeFloor(Floor):
    """The same floor, `u1` with fees of its own."""

    def __init__(self, **terms: Any) -> None:
        super().__init__()
        symbols = (SYMBOL, "ETHUSDT")
        spec = AccountSpec("u1", Decimal(10_000), **terms)
        self.core = VenueCore(instruments_for(symbols), risk_tiers_for(symbols), [spec], opened_ns=ORIGIN_NS)
        self.book([("60000.00", "2.000")], [("60000.10", "2.000")], snapshot=True)
        self.ticker(lastPrice="60000.00", markPrice="60000.00", indexPrice="60000.00", fundingRate="0.0001")

    def coins(self) -> dict[str, dict[str, Any]]:
        listed = self.get("account/wallet-balance", accountType="UNIFIED").result["list"][0]["coin"]
        return {coin["coin"]: coin for coin in listed}

    def log(self, **params: str) -> list[dict[str, Any]]:
        return self.core.get("u1", "/v5/account/transaction-log", params, self.now_ns).result["list"]


def mnt(price: str = "0.80", balance: str = "100") -> FeeCoin:
    return FeeCoin("MNT", Decimal(price), Decimal(balance))


def test_each_account_pays_the_rates_of_its_tier() -> None:
    floor = FeeFloor(maker_rate=Decimal("-0.00005"), taker_rate=Decimal("0.0003"))
    taken = items(floor.market(qty="0.1").events, "execution")[0]
    assert (taken["feeRate"], taken["execFee"]) == ("0.0003", "1.800003")
    floor.create("Sell", "0.1", "60001.00")
    made = items(floor.trade("Buy", "60001.10", "1"), "execution")[0]
    assert (made["feeRate"], made["execFee"]) == ("-0.00005", "-0.300005")
    rates = floor.get("account/fee-rate", symbol=SYMBOL).result["list"]
    assert rates == [{"symbol": SYMBOL, "takerFeeRate": "0.0003", "makerFeeRate": "-0.00005"}]
    assert floor.log(type="TRADE")[0]["fee"] == "-0.300005"


def test_a_fee_in_another_coin_is_the_fee_by_its_price_rounded_up() -> None:
    floor = FeeFloor(fee_coin=mnt(price="0.7"))
    events = floor.market(qty="0.1").events
    execution, order = items(events, "execution")[0], items(events, "order")[0]
    expected = (Decimal("6000.01") * Decimal("0.00055") / Decimal("0.7")).quantize(STEP, ROUND_CEILING)
    assert (execution["feeCurrency"], Decimal(execution["execFee"])) == ("MNT", expected)
    assert (execution["feeRate"], execution["extraFees"]) == ("0.00055", "")
    assert (order["cumFeeDetail"], order["cumExecFee"]) == ({"MNT": execution["execFee"]}, "0")
    assert floor.get("execution/list").result["list"][0]["feeCurrency"] == "MNT"
    coins = floor.coins()
    assert coins["USDT"]["walletBalance"] == "10000"
    assert Decimal(coins["MNT"]["walletBalance"]) == 100 - expected


def test_the_log_has_a_row_for_each_coin_and_each_adds_up_for_itself() -> None:
    floor = FeeFloor(fee_coin=mnt())
    floor.market(qty="0.1")
    floor.market("Sell", "0.1", reduceOnly=True)
    rows = floor.log()
    assert [(r["type"], r["currency"]) for r in rows] == [
        *[("TRADE", "MNT"), ("TRADE", "USDT")] * 2,
        ("TRANSFER_IN", "MNT"),
        ("TRANSFER_IN", "USDT"),
    ]
    for coin in ("MNT", "USDT"):
        running = Decimal(0)
        for row in [r for r in reversed(rows) if r["currency"] == coin]:
            change = Decimal(row["cashFlow"]) + Decimal(row["funding"]) - Decimal(row["fee"])
            running += change
            assert (Decimal(row["change"]), Decimal(row["cashBalance"])) == (change, running)
        assert Decimal(floor.coins()[coin]["walletBalance"]) == running
    assert rows[0]["tradeId"] == rows[1]["tradeId"]
    assert floor.log(currency="MNT") == [r for r in rows if r["currency"] == "MNT"]


def test_without_enough_of_it_the_fee_is_paid_in_the_settle_coin() -> None:
    floor = FeeFloor(fee_coin=mnt(balance="5"))
    first, second = (items(floor.market(qty="0.1").events, "execution")[0] for _ in range(2))
    assert (first["feeCurrency"], second["feeCurrency"]) == ("MNT", "USDT")
    floor.create(qty="0.1", price="60000.00")
    order = items(floor.trade("Sell", "59999.00", "1"), "order")[0]
    assert order["cumFeeDetail"] == {"USDT": "1.2"}


def test_an_order_that_paid_in_both_coins_shows_both() -> None:
    floor = FeeFloor(fee_coin=mnt(balance="3"))
    floor.book([], [("60000.10", "0.05"), ("60000.20", "0.05")], snapshot=True)
    order = items(floor.market(qty="0.1").events, "order")[0]
    assert order["cumFeeDetail"] == {"MNT": "2.06250344", "USDT": "1.6500055"}
    assert order["cumExecFee"] == "1.6500055"


def test_the_position_counts_the_settle_coin_alone() -> None:
    floor = FeeFloor(fee_coin=mnt())
    floor.market(qty="0.1")
    order = items(floor.market("Sell", "0.1", reduceOnly=True).events, "order")[0]
    assert order["closedPnl"] == floor.position()["cumRealisedPnl"] == "-0.01"
    ledger = floor.core.ledger("u1")
    assert (ledger["fees"], ledger["transfers"]) == ("0", "10000")
    other = ledger["other_coins"]["MNT"]
    assert Decimal(other["transfers"]) - Decimal(other["fees"]) == Decimal(other["wallet"]) < 100


def test_the_fee_coin_counts_in_equity_and_wallet_but_not_as_margin() -> None:
    floor = FeeFloor(fee_coin=mnt())
    item = floor.get("account/wallet-balance", accountType="UNIFIED").result["list"][0]
    assert (item["totalEquity"], item["totalWalletBalance"], item["totalMarginBalance"]) == ("10080", "10080", "10000")
    assert (floor.coins()["MNT"]["usdValue"], floor.coins()["MNT"]["marginCollateral"]) == ("80", False)
    assert set(floor.coins()["MNT"]) == set(floor.coins()["USDT"])


def test_a_wallet_message_holds_only_the_coins_that_moved() -> None:
    floor = FeeFloor(fee_coin=mnt())

    def shown(events: list[Any]) -> list[str]:
        return [coin["coin"] for coin in items(events, "wallet")[0]["coin"]]

    assert shown(floor.market(qty="0.1").events) == ["USDT", "MNT"]
    floor.ticker(nextFundingTime=str(floor.now_ns // MS + 2))
    assert shown(floor.core.on_time(floor.now_ns + 5 * MS)) == ["USDT"]
    assert shown(floor.core.transfer("u1", "MNT", Decimal(-1), floor.now_ns)) == ["MNT"]


def test_the_fee_coin_can_be_brought_in_and_taken_out() -> None:
    floor = FeeFloor(fee_coin=mnt())
    assert topics(floor.core.transfer("u1", "MNT", Decimal("-99.5"), floor.now_ns)) == ["wallet"]
    assert floor.coins()["MNT"]["walletBalance"] == "0.5"
    with pytest.raises(CommandRefused, match=r"use at most 0\.5"):
        floor.core.transfer("u1", "MNT", Decimal("-0.6"), floor.now_ns)
    with pytest.raises(CommandRefused, match="coin: 'BTC' is not in the account"):
        floor.core.transfer("u1", "BTC", Decimal(1), floor.now_ns)


@pytest.mark.parametrize(("coin", "price"), [("USDT", "1"), ("MNT", "0"), ("MNT", "0.001"), ("BTC", "60000")])
def test_a_fee_coin_beyond_the_bounds_is_refused(coin: str, price: str) -> None:
    with pytest.raises(ValueError, match=r"coin: |price: "):
        FeeCoin(coin, Decimal(price), Decimal(1))
