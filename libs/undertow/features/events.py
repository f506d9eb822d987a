"""Facts as columns: the one form in which live, training and backtest feed the kernels.

A message becomes some rows `(ts_ns, kind, price, size)`. A message of the market stream ends with an `END` row, at
which triggers are evaluated; facts of other streams have none and never move the kernels' clock. Times are event times,
but those of the outside world's facts are the times at which we learned them.

| message | rows |
|---|---|
| `Book` | `BOOK_CLEAR` if it is a snapshot, then `BID` and `ASK` rows (a snapshot's worst first), `END` |
| `Trades` | `TRADE_BUY` or `TRADE_SELL` by the taker's side, `END` |
| `Liquidations` | `LIQ_LONG` or `LIQ_SHORT` by the position's side, `END` |
| `Ticker` | `MARK`, `INDEX`, `OPEN_INTEREST`, `FUNDING_RATE`, `NEXT_FUNDING` where the venue has said them, `END` |
| `Gap`, `Resync` | `RESET`, `END` |
| `OpenInterest`, `Funding`, `LongShortRatio` | `OPEN_INTEREST`, `FUNDING_SETTLED`, `RATIO`; no `END` |
| `MacroValue` | `OUTSIDE` + the number of its slot, with the time until which it counts in `size`; none without a slot |
| `NeighbourLiquidation` of Binance | `NEIGHBOUR_LONG` or `NEIGHBOUR_SHORT` by the position's side |
| `Kline`, `FeedSuspect`, `InstrumentChanged`, `RiskTier`, `NextFunding`, `DayTicker` | none |

A value that is no number becomes NaN; the kernel ignores and counts such a row.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from undertow.contracts.messages.base import Message
from undertow.contracts.messages.macro import MacroValue, NeighbourLiquidation
from undertow.contracts.messages.market import Book, Gap, Liquidations, Resync, Ticker, Trades
from undertow.contracts.messages.reference import Funding, LongShortRatio, OpenInterest
from undertow.domain.order import Side
from undertow.features.slots import SLOTS

RESET: Final = 0  # from here on nothing is known
BOOK_CLEAR: Final = 1  # the rows that follow are the whole book
BID: Final = 2  # price, size; size 0 deletes the level
ASK: Final = 3
TRADE_BUY: Final = 4  # the taker bought: price, size in base coin
TRADE_SELL: Final = 5
LIQ_LONG: Final = 6  # a long was liquidated: bankruptcy price, size in base coin
LIQ_SHORT: Final = 7
END: Final = 8  # the message is complete
MARK: Final = 9  # first of the slow kinds: value in `price`
INDEX: Final = 10
OPEN_INTEREST: Final = 11  # base coin
FUNDING_RATE: Final = 12  # the rate that will be settled next, a fraction
FUNDING_SETTLED: Final = 13  # the rate last settled, a fraction
NEXT_FUNDING: Final = 14  # when, UTC seconds
RATIO: Final = 15  # share of accounts net long, a fraction
OUTSIDE: Final = (
    16  # first of the outside kinds, one for each of `SLOTS`: value in `price`, end of its life in `size`, UTC seconds
)
NEIGHBOUR_LONG: Final = OUTSIDE + len(SLOTS)  # another venue liquidated a long: price, size in base coin
NEIGHBOUR_SHORT: Final = NEIGHBOUR_LONG + 1
KINDS: Final = NEIGHBOUR_SHORT + 1

NS_PER_SECOND: Final = 1_000_000_000
_NAN: Final = float("nan")
_OUTSIDE_KINDS: Final = {slot.name: OUTSIDE + number for number, slot in enumerate(SLOTS)}


class Events(NamedTuple):
    """Rows in the order in which they were seen.

    Attributes:
        ts_ns: event time, UTC ns, int64 (n,).
        kind: one of the kinds of this module, uint8 (n,).
        price: quote coin, or the value of a slow kind, float64 (n,).
        size: base coin, float64 (n,).
    """

    ts_ns: npt.NDArray[np.int64]
    kind: npt.NDArray[np.uint8]
    price: npt.NDArray[np.float64]
    size: npt.NDArray[np.float64]


class EventBuffer:
    """Growing columns to which messages are appended."""

    def __init__(self) -> None:
        self._ts = array("q")
        self._kind = array("B")
        self._price = array("d")
        self._size = array("d")

    def __len__(self) -> int:
        return len(self._kind)

    def clear(self) -> None:
        """Forget all rows."""
        for column in (self._ts, self._kind, self._price, self._size):
            del column[:]

    def columns(self) -> Events:
        """Copy the rows into arrays."""
        return Events(
            np.array(self._ts, dtype=np.int64),
            np.array(self._kind, dtype=np.uint8),
            np.array(self._price, dtype=np.float64),
            np.array(self._size, dtype=np.float64),
        )

    def append(self, ts_ns: int, kind: int, price: float = 0.0, size: float = 0.0) -> None:
        """Append one row."""
        self._ts.append(ts_ns)
        self._kind.append(kind)
        self._price.append(price)
        self._size.append(size)

    def append_fact(self, message: Message) -> int:
        """Append the rows of one message by the table above.

        Returns:
            The number of rows appended; 0 for a message that features do not use.
        """
        before = len(self._kind)
        match message:
            case Book():
                self._append_book(message)
            case Trades():
                for trade in message.trades:
                    kind = TRADE_BUY if trade.side is Side.BUY else TRADE_SELL
                    self.append(trade.ts_event, kind, _number(trade.price), _number(trade.size))
                self.append(message.ts_event, END)
            case Liquidations():
                for one in message.liquidations:
                    kind = LIQ_LONG if one.position_side is Side.BUY else LIQ_SHORT
                    self.append(one.ts_event, kind, _number(one.price), _number(one.size))
                self.append(message.ts_event, END)
            case Ticker():
                self._append_ticker(message)
            case Gap() | Resync():
                self.append(message.ts_event, RESET)
                self.append(message.ts_event, END)
            case OpenInterest():
                self.append(message.ts_event, OPEN_INTEREST, float(message.open_interest))
            case Funding():
                self.append(message.ts_event, FUNDING_SETTLED, float(message.rate))
            case LongShortRatio():
                self.append(message.ts_event, RATIO, float(message.buy_ratio))
            case MacroValue():
                self._append_outside(message)
            case NeighbourLiquidation(venue="binance"):
                kind = NEIGHBOUR_LONG if message.position_side is Side.BUY else NEIGHBOUR_SHORT
                self.append(message.ts_recv, kind, float(message.price), float(message.size))
            case _:
                pass
        return len(self._kind) - before

    def _append_book(self, book: Book) -> None:
        ts = book.ts_event
        if book.snapshot:
            self.append(ts, BOOK_CLEAR)
        for kind, levels in ((BID, book.bids), (ASK, book.asks)):
            if not levels:
                continue
            ordered = levels[::-1] if book.snapshot else levels
            count = len(ordered)
            try:
                prices = [float(level[0]) for level in ordered]
                sizes = [float(level[1]) for level in ordered]
            except ValueError:
                prices = [_number(level[0]) for level in ordered]
                sizes = [_number(level[1]) for level in ordered]
            self._ts.extend(array("q", (ts,)) * count)
            self._kind.extend(array("B", (kind,)) * count)
            self._price.extend(array("d", prices))
            self._size.extend(array("d", sizes))
        self.append(ts, END)

    def _append_outside(self, value: MacroValue) -> None:
        kind = _OUTSIDE_KINDS.get(value.slot)
        if kind is not None:
            held_ns = min(value.ts_event, value.ts_recv)  # no value holds from after it was learned
            self.append(value.ts_recv, kind, float(value.value), (held_ns + value.stale_after_ns) / NS_PER_SECOND)

    def _append_ticker(self, ticker: Ticker) -> None:
        ts = ticker.ts_event
        for kind, text in (
            (MARK, ticker.mark_price),
            (INDEX, ticker.index_price),
            (OPEN_INTEREST, ticker.open_interest),
            (FUNDING_RATE, ticker.funding_rate),
        ):
            if text:
                self.append(ts, kind, _number(text))
        if ticker.next_funding_ns > 0:
            self.append(ts, NEXT_FUNDING, ticker.next_funding_ns / NS_PER_SECOND)
        self.append(ts, END)


def events_of(messages: Iterable[Message]) -> Events:
    """Convert messages, in the order in which they were seen, into rows."""
    buffer = EventBuffer()
    for message in messages:
        buffer.append_fact(message)
    return buffer.columns()


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return _NAN
