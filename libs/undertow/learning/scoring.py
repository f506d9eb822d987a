"""A loaded model: the whole grid scored with one ONNX Runtime call per output, on one thread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from undertow.learning.errors import ModelError
from undertow.learning.grid import ARMS
from undertow.learning.onnx_runtime import onnxruntime

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Scores:
    """What a model says of each arm, in the order of `ARMS`.

    Attributes:
        return_bps: expected return given a fill, net of fees, (36,).
        fill_probability: within [0, 1], (36,).
    """

    return_bps: Floats
    fill_probability: Floats


class Scorer(Protocol):
    """What the model server asks of a model."""

    @property
    def model_hash(self) -> str:
        """Name of the registry entry."""
        ...

    @property
    def schema_hash(self) -> str:
        """Schema of the features it was trained on."""
        ...

    def score(self, matrix: npt.NDArray[np.float32]) -> Scores:
        """Score model input of shape (36, n)."""
        ...


def session(onnx_bytes: bytes) -> Any:
    """Open an ONNX Runtime session on one thread that never spins.

    Raises:
        ModelError: the bytes are no model that the runtime can load.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(onnx_bytes, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        reason = str(error).splitlines()[0]
        raise ModelError(f"ONNX Runtime cannot load the model: {reason}", "restore it or train again") from error


class OnnxScorer:
    """Two ONNX models with the names they answer to."""

    def __init__(
        self, return_onnx: bytes, fill_onnx: bytes, *, model_hash: str, schema_hash: str, columns: int
    ) -> None:
        """Load and check both.

        Raises:
            ModelError: they cannot be loaded, take another number of columns, or answer nonsense.
        """
        self.model_hash = model_hash
        self.schema_hash = schema_hash
        self._return = session(return_onnx)
        self._fill = session(fill_onnx)
        for name, one in (("return", self._return), ("fill", self._fill)):
            takes = one.get_inputs()[0].shape[-1]
            if takes != columns:
                raise ModelError(
                    f"model {model_hash}: {name}.onnx takes {takes} columns, its card says {columns}", "train again"
                )
        probe = self.score(np.zeros((len(ARMS), columns), dtype=np.float32))
        if not (np.isfinite(probe.return_bps).all() and np.isfinite(probe.fill_probability).all()):
            raise ModelError(f"model {model_hash} answers with numbers that are not finite", "train again")

    def score(self, matrix: npt.NDArray[np.float32]) -> Scores:
        """Score model input of shape (36, n)."""
        returns = self._return.run(None, {"features": matrix})[0]
        fills = self._fill.run(None, {"features": matrix})[0]
        return Scores(
            returns.reshape(-1).astype(np.float64),
            np.clip(fills.reshape(-1).astype(np.float64), 0.0, 1.0),
        )
