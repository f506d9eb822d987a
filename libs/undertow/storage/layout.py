"""Where rows lie, and which files count: both are told by names alone. Pure.

`topic=T/date=YYYY-MM-DD/hour=HH/symbol=S/FIRST-LAST.WRITER.parquet` holds the rows of the commits FIRST to LAST of a writer. A commit is a
set of files that count together, from the moment at which the writer's progress file names its number. A number that the progress calls
void counts never: it was perhaps begun by a process that another one has followed. A file of several commits (a compaction) stands for
every file of the same writer and partition whose commits lie within its own, so its one rename is the moment at which a reader changes
from the old files to the new one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final

from undertow.contracts.messages.base import Message

HOUR_NS: Final = 3_600_000_000_000
LATE_NS: Final = HOUR_NS // 12
"""How long after its end an hour is still expected to grow."""
NO_SYMBOL: Final = "all"
"""Stands in the place of a symbol for messages that have none."""
WRITER_PATTERN: Final = r"[A-Za-z0-9_.-]+"
PROGRESS_FOLDER: Final = "_progress"

_FILE: Final = re.compile(
    r"topic=(?P<topic>[^/]+)/date=(?P<date>\d{4}-\d\d-\d\d)/hour=(?P<hour>\d\d)/symbol=(?P<symbol>[^/]+)"
    rf"/(?P<first>\d+)-(?P<last>\d+)\.(?P<writer>{WRITER_PATTERN})\.parquet"
)


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """One partition: a kind of message, an hour of its `ts_event`, a symbol."""

    topic: str
    date: date
    hour: int
    symbol: str

    @property
    def folder(self) -> str:
        """Path below the store's root."""
        return f"topic={self.topic}/date={self.date:%Y-%m-%d}/hour={self.hour:02}/symbol={self.symbol}"


@dataclass(frozen=True, slots=True)
class PartFile:
    """One file of rows.

    Attributes:
        writer: who wrote it.
        first: number of the first commit whose rows it holds.
        last: of the last.
    """

    place: Place
    writer: str
    first: int
    last: int

    @property
    def path(self) -> str:
        """Path below the store's root."""
        return f"{self.place.folder}/{self.first:012}-{self.last:012}.{self.writer}.parquet"

    def stands_for(self, other: PartFile) -> bool:
        """Answer whether it holds all rows of another file."""
        return (
            self != other
            and (self.place, self.writer) == (other.place, other.writer)
            and self.first <= other.first
            and other.last <= self.last
        )


@dataclass(frozen=True, slots=True)
class Committed:
    """What of a writer counts.

    Attributes:
        last: number of its last commit, 0 before the first.
        void: numbers up to it that never were one.
    """

    last: int = 0
    void: frozenset[int] = frozenset()

    def has(self, file: PartFile) -> bool:
        """Answer whether all commits of a file of this writer are done."""
        return file.last <= self.last and not self.voids(file)

    def voids(self, file: PartFile) -> bool:
        """Answer whether a file of this writer belongs to a number that never becomes a commit."""
        return file.first == file.last and file.last in self.void


NOTHING: Final = Committed()


def topic_of(kind: type[Message]) -> str:
    """Give the topic of a kind of message: its tag."""
    return str(kind.__struct_config__.tag)


def place_of(message: Message) -> Place:
    """Give the partition of a message."""
    return place_at(topic_of(type(message)), getattr(message, "symbol", "") or NO_SYMBOL, message.ts_event)


def place_at(topic: str, symbol: str, ts_event: int) -> Place:
    """Give the partition of a topic and symbol at a market time in ns."""
    hour = datetime.fromtimestamp(ts_event // HOUR_NS * 3600, UTC)
    return Place(topic, hour.date(), hour.hour, symbol)


def part_file(path: str) -> PartFile | None:
    """Read a path below the root; None when it is no file of rows."""
    found = _FILE.fullmatch(path)
    if found is None:
        return None
    place = Place(found["topic"], date.fromisoformat(found["date"]), int(found["hour"]), found["symbol"])
    return PartFile(place, found["writer"], int(found["first"]), int(found["last"]))


def progress_path(writer: str) -> str:
    """Give the path of a writer's progress file."""
    return f"{PROGRESS_FOLDER}/{writer}.json"


def counting(files: Iterable[PartFile], committed: Mapping[str, Committed]) -> list[PartFile]:
    """Give the files that a reader reads: committed ones for which no other stands.

    Args:
        files: all there are, listed after `committed` was read.
        committed: what counts of each writer.
    """
    partitions: dict[tuple[Place, str], list[PartFile]] = {}
    for file in files:
        if committed.get(file.writer, NOTHING).has(file):
            partitions.setdefault((file.place, file.writer), []).append(file)
    return [file for group in partitions.values() for file in _outermost(group)]


def replaced(files: Iterable[PartFile], committed: Mapping[str, Committed]) -> list[PartFile]:
    """Give the committed files for which another one stands."""
    files = [file for file in files if committed.get(file.writer, NOTHING).has(file)]
    kept = set(counting(files, committed))
    return [file for file in files if file not in kept]


def _outermost(group: list[PartFile]) -> list[PartFile]:
    kept: list[PartFile] = []
    for file in sorted(group, key=lambda each: (each.first, -each.last)):
        if not kept or not kept[-1].stands_for(file):
            kept.append(file)
    return kept
