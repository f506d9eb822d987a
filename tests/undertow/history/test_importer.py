"""Archives in a store: each once, wholly or not at all."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.undertow.history.archives import (
    AT_MS,
    AT_S,
    EVENT_HEADER,
    SNAPSHOT,
    TRADE_HEADER,
    book,
    event,
    packed,
    tardis,
    trade,
    trades,
)
from undertow.contracts.messages.market import Book, Gap, Liquidations, Resync, Trades
from undertow.history.archive import ArchiveError, opened
from undertow.history.bybit_trades import read_bybit_trades
from undertow.history.importer import Importer, _Shelves
from undertow.storage.files import LocalFiles
from undertow.storage.store import Store

ROOT = Path(__file__).parents[3]
HOUR_S = 3600


def store_of(tmp_path: Path) -> Store:
    return Store(LocalFiles(tmp_path / "store"))


def take(store: Store, source: str, path: Path):
    return Importer(store).take(source, path, lambda _: None)


def rows(store: Store, kind) -> list[dict]:
    return sorted(store.dataset(kind).to_table().to_pylist(), key=lambda row: row["producer_sequence"])


def files(store: Store) -> list[str]:
    return sorted(path for path in store.files.paths() if path.endswith(".parquet"))


def day(path: Path, hours: int = 3, faulty: bool = False) -> Path:
    lines = [
        trade(f".{number:04}", n=number).replace(str(AT_S), str(AT_S + hour * HOUR_S + 5))
        for hour in range(hours)
        for number in range(20)
    ]
    return trades(path, *lines, *(["nonsense"] if faulty else []))


def test_rows_have_the_fleets_own_shape_and_say_where_they_are_from(tmp_path):
    store = store_of(tmp_path)
    outcome = take(store, "bybit-trades", trades(tmp_path / "BTCUSDT2026-08-10.csv.gz", trade(".5"), trade(".6", n=2)))
    assert (outcome.is_new, outcome.rows, outcome.gaps) == (True, 2, 0)
    first, second = rows(store, Trades)
    assert (first["symbol"], first["ts_event"]) == ("BTCUSDT", AT_S * 10**9 + 500_000_000)
    (only,) = first["trades"]
    assert (only["side"], only["price"], only["size"], only["trade_id"]) == ("Buy", "65065.80", "0.038", "match-1")
    assert first["producer"] == second["producer"]
    assert first["producer"].startswith("import:bybit-trades:")
    assert [first["producer_sequence"], second["producer_sequence"]] == [1, 2]
    assert first["stream_key"] == "BTCUSDT2026-08-10.csv.gz"


def test_books_gaps_and_liquidations_lie_beside_each_other(tmp_path):
    store = store_of(tmp_path)
    outcome = take(store, "bybit-books", packed(tmp_path / "a.data.zip", [SNAPSHOT, book(1100, "delta", 9)]))
    assert (outcome.rows, outcome.gaps) == (4, 1)
    take(store, "tardis", tardis(tmp_path / "liquidations.csv", EVENT_HEADER, event(0, "sell", "65000", "1")))
    assert [row["update_id"] for row in rows(store, Book)] == [7, 9]
    assert [row["reason"] for row in rows(store, Gap)] == ["update_id"]
    assert [row["producer_sequence"] for kind in (Resync, Gap, Book) for row in rows(store, kind)] == [1, 3, 2, 4]
    (row,) = rows(store, Liquidations)
    assert row["liquidations"][0]["position_side"] == "Buy"


def test_importing_twice_adds_nothing_whatever_the_name(tmp_path):
    store = store_of(tmp_path)
    path = day(tmp_path / "a.csv.gz")
    assert take(store, "bybit-trades", path).rows == 60
    before, stored = files(store), rows(store, Trades)
    again = take(store, "bybit-trades", path.rename(tmp_path / "b.csv.gz"))
    assert (again.is_new, again.rows) == (False, 0)
    assert (files(store), rows(store, Trades)) == (before, stored)


def test_an_hour_is_a_file(tmp_path):
    store = store_of(tmp_path)
    take(store, "bybit-trades", day(tmp_path / "a.csv", hours=3))
    assert len(files(store)) == 3


def test_a_damaged_archive_leaves_nothing_and_those_before_it_stay(tmp_path):
    store = store_of(tmp_path)
    importer = Importer(store)
    importer.take("bybit-trades", day(tmp_path / "good.csv"), lambda _: None)
    before = files(store)
    bad = day(tmp_path / "bad.csv", hours=5, faulty=True)
    with pytest.raises(ArchiveError, match=r"bad\.csv, line 102: has 1 columns"):
        importer.take("bybit-trades", bad, lambda _: None)
    assert files(store) == before
    bad.write_text(bad.read_text().replace("nonsense\n", ""))
    assert importer.take("bybit-trades", bad, lambda _: None).rows == 100
    assert len(rows(store, Trades)) == 160


class FullDisk(LocalFiles):
    """A store without room for rows."""

    def write(self, path, fill):
        if path.endswith(".parquet"):
            raise OSError(errno.ENOSPC, "No space left on device", path)
        super().write(path, fill)


def test_a_full_disk_is_not_taken_for_a_damaged_archive(tmp_path):
    store = Store(FullDisk(tmp_path / "store"))
    with pytest.raises(OSError, match="No space left on device"):
        take(store, "bybit-trades", day(tmp_path / "good.csv"))
    assert files(store) == []


def test_an_archive_without_rows_is_refused(tmp_path):
    with pytest.raises(ArchiveError, match="holds nothing"):
        take(store_of(tmp_path), "bybit-trades", packed(tmp_path / "a.csv", [TRADE_HEADER]))


def test_what_happened_long_before_the_rows_above_it_is_refused(tmp_path):
    lines = [SNAPSHOT, book(3 * HOUR_S * 1000, "delta", 8), book(3 * HOUR_S * 1000 + 1, "delta", 9)]
    lines[2] = lines[2].replace(f'"cts": {AT_MS + 3 * HOUR_S * 1000 - 3}', f'"cts": {AT_MS}')
    store = store_of(tmp_path)
    with pytest.raises(ArchiveError, match=r"line 3: happened more than a minute before rows above it"):
        take(store, "bybit-books", packed(tmp_path / "a.data", lines))
    assert files(store) == []


def test_a_few_seconds_out_of_order_around_the_hour_are_no_matter(tmp_path):
    end = HOUR_S * 1000 - AT_MS % (HOUR_S * 1000)
    lines = [SNAPSHOT, book(end + 5, "delta", 8), book(end + 6, "delta", 9)]
    lines[2] = lines[2].replace(f'"cts": {AT_MS + end + 2}', f'"cts": {AT_MS + end - 900}')
    store = store_of(tmp_path)
    assert take(store, "bybit-books", packed(tmp_path / "a.data", lines)).rows == 4
    assert len(rows(store, Book)) == 3


SLOWLY = """
import sys, time
from pathlib import Path
from undertow.history.importer import Importer
from undertow.storage.files import LocalFiles
from undertow.storage.store import Store
write = LocalFiles.write
def slowly(self, path, fill):
    write(self, path, fill)
    print(path, flush=True)
    time.sleep(0.05)
