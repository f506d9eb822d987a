"""A store: all rows there are, written by one or more writers and read as one dataset a topic.

```python
store = Store(LocalFiles(Path("var/snapshots")))
writer = store.writer("import")
writer.commit([Part(place_of(rows[0].message), table_of(Trades, rows))], state=b'{"archives": ["…"]}')
store.dataset(Trades).to_table()
```
"""

from __future__ import annotations

import os
import re
import socket
import weakref
from collections.abc import Callable, Collection, Iterable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import date
from secrets import token_hex
from typing import Any, Final

import msgspec
import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq

from undertow.contracts.messages.base import Message
from undertow.storage.errors import StoreDamagedError, StoreRefusedError, StoreTakenError
from undertow.storage.files import ALONE, Files
from undertow.storage.layout import (
    PROGRESS_FOLDER,
    WRITER_PATTERN,
    Committed,
    PartFile,
    Place,
    counting,
    part_file,
    progress_path,
    topic_of,
)
from undertow.storage.schema import schema_of

MOST_VOID: Final = 64
"""Void numbers remembered, one an opening; a process would have to live on through as many successors to be forgotten."""
TRIES: Final = 10
"""How often in a row another process may open the same writer at the same moment."""


class Progress(msgspec.Struct, frozen=True):
    """What a writer's progress file says.

    Attributes:
        commit: number of its last commit; 0 before the first.
        state: whatever the writer must know when it starts again, replaced together with the number.
        void: the latest numbers that never count.
        holder: the process that has opened the writer last, and a word that is its alone.
    """

    commit: int = 0
    state: msgspec.Raw = msgspec.Raw(b"null")
    void: tuple[int, ...] = ()
    holder: str = ""

    @property
    def committed(self) -> Committed:
        """What counts."""
        return Committed(self.commit, frozenset(self.void))


@dataclass(frozen=True, slots=True)
class Part:
    """Rows for one file, as `undertow.storage.schema` shapes them."""

    place: Place
    table: pa.Table


@dataclass(frozen=True, slots=True)
class Done:
    """What a commit has written."""

    rows: int
    files: tuple[PartFile, ...]


class Writer:
    """One writer of a store; of the processes that open the same one, the last alone writes. `Store.writers` makes it.

    Every commit is one span of work that counts wholly or not at all: its files first, each whole before it can be seen, then the
    progress file, in the place of the very one that this process wrote before. Whoever opens the writer replaces that file first, so a
    process that lives on unknown to its successor fails at its next commit; the number of that commit is void from then on, so that
    nothing it may still write counts. (A directory refuses the second process already when it opens.)
    """

    def __init__(self, files: Files, name: str, followed: tuple[Progress, str], let_go: Callable[[], None]) -> None:
        self._files = files
        self._name = name
        self._progress, self._mark = followed
        self._let_go = weakref.finalize(self, let_go)

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

    def commit(self, parts: Iterable[Part], state: bytes) -> Done:
        """Write parts so that all of them count or none; after an error the same may be tried again.

        Args:
            parts: taken one by one, so that they may be made while they are written; at most one for each place.
            state: JSON; given back by `progress` at the next start.

        Raises:
            OSError: the disk refuses; nothing of the commit counts.
            StoreRefusedError: the store refuses; nothing of the commit counts.
            StoreTakenError: another process has opened this writer since; nothing that is written here will count.
        """
        number, rows, written = self._progress.commit + 1, 0, []
        for part in parts:
            written.append(PartFile(part.place, self._name, number, number))
            write_rows(self._files, written[-1], part.table)
            rows += part.table.num_rows
        progress = msgspec.structs.replace(self._progress, commit=number, state=msgspec.Raw(state))
        try:
            self._mark = self._files.swap(progress_path(self._name), msgspec.json.encode(progress), self._mark)
        except StoreTakenError:
            holder = read_progress(self._files, self._name).holder
            raise StoreTakenError(
                f"{self._files.address}: {holder or 'another process'} writes as {self._name} now", ALONE
            ) from None
        self._progress = progress
        return Done(rows, tuple(written))


