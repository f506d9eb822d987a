"""Frames to learning data: the fleet's own decoder and kernels over a market, then labels. Columns in memory.

Nothing here differs from live: frames are decoded by the same parser, become the same rows, and the same kernel writes the vectors.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from undertow.domain.order import Side
from undertow.exchange.bybit.facts import FrameDecoder
from undertow.features.catalogue import N_FEATURES, SCHEMA_HASH
from undertow.features.events import EventBuffer, Events
from undertow.features.kernel import FeatureState, TriggerRule, sweep
from undertow.features.layout import REASON_LONG, REASON_SHORT
from undertow.learning.errors import DatasetError
from undertow.learning.grid import ARMS, arm_columns
from undertow.learning.labels import LabelRule, label
from undertow.markets.ports import FrameSource

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Dataset:
    """Triggers of all symbols by ascending time, with the outcome of each arm.

    Attributes:
        ts_ns: event time of the trigger, int64 (n,).
        vectors: float64 (n, n_features).
        trigger_signs: +1 when longs were liquidated, -1 when shorts, int8 (n,).
        filled: bool (n, 36).
        return_bps: net of fees, float64 (n, 36); NaN where not filled.
        schema_hash: of the features.
        source: label of the market.
        events: rows that went through the kernels.
    """

    ts_ns: npt.NDArray[np.int64]
    vectors: Floats
    trigger_signs: npt.NDArray[np.int8]
    filled: npt.NDArray[np.bool_]
    return_bps: Floats
    schema_hash: str
    source: str
    events: int

    def __len__(self) -> int:
        return len(self.ts_ns)

    @property
    def fingerprint(self) -> str:
        """SHA-256 over all columns, hex."""
        digest = hashlib.sha256(self.schema_hash.encode())
        for column in (self.ts_ns, self.vectors, self.trigger_signs, self.filled, self.return_bps):
            digest.update(np.ascontiguousarray(column).tobytes())
        return digest.hexdigest()

    def rows(self, chosen: npt.NDArray[np.int64]) -> Dataset:
        """Give the triggers with these numbers."""
        return Dataset(
            self.ts_ns[chosen],
            self.vectors[chosen],
            self.trigger_signs[chosen],
            self.filled[chosen],
            self.return_bps[chosen],
            self.schema_hash,
            self.source,
            self.events,
        )

    def model_input(self) -> npt.NDArray[np.float32]:
        """Give every trigger times every arm as model input, float32 (n * 36, n_features + 4)."""
        arms = {sign: arm_columns(Side.BUY if sign > 0 else Side.SELL) for sign in (1, -1)}
        right = np.concatenate([arms[int(sign)] for sign in self.trigger_signs])
        left = np.repeat(self.vectors.astype(np.float32), len(ARMS), axis=0)
        return np.concatenate([left, right], axis=1)


def events_by_symbol(
    source: FrameSource, seconds: float, progress: Callable[[float], None] | None = None
) -> dict[str, Events]:
    """Run `seconds` of a market through the decoder into columns; `progress` gets the share done, now and then."""
    buffers = {symbol: EventBuffer() for symbol in source.symbols}
    decoder = FrameDecoder()
    end_ns = source.origin_ns + round(seconds * 1e9)
    for number, frame in enumerate(source.frames()):
        if frame.at_ns > end_ns:
            break
        for message in decoder.decode(frame.raw, frame.at_ns):
            buffers[message.symbol].append_fact(message)
        if progress is not None and number % 2000 == 0:
            progress((frame.at_ns - source.origin_ns) / (end_ns - source.origin_ns))
    return {symbol: buffer.columns() for symbol, buffer in buffers.items()}


def build_dataset(
    events: Mapping[str, Events],
    ticks: Mapping[str, float],
    source: str,
    *,
    trigger: TriggerRule | None = None,
    rule: LabelRule | None = None,
) -> Dataset:
    """Sweep the kernels over each symbol and label every trigger.

    Args:
        events: columns per symbol.
        ticks: tick size per symbol, quote coin.
        source: label of the market.
        trigger: when a vector is written; the fleet's default when None.
        rule: of the labels.

    Raises:
        DatasetError: there is no trigger, or a vector or label is not finite.
    """
    parts = [_of_symbol(columns, ticks[symbol], trigger or TriggerRule(), rule) for symbol, columns in events.items()]
    ts_ns, vectors, signs, filled, returns = (np.concatenate(column) for column in zip(*parts, strict=True))
    if not len(ts_ns):
        raise DatasetError(f"{source}: no liquidation triggered a vector; take more data or lower the threshold")
    if not np.isfinite(vectors).all() or not np.isfinite(returns[filled]).all():
        raise DatasetError(f"{source}: a vector or label is NaN or infinite; the data is damaged")
    order = np.argsort(ts_ns, kind="stable")
    rows = sum(len(columns.kind) for columns in events.values())
    return Dataset(ts_ns[order], vectors[order], signs[order], filled[order], returns[order], SCHEMA_HASH, source, rows)


def _of_symbol(
    events: Events, tick: float, trigger: TriggerRule, rule: LabelRule | None
) -> tuple[npt.NDArray[np.int64], Floats, npt.NDArray[np.int8], npt.NDArray[np.bool_], Floats]:
    vectors = sweep(FeatureState.empty(), trigger, events)
    wanted = np.flatnonzero((vectors.reasons == REASON_LONG) | (vectors.reasons == REASON_SHORT))
    labels = label(events, vectors.rows[wanted], vectors.quotes[wanted].mean(axis=1), tick, rule)
    chosen = wanted[labels.kept]
    signs = np.where(vectors.reasons[chosen] == REASON_LONG, 1, -1).astype(np.int8)
    return (
        vectors.clock_ns[chosen],
        vectors.values[chosen].reshape(-1, N_FEATURES),
        signs,
        labels.filled,
        labels.return_bps,
    )
