"""A small state file that is whole at every moment: written beside, flushed, then renamed over the old one."""

from __future__ import annotations

from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from undertow.runtime.disk import Disk, LocalDisk

T = TypeVar("T")


class CheckpointError(Exception):
    """The file is there and cannot be used: better to stop than to begin anew with wrong books."""


class Checkpoint(Generic[T]):
    """One value in one JSON file.

    Args:
        path: of the file; its directory is made when missing.
        kind: a msgspec struct type.
        disk: on which it is.
    """

    def __init__(self, path: Path, kind: type[T], disk: Disk | None = None) -> None:
        self._path = path
        self._disk = disk or LocalDisk()
        self._decoder = msgspec.json.Decoder(kind)

    def load(self) -> T | None:
        """Read it; None when there is none yet.

        Raises:
            CheckpointError: unreadable or of another shape.
        """
        try:
            return self._decoder.decode(self._disk.read(self._path))
        except FileNotFoundError:
            return None
        except (OSError, msgspec.MsgspecError) as error:
            raise CheckpointError(f"{self._path} cannot be used ({error}); restore it or move it away") from error

    def save(self, value: T) -> None:
        """Replace it; a crash leaves the old or the new one, never half, and the new one once this has returned.

        Raises:
            OSError: the disk refuses.
        """
        self._disk.make_directory(self._path.parent)
        beside = self._path.with_suffix(".new")
        file = self._disk.create(beside)
        try:
            file.write(msgspec.json.encode(value))
            file.sync()
        finally:
            file.close()
        self._disk.replace(self._path, beside)
