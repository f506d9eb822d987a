"""What a training is told; apart from the fit, so that settings are read where CatBoost is not installed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TrainingPlan:
    """Everything that, with the data, determines the model.

    Attributes:
        trees: most trees per model; fewer when the stopping stretch no longer improves for `patience` trees.
        shares: of time for training and for stopping; the rest is held out.
    """

    seed: int = 7
    trees: int = 100
    depth: int = 5
    learning_rate: float = 0.08
    l2: float = 10.0
    patience: int = 15
    shares: tuple[float, float] = (0.65, 0.15)
