"""The few things that a file must do for who must not forget: append, wait for the disk, put a new file in the place of the old one.

What was written and not synced survives the end of the process, not that of the machine; a name is safe when its directory is synced.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Protocol


class File(Protocol):
    """An open file, written at its end."""

    def write(self, data: bytes) -> None:
        """Append all of it; return when the kernel has it.

        Raises:
            OSError: the disk refuses.
        """
        ...

    def sync(self) -> None:
        """Return when the disk has what was written.

        Raises:
            OSError: the disk refuses.
        """
        ...

    def truncate(self, length: int) -> None:
        """Cut it off behind so many bytes."""
        ...

    def close(self) -> None:
        """Let go; nothing is synced by that."""
        ...


class Lock(Protocol):
    """A lock that is held."""

    def close(self) -> None:
        """Give it free; the end of the process does too."""
        ...


class Disk(Protocol):
    """A directory tree on a local disk. Each verb raises OSError where the disk refuses."""

    def make_directory(self, path: Path) -> None:
        """Make a directory and those above it where they are missing."""
        ...

    def lock(self, path: Path) -> Lock:
        """Take the lock of this name.

        Raises:
            OSError: somebody holds it.
        """
        ...

    def read(self, path: Path) -> bytes:
        """Give a file's content.

        Raises:
            FileNotFoundError: there is none.
        """
        ...

    def append(self, path: Path) -> File:
        """Open a file at its end; it is made when missing."""
        ...

    def create(self, path: Path) -> File:
        """Open an empty file; what it held is gone."""
        ...

    def link(self, path: Path, also: Path) -> None:
        """Give a file a second name, in place of what has it."""
        ...

    def replace(self, path: Path, by: Path) -> None:
        """Put the file `by` in the place of `path` and return when the disk knows: a crash leaves the old or the new one."""
        ...


class LocalFile:
    """An open file of the operating system."""

    def __init__(self, path: Path, flags: int) -> None:
        self._descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_APPEND | flags, 0o600)

    def write(self, data: bytes) -> None:
        """See `File.write`."""
        view = memoryview(data)
        while view:
            view = view[os.write(self._descriptor, view) :]

    def sync(self) -> None:
        """See `File.sync`."""
        os.fdatasync(self._descriptor)

    def truncate(self, length: int) -> None:
        """See `File.truncate`."""
        os.ftruncate(self._descriptor, length)

    def close(self) -> None:
        """See `File.close`."""
        os.close(self._descriptor)


class LocalLock:
    """A lock of the operating system."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._descriptor)
            raise

    def close(self) -> None:
        """See `Lock.close`."""
        os.close(self._descriptor)


class LocalDisk:
    """The disk of this machine."""

    def make_directory(self, path: Path) -> None:
        """See `Disk.make_directory`."""
        path.mkdir(parents=True, exist_ok=True)

    def lock(self, path: Path) -> Lock:
        """See `Disk.lock`."""
        return LocalLock(path)

    def read(self, path: Path) -> bytes:
        """See `Disk.read`."""
        return path.read_bytes()

    def append(self, path: Path) -> File:
        """See `Disk.append`."""
        return LocalFile(path, 0)

    def create(self, path: Path) -> File:
        """See `Disk.create`."""
        return LocalFile(path, os.O_TRUNC)

    def link(self, path: Path, also: Path) -> None:
        """See `Disk.link`."""
        also.unlink(missing_ok=True)
        os.link(path, also)

    def replace(self, path: Path, by: Path) -> None:
        """See `Disk.replace`."""
        by.replace(path)
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
