"""A store: all rows there are, written by one or more writers and read as one dataset a topic.

```python
store = Store(LocalFiles(Path("var/snapshots")))
writer = store.writer("import")
writer.commit([Part(place_of(rows[0].message), table_of(Trades, rows))], state=b'{"archives": ["…"]}')
store.dataset(Trades).to_table()
```
"""

from __future__ import annotations

import re
import weakref
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq

from undertow.contracts.messages.base import Message
from undertow.storage.errors import StoreDamagedError
from undertow.storage.files import Files
from undertow.storage.layout import (
    PROGRESS_FOLDER,
    WRITER_PATTERN,
    PartFile,
    Place,
    counting,
    part_file,
    progress_path,
    topic_of,
)
from undertow.storage.schema import schema_of


class Progress(msgspec.Struct, frozen=True):
    """What a writer's progress file says.

    Attributes:
        commit: number of its last commit; 0 before the first.
        state: whatever the writer must know when it starts again, replaced together with the number.
    """

    commit: int = 0
    state: msgspec.Raw = msgspec.Raw(b"null")


@dataclass(frozen=True, slots=True)
class Part:
    """Rows for one file, as `undertow.storage.schema` shapes them."""

    place: Place
    table: pa.Table


class Writer:
    """One writer of a store; two processes never share a name (a directory refuses the second).

    Every commit is one span of work that counts wholly or not at all: its files first, each whole before it can be seen, then the
    progress file. Files of a commit that the progress does not name are removed when the writer is opened.
    """

    def __init__(self, files: Files, name: str) -> None:
        if re.fullmatch(WRITER_PATTERN, name) is None:
            raise ValueError(f"{name!r} is not a writer's name: letters, digits, dots, _ and -")
        self._files = files
        self._name = name
        self._let_go = weakref.finalize(self, files.claim(name))
        files.prepare([f".{name}.parquet", f"{name}.json"])
        self._progress = read_progress(files, name)
        found = (part_file(path) for path in files.paths())
        files.remove(f.path for f in found if f is not None and f.writer == name and f.last > self._progress.commit)

    @property
    def name(self) -> str:
        """Its name."""
        return self._name

    @property
    def progress(self) -> Progress:
        """What counts now."""
        return self._progress

    def close(self) -> None:
        """Let go of the name; nothing may be committed after."""
        self._let_go()

    def commit(self, parts: Iterable[Part], state: bytes) -> int:
        """Write parts so that all of them count or none; give the number of rows.

        Args:
            parts: taken one by one, so that they may be made while they are written; at most one for each place.
            state: JSON; given back by `progress` at the next start.

        Raises:
            OSError: the disk refuses; nothing of the commit counts.
        """
        number, rows = self._progress.commit + 1, 0
        for part in parts:
            write_rows(self._files, PartFile(part.place, self._name, number, number), part.table)
            rows += part.table.num_rows
        progress = Progress(number, msgspec.Raw(state))
        self._files.write(progress_path(self._name), lambda file: file.write(msgspec.json.encode(progress)))
        self._progress = progress
        return rows


class Store:
    """All rows below one root."""

    def __init__(self, files: Files) -> None:
        self.files = files

    @property
    def address(self) -> str:
        """Where it is, for people."""
        return self.files.address

    def writer(self, name: str) -> Writer:
        """Open a writer; removes what its last process left unfinished.

        Raises:
            StoreRefusedError: the store cannot be written, or somebody holds the name.
            StoreDamagedError: its progress file cannot be read.
        """
        return Writer(self.files, name)

    def part_files(self, topic: str | None = None, dates: Collection[date] | None = None) -> list[PartFile]:
        """Give the files that count now, of one topic or of all, of some dates or of all.

        Raises:
            StoreDamagedError: a progress file cannot be read.
        """
        committed = committed_of(self.files)  # before the list: what is committed later has files that we leave out
        paths = self.files.paths(f"topic={topic}" if topic else "")
        files = [file for path in paths if (file := part_file(path)) is not None]
        if dates is not None:
            files = [file for file in files if file.place.date in dates]
        return sorted(counting(files, committed), key=lambda file: file.path)

    def dataset(self, kind: type[Message], dates: Collection[date] | None = None) -> pads.Dataset:
        """Open the rows of a kind of message, ordered by place and commit; columns `date`, `hour` and `symbol` tell the place.

        Filters on these three skip whole files. The files of this moment are read, whatever is committed later.

        Raises:
            StoreDamagedError: a progress file cannot be read.
        """
        return dataset_of(self.files, kind, self.part_files(topic_of(kind), dates))


def dataset_of(files: Files, kind: type[Message], parts: Iterable[PartFile]) -> pads.Dataset:
    """Open given files as one dataset."""
    parts = list(parts)
    schema = schema_of(kind).append(pa.field("date", pa.date32())).append(pa.field("hour", pa.int8()))
    if "symbol" not in schema.names:
        schema = schema.append(pa.field("symbol", pa.string()))
    return pads.FileSystemDataset.from_paths(
        [part.path for part in parts],
        schema=schema,
        format=pads.ParquetFileFormat(),
        filesystem=files.filesystem,
        partitions=[_guarantee(part.place) for part in parts],
    )


def write_rows(files: Files, part: PartFile, table: pa.Table) -> None:
    """Write one file of rows.

    Raises:
        OSError: the disk refuses.
    """
    files.write(part.path, lambda file: pq.write_table(table, file, compression="zstd"))


def read_progress(files: Files, writer: str) -> Progress:
    """Read a writer's progress; that of a new writer when it has none.

    Raises:
        StoreDamagedError: it cannot be read.
    """
    path = progress_path(writer)
    raw = files.read(path)
    if raw is None:
        return Progress()
    try:
        return msgspec.json.decode(raw, type=Progress)
    except msgspec.DecodeError as error:
        raise StoreDamagedError(
            f"{files.address}/{path} is damaged ({error}); restore it, or start with another directory: "
            "without it nobody knows which files count"
        ) from None


def committed_of(files: Files) -> dict[str, int]:
    """Give the last commit of each writer.

    Raises:
        StoreDamagedError: a progress file cannot be read.
    """
    writers = [path.split("/")[-1].removesuffix(".json") for path in files.paths(PROGRESS_FOLDER)]
    return {writer: read_progress(files, writer).commit for writer in writers}


def _guarantee(place: Place) -> Any:
    field = pads.field
    return (
        (field("date") == pa.scalar(place.date, pa.date32()))
        & (field("hour") == pa.scalar(place.hour, pa.int8()))
        & (field("symbol") == place.symbol)
    )
