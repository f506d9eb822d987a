"""Many small files become one per partition, replaced ones go, and days past their keeping go.

A compaction writes one file for all of a writer's files of a partition; by its name it stands for them (`undertow.storage.layout`), so
readers change over at the moment of its rename, and see each row once before and after. The replaced files stay for a while, for readers
that have opened them. A crash at any moment needs no healing but what opening the writer does: an unfinished file goes, a finished one
stands.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from undertow.contracts.messages.base import Message
from undertow.storage.files import Files
from undertow.storage.kinds import KINDS
from undertow.storage.layout import LATE_NS, Committed, PartFile, Place, counting, part_file, place_at, replaced
from undertow.storage.schema import schema_of
from undertow.storage.store import Writer, dataset_of

ROWS_PER_GROUP: Final = 50_000
BATCH_ROWS: Final = 8_192
Shelf = tuple[Place, str]
"""A partition, and the writer of these files in it."""


@dataclass(frozen=True, slots=True)
class Rules:
    """When to tidy.

    Attributes:
        most_files: files of a partition in the running hour before they are made one.
        grace_s: how long replaced files stay, wall seconds.
        keep_days: days that are kept besides the running one; 0 keeps all.
    """

    most_files: int
    grace_s: float
    keep_days: int


@dataclass(frozen=True, slots=True)
class Tidied:
    """What one round did, in files."""

    written: int
    removed: int
    expired: int


class Housekeeper:
    """Tidies the files of writers; runs beside their commits, in the same process.

    What it costs follows what was written: it knows the partitions that are not settled yet and looks into no other. The whole store is
    listed at the first round, and again each day, for what expires and for what came from elsewhere.

    Args:
        writers: whose files; those of others are left alone.
    """

    def __init__(self, files: Files, writers: Collection[Writer], rules: Rules) -> None:
        self._files = files
        self._writers = {writer.name: writer for writer in writers}
        self._rules = rules
        self._written: deque[PartFile] = deque()
        self._unsettled: dict[Shelf, set[PartFile]] = {}
        self._replaced_s: dict[PartFile, float] = {}  # since when
        self._looked_on: date | None = None

    def note(self, written: Iterable[PartFile]) -> None:
        """Hear of files that were committed; from any thread."""
        self._written.extend(written)

    def tidy(self, now_ns: int, monotonic_s: float) -> Tidied:
        """Do what is due.

        Args:
            now_ns: market time.
            monotonic_s: never goes back.

        Raises:
            OSError: the disk refuses; what was done stands.
        """
        committed = {name: writer.progress.committed for name, writer in self._writers.items()}
        today = datetime.fromtimestamp(now_ns // 1_000_000_000, UTC).date()
        expired = self._look_at_all(today, committed) if today != self._looked_on else 0
        self._take_note(committed)
        every = [file for files in self._unsettled.values() for file in files]
        written = []
        for group in groups_to_compact(counting(every, committed), now_ns, self._rules.most_files):
            merged = compact(self._files, group)
            if merged is None:  # a newer version's; looked at again tomorrow
                del self._unsettled[shelf_of(group[0])]
            else:
                self._unsettled[shelf_of(merged)].add(merged)
                written.append(merged)
        gone = replaced([*every, *written], committed)
        self._replaced_s = {file: self._replaced_s.get(file, monotonic_s) for file in gone}
        old = [file for file, since_s in self._replaced_s.items() if monotonic_s - since_s >= self._rules.grace_s]
        self._files.remove(file.path for file in old)
        for file in old:
            self._unsettled.get(shelf_of(file), set()).discard(file)
            del self._replaced_s[file]
        running = place_at("", "", now_ns - LATE_NS)
        self._unsettled = {
            shelf: files for shelf, files in self._unsettled.items() if len(files) > 1 or is_running(shelf[0], running)
        }
        return Tidied(len(written), len(old), expired)

    def _look_at_all(self, today: date, committed: Mapping[str, Committed]) -> int:
        found = (part_file(path) for path in self._files.paths())
        own = {file for file in found if file is not None and file.writer in committed}
        keep = self._rules.keep_days
        expired = {file for file in own if keep and file.place.date < today - timedelta(days=keep)}
        void = {file for file in own if committed[file.writer].voids(file)}
        self._files.remove(file.path for file in expired | void)
        shelves: dict[Shelf, set[PartFile]] = {}
        for file in own - expired - void:
            shelves.setdefault(shelf_of(file), set()).add(file)
        self._unsettled = {shelf: files for shelf, files in shelves.items() if len(files) > 1}
        self._looked_on = today
        return len(expired)

    def _take_note(self, committed: Mapping[str, Committed]) -> None:
        while self._written:
            file = self._written.popleft()
            shelf = shelf_of(file)
            if shelf not in self._unsettled:  # late rows, or a new hour
                there = {each for path in self._files.paths(file.place.folder) if (each := part_file(path)) is not None}
                self._unsettled[shelf] = {
                    each for each in there if shelf_of(each) == shelf and not committed[file.writer].voids(each)
                }
            self._unsettled[shelf].add(file)


def shelf_of(file: PartFile) -> Shelf:
    """Give whose files of which partition it stands among."""
    return file.place, file.writer


def is_running(place: Place, running: Place) -> bool:
    """Answer whether a partition's hour is still expected to grow."""
    return (place.date, place.hour) >= (running.date, running.hour)


def groups_to_compact(files: Iterable[PartFile], now_ns: int, most_files: int) -> list[list[PartFile]]:
    """Give the groups of files that should become one: of hours that are over, and where there are too many.

    Args:
        files: that count now.
        now_ns: market time.
        most_files: more than so many are too many.
    """
    shelves: dict[Shelf, list[PartFile]] = {}
    for file in files:
        shelves.setdefault(shelf_of(file), []).append(file)
    running = place_at("", "", now_ns - LATE_NS)
    return [
        sorted(group, key=lambda file: file.first)
        for (place, _), group in sorted(shelves.items())
        if len(group) > 1 and (len(group) > most_files or not is_running(place, running))
    ]


def compact(files: Files, group: list[PartFile]) -> PartFile | None:
    """Write one file for a group of one partition, a batch of rows at a time; None when a newer version wrote columns we do not know.

    Raises:
        OSError: the disk refuses; nothing has changed.
    """
    kind = KINDS.get(group[0].place.topic)
    if kind is None or not all(_is_known(files, file, kind) for file in group):
        return None
    merged = PartFile(group[0].place, group[0].writer, group[0].first, group[-1].last)

    def fill(file: object) -> None:
        with pq.ParquetWriter(file, schema_of(kind), compression="zstd") as writer:
            for table in _row_groups(files, group, kind):
                writer.write_table(table)

    files.write(merged.path, fill)
    return merged


def _row_groups(files: Files, group: list[PartFile], kind: type[Message]) -> Iterator[pa.Table]:
    schema = schema_of(kind)
    waiting: list[pa.RecordBatch] = []
    for file in group:
        dataset = dataset_of(files, kind, [file])
        for batch in dataset.to_batches(
            columns=schema.names, batch_size=BATCH_ROWS, batch_readahead=1, fragment_readahead=1, use_threads=False
        ):
            waiting.append(batch)
            if sum(each.num_rows for each in waiting) >= ROWS_PER_GROUP:
                yield pa.Table.from_batches(waiting).cast(schema)
                waiting = []
    if waiting:
        yield pa.Table.from_batches(waiting).cast(schema)


def _is_known(files: Files, file: PartFile, kind: type[Message]) -> bool:
    return set(pq.read_schema(file.path, filesystem=files.filesystem).names) <= set(schema_of(kind).names)
