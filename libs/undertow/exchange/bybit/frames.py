"""Public WebSocket frames of Bybit v5, decoded into typed structs; prices and sizes stay the venue's decimal text.

One look at the topic chooses a typed decoder, which ignores keys it does not know. Shapes: §6 and §7 of the protocol.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec

from undertow.domain.order import Side

Level = tuple[str, str]
Milliseconds = Annotated[int, msgspec.Meta(ge=0, le=9_000_000_000_000)]
"""As nanoseconds it still fits in 64 bits."""
Number = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class BadFrameError(ValueError):
    """A frame that is not what the protocol says; `raw` is kept for the dead letters."""

    def __init__(self, reason: str, raw: bytes) -> None:
        super().__init__(reason)
        self.reason = reason
        self.raw = raw


class BookData(msgspec.Struct, frozen=True):
    """Levels of an order book frame; a size of "0" deletes."""

    symbol: str = msgspec.field(name="s")
    bids: tuple[Level, ...] = msgspec.field(name="b")
    asks: tuple[Level, ...] = msgspec.field(name="a")
    update_id: Number = msgspec.field(name="u")
    sequence: Number = msgspec.field(name="seq", default=0)


class BookFrame(msgspec.Struct, frozen=True):
    """`orderbook.{depth}.{symbol}`; `cts_ms` is the matching engine's time, 0 in old captures."""

    topic: str
    type: Literal["snapshot", "delta"]
    ts_ms: Milliseconds = msgspec.field(name="ts")
    data: BookData
    cts_ms: Milliseconds = msgspec.field(name="cts", default=0)

    @property
    def symbol(self) -> str:
        """The contract."""
        return self.data.symbol

    @property
    def snapshot(self) -> bool:
        """True when the levels are the whole book; `u` == 1 is the snapshot after a restart of the service."""
        return self.type == "snapshot" or self.data.update_id == 1


class TradeData(msgspec.Struct, frozen=True):
    """One trade; `side` is the taker's."""

    ts_ms: Milliseconds = msgspec.field(name="T")
    symbol: str = msgspec.field(name="s")
    side: Side = msgspec.field(name="S")
    size: str = msgspec.field(name="v")
    price: str = msgspec.field(name="p")
    trade_id: str = msgspec.field(name="i")


class TradeFrame(msgspec.Struct, frozen=True):
    """`publicTrade.{symbol}`, ascending by time."""

    topic: str
    ts_ms: Milliseconds = msgspec.field(name="ts")
    data: tuple[TradeData, ...]

    @property
    def symbol(self) -> str:
        """The contract."""
        return self.topic.rpartition(".")[2]


class TickerData(msgspec.Struct, frozen=True):
    """Fields of a ticker; None where a delta does not carry them."""

    symbol: str
    last_price: str | None = msgspec.field(name="lastPrice", default=None)
    mark_price: str | None = msgspec.field(name="markPrice", default=None)
    index_price: str | None = msgspec.field(name="indexPrice", default=None)
    open_interest: str | None = msgspec.field(name="openInterest", default=None)
    funding_rate: str | None = msgspec.field(name="fundingRate", default=None)
    next_funding_ms: str | None = msgspec.field(name="nextFundingTime", default=None)


class TickerFrame(msgspec.Struct, frozen=True):
    """`tickers.{symbol}`: a snapshot, then deltas to be merged into it."""

    topic: str
    type: Literal["snapshot", "delta"]
    ts_ms: Milliseconds = msgspec.field(name="ts")
    data: TickerData

    @property
    def symbol(self) -> str:
        """The contract."""
        return self.data.symbol


class LiquidationData(msgspec.Struct, frozen=True):
    """One liquidation; `position_side` Buy means that a long was liquidated, so the market saw a forced sell."""

    ts_ms: Milliseconds = msgspec.field(name="T")
    symbol: str = msgspec.field(name="s")
    position_side: Side = msgspec.field(name="S")
    size: str = msgspec.field(name="v")
    price: str = msgspec.field(name="p")


class LiquidationFrame(msgspec.Struct, frozen=True):
    """`allLiquidation.{symbol}`, batched by the venue over 500 ms."""

    topic: str
    ts_ms: Milliseconds = msgspec.field(name="ts")
    data: tuple[LiquidationData, ...]

    @property
    def symbol(self) -> str:
        """The contract."""
        return self.topic.rpartition(".")[2]


class KlineData(msgspec.Struct, frozen=True):
    """One candle; final only when `confirm`."""

    start: Milliseconds
    end: Milliseconds
    interval: str
    open: str
    high: str
    low: str
    close: str
    volume: str
    turnover: str
    confirm: bool
    timestamp: Milliseconds


class KlineFrame(msgspec.Struct, frozen=True):
    """`kline.{interval}.{symbol}`; two candles at a boundary."""

    topic: str
    ts_ms: Milliseconds = msgspec.field(name="ts")
    data: tuple[KlineData, ...]

    @property
    def symbol(self) -> str:
        """The contract."""
        return self.topic.rpartition(".")[2]


class Control(msgspec.Struct, frozen=True):
    """Anything without a topic: acknowledgements and pongs."""

    op: str = ""
    success: bool = True
    ret_msg: str = ""
    req_id: str = ""
    conn_id: str = ""

    @property
    def is_pong(self) -> bool:
        """True for the answer to our ping, in either spelling."""
        return self.op == "pong" or self.ret_msg == "pong"


MarketFrame = BookFrame | TradeFrame | TickerFrame | LiquidationFrame | KlineFrame


class _Peek(msgspec.Struct):
    topic: str = ""


_PEEK: Final = msgspec.json.Decoder(_Peek)
_CONTROL: Final = msgspec.json.Decoder(Control)
_NOTHING: Final = Control()
_DECODERS: Final[dict[bytes, msgspec.json.Decoder[Any]]] = {
    b"orderbook": msgspec.json.Decoder(BookFrame),
    b"publicTrade": msgspec.json.Decoder(TradeFrame),
    b"tickers": msgspec.json.Decoder(TickerFrame),
    b"allLiquidation": msgspec.json.Decoder(LiquidationFrame),
    b"kline": msgspec.json.Decoder(KlineFrame),
}
_TOPIC_FIRST: Final = b'{"topic":"'
_AFTER_PREFIX: Final = len(_TOPIC_FIRST)


def decode_frame(raw: bytes) -> MarketFrame | Control:
    """Decode one frame.

    Raises:
        BadFrameError: not JSON, an unknown topic, neither a topic nor an answer, or fields of the wrong type.
    """
    try:
        if raw.startswith(_TOPIC_FIRST):
            kind = raw[_AFTER_PREFIX : raw.index(b".", _AFTER_PREFIX)]
        else:
            topic = _PEEK.decode(raw).topic
            if not topic:
                return _control(raw)
            kind = topic.partition(".")[0].encode()
        frame: MarketFrame = _DECODERS[kind].decode(raw)
    except KeyError as error:
        raise BadFrameError(f"unknown topic {error}", raw) from None
    except (ValueError, RecursionError) as error:  # msgspec's errors are ValueErrors
        raise BadFrameError(str(error), raw) from None
    return frame


def _control(raw: bytes) -> Control:
    control: Control = _CONTROL.decode(raw)
    if control == _NOTHING:
        raise BadFrameError("neither a topic nor an answer", raw)
    return control
