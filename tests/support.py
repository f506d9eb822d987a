"""What many tests need."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic
from typing import Any

import pytest


async def eventually(predicate: Callable[[], Any], seconds: float = 10.0) -> Any:
    """Wait until `predicate` (plain or async) is true; give its value, fail after `seconds`."""
    deadline = monotonic() + seconds
    while True:
        value = predicate()
        if inspect.isawaitable(value):
            value = await value
        if value:
            return value
        if monotonic() > deadline:
            pytest.fail(f"did not become true within {seconds:g} s: {inspect.getsource(predicate).strip()}")
        await asyncio.sleep(0.01)


@contextlib.contextmanager
def unmeasured() -> Iterator[None]:
    """Keep coverage from looking: what is played for minutes of market takes three times as long under its eyes.

    For what other tests cover. pytest-cov's own mark stops one of the two measurings that a worker of xdist begins with, not both.
    """
    tracer = sys.gettrace()
    sys.settrace(None)
    try:
        yield
    finally:
        sys.settrace(tracer)


def recorded(name: str) -> Path:
    """Give the path of a recording; skip where there are none, fail in CI."""
    root = Path(os.environ.get("UNDERTOW_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
    path = root / name
    if not path.exists():
        message = f"the recording {name} is not there; set UNDERTOW_TEST_DATA to the folder that has it"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return path
