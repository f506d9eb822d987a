"""Fits the two models of an entry and measures them on held-out time.

Time is split in three: train, then a stretch that stops the boosting, then a held-out stretch that nothing has seen. Between them lies
a purge gap longer than any trade, so that no label reaches over a border. Data of less than a day cannot teach the time of the day:
there the features of that group would only number the triggers, so they are left out of the fit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from catboost import CatBoostRegressor

from undertow.features.catalogue import FEATURES, NAMES, Group
from undertow.learning.dataset import Dataset
from undertow.learning.errors import DatasetError
from undertow.learning.grid import ARM_COLUMNS, ARMS, DELTAS_BPS, HOLDS_S, REST_NS
from undertow.learning.onnx_export import export, parity
from undertow.learning.plan import TrainingPlan
from undertow.learning.registry import Card

Floats = npt.NDArray[np.float64]
PURGE_NS = REST_NS + max(HOLDS_S) * 1_000_000_000 + 1_000_000_000
LEAST_TRIGGERS = 40
DAY_NS = 86_400_000_000_000


@dataclass(frozen=True)
class Trained:
    """Both models as ONNX, and their card without the files' hashes."""

    return_onnx: bytes
    fill_onnx: bytes
    card: Card


def split(dataset: Dataset, shares: tuple[float, float]) -> tuple[Dataset, Dataset, Dataset]:
    """Cut by time into train, stopping and held-out, with the purge gap before each border.

    Raises:
        DatasetError: a part would hold fewer than `LEAST_TRIGGERS` triggers.
    """
    first, last = int(dataset.ts_ns[0]), int(dataset.ts_ns[-1])
    cuts = [first + round((last - first) * share) for share in (shares[0], sum(shares))]
    starts = [first, *cuts]
    ends = [cuts[0] - PURGE_NS, cuts[1] - PURGE_NS, last + 1]
    parts = tuple(
        dataset.rows(np.flatnonzero((dataset.ts_ns >= start) & (dataset.ts_ns < end)))
        for start, end in zip(starts, ends, strict=True)
    )
    if min(len(part) for part in parts) < LEAST_TRIGGERS:
        sizes = ", ".join(str(len(part)) for part in parts)
        raise DatasetError(
            f"{dataset.source}: too few triggers to learn from ({sizes} for train, stop, held out; each needs "
            f"{LEAST_TRIGGERS}); take more data"
        )
    return cast("tuple[Dataset, Dataset, Dataset]", parts)


def train(
    dataset: Dataset,
    plan: TrainingPlan,
    *,
    demonstration: bool,
    data: dict[str, Any],
    progress: Callable[[str], None] = lambda _: None,
) -> Trained:
    """Fit, export and measure; same data and plan, same bytes.

    Args:
        dataset: by ascending time.
        plan: all choices.
        demonstration: written on the card.
        data: what the card says of the data, besides what the dataset knows itself.
        progress: gets the name of each step as it begins.

    Raises:
        DatasetError: too few triggers.
        ModelError: the export differs from CatBoost.
    """
    fit_part, stop_part, held_out = split(dataset, plan.shares)
    inputs = [part.model_input() for part in (fit_part, stop_part, held_out)]
    filled = [part.filled.reshape(-1) for part in (fit_part, stop_part, held_out)]
    returns = [part.return_bps.reshape(-1) for part in (fit_part, stop_part, held_out)]

    ignored = _ignored(dataset)
    progress("return given a fill")
    return_model = _fit(
        plan, ignored, *((x[f], y[f]) for x, y, f in zip(inputs[:2], returns[:2], filled[:2], strict=True))
    )
    progress("fill probability")
    fill_model = _fit(plan, ignored, *((x, f.astype(np.float64)) for x, f in zip(inputs[:2], filled[:2], strict=True)))
    progress("export and parity")
    return_onnx, fill_onnx = export(return_model), export(fill_model)
    differences = {
        "return": parity(return_model, return_onnx, inputs[2], float(returns[0][filled[0]].std())),
        "fill": parity(fill_model, fill_onnx, inputs[2], float(filled[0].std())),
    }
    progress("held-out metrics")
    expected = return_model.predict(inputs[2]).reshape(-1, len(ARMS))
    probability = np.clip(fill_model.predict(inputs[2]).reshape(-1, len(ARMS)), 0.0, 1.0)
    metrics = held_out_metrics(held_out, expected, probability) | {"parity": differences}
    card = Card(
        schema_hash=dataset.schema_hash,
        features=NAMES,
        arm_columns=ARM_COLUMNS,
        arms=len(ARMS),
        demonstration=demonstration,
        data={
            **data,
            "source": dataset.source,
            "first_ns": int(dataset.ts_ns[0]),
            "last_ns": int(dataset.ts_ns[-1]),
            "triggers": len(dataset),
            "events": dataset.events,
            "fingerprint": dataset.fingerprint,
        },
        training={
            **asdict(plan),
            "trees": {"return": int(return_model.tree_count_), "fill": int(fill_model.tree_count_)},
            "ignored_features": [NAMES[index] for index in ignored],
            "purge_ns": PURGE_NS,
            "triggers": {"train": len(fit_part), "stop": len(stop_part), "held_out": len(held_out)},
            "deltas_bps": list(DELTAS_BPS),
            "holds_s": list(HOLDS_S),
        },
        metrics=metrics,
        files={},
    )
    return Trained(return_onnx, fill_onnx, card)