LocalFiles.write = slowly
Importer(Store(LocalFiles(Path(sys.argv[1])))).take("bybit-trades", Path(sys.argv[2]), lambda _: None)
"""


@pytest.mark.parametrize("written", [1, 3])
def test_an_import_that_is_killed_leaves_nothing_that_counts_and_is_repeated(tmp_path, written):
    store = store_of(tmp_path)
    path = day(tmp_path / "a.csv", hours=6)
    with subprocess.Popen(
        [sys.executable, "-c", SLOWLY, str(tmp_path / "store"), str(path)], cwd=ROOT, stdout=subprocess.PIPE
    ) as process:
        for _ in range(written):
            process.stdout.readline()
        os.kill(process.pid, signal.SIGKILL)
    assert store.part_files() == []
    assert take(store, "bybit-trades", path).rows == 120
    stored = rows(store, Trades)
    assert [row["producer_sequence"] for row in stored] == list(range(1, 121))
    assert len(files(store)) == 6


def test_progress_is_told_in_bytes_of_the_file(tmp_path):
    lines = [trade(f".{number:04}", n=number) for number in range(9_999)]
    path = trades(tmp_path / "a.csv", *lines)
    told: list[int] = []
    Importer(store_of(tmp_path)).take("bybit-trades", path, told.append)
    assert told
    assert told == sorted(told)
    assert 0 < told[-1] <= path.stat().st_size


def test_no_more_hours_are_held_than_are_open(tmp_path):
    """Hours are written while the archive is read, not at its end."""
    store, path = store_of(tmp_path), day(tmp_path / "a.csv", hours=12)
    seen: list[int] = []
    with opened(path) as archive:
        shelves = _Shelves(archive, "import:test", lambda _: None)

        def told():
            for message in read_bybit_trades(archive):
                yield message
                seen.append(len(shelves._shelves))

        places = [part.place.hour for part in shelves.parts(told())]
    assert len(places) == 12
    assert max(seen) == 2
    assert store.part_files() == []
