"""A small state file that is whole at every moment: written beside, flushed, then renamed over the old one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

T = TypeVar("T")


class CheckpointError(Exception):
    """The file is there and cannot be used: better to stop than to begin anew with wrong books."""


class Checkpoint(Generic[T]):
    """One value in one JSON file.

    Args:
        path: of the file; its directory is made when missing.
        kind: a msgspec struct type.
    """

    def __init__(self, path: Path, kind: type[T]) -> None:
        self._path = path
        self._decoder = msgspec.json.Decoder(kind)

    def load(self) -> T | None:
        """Read it; None when there is none yet.

        Raises:
            CheckpointError: unreadable or of another shape.
        """
        try:
            return self._decoder.decode(self._path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, msgspec.MsgspecError) as error:
            raise CheckpointError(f"{self._path} cannot be used ({error}); restore it or move it away") from error

    def save(self, value: T) -> None:
        """Replace it; a crash leaves the old or the new one, never half.

        Raises:
            OSError: the disk refuses.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        beside = self._path.with_suffix(".new")
        with beside.open("wb") as file:
            file.write(msgspec.json.encode(value))
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._path)
