"""How the generated market spells its frames: the JSON a Bybit client of these topics gets, key order included."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Contract:
    """One contract as the generator needs it: the real filters, and a plausible state of its market.

    Attributes:
        price_scale: decimals the venue prints in prices.
        tick_units: tick size in units of 10^-price_scale.
        size_scale: decimals the venue prints in sizes; one lot is 10^-size_scale base coin.
        lattice_ticks: distance of the levels behind the touch, ticks; about 0.5 bp where the tick is finer than that.
        start_ticks: first mid, ticks.
        level_usdt: median notional of one level.
        open_interest: base coin.
    """

    symbol: str
    price_scale: int
    tick_units: int
    size_scale: int
    lattice_ticks: int
    start_ticks: int
    level_usdt: float
    open_interest: float
    funding_rate: float

    @property
    def tick(self) -> float:
        """Tick size in quote coin."""
        return self.tick_units / 10.0**self.price_scale

    @property
    def lot(self) -> float:
        """Quantity step in base coin."""
        return 10.0**-self.size_scale

    @property
    def typical_lots(self) -> float:
        """Median size of one level, lots."""
        return self.level_usdt / (self.start_ticks * self.tick) / self.lot

    def price(self, ticks: int) -> str:
        """Spell a price."""
        return f"{ticks * self.tick_units / 10**self.price_scale:.{self.price_scale}f}"

    def size(self, lots: int) -> str:
        """Spell a size; zero is `0`, which deletes a level."""
        return f"{lots / 10**self.size_scale:.{self.size_scale}f}" if lots else "0"


CONTRACTS: Final = {
    contract.symbol: contract
    for contract in (
        Contract("BTCUSDT", 2, 10, 3, 33, 651_143, 200_000.0, 59_891.0, 0.0001),
        Contract("ETHUSDT", 2, 1, 2, 10, 192_243, 180_000.0, 830_090.0, 0.00004617),
        Contract("SOLUSDT", 3, 10, 1, 1, 7_731, 200_000.0, 6_738_053.0, 0.00000876),
        Contract("DOGEUSDT", 5, 1, 0, 1, 7_053, 45_000.0, 1_391_590_942.0, 0.0001),
    )
}
"""Tick, step and scale as the venue's instruments-info has them; prices and depth near a recording of August 2026."""


def levels_json(contract: Contract, levels: Iterable[tuple[int, int]]) -> str:
    """Spell `[price, size]` pairs of (ticks, lots)."""
    scale, unit, per = contract.price_scale, contract.tick_units, 10.0**contract.price_scale
    size_scale, lots_per = contract.size_scale, 10.0**contract.size_scale
    return ",".join(
        [
            f'["{ticks * unit / per:.{scale}f}","{lots / lots_per:.{size_scale}f}"]'
            if lots
            else f'["{ticks * unit / per:.{scale}f}","0"]'
            for ticks, lots in levels
        ]
    )


def book_frame(
    contract: Contract,
    kind: str,
    ts_ms: int,
    bids: Iterable[tuple[int, int]],
    asks: Iterable[tuple[int, int]],
    u: int,
    seq: int,
) -> bytes:
    """Spell an `orderbook.200` snapshot or delta."""
    symbol = contract.symbol
    return (
        f'{{"topic":"orderbook.200.{symbol}","type":"{kind}","ts":{ts_ms},"data":{{"s":"{symbol}",'
        f'"b":[{levels_json(contract, bids)}],"a":[{levels_json(contract, asks)}],'
        f'"u":{u},"seq":{seq}}},"cts":{ts_ms - 1}}}'
    ).encode()


def trade_json(
    contract: Contract, t_ms: int, side: str, ticks: int, lots: int, direction: str, trade_id: str, seq: int
) -> str:
    """Spell one public trade."""
    return (
        f'{{"T":{t_ms},"s":"{contract.symbol}","S":"{side}","v":"{contract.size(lots)}","p":"{contract.price(ticks)}",'
        f'"L":"{direction}","i":"{trade_id}","BT":false,"RPI":false,"seq":{seq}}}'
    )


def trades_frame(contract: Contract, ts_ms: int, trades: list[str]) -> bytes:
    """Spell a `publicTrade` frame."""
    return (
        f'{{"topic":"publicTrade.{contract.symbol}","type":"snapshot","ts":{ts_ms},"data":[{",".join(trades)}]}}'
    ).encode()


def liquidations_frame(contract: Contract, ts_ms: int, liquidations: list[tuple[int, str, int, int]]) -> bytes:
    """Spell an `allLiquidation` frame of (time ms, side of the position, lots, bankruptcy price in ticks)."""
    items = ",".join(
        f'{{"T":{t},"s":"{contract.symbol}","S":"{side}","v":"{contract.size(lots)}","p":"{contract.price(ticks)}"}}'
        for t, side, lots, ticks in liquidations
    )
    return f'{{"topic":"allLiquidation.{contract.symbol}","type":"snapshot","ts":{ts_ms},"data":[{items}]}}'.encode()


def ticker_frame(contract: Contract, kind: str, ts_ms: int, fields: dict[str, str], cs: int) -> bytes:
    """Spell a `tickers` snapshot or delta."""
    body = ",".join(f'"{key}":"{value}"' for key, value in fields.items())
    return (
        f'{{"topic":"tickers.{contract.symbol}","type":"{kind}","data":{{"symbol":"{contract.symbol}",{body}}},'
        f'"cs":{cs},"ts":{ts_ms}}}'
    ).encode()


def kline_frame(
    contract: Contract,
    ts_ms: int,
    start_ms: int,
    ohlc: tuple[int, int, int, int],
    lots: int,
    turnover: float,
    *,
    confirm: bool,
) -> bytes:
    """Spell a `kline.1` frame; open, high, low, close in ticks."""
    opened, high, low, close = (contract.price(ticks) for ticks in ohlc)
    return (
        f'{{"topic":"kline.1.{contract.symbol}","data":[{{"start":{start_ms},"end":{start_ms + 59_999},"interval":"1",'
        f'"open":"{opened}","close":"{close}","high":"{high}","low":"{low}","volume":"{contract.size(lots)}",'
        f'"turnover":"{turnover:.4f}","confirm":{"true" if confirm else "false"},"timestamp":{ts_ms}}}],'
        f'"ts":{ts_ms},"type":"snapshot"}}'
    ).encode()


def identity_prefix(seed: int, symbol: str) -> str:
    """Give the first 24 characters of the trade ids of one symbol: a function of the seed, in the shape of a UUID."""
    digest = hashlib.sha256(f"{seed}/{symbol}".encode()).hexdigest()
    return f"{digest[:8]}-{digest[8:12]}-5{digest[13:16]}-a{digest[17:20]}-"
