"""Parameters of the calibrated manner, as `make calibrate` writes them beside this file."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Final

import msgspec

FILE: Final = "generated_parameters.json"


class Kernel(msgspec.Struct, frozen=True, kw_only=True):
    """One way in which a liquidation causes others.

    Attributes:
        branching: mean number of liquidations that one causes so.
        decay_per_s: one over the mean time from cause to effect.
    """

    branching: float
    decay_per_s: float


class Sizes(msgspec.Struct, frozen=True, kw_only=True):
    """A log-normal law, cut where the recording ends.

    Attributes:
        median_usdt: half are smaller.
        sigma: of the logarithm, such that the mean is the recorded one.
        largest_usdt: the largest recorded.
    """

    median_usdt: float
    sigma: float
    largest_usdt: float


class Liquidations(msgspec.Struct, frozen=True, kw_only=True):
    """A self-exciting process of each side, and what each of its events does.

    Attributes:
        immigrants_per_s: liquidations that no other caused, per second, both sides together.
        kernels: how one causes others, the quickest first.
        sizes: of one liquidation.
        move_bps: price move per liquidation within a cluster, in the direction of the forced orders.
        cluster_gap_s: the longest gap within a cluster.
    """

    immigrants_per_s: float
    kernels: tuple[Kernel, ...]
    sizes: Sizes
    move_bps: float
    cluster_gap_s: float

    @property
    def branching(self) -> float:
        """Mean number of liquidations that one causes, in whichever way."""
        return sum(kernel.branching for kernel in self.kernels)

    @property
    def push_bps(self) -> float:
        """Push of one liquidation, so that after what drifts back within a cluster `move_bps` is left."""
        quick = sum(kernel.branching for kernel in self.kernels if kernel.decay_per_s * self.cluster_gap_s >= 1.0)
        return self.move_bps / (1.0 - quick)


class Moves(msgspec.Struct, frozen=True, kw_only=True):
    """Moves of the mid that no liquidation makes, and the activity that modulates them and the trades.

    Attributes:
        per_s: mean rate.
        median_bps: of one move.
        sigma: of its logarithm.
        activity_sigma: of the logarithm of the activity.
        activity_decay_per_s: one over the activity's memory.
    """

    per_s: float
    median_bps: float
    sigma: float
    activity_sigma: float
    activity_decay_per_s: float


class Trades(msgspec.Struct, frozen=True, kw_only=True):
    """Ordinary trades.

    Attributes:
        frames_per_s: mean rate of trade frames.
        prints: mean number of fills in one.
        sizes: of a fill.
    """

    frames_per_s: float
    prints: float
    sizes: Sizes


class Book(msgspec.Struct, frozen=True, kw_only=True):
    """The displayed book.

    Attributes:
        wide_share: share of book frames with a spread above one tick.
        wide_ticks: mean spread of those.
        level_gap_ticks: mean distance of neighbouring levels.
        levels: of the hundredth level behind the touch.
        level_growth: exponent with which the sizes of levels grow with their rank.
        touch: of the best level.
        changes: mean number of levels that one delta changes, both sides.
    """

    wide_share: float
    wide_ticks: float
    level_gap_ticks: float
    levels: Sizes
    level_growth: float
    touch: Sizes
    changes: float


class SymbolParameters(msgspec.Struct, frozen=True, kw_only=True):
    """All of one symbol."""

    liquidations: Liquidations
    moves: Moves
    trades: Trades
    book: Book


class Parameters(msgspec.Struct, frozen=True, kw_only=True):
    """All symbols, and the recordings that they were estimated from."""

    recordings: dict[str, str]
    symbols: dict[str, SymbolParameters]


@cache
def shipped() -> Parameters:
    """Read the committed file."""
    return msgspec.json.decode((resources.files(__package__) / FILE).read_bytes(), type=Parameters)
