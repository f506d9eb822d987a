"""Which frames of a live market are taken. A recording is looked at before anything starts, these as they arrive. Pure.

A frame that breaks a rule is dropped whole: neither the clients nor the board nor the core see any of it. A book that has lost a frame
stands as it was, and what follows is dropped too, until its next snapshot; that is asked for, and asked for again after a second. A frame
of which not even the topic can be read may have been of any book.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from services.venue.board_frames import read
from undertow.exchange.bybit.frames import (
    BadFrameError,
    BookFrame,
    Control,
    LiquidationFrame,
    MarketFrame,
    TickerFrame,
    TradeFrame,
    decode_frame,
)
from undertow.markets.tape_check import TapeCheck

UNREADABLE: Final = "unreadable"
NOT_SUBSCRIBED: Final = "not_subscribed"
BREAKS_A_RULE: Final = "breaks_a_rule"
AWAITS_SNAPSHOT: Final = "awaits_snapshot"
ASK_AGAIN_NS: Final = 1_000_000_000
_TOPIC: Final = re.compile(rb'"topic"\s*:\s*"([^"\\]*)"')
_BOOK: Final = "orderbook."


@dataclass(frozen=True, slots=True)
class Dropped:
    """Why a frame is not taken, and of which topics a snapshot is asked for because of it."""

    reason: str
    detail: str
    again: tuple[str, ...] = ()


class LiveCheck:
    """Looks at the frames of one upstream in their order.

    Args:
        instruments: its contracts, items of instruments-info.
        topics: all that are subscribed.
        depth: levels a side of its books.

    Attributes:
        awaited: books that stand until their next snapshot, with the ns at which it was last asked for.
    """

    def __init__(self, instruments: Sequence[Mapping[str, Any]], topics: Iterable[str], depth: int) -> None:
        self.awaited: dict[str, int] = {}
        self._topics = frozenset(topics)
        self._rules = TapeCheck(_Told(instruments), depth)

    def look(self, raw: bytes, now_ns: int) -> Dropped | None:
        """Say why a frame is not taken, or None: the board and the core can take it."""
        try:
            raw.decode()  # it goes out as text, what nobody here reads included
            read(raw)
            frame = decode_frame(raw)
        except BadFrameError as error:
            return self._lost(UNREADABLE, error.reason, self._may_be(raw), now_ns)
        except UnicodeDecodeError as error:
            return self._lost(UNREADABLE, str(error), self._may_be(raw), now_ns)
        if isinstance(frame, Control) or frame.topic not in self._topics:
            return Dropped(NOT_SUBSCRIBED, f"nobody asked for {raw[:80]!r}")
        books = [frame.topic] if isinstance(frame, BookFrame) else []
        if isinstance(frame, BookFrame) and frame.topic in self.awaited and not frame.snapshot:
            return self._lost(AWAITS_SNAPSHOT, f"{frame.topic} has lost a frame", books, now_ns)
        fault = _misnamed(frame) or self._rules.fault(frame)
        if fault:
            return self._lost(BREAKS_A_RULE, f"{frame.topic}: {fault}", books, now_ns)
        for topic in books:
            self.awaited.pop(topic, None)
        return None

    def _lost(self, reason: str, detail: str, books: Iterable[str], now_ns: int) -> Dropped:
        again = [topic for topic in books if topic not in self.awaited or now_ns - self.awaited[topic] >= ASK_AGAIN_NS]
        self.awaited |= dict.fromkeys(again, now_ns)
        return Dropped(reason, detail, tuple(again))

    def _may_be(self, raw: bytes) -> list[str]:
        found = _TOPIC.search(raw)
        books = sorted(topic for topic in self._topics if topic.startswith(_BOOK))
        return books if found is None else [topic for topic in books if topic.encode() == found[1]]


class _Told:
    """The upstream's own filters."""

    def __init__(self, instruments: Sequence[Mapping[str, Any]]) -> None:
        self._items = {item["symbol"]: item for item in instruments}

    def __contains__(self, symbol: str) -> bool:
        return symbol in self._items

    def instrument(self, symbol: str) -> Mapping[str, Any]:
        return self._items[symbol]


def _misnamed(frame: MarketFrame) -> str:
    told = frame.topic.rpartition(".")[2]
    match frame:
        case BookFrame() | TickerFrame():
            symbols = {frame.symbol}
        case TradeFrame() | LiquidationFrame():
            symbols = {each.symbol for each in frame.data}
        case _:
            symbols = set()
    other = symbols - {told}
    return f"it is about {', '.join(sorted(other))}" if other else ""