def held_out_metrics(part: Dataset, expected: Floats, probability: Floats) -> dict[str, Any]:
    """Measure predictions (n, 36) against what the labels say, trading the best arm of each trigger by the model alone.

    Returns:
        `signal_share`: triggers with an arm of positive expectation; of those, `fill_share` filled; `net_bps_mean` per fill with its
        standard error; `net_bps_total`, all in bps of entry notional; and the fit of both models.
    """
    n = len(part)
    worth = np.where(expected > 0.0, expected * probability, -np.inf)
    best = worth.argmax(axis=1)
    signalled = np.isfinite(worth.max(axis=1))
    rows = np.flatnonzero(signalled)
    traded = rows[part.filled[rows, best[rows]]]
    earned = part.return_bps[traded, best[traded]]
    truth, guess = part.return_bps[part.filled], expected[part.filled]
    residual = float(np.mean((truth - guess) ** 2))
    return {
        "triggers": n,
        "signal_share": _rounded(len(rows) / n),
        "fill_share": _rounded(len(traded) / max(1, len(rows))),
        "predicted_fill_share": _rounded(float(probability[rows, best[rows]].mean()) if len(rows) else 0.0),
        "trades": len(traded),
        "net_bps_mean": _rounded(float(earned.mean()) if len(traded) else 0.0),
        "net_bps_mean_error": _rounded(float(earned.std(ddof=1) / np.sqrt(len(traded))) if len(traded) > 1 else 0.0),
        "net_bps_total": _rounded(float(earned.sum())),
        "predicted_net_bps_mean": _rounded(float(expected[traded, best[traded]].mean()) if len(traded) else 0.0),
        "return_rmse_bps": _rounded(residual**0.5),
        "return_r2": _rounded(1.0 - residual / float(truth.var())),
        "fill_brier": _rounded(float(np.mean((part.filled - probability) ** 2))),
        "fill_base_rate": _rounded(float(part.filled.mean())),
    }


def _ignored(dataset: Dataset) -> list[int]:
    if int(dataset.ts_ns[-1] - dataset.ts_ns[0]) >= DAY_NS:
        return []
    return [index for index, feature in enumerate(FEATURES) if feature.group is Group.TIME]


def _fit(
    plan: TrainingPlan,
    ignored: list[int],
    fit_pool: tuple[npt.NDArray[np.float32], Floats],
    stop_pool: tuple[npt.NDArray[np.float32], Floats],
) -> CatBoostRegressor:
    model = CatBoostRegressor(
        iterations=plan.trees,
        depth=plan.depth,
        learning_rate=plan.learning_rate,
        l2_leaf_reg=plan.l2,
        random_seed=plan.seed,
        loss_function="RMSE",
        early_stopping_rounds=plan.patience,
        thread_count=1,
        verbose=False,
        allow_writing_files=False,
        ignored_features=ignored,
    )
    model.fit(*fit_pool, eval_set=stop_pool, use_best_model=True)
    return model


def _rounded(value: float) -> float:
    return round(value, 6)
