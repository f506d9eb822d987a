"""Archives into a store: each wholly or not at all, each once.

An archive is one commit of the writer `import`: its rows count from the moment at which its last one is safe. What was interrupted or
turns out to be damaged leaves nothing; what is in already, told by its content, is left out. So an import can be stopped and repeated at
any moment.

Memory holds the rows of the hours that are open: an hour is written when the archive is a minute past it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec
import pyarrow as pa

from undertow.contracts.messages.base import Message
from undertow.contracts.messages.market import Gap
from undertow.history.archive import Archive, ArchiveError, digest, opened
from undertow.history.bybit_books import read_bybit_books
from undertow.history.bybit_trades import read_bybit_trades
from undertow.history.recordings import read_recording
from undertow.history.tardis import read_tardis
from undertow.storage.errors import StoreTakenError
from undertow.storage.layout import HOUR_NS, NO_SYMBOL, Place, place_at, topic_of
from undertow.storage.schema import Record, table_of
from undertow.storage.store import Part, Store

WRITER: Final = "import"
READERS: Final[dict[str, Callable[[Archive], Iterator[Message]]]] = {
    "bybit-trades": read_bybit_trades,
    "bybit-books": read_bybit_books,
    "tardis": read_tardis,
    "recording": read_recording,
}
"""What can be imported."""
_LATE_NS: Final = 60_000_000_000
_CHUNK: Final = 4_096
_TOLD_EACH: Final = 5_000


class _Known(msgspec.Struct, frozen=True):
    source: str
    name: str


class _State(msgspec.Struct):
    archives: dict[str, _Known] = {}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an import made of an archive.

    Attributes:
        path: the file.
        is_new: False for one that was in already, of which nothing else is known.
        rows: messages.
        gaps: of them gaps.
        begin_ns: first event.
        end_ns: last event.
    """

    path: Path
    is_new: bool = False
    rows: int = 0
    gaps: int = 0
    begin_ns: int = 0
    end_ns: int = 0


class Importer:
    """The one writer of imported rows in a store; two processes must not import into the same store at a time.

    Raises:
        StorageError: the store cannot be written, or is damaged.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._writer = store.writer(WRITER)
        self._state = msgspec.json.decode(self._writer.progress.state, type=_State | None) or _State()

    def take(self, source: str, path: Path, told: Callable[[int], None]) -> Outcome:
        """Import one archive.

        Args:
            source: of `READERS`.
            path: the file.
            told: called now and then with the bytes of the file that are done.

        Raises:
            ArchiveError: it is damaged, or not of this source; nothing of it is stored.
            OSError: the disk refuses; nothing of it is stored.
            StorageError: the store refuses, or another import has begun; nothing of it is stored.
        """
        mark = digest(path)
        if mark in self._state.archives:
            return Outcome(path)
        state = _State({**self._state.archives, mark: _Known(source, path.name)})
        try:
            with opened(path) as archive:
                shelves = _Shelves(archive, producer=f"import:{source}:{mark}", told=told)
                self._writer.commit(shelves.parts(READERS[source](archive)), msgspec.json.encode(state))
        except StoreTakenError:  # another import has begun, and clears away what we have left
            raise
        except BaseException:  # interrupted too: what was begun is cleared away
            self._writer.close()
            self._writer = self._store.writer(WRITER)  # removes what the commit that was given up has left
            raise
        self._state = state
        return shelves.outcome()


@dataclass(slots=True)
class _Shelf:
    place: Place
    kind: type[Message]
    rows: list[Record] = field(default_factory=list)
    tables: list[pa.Table] = field(default_factory=list)

    def pack(self) -> None:
        self.tables.append(table_of(self.kind, self.rows))
        self.rows = []

    def part(self) -> Part:
        self.pack()
        return Part(self.place, pa.concat_tables(self.tables))


class _Shelves:
    """Sorts messages into hours and gives an hour away when it is over."""

    def __init__(self, archive: Archive, producer: str, told: Callable[[int], None]) -> None:
        self.rows = 0
        self.gaps = 0
        self.begin_ns = 0
        self.end_ns = 0
        self._archive = archive
        self._producer = producer
        self._told = told
        self._shelves: dict[tuple[type[Message], str, int], _Shelf] = {}
        self._first_open = 0

    def parts(self, messages: Iterable[Message]) -> Iterator[Part]:
        for message in messages:
            self._put(message)
            if self.end_ns - _LATE_NS >= (self._first_open + 1) * HOUR_NS:
                yield from self._over((self.end_ns - _LATE_NS) // HOUR_NS)
        if not self.rows:
            raise ArchiveError(self._archive.path, 0, "holds nothing", "check which source it is of")
        yield from self._over(self.end_ns // HOUR_NS + 1)

    def outcome(self) -> Outcome:
        span = {"begin_ns": self.begin_ns, "end_ns": self.end_ns}
        return Outcome(self._archive.path, is_new=True, rows=self.rows, gaps=self.gaps, **span)

    def _put(self, message: Message) -> None:
        at_ns = message.ts_event
        hour = at_ns // HOUR_NS
        if not self.rows:
            self.begin_ns, self._first_open = at_ns, hour - 1  # the first event may not be the earliest
        if hour < self._first_open:
            raise self._archive.fault("happened more than a minute before rows above it", "sort it by time")
        self.rows += 1
        self.gaps += isinstance(message, Gap)
        self.begin_ns, self.end_ns = min(self.begin_ns, at_ns), max(self.end_ns, at_ns)
        symbol = getattr(message, "symbol", "") or NO_SYMBOL
        key = (type(message), symbol, hour)
        shelf = self._shelves.get(key)
        if shelf is None:
            shelf = self._shelves[key] = _Shelf(place_at(topic_of(type(message)), symbol, at_ns), type(message))
        shelf.rows.append(Record(message, self._archive.path.name, self._producer, self.rows))
        if len(shelf.rows) >= _CHUNK:
            shelf.pack()
        if self.rows % _TOLD_EACH == 0:
            self._told(self._archive.position)

    def _over(self, before: int) -> Iterator[Part]:
        self._first_open = before
        for key in [key for key in self._shelves if key[2] < before]:
            yield self._shelves.pop(key).part()
