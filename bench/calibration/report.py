"""docs/generated-market.md: recorded and generated statistics side by side, and where they differ, in numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec
import numpy as np

from bench.calibration.generated import ALONE_S, STEP_S, WATCHED_S
from bench.calibration.parameters import CLUSTER_GAP_S
from bench.calibration.recordings import Liquidated
from undertow.markets import estimates
from undertow.markets.generated_parameters import Parameters
from undertow.markets.generated_wire import CONTRACTS
from undertow.markets.observation import DEPTHS_BPS, Observation

Seen = dict[str, Observation]
Row = tuple[str, Callable[[Observation], float]]
OFF = 1.5
"""A generated figure this many times above or below the recorded one is listed as a difference."""
OFF_CORRELATION = 0.1
"""So is an autocorrelation this far away: two standard errors in the shorter recording."""


def report(
    parameters: Parameters,
    okx: dict[str, Liquidated],
    bybit: Seen,
    binance: Sequence[Seen],
    generated: dict[str, Seen],
    excited: dict[str, Liquidated],
) -> str:
    """Write the page."""
    differences: list[str] = []
    tables = [_liquidations(okx, excited, differences)]
    tables += [_market(symbol, bybit, binance, generated, differences) for symbol in CONTRACTS]
    return "\n".join(
        [
            *_head(),
            *_parameters(parameters),
            "",
            "## Liquidations",
            "",
            f"A cluster ends where the next liquidation is more than {CLUSTER_GAP_S:g} s away. The generated price ran alone for",
            f"{ALONE_S / 3600:g} hours; both columns were measured by the same functions. The recording is of OKX, 4 and 5 March 2026.",
            "What grows with the time of watching (the largest cluster) is measured in stretches as long as the recording of the coin.",
            "",
            tables[0],
            "",
            "![gaps, sizes and dispersion of liquidations](generated-market/liquidations.svg)",
            "",
            "## Price, book and tape",
            "",
            "Binance I is 2024-07-18 23:57 to 2024-07-19 00:05 UTC, Binance II 2024-08-08 23:54 to 24:00 UTC, Bybit 43 s of 2026-08-09.",
            f"Prices are looked at each 100 ms. Both manners ran {WATCHED_S:g} s.",
            *[line for table in tables[1:] for line in ("", table)],
            "",
            "![tails and memory of returns](generated-market/returns.svg)",
            "",
            "![depth, trade sizes and gaps between trades](generated-market/book-and-tape.svg)",
            "",
            "## Where the calibrated market differs",
            "",
            f"Figures more than {OFF:g} times above or below the recorded one (autocorrelations: more than {OFF_CORRELATION:g} away).",
            "Yardsticks are the Bybit column for book and tape and the mean of the Binance columns for price; SOLUSDT and DOGEUSDT take",
            "ETHUSDT's price behaviour, and 43 s of their own are no yardstick for it.",
            "",
            *(differences or ["- none"]),
            "",
            *_limits(),
            "",
        ]
    )


def _head() -> list[str]:
    return [
        "# The generated market beside the recordings",
        "",
        "Written by `make calibrate`, which estimates the parameters from the recordings, writes",
        "`libs/undertow/markets/generated_parameters.json` and measures the generated market with the same functions;",
        "`make calibrate CHECK=1` does it again and compares. Estimators and their sources: `undertow.markets.estimates`.",
        "",
        "The generated market has two manners (`UNDERTOW_PAPER__MARKET`): `demonstration`, the default, shows cascades every few seconds;",
        "`calibrated` has the rates and sizes below. Either can plant an edge (`UNDERTOW_PAPER__EDGE_BPS`) or none (0). The mode line says",
        "which.",
        "",
        "## Parameters",
        "",
    ]


def _parameters(parameters: Parameters) -> list[str]:
    leaves = {symbol: dict(_leaves(msgspec.to_builtins(law))) for symbol, law in parameters.symbols.items()}
    return _table(
        ["parameter", *CONTRACTS],
        [[name.strip(), *(_number(leaves[symbol][name]) for symbol in CONTRACTS)] for name in leaves["BTCUSDT"]],
    )


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, float]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, f"{name} {key.replace('_', ' ')}")
    elif isinstance(value, list | tuple):
        for number, inner in enumerate(value, start=1):
            yield from _leaves(inner, f"{name} {number}")
    else:
        yield name, float(value)


def _liquidations(okx: dict[str, Liquidated], excited: dict[str, Liquidated], differences: list[str]) -> str:
    def gap(share: float) -> Callable[[Liquidated], float]:
        return lambda seen: float(np.quantile(np.diff(seen.times), share))

    def size(share: float) -> Callable[[Liquidated], float]:
        return lambda seen: float(np.quantile(seen.usd, share))

    def length(share: float) -> Callable[[Liquidated], float]:
        return lambda seen: float(np.quantile(_lengths(seen), share))

    def dispersed(window_s: float) -> Callable[[Liquidated], float]:
        return lambda seen: estimates.dispersion(seen.times, window_s)

    rows: list[tuple[str, Callable[[Liquidated], float]]] = [
        ("liquidations per hour", lambda seen: len(seen.times) / seen.span_s * 3600),
        ("gap, 10 % quantile, s", gap(0.1)),
        ("gap, median, s", gap(0.5)),
        ("gap, 90 % quantile, s", gap(0.9)),
        ("gap, 99 % quantile, s", gap(0.99)),
        ("variance / mean of counts in 1 s", dispersed(1)),
        ("variance / mean of counts in 10 s", dispersed(10)),
        ("variance / mean of counts in 60 s", dispersed(60)),
        ("variance / mean of counts in 600 s", dispersed(600)),
        ("liquidations in a cluster, mean", lambda seen: float(np.mean(_lengths(seen)))),
        ("liquidations in a cluster, median", length(0.5)),
        ("liquidations in a cluster, 90 % quantile", length(0.9)),
        ("liquidations in a cluster, 99 % quantile", length(0.99)),
        ("size, 5 % quantile, USD", size(0.05)),
        ("size, median, USD", size(0.5)),
        ("size, mean, USD", lambda seen: float(seen.usd.mean())),
        ("size, 95 % quantile, USD", size(0.95)),
        ("size, 99 % quantile, USD", size(0.99)),
        ("size, tail exponent (Hill, largest 5 %)", lambda seen: estimates.tail_exponent(seen.usd)),
        (
            "price move per liquidation in a cluster, bp",
            lambda seen: estimates.move_per_event(
                seen.prices, seen.signs, estimates.clusters(seen.times, CLUSTER_GAP_S)
            ),
        ),
        ("longs among the liquidated, %", lambda seen: 100 * float((seen.signs < 0).mean())),
    ]
    cells = []
    for name, measure in rows:
        row = [name]
        for symbol in CONTRACTS:
            recorded, made = measure(okx[symbol]), measure(excited[symbol])
            row += [_number(recorded), _number(made)]
            _note(differences, symbol, name, recorded, made)
        cells.append(row)
    cells += [_in_stretches(name, measure, okx, excited, differences) for name, measure in _LARGEST]
    heads = [f"{symbol.removesuffix('USDT')} {which}" for symbol in CONTRACTS for which in ("recorded", "generated")]
    return "\n".join(_table(["", *heads], cells))


def _lengths(seen: Liquidated) -> list[int]:
    return [len(part) for part in estimates.clusters(seen.times, CLUSTER_GAP_S)]


_LARGEST: tuple[tuple[str, Callable[[Liquidated], float]], ...] = (
    ("liquidations of the largest cluster", lambda seen: float(max(_lengths(seen)))),
    ("largest cluster, % of all liquidations", lambda seen: 100.0 * max(_lengths(seen)) / len(seen.times)),
)


def _in_stretches(
    name: str,
    measure: Callable[[Liquidated], float],
    okx: dict[str, Liquidated],
    excited: dict[str, Liquidated],
    differences: list[str],
) -> list[str]:
    """Give a row of what grows with the time of watching: the generated column is its range over stretches as long as the recording."""
    row = [name]
    for symbol in CONTRACTS:
        recorded = measure(okx[symbol])
        made = [measure(part) for part in excited[symbol].cut(okx[symbol].span_s)]
        row += [_number(recorded), f"{_number(min(made))} to {_number(max(made))}"]
        if not min(made) <= recorded <= max(made):
            differences.append(f"- {symbol}, {name}: recorded {row[-2]}, generated {row[-1]}")
    return row


def _market(
    symbol: str, bybit: Seen, binance: Sequence[Seen], generated: dict[str, Seen], differences: list[str]
) -> str:
    tick = CONTRACTS[symbol].tick
    price: list[Row] = [
        ("unchanged mid after 100 ms, %", lambda seen: 100 * float((seen.returns_bps == 0).mean())),
        ("volatility from 100 ms, bp/√s", lambda seen: float(seen.returns_bps.std()) * 10**0.5),
        ("volatility from 1 s, bp/√s", lambda seen: float(seen.second_returns_bps.std())),
        ("kurtosis, 100 ms", lambda seen: estimates.kurtosis(seen.returns_bps)),
        ("kurtosis, 1 s", lambda seen: estimates.kurtosis(seen.second_returns_bps)),
        ("autocorrelation of returns, 100 ms, lag 1", lambda seen: estimates.autocorrelation(seen.returns_bps, 1)),
        *[(f"autocorrelation of absolute 1 s returns, lag {lag}", _memory(lag)) for lag in (1, 2, 5, 10)],
    ]
    shape: list[Row] = [
        ("spread of one tick, % of frames", lambda seen: 100 * float((np.rint(seen.spreads / tick) == 1).mean())),
        ("levels changed by a delta, mean", lambda seen: float(seen.changes.mean())),
        ("best level, median, USDT", lambda seen: float(np.median(seen.touches))),
        *[(f"depth of a side within {bps:g} bp, 1,000 USDT", _depth(n)) for n, bps in enumerate(DEPTHS_BPS)],
        ("trade frames per second", lambda seen: len(seen.trade_s) / seen.span_s),
        ("fills per trade frame", lambda seen: float(seen.prints.mean())),
        ("fill, median, USDT", lambda seen: float(np.median(seen.sizes))),
        ("fill, mean, USDT", lambda seen: float(seen.sizes.mean())),
        ("fill, 95 % quantile, USDT", lambda seen: float(np.quantile(seen.sizes, 0.95))),
        (
            "gaps between trades, σ / mean",
            lambda seen: float(np.diff(seen.trade_s).std() / np.diff(seen.trade_s).mean()),
        ),
    ]
    windows = [window[symbol] for window in binance if symbol in window]
    columns = [bybit[symbol], *windows, generated["calibrated"][symbol], generated["demonstration"][symbol]]
    cells = []
    for rows, yardsticks in ((price, windows), (shape, [bybit[symbol]])):
        for name, measure in rows:
            cells.append([name, *(_number(measure(seen)) for seen in columns)])
            if yardsticks:
                recorded = float(np.mean([measure(seen) for seen in yardsticks]))
                _note(differences, symbol, name, recorded, measure(generated["calibrated"][symbol]))
    heads = ["Bybit", *["Binance I", "Binance II"][: len(windows)], "calibrated", "demonstration"]
    return "\n".join(_table([symbol, *heads], cells))


def _memory(lag: int) -> Callable[[Observation], float]:
    return lambda seen: estimates.autocorrelation(np.abs(seen.second_returns_bps), lag)


def _depth(number: int) -> Callable[[Observation], float]:
    return lambda seen: float(seen.profile[number]) / 1e3


def _note(differences: list[str], symbol: str, name: str, recorded: float, made: float) -> None:
    is_correlation = "autocorrelation" in name
    is_off = (
        abs(recorded - made) > OFF_CORRELATION if is_correlation else not 1 / OFF <= made / (recorded or 1e-9) <= OFF
    )
    if is_off:
        differences.append(f"- {symbol}, {name}: recorded {_number(recorded)}, generated {_number(made)}")


def _limits() -> list[str]:
    return [
        "What the numbers do not say:",
        "",
        "- No recording holds liquidations, book and trades of one venue together. So how the book behaves during a cascade is not",
        "  estimated: the price moves with liquidations as OKX's bankruptcy prices do (jumps between risk tiers left out), spread and",
        "  depth do not.",
        "- To leave no edge where none is planted, the price drifts against the pushes that are still expected. So a lone liquidation",
        "  pushes by more than the move per liquidation, and what is more comes back on average within about one over the decays.",
        "- Both sides are liquidated equally often; on the recorded day it was mostly shorts.",
        "- A cascade is a chain of bursts of 0.1 s: whether another burst follows is drawn with the share that was counted after as many",
        "  bursts in the recording, and after a cluster another follows with the share that the pauses between clusters tell. An earlier",
        "  fit let each liquidation cause others (a self-exciting process, branching 0.89 to 0.95): close to critical, its rare clusters",
        "  were far longer than any recorded one. Here all hours are alike, so counts of ten minutes vary less than the recorded ones.",
        "- The file of liquidations spans 24 hours in all, but by coin 7.6 (ETH), 12.5 (BTC), 23.0 (DOGE) and 23.3 hours (SOL). Its",
        "  `size_usd` leaves out the contract value; it is put in here.",
        f"- Liquidations fall into steps of {STEP_S:g} s; their times within a step are uniform.",
        "- The best level is drawn anew at each book frame; recorded best levels stay.",
        "- Nothing earned on this market says anything about trading performance.",
    ]


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    return [*lines, *(f"| {' | '.join(row)} |" for row in rows)]


def _number(value: float) -> str:
    if value == 0.0:
        return "0"
    if abs(value) >= 1000:  # noqa: PLR2004 - no decimals from here on
        return f"{value:,.0f}"
    return f"{value:.3g}"
