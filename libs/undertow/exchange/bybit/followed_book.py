"""A book that follows its topic: the bytes of a frame in, the book moved on, and the message that the bus will carry.

No Python object is made for any level. What the kernel does not read, `decode_frame` does, and the book takes it by the same rules.
"""

from __future__ import annotations

from typing import Final

import msgspec

from undertow.contracts.messages.market import PackedBook
from undertow.exchange.book import OrderBook
from undertow.exchange.bybit.frames import BookFrame
from undertow.exchange.kernels.follow import MISFIT, UNREAD, fits, follow
from undertow.exchange.kernels.ladder import FULL, TAKEN, TAKEN_CROSSED
from undertow.exchange.kernels.memory import NEXT_ID, NOWHERE, SYMBOL_AT, SYMBOL_END
from undertow.exchange.levels import Levels

__all__ = ["FAULTY", "MISFIT", "TAKEN", "TAKEN_CROSSED", "UNREAD", "FollowedBook", "begin_of", "packed_fact"]

FAULTY: Final = 5
"""A level is no number, or negative."""

_BEGIN: Final = b'{"topic":"'
_NS_PER_MS: Final = 1_000_000
_TO_BYTES: Final = msgspec.msgpack.Encoder().encode


def begin_of(raw: bytes) -> bytes:
    """Give a frame up to the end of its topic, when the topic comes first, as the venue has it."""
    return raw[: raw.find(b'"', len(_BEGIN))]


class FollowedBook(OrderBook):
    """The book of one topic. Once crossed or faulty it takes nothing but a snapshot.

    Args:
        symbol: of the topic.
        topic: which ends with the symbol.
        depth: levels a side.
        levels: scratch memory, which several books may share.

    Attributes:
        begin: what `begin_of` gives of its frames.
    """

    __slots__ = ("_seen", "_symbol", "begin")

    def __init__(self, symbol: str, topic: str, depth: int, levels: Levels) -> None:
        super().__init__(depth, levels)
        self._symbol = symbol
        self.begin = _BEGIN + topic.encode()
        self._memory[SYMBOL_AT], self._memory[SYMBOL_END] = len(self.begin) - len(symbol), len(self.begin)

    @property
    def fault(self) -> str:
        """What is wrong with the levels of a frame that is `FAULTY`."""
        return self._levels.fault

    def lose(self) -> None:
        """Take nothing but a snapshot from here on."""
        self._memory[NEXT_ID] = NOWHERE

    def follow(self, raw: bytes) -> int:
        """Take a frame that begins as `begin` says; give `TAKEN`, `TAKEN_CROSSED`, `MISFIT` or `UNREAD`."""
        levels = self._levels
        if len(raw) > levels.room:
            levels.make_room(len(raw))
        state, self._seen = follow(raw, self._memory, levels.columns)
        if state == FULL:
            _, is_snapshot, update_id, sequence, bids, rows, _, _, _, _ = self._seen
            return self._take(bids, rows, is_snapshot, update_id, sequence)
        return state

    def fact(self, recv_ns: int) -> PackedBook:
        """Give the frame that was read last, received at `recv_ns` (market ns)."""
        event_ms, is_snapshot, update_id, sequence, _, _, bids_from, bids_to, asks_from, asks_to = self._seen
        raw = self._levels.raw
        return PackedBook(
            ts_event=event_ms * _NS_PER_MS,
            ts_recv=recv_ns,
            symbol=self._symbol,
            snapshot=is_snapshot == 1,
            bids=raw(bids_from, bids_to),
            asks=raw(asks_from, asks_to),
            update_id=update_id,
            sequence=sequence,
        )

    def follow_frame(self, frame: BookFrame) -> int:
        """Take a frame that had to be decoded; give `TAKEN`, `TAKEN_CROSSED`, `MISFIT` or `FAULTY`."""
        data, levels, is_snapshot = frame.data, self._levels, int(frame.snapshot)
        if not fits(self._memory, is_snapshot, data.update_id, data.sequence):
            return MISFIT
        levels.read(data.bids, data.asks)
        if levels.fault:
            self.lose()
            return FAULTY
        return self._take(levels.bids, levels.rows, is_snapshot, data.update_id, data.sequence)


def packed_fact(frame: BookFrame, recv_ns: int) -> PackedBook:
    """Translate a frame that had to be decoded; its event time is the matching engine's, where the venue tells it."""
    data = frame.data
    return PackedBook(
        ts_event=(frame.cts_ms or frame.ts_ms) * _NS_PER_MS,
        ts_recv=recv_ns,
        symbol=data.symbol,
        snapshot=frame.snapshot,
        bids=msgspec.Raw(_TO_BYTES(data.bids)),
        asks=msgspec.Raw(_TO_BYTES(data.asks)),
        update_id=data.update_id,
        sequence=data.sequence,
    )
