"""The few things that a store asks of its disk: write a file that is whole when it can be seen, read, list, remove."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

import pyarrow.fs as pafs

from undertow.storage.errors import StoreRefusedError

UNFINISHED: Final = ".part"
LOCK: Final = ".lock"


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
        """Hold a name for this process, where the place can tell processes apart; give what lets it go.

        Raises:
            StoreRefusedError: another process of this machine holds it, or the place cannot be written.
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
            raise StoreRefusedError(f"{self._root} cannot be written ({error.strerror})") from None

    def claim(self, name: str) -> Callable[[], None]:
        """See `Files.claim`; the kernel lets it go when the process ends, however it ends."""
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            lock = os.open(self._root / f"{name}{LOCK}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise StoreRefusedError(f"{self._root} cannot be written ({error.strerror})") from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            raise StoreRefusedError(f"{self._root}: another process writes there as {name}") from None
        return partial(os.close, lock)

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


class ObjectFiles:
    """Any file system of pyarrow in which a file appears when its writer closes it, as object stores do; nothing is renamed.

    Args:
        filesystem: of pyarrow.
        base: path of the root in it.
        address: for people.
    """

    def __init__(self, filesystem: pafs.FileSystem, base: str, address: str) -> None:
        self._files = pafs.SubTreeFileSystem(base, filesystem)
        self._has_folders = filesystem.type_name != "s3"
        self._address = address

    @property
    def address(self) -> str:
        """See `Files.address`."""
        return self._address

    @property
    def filesystem(self) -> pafs.FileSystem:
        """See `Files.filesystem`."""
        return self._files

    def prepare(self, unfinished: Iterable[str]) -> None:
        """See `Files.prepare`; nothing unfinished can be seen here."""
        del unfinished
        try:
            self.write("_probe", lambda file: file.write(b"undertow"))
            self.remove(["_probe"])
        except OSError as error:
            raise StoreRefusedError(f"{self._address} cannot be written ({short(error)})") from None

    def claim(self, name: str) -> Callable[[], None]:
        """See `Files.claim`; a bucket cannot tell, so each process must have a name of its own."""
        del name
        return lambda: None

    def write(self, path: str, fill: Callable[[Any], None]) -> None:
        """See `Files.write`.

        Raises:
            OSError: the store refuses.
        """
        folder = path.rpartition("/")[0]
        if folder and self._has_folders:
            self._files.create_dir(folder, recursive=True)
        with self._files.open_output_stream(path) as file:
            fill(file)

    def read(self, path: str) -> bytes | None:
        """See `Files.read`."""
        try:
            with self._files.open_input_stream(path) as file:
                return bytes(file.readall())
        except FileNotFoundError:
            return None

    def paths(self, folder: str = "") -> list[str]:
        """See `Files.paths`."""
        selector = pafs.FileSelector(folder, recursive=True, allow_not_found=True)
        return [info.path for info in self._files.get_file_info(selector) if info.type == pafs.FileType.File]

    def remove(self, paths: Iterable[str]) -> None:
        """See `Files.remove`."""
        for path in paths:
            try:
                self._files.delete_file(path)
            except FileNotFoundError:
                continue


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def short(error: OSError) -> str:
    """Give what a store said, in one line."""
    return " ".join(str(error).split())[:200]
