"""Which arm, if any: Thompson sampling on top of the model, inside an exploration budget.

The model's expectation is the prior of each arm; what the policy learns is the *residual* (realised minus expected return of closed
trades), with a Normal-inverse-gamma posterior per arm. Its prior is centred on 0 with the weight of `prior_trades`, so that a few
trades cannot overrule the model and many can. A decision draws one residual per arm, seeded by the vector itself, and takes the arm
with the greatest `p_fill * (expected + drawn residual)` among those whose drawn expectation is above 0. An arm that the model itself
expects to lose is an exploration: its expected loss is charged to a budget per rolling hour, and without budget it is not taken.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict, deque
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from undertow.learning.grid import ARMS
from undertow.learning.scoring import Scores

Floats = npt.NDArray[np.float64]

HOUR_NS = 3_600_000_000_000
PARTS_PER_BPS = 10**9  # costs are added as whole numbers: the running sum is exact in any order
REMEMBERED_TRADES = 10_000


@dataclass(frozen=True)
class PolicyRule:
    """Numbers of the policy.

    Attributes:
        seed: of all draws.
        prior_trades: weight of "the model is right", in trades per arm.
        prior_sd_bps: residual of one trade before any was seen, bps.
        exploration_budget_bps: expected loss that explorations may cost per hour, bps of entry notional.
    """

    seed: int = 7
    prior_trades: float = 25.0
    prior_sd_bps: float = 25.0
    exploration_budget_bps: float = 10.0


@dataclass(frozen=True, slots=True)
class Choice:
    """The policy's answer to one vector.

    Attributes:
        arm: index in `ARMS` of the best one, whether taken or not.
        taken: True when its drawn expectation is above 0 and the budget allows it.
        explores: True when the model alone would not have taken it.
        candidates: arms with a drawn expectation above 0.
    """

    arm: int
    taken: bool
    explores: bool
    expected_bps: float
    drawn_bps: float
    fill_probability: float
    candidates: int


class ThompsonPolicy:
    """State: the posterior, the trades it has seen, the explorations of the last hour."""

    def __init__(self, rule: PolicyRule | None = None) -> None:
        self.rule = rule or PolicyRule()
        self.count = np.zeros(len(ARMS))
        self.mean = np.zeros(len(ARMS))
        self.squares = np.zeros(len(ARMS))
        self._posterior = self.posterior()
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._explored: deque[tuple[int, int]] = deque()
        self._spent = 0

    def learn(self, arm: int, trade_id: str, realised_bps: float, expected_bps: float) -> bool:
        """Take in a closed trade; a second telling of the same one, or one that is not finite, changes nothing.

        Returns:
            Whether it counted.
        """
        residual = realised_bps - expected_bps
        if trade_id in self._seen or not np.isfinite(residual):
            return False
        self._seen[trade_id] = None
        if len(self._seen) > REMEMBERED_TRADES:
            self._seen.popitem(last=False)
        self.count[arm] += 1.0
        step = residual - self.mean[arm]
        self.mean[arm] += step / self.count[arm]
        self.squares[arm] += step * (residual - self.mean[arm])
        self._posterior = self.posterior()
        return True

    def posterior(self) -> tuple[Floats, Floats, Floats, Floats]:
        """Give (location, weight, shape, scale) of the Normal-inverse-gamma of each arm's residual (Murphy 2007, section 6)."""
        weight0, shape0 = self.rule.prior_trades, 2.0
        scale0 = self.rule.prior_sd_bps**2 * (shape0 - 1.0)
        weight = weight0 + self.count
        location = self.count * self.mean / weight
        shape = shape0 + self.count / 2.0
        scale = scale0 + 0.5 * self.squares + 0.5 * weight0 * self.count * self.mean**2 / weight
        return location, weight, shape, scale

    def draw(self, reference: str) -> Floats:
        """Draw one mean residual per arm, bps (36,); the same reference and state give the same draw."""
        digest = hashlib.sha256(f"{self.rule.seed}/{reference}".encode()).digest()
        rng = np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "little")))
        location, weight, shape, scale = self._posterior
        variance = scale / rng.standard_gamma(shape)
        return location + np.sqrt(variance / weight) * rng.standard_normal(len(ARMS))

    def choose(self, scores: Scores, reference: str, now_ns: int) -> Choice:
        """Choose an arm for the vector `reference` at market time `now_ns`; an exploration that is taken is charged."""
        drawn = scores.return_bps + self.draw(reference)
        worth = scores.fill_probability * drawn
        candidates = (drawn > 0.0) & (scores.fill_probability > 0.0)
        arm, taken = _best(worth, candidates)
        if taken and scores.return_bps[arm] <= 0.0 and not self._affords(_cost(scores, arm), now_ns):
            arm, taken = _best(worth, candidates & (scores.return_bps > 0.0))
        return Choice(
            arm=arm,
            taken=taken,
            explores=bool(scores.return_bps[arm] <= 0.0),
            expected_bps=float(scores.return_bps[arm]),
            drawn_bps=float(drawn[arm]),
            fill_probability=float(scores.fill_probability[arm]),
            candidates=int(candidates.sum()),
        )

    def charge(self, cost_bps: float, at_ns: int) -> None:
        """Note an exploration of an earlier life of this process."""
        cost = round(cost_bps * PARTS_PER_BPS)
        self._explored.append((at_ns, cost))
        self._spent += cost

    def _affords(self, cost_bps: float, now_ns: int) -> bool:
        while self._explored and self._explored[0][0] <= now_ns - HOUR_NS:
            self._spent -= self._explored.popleft()[1]
        if self._spent + round(cost_bps * PARTS_PER_BPS) > self.rule.exploration_budget_bps * PARTS_PER_BPS:
            return False
        self.charge(cost_bps, now_ns)
        return True


def _best(worth: Floats, candidates: npt.NDArray[np.bool_]) -> tuple[int, bool]:
    if not candidates.any():
        return int(np.argmax(worth)), False
    return int(np.argmax(np.where(candidates, worth, -np.inf))), True


def _cost(scores: Scores, arm: int) -> float:
    return float(-scores.return_bps[arm] * scores.fill_probability[arm])
