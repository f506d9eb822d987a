"""Parameters of the calibrated manner, as `make calibrate` writes them beside this file."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib import resources
from typing import Final

import msgspec

FILE: Final = "generated_parameters.json"


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """A cluster of liquidations that has had so many bursts, a burst being those of one side within 0.1 s.

    Attributes:
        first: bursts from which on it is so, up to the next stage.
        burst: mean number of liquidations in the burst with which the cluster reaches it.
        continues: chance that another burst follows within the longest gap of a cluster.
    """

    first: int
    burst: float
    continues: float


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
    """Cascades of each side, and what each of their liquidations does.

    Attributes:
        cascades_per_s: cascades that nothing caused, per second, both sides together.
        stages: of a cluster, by its bursts so far.
        waits: of the bursts that follow within a cluster the share that comes in the first 0.1 s, in the second, and so on.
        returns: chance that after a cluster has ended another follows, as part of the same cascade.
        return_decay_per_s: one over the mean time until then, counted from the end of the longest gap.
        sizes: of one liquidation.
        move_bps: price move per liquidation within a cluster, in the direction of the forced orders.
        cluster_gap_s: the longest gap within a cluster.
    """

    cascades_per_s: float
    stages: tuple[Stage, ...]
    waits: tuple[float, ...]
    returns: float
    return_decay_per_s: float
    sizes: Sizes
    move_bps: float
    cluster_gap_s: float

    @property
    def mean_cluster(self) -> float:
        """Mean number of liquidations in a cluster."""
        return sum(reached * stage.burst for reached, stage in self._reached())

    @property
    def mean_cascade(self) -> float:
        """Mean number of liquidations in a cascade: a cluster and those that follow it."""
        return self.mean_cluster / (1.0 - self.returns)

    @property
    def push_bps(self) -> float:
        """Push of one liquidation, so that after what drifts back within a cluster `move_bps` is left."""
        left = total = 0.0
        for reached, stage in self._reached():
            follows = reached * stage.continues
            left += follows * (1.0 - self._expected_until(stage.continues))
            total += follows
        return self.move_bps * total / left

    def _reached(self) -> Iterator[tuple[float, Stage]]:
        """Yield the chance that a cluster comes to each of its bursts, with its stage; the last stands for all that follow."""
        reached = 1.0
        for number, stage in enumerate(self.stages):
            if number + 1 == len(self.stages):
                yield reached / (1.0 - stage.continues), stage
                return
            for _ in range(self.stages[number + 1].first - stage.first):
                yield reached, stage
                reached *= stage.continues

    def _expected_until(self, continues: float) -> float:
        """Mean number of bursts that were expected by the time one has followed."""
        left, expected, mean = 1.0, 0.0, 0.0
        for share in self.waits:
            expected += continues * share / left
            left -= continues * share
            mean += share * expected
        return mean


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
