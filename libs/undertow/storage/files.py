"""The few things that a store asks of its disk: write a file that is whole when it can be seen, read, list, remove."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

import pyarrow.fs as pafs

from undertow.storage.errors import StoreRefusedError

UNFINISHED: Final = ".part"
LOCK: Final = ".lock"
PLACE: Final = "name a place of your own"
ALONE: Final = "stop it, or give each process symbols of its own"


class Marked(NamedTuple):
    """A small file and the mark of this version of it."""

    content: bytes
    mark: str


class Files(Protocol):
    """Files by their path below a root, with `/` between names."""

    @property
    def address(self) -> str:
        """Where the root is, for people."""
        ...

    @property
    def filesystem(self) -> pafs.FileSystem:
        """The same root for pyarrow."""
        ...

    def prepare(self, unfinished: Iterable[str]) -> None:
        """Make sure that it can be written, and remove what an earlier process left unfinished.

        Args:
            unfinished: ends of the names of the files that were perhaps being written; others may be at work beside us.

        Raises:
            StoreRefusedError: it cannot.
        """
        ...

    def claim(self, name: str) -> Callable[[], None]:
        """Hold a name for this process, where the place can tell that a process has ended; give what lets it go.

        Raises:
            StoreRefusedError: another process of this machine holds it, or the place cannot be written.
        """
        ...

    def marked(self, path: str) -> Marked | None:
        """Read a small file that several processes may want to replace; None when it is not there."""
        ...

    def swap(self, path: str, content: bytes, mark: str | None) -> str:
        """Write a small file in the place of the version that we know; give the mark of the new one.

        Args:
            path: of the file.
            content: no other process ever writes the same.
            mark: of the version that is replaced, None for a file that is not there.

        Raises:
            StoreTakenError: another process has written it since.
            OSError: the disk refuses.
            StoreRefusedError: the store refuses.
        """
        ...

    def write(self, path: str, fill: Callable[[Any], None]) -> None:
        """Write a file; nobody sees it before it is whole and safe.

        Args:
            path: is replaced when it is there.
            fill: writes the content into an open binary file.
        """
        ...

    def read(self, path: str) -> bytes | None:
        """Read a file; None when it is not there."""
        ...

    def paths(self, folder: str = "") -> list[str]:
        """List all finished files below a folder, at any depth."""
        ...

    def remove(self, paths: Iterable[str]) -> None:
        """Remove files; those that are gone already do not matter."""
        ...


class LocalFiles:
    """A directory: written beside, flushed to the disk, renamed, and the directory flushed too."""

    def __init__(self, root: Path) -> None:
        self._root = root

    @property
    def address(self) -> str:
        """See `Files.address`."""
        return str(self._root)

    @property
    def filesystem(self) -> pafs.FileSystem:
        """See `Files.filesystem`."""
        return pafs.SubTreeFileSystem(str(self._root), pafs.LocalFileSystem())

    def prepare(self, unfinished: Iterable[str]) -> None:
        """See `Files.prepare`."""
        ends = tuple(end + UNFINISHED for end in unfinished)
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            for half in self._root.rglob(f"*{UNFINISHED}"):
                if half.name.endswith(ends):
                    half.unlink(missing_ok=True)
            tempfile.TemporaryFile(dir=self._root).close()
        except OSError as error:
            raise StoreRefusedError(f"{self._root} cannot be written ({error.strerror})", PLACE) from None

    def claim(self, name: str) -> Callable[[], None]:
        """See `Files.claim`; the kernel lets it go when the process ends, however it ends."""
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            lock = os.open(self._root / f"{name}{LOCK}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise StoreRefusedError(f"{self._root} cannot be written ({error.strerror})", PLACE) from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            raise StoreRefusedError(f"{self._root}: another process writes there as {name}", ALONE) from None
        return partial(os.close, lock)

    def marked(self, path: str) -> Marked | None:
        """See `Files.marked`; who has the claim needs no mark."""
        content = self.read(path)
        return None if content is None else Marked(content, "")

    def swap(self, path: str, content: bytes, mark: str | None) -> str:
        """See `Files.swap`; the claim keeps everybody else away.

        Raises:
            OSError: the disk refuses.
        """
        del mark
        self.write(path, lambda file: file.write(content))
        return ""

    def write(self, path: str, fill: Callable[[Any], None]) -> None:
        """See `Files.write`.

        Raises:
            OSError: the disk refuses.
        """
        target = self._root / path
        self._make_folder(target.parent)
        unfinished = target.with_name(target.name + UNFINISHED)
        with unfinished.open("wb") as file:
            fill(file)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(target)
        _sync_folder(target.parent)

    def read(self, path: str) -> bytes | None:
        """See `Files.read`."""
        try:
            return (self._root / path).read_bytes()
        except FileNotFoundError:
            return None

    def paths(self, folder: str = "") -> list[str]:
        """See `Files.paths`."""
        found: list[str] = []
        for directory, _, names in os.walk(self._root / folder):
            relative = Path(directory).relative_to(self._root)
            found += [(relative / name).as_posix() for name in names if not name.endswith((UNFINISHED, LOCK))]
        return found

    def remove(self, paths: Iterable[str]) -> None:
        """See `Files.remove`."""
        for path in paths:
            (self._root / path).unlink(missing_ok=True)

    def _make_folder(self, folder: Path) -> None:
        missing = []
        while not folder.is_dir():
            missing.append(folder)
            folder = folder.parent
        for each in reversed(missing):
            each.mkdir(exist_ok=True)
            _sync_folder(each.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
