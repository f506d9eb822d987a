"""ONNX Runtime without its telemetry, which its wheels switch on: nothing of a trader's machine goes to anybody.

It is read once, when the library starts, so this module is the one place that imports it.
"""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime

__all__ = ["onnxruntime"]
