"""An order meets the price limit that the venue shows at the same moment."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from services.venue.answers import Answer
from services.venue.board import Board
from services.venue.core import VenueCore
from services.venue.pages import MarketPages
from services.venue.price_limits import price_limits
from tests.services.venue.floor import MS, ORIGIN_NS, SYMBOL, Floor
from tests.services.venue.little_market import book, order, running, ticker, write_tape
from undertow.markets.instruments import instruments_for

TICK = Decimal("0.10")
SECOND = 1000 * MS
RATIOS = {"ratio_x": Decimal("0.01"), "ratio_y": Decimal("0.02")}


class Priced(Floor):
    """A floor with its price-limit page; `u1` is refused beyond the limit."""

    def __init__(self, *, marked: bool = True) -> None:
        super().__init__(balance="1000000", marked=marked)
        self.post("account/set-limit-px-action", modifyEnable=False)
        self.pages = MarketPages(Board((SYMBOL,), 200), instruments_for((SYMBOL,)), [], self.core.price_limits)

    def shown(self) -> tuple[Decimal, Decimal]:
        page = self.pages.answer("/v5/market/price-limit", {"symbol": SYMBOL}, self.now_ns)
        return Decimal(page["buyLmt"]), Decimal(page["sellLmt"])

    def ask(self, side: str, price: Decimal) -> Answer:
        """Place at this very moment, and take it back."""
        body = {"category": "linear", "symbol": SYMBOL, "side": side, "orderType": "Limit", "qty": "0.001"}
        answer = self.core.post("u1", "/v5/order/create", {**body, "price": str(price)}, self.now_ns)
        self.core.post("u1", "/v5/order/cancel-all", {"category": "linear", "symbol": SYMBOL}, self.now_ns)
        return answer

    def check(self) -> tuple[Decimal, Decimal]:
        highest, lowest = self.shown()
        assert (self.ask("Buy", highest).ret_code, self.ask("Buy", highest + TICK).ret_code) == (0, 110121)
        assert (self.ask("Sell", lowest).ret_code, self.ask("Sell", lowest - TICK).ret_code) == (0, 110120)
        return highest, lowest


def test_the_formula_takes_a_premium_in_its_own_direction_only() -> None:
    mark = Decimal(60_000)
    assert price_limits(mark, mark, Decimal(0), **RATIOS) == (Decimal(60_600), Decimal(59_400))
    assert price_limits(mark, mark, Decimal(100), **RATIOS) == (Decimal(60_700), Decimal(59_400))
    assert price_limits(mark, mark, Decimal(-100), **RATIOS) == (Decimal(60_600), Decimal(59_300))


def test_the_formula_reaches_for_the_index_and_ends_at_the_second_ratio() -> None:
    mark = Decimal(60_000)
    assert price_limits(mark, Decimal(60_900), Decimal(0), **RATIOS) == (Decimal(60_900), Decimal(59_400))
    assert price_limits(mark, Decimal(59_100), Decimal(0), **RATIOS) == (Decimal(60_600), Decimal(59_100))
    assert price_limits(mark, Decimal(70_000), Decimal(0), **RATIOS)[0] == Decimal(61_200)
    assert price_limits(mark, Decimal(50_000), Decimal(0), **RATIOS)[1] == Decimal(58_800)


def test_an_order_at_the_shown_limit_is_taken_and_one_tick_beyond_is_refused() -> None:
    assert Priced().check() == (Decimal("60600.00"), Decimal("59400.00"))


def test_the_limit_of_a_market_with_a_premium_is_the_shown_one() -> None:
    floor = Priced()
    floor.ticker(markPrice="59950.00")
    floor.now_ns += 31 * SECOND
    floor.ticker(markPrice="59950.00")
    floor.now_ns += 31 * SECOND
    assert floor.check() == (Decimal("60599.50"), Decimal("59350.50"))


def test_the_limit_is_the_shown_one_after_a_silence_longer_than_the_window() -> None:
    floor = Priced()
    for mark in ("59950.00", "60050.00", "59900.00"):
        floor.now_ns += SECOND
        floor.ticker(markPrice=mark)
    before = floor.check()
    floor.now_ns += 3600 * SECOND
    silent = floor.check()
    assert silent != before
    # book and mark stand, so what the premium was last is what it is: 100.05 on a mark of 59,900
    assert silent == (Decimal("60599.00"), Decimal("59301.00"))


def test_a_book_that_has_moved_ahead_of_its_mark_is_no_premium() -> None:
    floor = Priced()
    floor.now_ns += 2 * SECOND
    floor.book([("61000.00", "2")], [("61000.10", "2")], snapshot=True)
    floor.ticker(markPrice="61000.00", indexPrice="61000.00")
    assert floor.check() == (Decimal("61610.00"), Decimal("60390.00"))


def test_the_limit_of_a_market_that_begins_is_the_shown_one_from_its_first_mark() -> None:
    floor = Priced(marked=False)
    assert floor.core.price_limits(SYMBOL, floor.now_ns) is None
    assert floor.ask("Buy", Decimal("90000.00")).ret_code == 0
    floor.ticker(markPrice="59950.00")
    floor.now_ns = ORIGIN_NS + SECOND
    assert floor.check() == (Decimal("60599.50"), Decimal("59350.50"))


def test_a_contract_without_risk_parameters_has_the_same_limits_on_its_page() -> None:
    (item,) = instruments_for((SYMBOL,))
    bare = {key: value for key, value in item.items() if key != "riskParameters"}
    core = VenueCore([bare], [], [])
    pages = MarketPages(Board((SYMBOL,), 200), [bare], [], core.price_limits)
    core.on_frame(msgspec.json.encode(ticker(markPrice="60000.00", indexPrice="60000.00")), ORIGIN_NS)
    page = pages.answer("/v5/market/price-limit", {"symbol": SYMBOL}, ORIGIN_NS)
    assert (page["buyLmt"], page["sellLmt"]) == ("63000.00", "57000.00")


STEPS = st.one_of(
    st.tuples(st.just("mark"), st.integers(598_000, 602_000), st.integers(590_000, 610_000)),
    st.tuples(st.just("book"), st.integers(598_000, 602_000), st.just(0)),
    st.tuples(st.just("silence"), st.sampled_from([1, 400, 1_000, 12_345, 29_999, 30_000, 30_001, 90_000]), st.just(0)),
)


@given(st.lists(STEPS, min_size=1, max_size=25))
@settings(max_examples=40, deadline=None)
def test_whatever_the_market_does_the_limit_is_the_shown_one(steps: list[tuple[str, int, int]]) -> None:
    floor = Priced()
    for kind, number, index in steps:
        price = TICK * number
        if kind == "mark":
            floor.ticker(markPrice=f"{price:.2f}", indexPrice=f"{TICK * index:.2f}")
        elif kind == "book":
            floor.book([(f"{price:.2f}", "2")], [(f"{price + TICK:.2f}", "2")], snapshot=True)
        else:
            floor.now_ns += number * MS
        floor.check()


async def test_the_limit_over_http_and_on_the_socket_is_that_of_an_order(tmp_path: Any) -> None:
    tape = write_tape(tmp_path / "t.rawlines", [(0, book()), (1, ticker(markPrice="64900.00"))])
    async with running(tape=tape) as client, client.socket("/v5/public/linear", auth=False) as wire:
        await client.start()
        await wire.ask({"op": "subscribe", "args": ["priceLimit.BTCUSDT"]})
        pushed = (await wire.until("priceLimit.BTCUSDT"))["data"]
        shown = (await client.page("/v5/market/price-limit?symbol=BTCUSDT"))["result"]
        assert (pushed["buyLmt"], pushed["sellLmt"]) == (shown["buyLmt"], shown["sellLmt"])
        await client.post("/v5/account/set-limit-px-action", {"category": "linear", "modifyEnable": False})
        highest = Decimal(shown["buyLmt"])
        for price, code in ((highest, 0), (highest + TICK, 110121)):
            body = order(price=str(price), timeInForce="GTC")
            assert (await client.post("/v5/order/create", body))["retCode"] == code
