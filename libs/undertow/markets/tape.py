"""Recorded Bybit frames as a market: the file's own bytes, at the times at which they were received."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from undertow.exchange.bybit.frames import BadFrameError, decode_frame
from undertow.markets.instruments import instruments_for
from undertow.markets.ports import MarketFrame
from undertow.markets.rawlines import TapeError, read_lines, stem
from undertow.markets.tape_check import TapeCheck


class _Head(msgspec.Struct):
    topic: str | None = None


class TapeSource:
    """A file of lines `<receive ns> <raw json>`, plain or gzipped, checked from end to end when opened.

    Lines without a `topic` are the acknowledgements of the recorder's own subscriptions and are skipped. A frame goes out at its receive
    time.

    Args:
        path: the file.

    Attributes:
        path: the file.
        label: what the mode line says.
        symbols: symbols that occur, sorted.
        book_depth: depth of its order book topics.
        kline_intervals: intervals of its kline topics, sorted.
        origin_ns: receive time of the first frame.
        end_ns: receive time of the last frame.
        frame_count: market frames, without the acknowledgements.

    Raises:
        TapeError: the file is missing or breaks one of the rules that its text names.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.label = f"recorded {stem(path)}"
        self.frame_count = 0
        self.origin_ns = 0
        self.end_ns = 0
        symbols: set[str] = set()
        depths: set[int] = set()
        intervals: set[str] = set()
        check = TapeCheck()
        for number, frame, topic in self._read():
            if not self.frame_count:
                self.origin_ns = frame.at_ns
            self.end_ns = frame.at_ns
            self.frame_count += 1
            kind, _, rest = topic.partition(".")
            symbols.add(topic.rpartition(".")[2])
            if kind == "orderbook":
                depths.add(_depth(path, number, topic, rest))
            elif kind == "kline":
                intervals.add(rest.partition(".")[0])
            try:
                fault = check.fault(decode_frame(frame.raw))
            except BadFrameError as error:
                raise TapeError(path, number, f"is not a frame of Bybit: {error.reason}") from None
            if fault:
                raise TapeError(path, number, fault)
        if not self.frame_count:
            raise TapeError(path, 0, "holds no market frame")
        if len(depths) != 1:
            seen = " and ".join(f"orderbook.{depth}" for depth in sorted(depths)) or "none"
            raise TapeError(path, 0, f"must hold order books of exactly one depth, has {seen}")
        self.symbols: tuple[str, ...] = tuple(sorted(symbols))
        self.book_depth = depths.pop()
        self.kline_intervals: tuple[str, ...] = tuple(sorted(intervals))

    @property
    def instruments(self) -> tuple[dict[str, Any], ...]:
        """The contracts of its symbols.

        Raises:
            KeyError: a symbol whose filters are not shipped.
        """
        return instruments_for(self.symbols)

    def frames(self) -> Iterator[MarketFrame]:
        """Yield the market frames in the file's order, bytes untouched."""
        for _, frame, _ in self._read():
            yield frame

    def _read(self) -> Iterator[tuple[int, MarketFrame, str]]:
        decoder = msgspec.json.Decoder(_Head)
        for number, received_ns, raw in read_lines(self.path):
            try:
                topic = decoder.decode(raw).topic
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                raise TapeError(self.path, number, f"is not a JSON object of Bybit: {error}") from error
            if topic is not None:
                yield number, MarketFrame(received_ns, raw), topic


def _depth(path: Path, number: int, topic: str, rest: str) -> int:
    depth, _, symbol = rest.partition(".")
    if not depth.isdigit() or not symbol:
        raise TapeError(path, number, f"topic {topic} is not `orderbook.<depth>.<symbol>`")
    return int(depth)
