"""Lean decoding of the market's own frames: the topic first, then only the fields that matching needs."""

from __future__ import annotations

import msgspec


class BookData(msgspec.Struct):
    """Levels as (price, size) texts."""

    s: str
    b: list[tuple[str, str]]
    a: list[tuple[str, str]]
    u: int
    seq: int = 0


class TradeData(msgspec.Struct):
    """One public trade; `S` is the taker's side."""

    S: str
    v: str
    p: str


class Frame(msgspec.Struct):
    """Any topic's envelope; `data` is decoded once the topic is known."""

    topic: str = ""
    type: str = ""
    ts: int = 0
    cts: int = 0
    data: msgspec.Raw = msgspec.Raw()


FRAME = msgspec.json.Decoder(Frame)
BOOK = msgspec.json.Decoder(BookData)
TRADES = msgspec.json.Decoder(list[TradeData])
TICKER = msgspec.json.Decoder(dict[str, str])
