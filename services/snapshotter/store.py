"""Parquet parts on disk: visible by atomic rename after fsync, never half.

A flush writes several parts that together belong to one span of the streams. `progress.json` names, per stream key, the last entry id
on disk; it is replaced (again atomically) after the parts. A crash in between leaves parts that the progress does not know: they are
removed at the next start, because their rows will be delivered again.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec
import pyarrow.parquet as pq

from services.snapshotter.core import Part
from services.snapshotter.schema import table_of

_PROGRESS = "progress.json"


class _Progress(msgspec.Struct):
    stored: dict[str, str]
    parts: list[str]


class SnapshotError(Exception):
    """The store is damaged or cannot be written; names the file and the remedy."""


class SnapshotStore:
    """A directory of Parquet parts, partitioned by topic / date / hour / symbol."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._file = root / _PROGRESS

    def open(self) -> dict[str, str]:
        """Make or check the directory, remove unfinished files; give stream key → last stored entry id.

        Raises:
            SnapshotError: it cannot be written, or its progress file is damaged.
        """
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            for part in self._root.rglob("*.part"):
                part.unlink()
        except OSError as error:
            raise SnapshotError(
                f"snapshot directory {self._root}: {error}; choose another with UNDERTOW_SNAPSHOT__ROOT"
            ) from None
        progress = self._progress()
        for name in progress.parts:  # announced by the last flush: finished only if progress was replaced after it
            (self._root / name).unlink(missing_ok=True)
        if progress.parts:
            self._replace(_Progress(progress.stored, []))
        return progress.stored

    def write(self, parts: Iterable[Part], stored_after: Mapping[str, str]) -> int:
        """Write parts so that all of them count, or none; give the number of rows."""
        parts = list(parts)
        self._replace(_Progress(self._progress().stored, [str(part.path) for part in parts]))
        rows = sum(self._write(part) for part in parts)
        self._replace(_Progress(dict(stored_after), []))
        return rows

    def _write(self, part: Part) -> int:
        path = self._root / part.path
        path.parent.mkdir(parents=True, exist_ok=True)
        table = table_of(part.kind, part.deliveries)
        unfinished = path.with_suffix(".part")
        with unfinished.open("wb") as file:
            pq.write_table(table, file, compression="zstd")
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
        return len(part.deliveries)

    def _progress(self) -> _Progress:
        try:
            return msgspec.json.decode(self._file.read_bytes(), type=_Progress)
        except FileNotFoundError:
            return _Progress({}, [])
        except msgspec.DecodeError as error:
            raise SnapshotError(
                f"{self._file} is damaged ({error}); move it away and rows since the last flush may be stored twice"
            ) from None

    def _replace(self, progress: _Progress) -> None:
        unfinished = self._file.with_suffix(".part")
        with unfinished.open("wb") as file:
            file.write(msgspec.json.encode(progress))
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(self._file)
