"""Random flows through a venue core: several accounts, both position modes, both margin modes, a market that moves."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec
from hypothesis import strategies as st

from services.venue.answers import AccountSpec, Answer, CommandRefused, FeeCoin, PrivateEvent
from services.venue.core import VenueCore
from tests.services.venue.floor import MS, ORIGIN_NS, SYMBOL, Floor
from undertow.markets.instruments import instruments_for
from undertow.matching.fills import PESSIMISTIC, PROBABILISTIC

UIDS = ("u1", "u2", "u3")
Step = tuple[Any, ...]
TIERS = [
    {
        "id": number,
        "symbol": SYMBOL,
        "riskLimitValue": limit,
        "maintenanceMargin": maintenance,
        "initialMargin": initial,
        "maxLeverage": leverage,
        "mmDeduction": deduction,
    }
    for number, limit, maintenance, initial, leverage, deduction in (
        (1, "20000", "0.005", "0.01", "100", ""),
        (2, "50000", "0.01", "0.02", "50", "100"),
        (3, "500000", "0.02", "0.04", "25", "600"),
    )
]
"""Small ones, so that a position of these accounts spans them."""


@dataclass(frozen=True)
class Terms:
    """On which terms the accounts trade, and how the venue works."""

    hedged: tuple[bool, bool, bool]
    isolated: tuple[bool, bool, bool]
    leverage: tuple[str, str, str]
    balance: str
    opened: tuple[tuple[str, str], ...]
    latency_ns: int
    model: int
    fund: str


PRICES = st.integers(599_994, 600_006).map(lambda ticks: f"{Decimal(ticks) / 10:.2f}")
FAR = st.sampled_from(["57000.00", "59200.00", "59700.00", "60300.00", "60900.00", "63000.00"])
QTYS = st.integers(1, 400).map(lambda lots: f"{Decimal(lots) / 1000:.3f}")
SIDES = st.sampled_from(["Buy", "Sell"])
WHO = st.sampled_from(UIDS)
AMOUNTS = st.sampled_from(["0.00000001", "7.5", "100", "900"])
MARKS = st.sampled_from(
    ["53000.01", "57950.00", "59200.07", "59400.00", "59900.12", "60000", "60100.03", "60600.00", "62000", "68000"]
)
NUMBERS = st.integers(0, 30)
BOOLS = st.tuples(*[st.booleans()] * 3)
TERMS = st.builds(
    Terms,
    hedged=BOOLS,
    isolated=BOOLS,
    leverage=st.tuples(*[st.sampled_from(["5", "20", "50", "100"])] * 3),
    balance=st.sampled_from(["400", "2000"]),
    opened=st.tuples(*[st.tuples(SIDES, st.sampled_from(["0.010", "0.120", "0.300", "0.800"]))] * 3),
    latency_ns=st.sampled_from([0, 3 * MS]),
    model=st.sampled_from([PESSIMISTIC, PROBABILISTIC]),
    fund=st.sampled_from(["0", "40", "1000000"]),
)

MOST = "most"
"""A quantity for which the funds may just do, or just not."""
ORDERS = st.fixed_dictionaries(
    {
        "side": SIDES,
        "qty": st.one_of(QTYS, QTYS, st.just(MOST)),
        "price": PRICES,
        "orderType": st.sampled_from(["Limit", "Limit", "Market"]),
        "timeInForce": st.sampled_from(["GTC", "PostOnly", "IOC", "FOK"]),
        "reduceOnly": st.sampled_from([False, False, False, True]),
    }
)
CREATES = st.tuples(st.just("create"), WHO, ORDERS, st.booleans(), st.integers(1, 2))
TRADES = st.tuples(st.just("trade"), SIDES, PRICES, st.one_of(QTYS, st.sampled_from(["2.005", "2.3", "9"])))
BOOKS = st.tuples(st.just("book"), st.one_of(PRICES, PRICES, FAR), st.one_of(QTYS, st.just("9")))
MOVES = st.tuples(st.just("mark"), MARKS)
RARE = (
    st.tuples(st.just("fund"), st.sampled_from(["0.0001", "-0.0003", "0.005", "-0.005"])),
    st.tuples(st.just("cancel"), WHO, NUMBERS),
    st.tuples(st.just("amend"), WHO, NUMBERS, PRICES, QTYS),
    st.tuples(st.just("leverage"), WHO, st.sampled_from(["2", "10", "75"])),
    st.tuples(st.just("margin"), WHO, st.sampled_from(["", "-"]), AMOUNTS, st.integers(1, 2)),
    st.tuples(st.just("adds"), WHO, st.integers(1, 2)),
    st.tuples(st.just("mode"), WHO, st.sampled_from(["REGULAR_MARGIN", "ISOLATED_MARGIN"])),
    st.tuples(st.just("transfer"), WHO, st.sampled_from([1, -1]), AMOUNTS),
    st.tuples(st.just("adl"), WHO, QTYS, st.integers(1, 2)),
)
_WEIGHTED = [*[CREATES] * 10, *[TRADES] * 4, *[BOOKS] * 2, *[MOVES] * 4, *RARE]
STEPS = st.integers(0, len(_WEIGHTED) - 1).flatmap(lambda number: _WEIGHTED[number])
FLOWS = st.lists(STEPS, min_size=20, max_size=45)


class FlowFloor(Floor):
    """Three accounts on their terms; `u3` pays its fees in MNT while it has some."""

    def __init__(self, terms: Terms) -> None:
        super().__init__()
        self.events, self.terms = [], terms
        self.accepted: tuple[str, Decimal] | None = None
        symbols = (SYMBOL, "ETHUSDT")
        coin = FeeCoin("MNT", Decimal("0.7"), Decimal(20))
        self.core = VenueCore(
            instruments_for(symbols),
            TIERS,
            [AccountSpec(uid, Decimal(terms.balance), fee_coin=coin if uid == "u3" else None) for uid in UIDS],
            opened_ns=ORIGIN_NS,
            order_latency_ns=terms.latency_ns,
            queue_model=terms.model,
            insurance_fund=Decimal(terms.fund),
        )
        self.book([("60000.00", "2")], [("60000.10", "2")], snapshot=True)
        self.ticker(lastPrice="60000.00", markPrice="60000.00", indexPrice="60000.00", fundingRate="0.0001")
        for uid, hedged, isolated, leverage in zip(UIDS, terms.hedged, terms.isolated, terms.leverage, strict=True):
            self.post("position/set-leverage", uid, symbol=SYMBOL, buyLeverage=leverage, sellLeverage=leverage)
            if hedged:
                self.post("position/switch-mode", uid, symbol=SYMBOL, mode=3)
            if isolated:
                self.post("account/set-margin-mode", uid, setMarginMode="ISOLATED_MARGIN")
        for uid, (side, qty) in zip(UIDS, terms.opened, strict=True):
            order = {"side": side, "qty": qty, "orderType": "Market"}
            self.post("order/create", uid, symbol=SYMBOL, positionIdx=self.index(uid, 1 + (side == "Sell")), **order)

    def get(self, path: str, uid: str = "u1", **params: str) -> Answer:
        """Ask; what was due by now happens first."""
        answer = self.core.get(uid, f"/v5/{path}", {"category": "linear", **params}, self.now_ns)
        self.events += answer.events
        return answer

    def index(self, uid: str, index: int) -> int:
        return index if self.terms.hedged[UIDS.index(uid)] else 0

    def held(self, uid: str) -> dict[int, dict[str, Any]]:
        return {p["positionIdx"]: p for p in self.get("position/list", uid, symbol=SYMBOL).result["list"]}

    def wallets(self, uid: str) -> dict[str, dict[str, Any]]:
        item = self.get("account/wallet-balance", uid, accountType="UNIFIED").result["list"][0]
        return {coin["coin"]: coin for coin in item["coin"]}

    def log(self, uid: str) -> list[dict[str, Any]]:
        """All rows, oldest first."""
        rows: list[dict[str, Any]] = []
        cursor = ""
        while True:
            params = {"limit": "50", "cursor": cursor}
            found = self.core.get(uid, "/v5/account/transaction-log", params, self.now_ns + 3_600_000 * MS).result
            rows += found["list"]
            cursor = found["nextPageCursor"]
            if not cursor:
                return rows[::-1]

    def take(self, step: Step) -> None:
        kind, *how = step
        getattr(self, f"_{kind}")(*how)

    def margins(self, uid: str) -> tuple[Decimal, Decimal]:
        """Initial margin of positions and orders, and the funds that it is taken from."""
        coin = self.wallets(uid)["USDT"]
        isolated = self.get("account/info", uid).result["marginMode"] == "ISOLATED_MARGIN"
        funds = coin["walletBalance" if isolated else "equity"]
        return Decimal(coin["totalPositionIM"]) + Decimal(coin["totalOrderIM"]), Decimal(funds)

    def _create(self, uid: str, order: dict[str, Any], stops: bool, index: int) -> None:
        body = dict(order)
        if stops and not body["reduceOnly"]:
            body["stopLoss"] = "58000.00" if body["side"] == "Buy" else "62000.00"
            body["slTriggerBy"] = "MarkPrice"
        margin, funds = self.margins(uid)
        if body["qty"] == MOST:
            held = self.held(uid)[self.index(uid, index)]
            lots = (funds - margin) * 1000 / 60_000 / (1 / Decimal(held["leverage"]) + Decimal("0.0011"))
            body["qty"] = f"{max(1, int(lots)) / 1000:.3f}"
        self.accepted = None
        if not self.post("order/create", uid, symbol=SYMBOL, positionIdx=self.index(uid, index), **body).ret_code:
            self.accepted = uid, margin

    def _trade(self, side: str, price: str, qty: str) -> None:
        self.trade(side, price, qty)

    def _book(self, price: str, qty: str) -> None:
        self.book([(price, qty)], [(f"{Decimal(price) + Decimal('0.10'):.2f}", qty)], snapshot=True)

    def _mark(self, price: str) -> None:
        self.ticker(markPrice=price, indexPrice=price)

    def _fund(self, rate: str) -> None:
        self.ticker(fundingRate=rate, nextFundingTime=str(self.now_ns // MS + 2))
        self.later(5 * MS)

    def later(self, ns: int) -> None:
        self.now_ns += ns
        self.events += self.core.on_time(self.now_ns)

    def _known(self, uid: str, number: int) -> dict[str, str]:
        known = [o["orderId"] for o in self.get("order/realtime", uid, symbol=SYMBOL).result["list"]]
        return {"symbol": SYMBOL, "orderId": known[number % len(known)] if known else "none"}

    def _cancel(self, uid: str, number: int) -> None:
        self.post("order/cancel", uid, **self._known(uid, number))

    def _amend(self, uid: str, number: int, price: str, qty: str) -> None:
        self.post("order/amend", uid, **self._known(uid, number), price=price, qty=qty)

    def _leverage(self, uid: str, leverage: str) -> None:
        self.post("position/set-leverage", uid, symbol=SYMBOL, buyLeverage=leverage, sellLeverage=leverage)

    def _margin(self, uid: str, sign: str, amount: str, index: int) -> None:
        self.post("position/add-margin", uid, symbol=SYMBOL, margin=sign + amount, positionIdx=self.index(uid, index))

    def _adds(self, uid: str, index: int) -> None:
        index = self.index(uid, index)
        self.post("position/set-auto-add-margin", uid, symbol=SYMBOL, autoAddMargin=1, positionIdx=index)

    def _mode(self, uid: str, mode: str) -> None:
        self.post("account/set-margin-mode", uid, setMarginMode=mode)

    def _transfer(self, uid: str, sign: int, amount: str) -> None:
        self._command(lambda: self.core.transfer(uid, "USDT", sign * Decimal(amount), self.now_ns))

    def _adl(self, uid: str, qty: str, index: int) -> None:
        index = self.index(uid, index)
        self._command(lambda: self.core.deleverage(uid, SYMBOL, index, Decimal(qty), self.now_ns))

    def _command(self, command: Callable[[], list[PrivateEvent]]) -> None:
        self.now_ns += MS
        with contextlib.suppress(CommandRefused):
            self.events += command()


def play(flow: list[Step], terms: Terms, after_each: Callable[[FlowFloor], None] = lambda _: None) -> FlowFloor:
    """Take all steps, then let what waits take effect."""
    floor = FlowFloor(terms)
    for step in flow:
        floor.take(step)
        after_each(floor)
    floor.later(3_600 * MS)
    return floor


def written(floor: FlowFloor) -> bytes:
    """Everything that the accounts were told, and how they stand."""
    told = [(event.uid, event.topic, event.data) for event in floor.events]
    return msgspec.json.encode([told, [floor.core.ledger(uid) for uid in UIDS], str(floor.core.insurance_fund)])