class Store:
    """All rows below one root."""

    def __init__(self, files: Files) -> None:
        self.files = files

    @property
    def address(self) -> str:
        """Where it is, for people."""
        return self.files.address

    def writer(self, name: str) -> Writer:
        """Open one writer; see `writers`."""
        return self.writers((name,))[name]

    def writers(self, names: Iterable[str]) -> dict[str, Writer]:
        """Open writers, all or none; removes what their last processes left unfinished.

        Raises:
            StoreRefusedError: the store cannot be written, or somebody holds a name.
            StoreDamagedError: a progress file cannot be read.
            ValueError: a name is none.
        """
        names = list(names)
        for name in names:
            if re.fullmatch(WRITER_PATTERN, name) is None:
                raise ValueError(f"{name!r} is not a writer's name: letters, digits, dots, _ and -")
        with ExitStack() as given_up:
            claims = {}
            for name in names:
                claims[name] = self.files.claim(name)
                given_up.callback(claims[name])
            self.files.prepare([end for name in names for end in (f".{name}.parquet", f"{name}.json")])
            followed = {name: _followed(self.files, name) for name in names}
            given_up.pop_all()
        opened = {name: Writer(self.files, name, followed[name], claims[name]) for name in names}
        found = (part_file(path) for path in self.files.paths())
        self.files.remove(
            file.path
            for file in found
            if file is not None and file.writer in opened and opened[file.writer].progress.committed.voids(file)
        )
        return opened

    def progress(self, family: str = "") -> dict[str, Progress]:
        """Give the progress of each writer whose name begins so.

        Raises:
            StoreDamagedError: a progress file cannot be read.
        """
        names = [path.rpartition("/")[2].removesuffix(".json") for path in self.files.paths(PROGRESS_FOLDER)]
        return {name: read_progress(self.files, name) for name in sorted(names) if name.startswith(family)}

    def part_files(self, topic: str | None = None, dates: Collection[date] | None = None) -> list[PartFile]:
        """Give the files that count now, of one topic or of all, of some dates or of all.

        Raises:
            StoreDamagedError: a progress file cannot be read.
        """
        committed = {
            name: each.committed for name, each in self.progress().items()
        }  # before the list: what is committed later has files that we leave out
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
    raw = files.read(progress_path(writer))
    return Progress() if raw is None else _decoded(files, writer, raw)


def _followed(files: Files, name: str) -> tuple[Progress, str]:
    for _ in range(TRIES):
        found = files.marked(progress_path(name))
        last = Progress() if found is None else _decoded(files, name, found.content)
        begun = last.commit + 1  # perhaps, by a process that may still live
        holder = f"{socket.gethostname()}/{os.getpid()}/{token_hex(4)}"
        progress = Progress(begun, last.state, (*last.void, begun)[-MOST_VOID:], holder)
        with suppress(StoreTakenError):  # another process opens it at this moment: after it, then
            mark = None if found is None else found.mark
            return progress, files.swap(progress_path(name), msgspec.json.encode(progress), mark)
    raise StoreRefusedError(f"{files.address}: other processes open {name} all the time", ALONE)


def _decoded(files: Files, name: str, content: bytes) -> Progress:
    try:
        return msgspec.json.decode(content, type=Progress)
    except msgspec.DecodeError as error:
        raise StoreDamagedError(
            f"{files.address}/{progress_path(name)} is damaged ({error}); restore it, or start with another directory: "
            "without it nobody knows which files count"
        ) from None


def _guarantee(place: Place) -> Any:
    field = pads.field
    return (
        (field("date") == pa.scalar(place.date, pa.date32()))
        & (field("hour") == pa.scalar(place.hour, pa.int8()))
        & (field("symbol") == place.symbol)
    )
