"""Our books beside the venue's own core: fills, fees of two tiers and in another coin, funding, transfers, deleveraging, liquidation."""

from __future__ import annotations

import contextlib
import random
from collections import Counter
from decimal import Decimal

import pytest

from services.venue.answers import AccountSpec, CommandRefused, FeeCoin
from services.venue.core import VenueCore
from tests.services.venue.floor import MS, ORIGIN_NS, SYMBOL, Floor
from undertow.exchange.bybit import parse
from undertow.markets.instruments import instruments_for, risk_tiers_for
from undertow.trading.ledger import Books, Ledger

D = Decimal
OPENING = D(20_000)
UIDS = ("u1", "u2")
COMPARED_EACH = 250
HOUR_NS = 3_600_000 * MS


class BooksFloor(Floor):
    """Two accounts: `u1` pays the highest tier's fees, `u2` a rebate as maker and its taker fees in MNT while it has some."""

    def __init__(self, seed):
        super().__init__()
        self.random = random.Random(seed)
        self.core = VenueCore(
            instruments_for((SYMBOL, "ETHUSDT")),
            risk_tiers_for((SYMBOL, "ETHUSDT")),
            [
                AccountSpec("u1", OPENING, maker_rate=D("0.0002"), taker_rate=D("0.00055")),
                AccountSpec("u2", OPENING, maker_rate=D("-0.00005"), fee_coin=FeeCoin("MNT", D("0.7"), D(500))),
            ],
            opened_ns=ORIGIN_NS,
            insurance_fund=D(1_000_000),
        )
        self.price = 60_000
        self.quote()
        self.ticker(lastPrice="60000.00", markPrice="60000.00", indexPrice="60000.00", fundingRate="0.0001")
        for uid in UIDS:
            self.post("position/set-leverage", uid, symbol=SYMBOL, buyLeverage="50", sellLeverage="50")
        self.ledgers = {uid: Ledger(Books(coin="USDT", opening_wallet=OPENING)) for uid in UIDS}
        self.log_from_ms = dict.fromkeys(UIDS, ORIGIN_NS // MS)
        for uid, ledger in self.ledgers.items():  # the opening balance is a transfer
            ledger.adopt([], [row.entry_id for row in self._log(uid)])
        self.kinds = Counter()
        self.events.clear()

    def quote(self):
        self.book([(f"{self.price}.00", "400")], [(f"{self.price}.10", "400")], snapshot=True)

    def happen(self):
        """Let one thing happen, whichever; what the venue refuses has not happened."""
        chance = self.random
        what = chance.choices(("order", "maker", "move", "fund", "transfer", "adl", "crash"), (50, 20, 20, 3, 5, 1, 1))[
            0
        ]
        getattr(self, f"_{what}")(chance.choice(UIDS), chance.choice(("Buy", "Sell")))

    def booked(self):
        """Book what the private stream said, twice where it comes twice, and what the log adds."""
        for event in self.events:
            if event.topic != "execution":
                continue
            for item in event.data:
                fill = parse.execution(item)
                for _ in range(1 + (self.random.random() < 0.1)):
                    self.kinds[fill.exec_type] += self.ledgers[event.uid].book(fill)
        self.events.clear()

    def compare(self):
        self.booked()
        for uid in UIDS:
            self._read_log(uid)
            theirs = self.core.ledger(uid)
            held = {symbol: D(qty) for symbol, qty in theirs["positions"].items()}
            residuals = self.ledgers[uid].residuals(held, D(theirs["wallet"]))
            assert (dict(residuals.qty), residuals.money) == ({}, 0), uid

    def _read_log(self, uid):
        for row in self._log(uid):
            self.kinds[row.kind] += self.ledgers[uid].book_row(row)
        self.log_from_ms[uid] = self.now_ns // MS

    def _log(self, uid):
        cursor, span = "", {"startTime": str(self.log_from_ms[uid]), "endTime": str(self.now_ns // MS)}
        while True:
            params = {"limit": "50", "cursor": cursor, **span}
            page = self.core.get(uid, "/v5/account/transaction-log", params, self.now_ns).result
            yield from map(parse.ledger_entry, page["list"])
            cursor = page["nextPageCursor"]
            if not cursor:
                return

    def _order(self, uid, side):
        qty = f"{self.random.randint(1, 300) / 1000:.3f}"
        self.post("order/create", uid, symbol=SYMBOL, side=side, orderType="Market", qty=qty)

    def _maker(self, uid, side):
        price, qty = f"{self.price}.{'00' if side == 'Buy' else '10'}", f"{self.random.randint(1, 300) / 1000:.3f}"
        order = {"orderType": "Limit", "price": price, "timeInForce": "PostOnly"}
        self.post("order/create", uid, symbol=SYMBOL, side=side, qty=qty, **order)
        self.trade("Sell" if side == "Buy" else "Buy", price, "900")

    def _move(self, _uid, _side):
        self.price = max(40_000, min(80_000, self.price + self.random.randint(-60, 60)))
        self.quote()
        self.ticker(markPrice=f"{self.price + self.random.randint(-300, 300) / 100:.2f}")

    def _fund(self, _uid, _side):
        stamp_ns = self.now_ns + HOUR_NS
        self.ticker(
            nextFundingTime=str(stamp_ns // MS), fundingRate=self.random.choice(("0.0001", "-0.0007", "0.0031"))
        )
        self.now_ns = stamp_ns + 3 * MS
        self.events += self.core.on_time(self.now_ns)

    def _transfer(self, uid, _side):
        amount = self.random.choice(("0.00000001", "-0.37", "1200", "-900", "3000"))
        with contextlib.suppress(CommandRefused):
            self.events += self.core.transfer(uid, "USDT", D(amount), self.now_ns)

    def _adl(self, uid, _side):
        qty = D(self.random.randint(1, 200)) / 1000
        with contextlib.suppress(CommandRefused):
            self.events += self.core.deleverage(uid, SYMBOL, 0, qty, self.now_ns)

    def _crash(self, _uid, _side):
        self.price = 45_000 if self.price > 60_000 else 75_000
        self.quote()
        self.ticker(markPrice=f"{self.price}.00")
        for uid in UIDS:
            self.events += self.core.transfer(uid, "USDT", OPENING, self.now_ns)


@pytest.mark.parametrize("events", [2_000, pytest.param(100_000, marks=[pytest.mark.long, pytest.mark.timeout(600)])])
def test_after_any_events_nothing_remains_between_our_books_and_the_venues(events):
    floor = BooksFloor(seed=5)
    for number in range(1, events + 1):
        floor.happen()
        if number % COMPARED_EACH == 0:
            floor.compare()
    assert {"Trade", "Funding", "AdlTrade", "BustTrade", "TRANSFER_IN", "TRANSFER_OUT"} <= (+floor.kinds).keys()
    assert floor.ledgers["u2"].fees_elsewhere["MNT"] > 0
    assert floor.ledgers["u1"].fees > 0
