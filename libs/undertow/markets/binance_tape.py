"""Recorded Binance USD-M frames as a market in Bybit's frames, labelled as converted.

A file holds one symbol; files of a symbol that follow each other make one recording. The recorder's clock may run behind the exchange's,
so that frames seem to arrive before they happened: all receive times are shifted by what makes the quickest frame arrive at once.
"""

from __future__ import annotations

import copy
import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from operator import attrgetter, itemgetter
from pathlib import Path
from typing import Any, Final

from undertow.domain.time import NS_PER_MS
from undertow.markets.binance_convert import DEPTH, ConversionError, Converter
from undertow.markets.binance_wire import Snapshot, decode_line
from undertow.markets.instruments import instruments_for, known_symbols, risk_tiers_for
from undertow.markets.ports import MarketFrame
from undertow.markets.rawlines import TapeError, read_lines

_SECOND_NS: Final = 1_000_000_000
_MINUTES_OF_HOUR: Final = 60
_LONGEST_PAUSE_NS: Final = 60 * _SECOND_NS


@dataclass
class _Part:
    """One symbol's files, and what was found when they were checked."""

    symbol: str
    paths: list[Path]
    behind_ns: int = -(2**63)
    first_ns: int = 0
    last_ns: int = 0
    frame_count: int = 0
    decimals: int = 0


class BinanceTape:
    """Binance recordings of one stretch of time, checked from end to end when opened.

    Args:
        paths: the files, in any order.

    Attributes:
        path: the first file.
        label: what the mode line says; it says that the frames are converted.
        symbols: symbols that occur, sorted.
        instruments: the contracts; where Binance trades finer lots than Bybit the lot is Binance's.
        risk_tiers: their risk tiers.
        origin_ns: when the first frame goes out.
        frame_count: frames after conversion.
        behind_ns: by how much receive times are shifted.

    Raises:
        TapeError: a file is missing, is of no known contract or breaks one of the rules that its text names.
    """

    book_depth: int = DEPTH
    kline_intervals: tuple[str, ...] = ()

    def __init__(self, paths: Sequence[Path]) -> None:
        parts: dict[str, _Part] = {}
        for path, symbol, _ in sorted(map(_head, paths), key=itemgetter(2)):
            parts.setdefault(symbol, _Part(symbol, [])).paths.append(path)
        self._parts = [parts[symbol] for symbol in sorted(parts)]
        for part in self._parts:
            _check(part)
        self.path = self._parts[0].paths[0]
        self.symbols: tuple[str, ...] = tuple(part.symbol for part in self._parts)
        self.instruments = tuple(map(_instrument, self._parts))
        self.risk_tiers = risk_tiers_for(self.symbols)
        self.frame_count = sum(part.frame_count for part in self._parts)
        self.behind_ns = max(part.behind_ns for part in self._parts)
        self.origin_ns = min(part.first_ns for part in self._parts) + self.behind_ns
        end_ns = max(part.last_ns for part in self._parts) + self.behind_ns
        begins = datetime.fromtimestamp(self.origin_ns // _SECOND_NS, UTC)
        self.label = (
            f"recorded Binance USD-M {' '.join(self.symbols)} {begins:%Y-%m-%d %H:%M:%S} UTC, "
            f"{(end_ns - self.origin_ns) / _SECOND_NS:.0f} s (converted to Bybit frames)"
        )

    def frames(self) -> Iterator[MarketFrame]:
        """Yield the converted frames of all symbols by ascending time."""
        return heapq.merge(*map(self._play, self._parts), key=attrgetter("at_ns"))

    def _play(self, part: _Part) -> Iterator[MarketFrame]:
        for received_ns, raw in _convert(part):
            yield MarketFrame(received_ns + self.behind_ns, raw)


def _head(path: Path) -> tuple[Path, str, int]:
    """Give symbol and first receive time of a file."""
    first_ns = 0
    for number, received_ns, raw in read_lines(path):
        first_ns = first_ns or received_ns
        line = _decode(path, number, raw)
        if not isinstance(line, Snapshot):
            if line.symbol not in known_symbols():
                rule = f"the contract {line.symbol} is not one of {', '.join(known_symbols())}"
                raise TapeError(path, number, rule, "give a recording of one of these")
            return path, line.symbol, first_ns
    raise TapeError(path, 0, "holds no market frame")


def _decode(path: Path, number: int, raw: bytes) -> Any:
    try:
        return decode_line(raw)
    except ValueError as error:  # msgspec's errors are ValueErrors
        raise TapeError(path, number, f"is not a line of a Binance USD-M recording: {error}") from None


def _convert(part: _Part, check: _Part | None = None) -> Iterator[tuple[int, bytes]]:
    """Yield receive time and frame; note in `check` what only the lines tell."""
    (contract,) = instruments_for([part.symbol])
    terms = {
        "fundingIntervalHour": str(contract["fundingInterval"] // _MINUTES_OF_HOUR),
        "fundingCap": contract["upperFundingRate"],
    }
    converter = Converter(part.symbol, Decimal(contract["priceFilter"]["tickSize"]), terms)
    received_ns = 0
    for path in part.paths:
        before_ns = received_ns
        for number, received_ns, raw in read_lines(path):
            line = _decode(path, number, raw)
            if before_ns and received_ns - before_ns > _LONGEST_PAUSE_NS:
                pause = (received_ns - before_ns) / _SECOND_NS
                raise TapeError(
                    path, number, f"begins {pause:.0f} s after the file before it ends", "play it by itself"
                )
            before_ns = 0
            if not isinstance(line, Snapshot) and line.symbol != part.symbol:
                raise TapeError(path, number, f"is of {line.symbol}, the lines above of {part.symbol}")
            if check is not None:
                _note(check, line, received_ns)
            try:
                for frame in converter.take(line):
                    yield received_ns, frame
            except ConversionError as error:
                raise TapeError(path, number, str(error), "give the files in between, or another recording") from None
    for frame in converter.rest():
        yield received_ns, frame


def _note(check: _Part, line: Any, received_ns: int) -> None:
    check.behind_ns = max(check.behind_ns, line.event_ms * NS_PER_MS - received_ns)
    if isinstance(line, Snapshot):
        check.decimals = max(
            (len(size.rstrip("0").partition(".")[2]) for _, size in line.bids + line.asks), default=check.decimals
        )


def _check(part: _Part) -> None:
    for received_ns, _ in _convert(part, part):
        part.first_ns = part.first_ns or received_ns
        part.last_ns = received_ns
        part.frame_count += 1
    if not part.frame_count:
        rule = "holds no depth snapshot, so there is no book to begin with"
        raise TapeError(part.paths[0], 0, rule, "give the file before it as well")


def _instrument(part: _Part) -> dict[str, Any]:
    (contract,) = instruments_for([part.symbol])
    lots = contract["lotSizeFilter"]
    step = Decimal(1).scaleb(-part.decimals)
    if step >= Decimal(lots["qtyStep"]):
        return contract
    finer = copy.deepcopy(contract)
    finer["lotSizeFilter"] |= {"qtyStep": str(step), "minOrderQty": str(step)}
    return finer
