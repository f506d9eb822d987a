"""Many small files become one per partition, replaced ones go, and days past their keeping go.

A compaction writes one file for all of a writer's files of a partition; by its name it stands for them (`undertow.storage.layout`), so
readers change over at the moment of its rename, and see each row once before and after. The replaced files stay for a while, for readers
that have opened them. A crash at any moment needs no healing but what opening the writer does: an unfinished file goes, a finished one
stands.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from undertow.contracts.messages.base import Message
from undertow.storage.files import Files
from undertow.storage.kinds import KINDS
from undertow.storage.layout import LATE_NS, PartFile, Place, counting, part_file, place_at, replaced
from undertow.storage.schema import schema_of
from undertow.storage.store import Writer, dataset_of

ROWS_PER_GROUP: Final = 50_000
BATCH_ROWS: Final = 8_192


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
    """Tidies the files of one writer; runs beside its commits, in the same process.

    Args:
        writer: whose files; those of others are left alone.
    """

    def __init__(self, files: Files, writer: Writer, rules: Rules) -> None:
        self._files = files
        self._writer = writer
        self._rules = rules
        self._replaced_s: dict[PartFile, float] = {}  # since when

    def tidy(self, now_ns: int, monotonic_s: float) -> Tidied:
        """Do what is due.

        Args:
            now_ns: market time.
            monotonic_s: never goes back.

        Raises:
            OSError: the disk refuses; what was done stands.
        """
        committed = {self._writer.name: self._writer.progress.commit}
        own = [file for path in self._files.paths() if (file := part_file(path)) and file.writer == self._writer.name]
        expired = [file for file in own if self._is_expired(file, now_ns)]
        self._files.remove(file.path for file in expired)
        left = set(own) - set(expired)
        due = groups_to_compact(counting(left, committed), now_ns, self._rules.most_files)
        written = [merged for group in due if (merged := compact(self._files, group)) is not None]
        gone = replaced(left | set(written), committed)
        self._replaced_s = {file: self._replaced_s.get(file, monotonic_s) for file in gone}
        old = [file for file, since_s in self._replaced_s.items() if monotonic_s - since_s >= self._rules.grace_s]
        self._files.remove(file.path for file in old)
        return Tidied(len(written), len(old), len(expired))

    def _is_expired(self, file: PartFile, now_ns: int) -> bool:
        if not self._rules.keep_days:
            return False
        today: date = datetime.fromtimestamp(now_ns // 1_000_000_000, UTC).date()
        return file.place.date < today - timedelta(days=self._rules.keep_days)


def groups_to_compact(files: Iterable[PartFile], now_ns: int, most_files: int) -> list[list[PartFile]]:
    """Give the groups of files that should become one: of hours that are over, and where there are too many.

    Args:
        files: of one writer, that count now.
        now_ns: market time.
        most_files: more than so many are too many.
    """
    partitions: dict[Place, list[PartFile]] = {}
    for file in files:
        partitions.setdefault(file.place, []).append(file)
    running = place_at("", "", now_ns - LATE_NS)
    return [
        sorted(group, key=lambda file: file.first)
        for place, group in sorted(partitions.items())
        if len(group) > 1 and (len(group) > most_files or (place.date, place.hour) < (running.date, running.hour))
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
