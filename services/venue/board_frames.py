"""The public frames as the board reads them: the source's own text, and of a ticker what is known of it. Pure.

A frame is read whole before anything of it is taken, so that one that cannot be read changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from services.venue.ticker_fields import TICKER_FIELDS
from undertow.exchange.bybit.frames import BadFrameError


class Frame(msgspec.Struct):
    """A public frame whose data is not decoded yet."""

    topic: str
    data: msgspec.Raw
    type: str = ""
    ts: int = 0
    cts: int = 0
    cs: int = 0


class BookLevels(msgspec.Struct):
    """What a book frame changes."""

    b: list[tuple[str, str]]
    a: list[tuple[str, str]]
    u: int
    seq: int = 0


class PublicTrade(msgspec.Struct):
    """One trade as the frame has it."""

    T: int
    S: str
    v: str
    p: str
    i: str
    BT: bool = False
    RPI: bool = False
    seq: int = 0


class ToldCandle(msgspec.Struct):
    """A candle that the market tells itself."""

    start: int
    interval: str
    open: str
    high: str
    low: str
    close: str
    volume: str
    turnover: str


_FRAME: Final = msgspec.json.Decoder(Frame)
_FIELDS: Final = msgspec.json.Decoder(dict[str, Any])


def _ticker(data: msgspec.Raw) -> dict[str, str]:
    known = {name: value for name, value in _FIELDS.decode(data).items() if name in TICKER_FIELDS}
    for name, value in known.items():
        if type(value) is not str:
            raise ValueError(f"{name} of the ticker is no text")
    return known


_READERS: Final[dict[str, Callable[[msgspec.Raw], Any]]] = {
    "orderbook": msgspec.json.Decoder(BookLevels).decode,
    "publicTrade": msgspec.json.Decoder(list[PublicTrade]).decode,
    "tickers": _ticker,
    "kline": msgspec.json.Decoder(list[ToldCandle]).decode,
}


def read(raw: bytes) -> tuple[Frame, Any]:
    """Give a frame and its data: `BookLevels`, trades, the ticker's fields or candles; None of a topic that the board does not show.

    Raises:
        BadFrameError: it cannot be read.
    """
    try:
        frame = _FRAME.decode(raw)
        reader = _READERS.get(frame.topic.partition(".")[0])
        return frame, None if reader is None else reader(frame.data)
    except (ValueError, RecursionError) as error:  # msgspec's errors are ValueErrors
        raise BadFrameError(str(error), raw) from None
