"""Recorded Bybit frames as a market: the file's own bytes, at the times at which they were received."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from heapq import heappop, heappush
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from undertow.exchange.bybit.frames import BadFrameError, decode_frame
from undertow.markets.instruments import Contracts
from undertow.markets.notes import Answer, decode_note
from undertow.markets.ports import MarketFrame
from undertow.markets.rawlines import TapeError, first_ns, read_lines, stem
from undertow.markets.tape_check import TapeCheck


class _Head(msgspec.Struct):
    topic: str | None = None


class _Line(NamedTuple):
    path: Path
    number: int
    at_ns: int
    raw: bytes
    topic: str


class TapeSource:
    """Files of lines `<receive ns> <raw json>`, checked from end to end when opened.

    Lines without a `topic` are the recorder's notes and the acknowledgements of its subscriptions, and are skipped. A frame goes out at
    its receive time. Several files are the parts of one recording, or recordings of different times.

    Args:
        paths: the files, in any order.

    Attributes:
        path: the first file.
        label: what the mode line says.
        contracts: what is known of its contracts.
        symbols: symbols that occur, sorted.
        book_depth: depth of its order book topics.
        kline_intervals: intervals of its kline topics, sorted.
        origin_ns: receive time of the first frame.
        end_ns: receive time of the last frame.
        frame_count: market frames, without the acknowledgements.

    Raises:
        TapeError: a file is missing or breaks one of the rules that its text names.
    """

    def __init__(self, *paths: Path) -> None:
        begins = {path: first_ns(path) for path in paths}
        self._paths = sorted(paths, key=lambda path: begins[path])
        self._begins = begins
        self.contracts = Contracts()
        self.path = self._paths[0]
        self.label = f"recorded {stem(self.path)}" + (f" and {len(paths) - 1} more" if len(paths) > 1 else "")
        self.frame_count = 0
        self.origin_ns = 0
        self.end_ns = 0
        symbols: set[str] = set()
        depths: set[int] = set()
        intervals: set[str] = set()
        check = TapeCheck(self.contracts)
        for line in self._read():
            if not self.frame_count:
                self.origin_ns = line.at_ns
            self.end_ns = line.at_ns
            self.frame_count += 1
            kind, _, rest = line.topic.partition(".")
            symbols.add(line.topic.rpartition(".")[2])
            if kind == "orderbook":
                depths.add(_depth(line, rest))
            elif kind == "kline":
                intervals.add(rest.partition(".")[0])
            try:
                fault = check.fault(decode_frame(line.raw))
            except BadFrameError as error:
                raise TapeError(line.path, line.number, f"is not a frame of Bybit: {error.reason}") from None
            if fault:
                raise TapeError(line.path, line.number, fault)
        if not self.frame_count:
            raise TapeError(self.path, 0, "holds no market frame")
        if len(depths) != 1:
            seen = " and ".join(f"orderbook.{depth}" for depth in sorted(depths)) or "none"
            raise TapeError(self.path, 0, f"must hold order books of exactly one depth, has {seen}")
        self.symbols: tuple[str, ...] = tuple(sorted(symbols))
        self.book_depth = depths.pop()
        self.kline_intervals: tuple[str, ...] = tuple(sorted(intervals))

    @property
    def instruments(self) -> tuple[dict[str, Any], ...]:
        """The contracts of its symbols, as recorded with them or as shipped.

        Raises:
            KeyError: a symbol whose filters are neither recorded nor shipped.
        """
        return tuple(self.contracts.instrument(symbol) for symbol in self.symbols)

    @property
    def risk_tiers(self) -> tuple[dict[str, Any], ...]:
        """The risk tiers of its symbols, likewise."""
        return tuple(tier for symbol in self.symbols for tier in self.contracts.risk_tiers(symbol))

    def frames(self) -> Iterator[MarketFrame]:
        """Yield the market frames by ascending time, those of a file in its order, bytes untouched."""
        for line in self._read():
            yield MarketFrame(line.at_ns, line.raw)

    def _read(self) -> Iterator[_Line]:
        if len(self._paths) == 1:
            yield from self._lines(self.path)
            return
        waiting, playing = deque(enumerate(self._paths)), list[tuple[int, int, _Line, Iterator[_Line]]]()
        while waiting or playing:
            while waiting and (not playing or self._begins[waiting[0][1]] <= playing[0][0]):
                place, path = waiting.popleft()
                lines = self._lines(path)
                first = next(lines, None)
                if first is not None:
                    heappush(playing, (first.at_ns, place, first, lines))
            if not playing:
                continue
            _, place, line, lines = heappop(playing)
            yield line
            following = next(lines, None)
            if following is not None:
                heappush(playing, (following.at_ns, place, following, lines))

    def _lines(self, path: Path) -> Iterator[_Line]:
        decoder = msgspec.json.Decoder(_Head)
        for number, received_ns, raw in read_lines(path):
            try:
                topic = decoder.decode(raw).topic
                note = decode_note(raw)
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                raise TapeError(path, number, f"is not a JSON object of Bybit: {error}") from error
            if topic is not None:
                yield _Line(path, number, received_ns, raw, topic)
            elif isinstance(note, Answer):
                self.contracts.learn(note)


def _depth(line: _Line, rest: str) -> int:
    depth, _, symbol = rest.partition(".")
    if not depth.isdigit() or not symbol:
        raise TapeError(line.path, line.number, f"topic {line.topic} is not `orderbook.<depth>.<symbol>`")
    return int(depth)
