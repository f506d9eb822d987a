"""From observations to the parameters of the calibrated manner."""

from __future__ import annotations

import math

import numpy as np

from bench.calibration.recordings import Liquidated
from undertow.markets import estimates
from undertow.markets.estimates import Floats
from undertow.markets.generated_cascades import TICK_S
from undertow.markets.generated_parameters import (
    Book,
    Liquidations,
    Moves,
    Parameters,
    Sizes,
    Stage,
    SymbolParameters,
    Trades,
)
from undertow.markets.generated_wire import CONTRACTS
from undertow.markets.observation import GRID_S, Observation, pooled

CLUSTER_GAP_S = 2.0
NO_BINANCE_TAKES = "ETHUSDT"  # SOL and DOGE have no recording long enough for moves and activity
DIGITS = 6


def estimate(
    okx: dict[str, Liquidated], bybit: dict[str, Observation], binance: list[dict[str, Observation]]
) -> Parameters:
    """Estimate everything.

    Liquidations come from OKX, the book and the trades from Bybit, moves, activity and wide spreads from Binance.
    """
    symbols = {}
    for symbol in CONTRACTS:
        windows = [window[symbol if symbol in window else NO_BINANCE_TAKES] for window in binance]
        symbols[symbol] = SymbolParameters(
            liquidations=_liquidations(okx[symbol]),
            moves=_moves(windows),
            trades=_trades(bybit[symbol]),
            book=_book(symbol, bybit[symbol], windows if symbol in binance[0] else [bybit[symbol]]),
        )
    return Parameters(
        recordings={
            "liquidations": "okx/liquidations.parquet",
            "book and trades": "bybit/linear-20260809.rawlines.gz",
            "moves, activity, wide spreads": "binance/usdm_{btcusdt,ethusdt}_{20240718,20240719,20240808}.gz; "
            "SOLUSDT and DOGEUSDT take those of ETHUSDT",
        },
        symbols=symbols,
    )


def _liquidations(seen: Liquidated) -> Liquidations:
    law = estimates.fit_cascades(seen.times, seen.signs, TICK_S, CLUSTER_GAP_S)
    parts = estimates.clusters(seen.times, CLUSTER_GAP_S)
    return Liquidations(
        cascades_per_s=short(law.cascades_per_s),
        stages=tuple(
            Stage(first=each.first, burst=short(each.burst), continues=short(each.continues)) for each in law.stages
        ),
        waits=tuple(map(short, law.waits)),
        returns=short(law.returns),
        return_decay_per_s=short(law.return_decay_per_s),
        sizes=sizes(seen.usd),
        move_bps=short(estimates.move_per_event(seen.prices, seen.signs, parts)),
        cluster_gap_s=CLUSTER_GAP_S,
    )


def _moves(windows: list[Observation]) -> Moves:
    returns = pooled(windows, "returns_bps")
    sizes = np.abs(returns[returns != 0.0])
    median = float(np.median(sizes))
    fits = [estimates.activity(window.trades_per_second) for window in windows]
    return Moves(
        per_s=short(len(sizes) / len(returns) / GRID_S),
        median_bps=short(median),
        sigma=short(math.sqrt(max(0.0, math.log(float((sizes**2).mean()) / median**2) / 2.0))),
        activity_sigma=short(float(np.mean([sigma for sigma, _ in fits]))),
        activity_decay_per_s=short(float(np.mean([decay for _, decay in fits]))),
    )


def _trades(seen: Observation) -> Trades:
    return Trades(
        frames_per_s=short(len(seen.trade_s) / seen.span_s),
        prints=short(float(seen.prints.mean())),
        sizes=sizes(seen.sizes),
    )


def _book(symbol: str, seen: Observation, windows: list[Observation]) -> Book:
    tick = CONTRACTS[symbol].tick
    spreads = np.rint(pooled(windows, "spreads") / tick)
    wide = spreads[spreads > 1]
    growth = estimates.growth(seen.ranks, seen.levels)
    return Book(
        wide_share=short(len(wide) / len(spreads)),
        wide_ticks=short(float(wide.mean()) if len(wide) else 2.0),
        level_gap_ticks=short(float(seen.gaps.mean()) / tick),
        levels=sizes(seen.levels / (seen.ranks / 100.0) ** growth),
        level_growth=short(growth),
        touch=sizes(seen.touches),
        changes=short(float(seen.changes.mean())),
    )


def sizes(values: Floats) -> Sizes:
    """Fit the median and the mean; where the mean is not above the median, the spread of the logarithms."""
    median, mean = float(np.median(values)), float(values.mean())
    sigma = math.sqrt(2.0 * math.log(mean / median)) if mean > median else float(np.log(values).std())
    return Sizes(median_usdt=short(median), sigma=short(sigma), largest_usdt=short(float(values.max())))


def short(value: float) -> float:
    """Round to six significant digits."""
    return float(f"{value:.{DIGITS}g}")
