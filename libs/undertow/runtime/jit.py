"""One decorator for every kernel: compiled, cached, and recompiled when any kernel's source changed.

Numba looks only at the file of the outermost function to decide whether its cache is fresh, so a change in a callee of
another file would go unnoticed, and old features or old fills would be computed in silence. Here the stamp is a hash of all
sources of the packages that hold kernels and of the function's own; it does not depend on modification times either, so a
cache baked into an image stays valid.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., Any])


@functools.cache
def source_stamp(folder: Path) -> str:
    """Hash names and contents of the Python files of `folder`; hex."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


_KERNELS: Final = tuple(Path(__file__).parents[1] / package for package in ("features", "matching", "exchange/kernels"))


def kernel(function: F) -> F:
    """Compile `function` in nopython mode with strict IEEE arithmetic: no result may depend on vectorisation."""
    dispatcher: Any = numba.njit(cache=True)(function)
    if dispatcher is not function:  # it is when the jit is off
        own = Path(function.__code__.co_filename).parent
        stamp = "".join(source_stamp(folder) for folder in (*_KERNELS, own))
        cache = dispatcher._cache  # noqa: SLF001 - numba offers no other way to name a stamp
        cache._cache_file._source_stamp = stamp  # noqa: SLF001 - as above
    return cast("F", dispatcher)
