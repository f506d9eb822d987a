"""The pictures of docs/generated-market.md."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np

from bench.calibration.recordings import Liquidated
from bench.calibration.report import Seen
from undertow.markets import estimates
from undertow.markets.estimates import Floats
from undertow.markets.generated_wire import CONTRACTS
from undertow.markets.observation import DEPTHS_BPS

RECORDED, SECOND, GENERATED, SHOWN = "#1f4e79", "#7fa7cf", "#c0504d", "#999999"
POINTS = 70
WINDOWS_S = (1, 3, 10, 30, 100, 300, 1000)


def draw(
    folder: Path,
    okx: dict[str, Liquidated],
    excited: dict[str, Liquidated],
    bybit: Seen,
    binance: Sequence[Seen],
    generated: dict[str, Seen],
    suffix: str = "svg",
) -> None:
    """Write three pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(
        {"svg.hashsalt": "undertow", "svg.fonttype": "path", "font.size": 8, "axes.grid": True, "grid.alpha": 0.3}
    ):
        for name, figure in (
            ("liquidations", _liquidations(okx, excited)),
            ("returns", _returns(binance, generated)),
            ("book-and-tape", _book_and_tape(bybit, generated)),
        ):
            metadata: dict[str, Any] = {"Date": None} if suffix == "svg" else {}
            figure.savefig(folder / f"{name}.{suffix}", metadata=metadata)
            plt.close(figure)


def _liquidations(okx: dict[str, Liquidated], excited: dict[str, Liquidated]) -> Any:
    figure, axes = plt.subplots(3, 4, figsize=(11, 8), layout="constrained")
    for column, symbol in enumerate(CONTRACTS):
        for seen, label, colour in (
            (okx[symbol], "recorded (OKX)", RECORDED),
            (excited[symbol], "generated", GENERATED),
        ):
            _survival(axes[0][column], np.diff(seen.times), label, colour)
            _survival(axes[1][column], seen.usd, label, colour)
            spread = [estimates.dispersion(seen.times, window) for window in WINDOWS_S]
            axes[2][column].loglog(WINDOWS_S, spread, "o-", ms=3, label=label, color=colour)
        axes[0][column].set(title=symbol, xlabel="gap between liquidations, s", xlim=(1e-3, 1e4))
        axes[1][column].set(xlabel="size of a liquidation, USD")
        axes[2][column].set(xlabel="window, s")
    for row, words in enumerate(("share of longer gaps", "share of larger sizes", "variance / mean of counts")):
        axes[row][0].set_ylabel(words)
    axes[0][0].legend()
    return figure


def _returns(binance: Sequence[Seen], generated: dict[str, Seen]) -> Any:
    figure, axes = plt.subplots(2, 2, figsize=(9, 6.5), layout="constrained")
    for column, symbol in enumerate(("BTCUSDT", "ETHUSDT")):
        curves = [
            (binance[0][symbol], "recorded (Binance I)", RECORDED),
            (binance[1][symbol], "recorded (Binance II)", SECOND),
            (generated["calibrated"][symbol], "calibrated", GENERATED),
            (generated["demonstration"][symbol], "demonstration", SHOWN),
        ]
        for seen, label, colour in curves:
            sizes = np.abs(seen.second_returns_bps)
            _survival(axes[0][column], sizes[sizes > 0], label, colour, of=len(sizes))
            lags = range(1, 31)
            memory = [estimates.autocorrelation(sizes, lag) for lag in lags]
            axes[1][column].plot(lags, memory, label=label, color=colour)
        axes[0][column].set(title=symbol, xlabel="absolute 1 s return, bp", ylim=(1e-3, 1))
        axes[1][column].set(xlabel="lag, s", ylim=(-0.2, 0.6))
    axes[0][0].set_ylabel("share of larger returns")
    axes[1][0].set_ylabel("autocorrelation of absolute 1 s returns")
    axes[0][0].legend()
    return figure


def _book_and_tape(bybit: Seen, generated: dict[str, Seen]) -> Any:
    figure, axes = plt.subplots(3, 4, figsize=(11, 8), layout="constrained")
    for column, symbol in enumerate(CONTRACTS):
        for seen, label, colour in (
            (bybit[symbol], "recorded (Bybit, 43 s)", RECORDED),
            (generated["calibrated"][symbol], "calibrated", GENERATED),
            (generated["demonstration"][symbol], "demonstration", SHOWN),
        ):
            axes[0][column].loglog(DEPTHS_BPS, seen.profile / 1e3, "o-", ms=3, label=label, color=colour)
            _survival(axes[1][column], seen.sizes, label, colour)
            _survival(axes[2][column], np.diff(seen.trade_s), label, colour)
        axes[0][column].set(title=symbol, xlabel="distance from the mid, bp")
        axes[1][column].set(xlabel="size of a fill, USDT")
        axes[2][column].set(xlabel="gap between trade frames, s", xlim=(1e-2, 1e2))
    for row, words in enumerate(("depth of a side, 1,000 USDT", "share of larger fills", "share of longer gaps")):
        axes[row][0].set_ylabel(words)
    axes[0][0].legend()
    return figure


def _survival(axis: Any, values: Floats, label: str, colour: str, of: int | None = None) -> None:
    ordered = np.sort(values[values > 0])
    shares = 1.0 - np.arange(len(ordered)) / (of or len(ordered)) - (0.0 if of is None else 1.0 - len(ordered) / of)
    chosen = np.unique(np.rint(len(ordered) - np.geomspace(len(ordered), 1, POINTS)).astype(int))
    axis.loglog(ordered[chosen], shares[chosen], label=label, color=colour)
