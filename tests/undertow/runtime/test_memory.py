from __future__ import annotations

import gc
import subprocess
import sys
import weakref

import pytest

from undertow.runtime.memory import settle


class Knot:
    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def _as_before():
    before = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)


def test_what_start_up_has_made_is_not_examined_again():
    made = [Knot() for _ in range(100)]
    settle()
    assert gc.get_freeze_count() > 100
    assert not any(each is made[0] for each in gc.get_objects())


def test_garbage_from_before_is_gone_and_later_garbage_is_still_collected():
    early = weakref.ref(Knot())
    settle()
    later = weakref.ref(Knot())
    assert early() is None
    gc.collect()
    assert later() is None


@pytest.mark.skipif(sys.platform != "linux", reason="the heap of glibc")
def test_what_large_work_has_left_free_is_given_back():
    """Buffers below the size that glibc maps apart, with one kept at the end, so that the heap cannot shrink by itself."""
    code = """
import ctypes
from undertow.runtime.memory import give_back
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
def pages():
    with open("/proc/self/statm") as told:
        return int(told.read().split()[1])
blocks = [libc.malloc(100_000) for _ in range(1_000)]
for block in blocks:
    ctypes.memset(block, 1, 100_000)
for block in blocks[:-1]:
    libc.free(block)
full = pages()
give_back()
print((full - pages()) * 4096)
"""
    given = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(given.stdout) > 50_000_000
