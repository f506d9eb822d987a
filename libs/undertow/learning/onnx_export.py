"""CatBoost to ONNX: the exported graph with its output shape corrected, without metadata, and proven equal to CatBoost.

CatBoost declares the output as (N,), though it is (N, 1), so that ONNX Runtime would log at every call; and it writes the time of
training and a random id into the file, so that the same model would never have the same hash.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from catboost import CatBoostRegressor

from undertow.learning.errors import ModelError
from undertow.learning.scoring import session

PARITY = 1e-5
"""Largest allowed difference to CatBoost, in standard deviations of the target."""


def export(model: CatBoostRegressor) -> bytes:
    """Give the model as ONNX: input `features` float32 (N, n), output `predictions` float32 (N, 1). Same model, same bytes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        model.save_model(str(path), format="onnx")
        graph = onnx.load(str(path))
    del graph.metadata_props[:]
    graph.producer_name, graph.producer_version = "undertow", ""
    graph.graph.name = "trees"
    output = graph.graph.output[0]
    shape = output.type.tensor_type.shape
    del shape.dim[:]
    shape.dim.add().dim_param = "N"
    shape.dim.add().dim_value = 1
    onnx.checker.check_model(graph)
    return bytes(graph.SerializeToString(deterministic=True))


def parity(model: CatBoostRegressor, onnx_bytes: bytes, x: npt.NDArray[np.float32], target_std: float) -> float:
    """Give the largest difference between ONNX Runtime and CatBoost on `x`, in target standard deviations.

    Raises:
        ModelError: it exceeds `PARITY`.
    """
    ours = session(onnx_bytes).run(None, {"features": x})[0][:, 0]
    theirs = model.predict(x)
    worst = float(np.max(np.abs(ours - theirs)) / target_std)
    if not worst <= PARITY:
        raise ModelError(
            f"the exported model differs from CatBoost by {worst:.2e} target deviations, allowed {PARITY}",
            "report it with the version of catboost",
        )
    return worst
