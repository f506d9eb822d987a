"""Lines of a Binance USD-M recording: combined-stream frames of `@depth`, `@trade` and `@bookTicker`, and REST depth snapshots."""

from __future__ import annotations

from typing import Final

import msgspec

Levels = list[tuple[str, str]]


class Depth(msgspec.Struct, tag_field="e", tag="depthUpdate", frozen=True):
    """A diff of the book; it continues the one whose `last` is its `previous`."""

    event_ms: int = msgspec.field(name="E")
    matched_ms: int = msgspec.field(name="T")
    symbol: str = msgspec.field(name="s")
    first: int = msgspec.field(name="U")
    last: int = msgspec.field(name="u")
    previous: int = msgspec.field(name="pu")
    bids: Levels = msgspec.field(name="b")
    asks: Levels = msgspec.field(name="a")


class Trade(msgspec.Struct, tag_field="e", tag="trade", frozen=True):
    """One fill; where the buyer was the maker the taker sold. `kind` is MARKET for one that traded against the book."""

    event_ms: int = msgspec.field(name="E")
    matched_ms: int = msgspec.field(name="T")
    symbol: str = msgspec.field(name="s")
    trade_id: int = msgspec.field(name="t")
    price: str = msgspec.field(name="p")
    size: str = msgspec.field(name="q")
    is_buyer_maker: bool = msgspec.field(name="m")
    kind: str = msgspec.field(name="X", default="MARKET")


class Quote(msgspec.Struct, tag_field="e", tag="bookTicker", frozen=True):
    """The best prices."""

    event_ms: int = msgspec.field(name="E")
    symbol: str = msgspec.field(name="s")
    bid: str = msgspec.field(name="b")
    bid_size: str = msgspec.field(name="B")
    ask: str = msgspec.field(name="a")
    ask_size: str = msgspec.field(name="A")


class Snapshot(msgspec.Struct, frozen=True):
    """The REST depth page: the book after the update `last`."""

    last: int = msgspec.field(name="lastUpdateId")
    bids: Levels
    asks: Levels
    event_ms: int = msgspec.field(name="E")
    matched_ms: int = msgspec.field(name="T")


class _Combined(msgspec.Struct, frozen=True):
    stream: str
    data: Depth | Trade | Quote


Line = Depth | Trade | Quote | Snapshot
_COMBINED: Final = msgspec.json.Decoder(_Combined)
_SNAPSHOT: Final = msgspec.json.Decoder(Snapshot)
_COMBINED_START: Final = b'{"stream":'
_SNAPSHOT_START: Final = b'{"lastUpdateId":'


def is_binance(raw: bytes) -> bool:
    """Answer whether a recorded line is one of Binance's."""
    return raw.startswith((_COMBINED_START, _SNAPSHOT_START))


def decode_line(raw: bytes) -> Line:
    """Decode a line.

    Raises:
        ValueError: not such a line; partial depth (`@depth5`, …) is refused too, it has a diff's shape without being one.
    """
    if raw.startswith(_SNAPSHOT_START):
        return _SNAPSHOT.decode(raw)
    combined = _COMBINED.decode(raw)
    kind = combined.stream.partition("@")[2].partition("@")[0]
    if kind not in {"depth", "trade", "bookTicker"}:
        raise ValueError(f"the stream {combined.stream} is not one that can be converted")
    return combined.data
