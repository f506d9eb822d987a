"""The folder in which a run writes: it can be written, has room, and belongs to one fleet at a time."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from undertow.runtime.errors import ConfigurationError
from undertow.runtime.settings import PREFIX

NEEDED_BYTES: Final = 64 << 20
"""What some minutes of market leave behind."""
_VARIABLE: Final = f"{PREFIX}VAR"
_TEMPORARY: Final = "undertow-"


@contextlib.contextmanager
def claimed(var: Path) -> Iterator[None]:
    """Hold the folder for this process alone; the kernel gives it free, however the process ends.

    Raises:
        ConfigurationError: it cannot be written, is nearly full, or a fleet runs in it.
    """
    try:
        var.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=var).close()
        lock = os.open(var / "run.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise ConfigurationError(
            _VARIABLE, f"{var} cannot be written ({error.strerror})", "name a folder of your own"
        ) from None
    try:
        _lock(lock, var)
        _check_room(var, _VARIABLE, NEEDED_BYTES)
        _check_room(Path(tempfile.gettempdir()), "TMPDIR", 1 << 20)
        yield
    finally:
        os.close(lock)


def make_temporary() -> Path:
    """Make a temporary folder for this process; remove those of launchers that were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_TEMPORARY}*"):
        owner = folder.name.removeprefix(_TEMPORARY).partition("-")[0]
        if owner.isdecimal() and not Path(f"/proc/{owner}").exists() and folder.stat().st_uid == os.getuid():
            shutil.rmtree(folder, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{_TEMPORARY}{os.getpid()}-"))


def _lock(lock: int, var: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        owner = os.pread(lock, 20, 0).decode(errors="replace").strip() or "unknown"
        raise ConfigurationError(
            _VARIABLE, f"a fleet runs in {var} already (process {owner})", "stop it, or name another folder"
        ) from None
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)


def _check_room(folder: Path, variable: str, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise ConfigurationError(
            variable,
            f"{folder} has {free >> 20} MB left, a run needs {needed >> 20}",
            "free some, or name a folder on another disk",
        )
