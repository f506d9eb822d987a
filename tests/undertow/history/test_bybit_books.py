from __future__ import annotations

import zipfile

import pytest

from tests.undertow.history.archives import AT_MS, SNAPSHOT, book, packed
from undertow.contracts.messages.market import Book, Gap, GapReason, Resync
from undertow.history.archive import ArchiveError, opened
from undertow.history.bybit_books import read_bybit_books

MS = 1_000_000


def read(path):
    with opened(path) as archive:
        return list(read_bybit_books(archive))


def kinds(messages):
    return [type(message).__name__ for message in messages]


@pytest.mark.parametrize("name", ["2026-08-10_BTCUSDT_ob500.data.zip", "2026-08-10_BTCUSDT_ob500.data"])
def test_a_snapshot_and_what_follows_it_become_books(tmp_path, name):
    path = packed(tmp_path / name, [SNAPSHOT, book(1100, "delta", 8, [["65000.00", "0"]])])
    resync, first, second = read(path)
    assert resync == Resync(ts_event=(AT_MS + 996) * MS, ts_recv=(AT_MS + 1000) * MS, symbol="BTCUSDT")
    assert first == Book(
        ts_event=(AT_MS + 996) * MS,
        ts_recv=(AT_MS + 1000) * MS,
        symbol="BTCUSDT",
        snapshot=True,
        bids=(("65000.00", "5"), ("64999.90", "3")),
        asks=(("65000.10", "4"),),
        update_id=7,
        sequence=1007,
    )
    assert (second.snapshot, second.bids, second.update_id) == (False, (("65000.00", "0"),), 8)


def test_a_missing_id_is_a_gap_once_and_every_frame_is_kept(tmp_path):
    lines = [
        SNAPSHOT,
        book(1100, "delta", 9),
        book(1200, "delta", 11),
        book(1300, "snapshot", 20),
        book(1400, "delta", 21),
    ]
    messages = read(packed(tmp_path / "a.data", lines))
    assert kinds(messages) == ["Resync", "Book", "Gap", "Book", "Book", "Resync", "Book", "Book"]
    gap = next(message for message in messages if isinstance(message, Gap))
    assert (gap.reason, gap.detail, gap.ts_recv) == (GapReason.UPDATE_ID, "u 9 after 7", (AT_MS + 1100) * MS)


def test_a_crossed_book_is_a_gap(tmp_path):
    messages = read(packed(tmp_path / "a.data", [SNAPSHOT, book(1100, "delta", 8, [["70000.00", "1"]])]))
    assert [m.reason for m in messages if isinstance(m, Gap)] == [GapReason.CROSSED]


def test_a_restart_of_the_service_mends_the_book(tmp_path):
    lines = [SNAPSHOT, book(1100, "delta", 1, [["65000.00", "5"]], [["65000.10", "4"]]), book(1200, "delta", 2)]
    messages = read(packed(tmp_path / "a.data", lines))
    assert kinds(messages) == ["Resync", "Book", "Book", "Book"]
    assert messages[2].snapshot


def test_an_archive_that_begins_without_a_snapshot_says_so(tmp_path):
    messages = read(packed(tmp_path / "a.data", [book(900, "delta", 6), book(950, "delta", 7), SNAPSHOT]))
    assert kinds(messages) == ["Gap", "Book", "Book", "Resync", "Book"]
    assert messages[0].detail == "begins without a snapshot"


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        (book(900, "delta", 8), "is before"),
        ("{", "is no frame of Bybit"),
        ('{"topic":"publicTrade.BTCUSDT","ts":1,"data":[]}', "is no book frame"),
        (book(1100, "delta", 8, [["x", "1"]]), "could not convert"),
        (SNAPSHOT.replace("BTCUSDT", "btc/usdt"), "is not a symbol"),
    ],
)
def test_a_line_that_makes_no_sense_is_named(tmp_path, line, rule):
    path = packed(tmp_path / "a.data.zip", [SNAPSHOT, line])
    with pytest.raises(ArchiveError, match=rule) as caught:
        read(path)
    assert caught.value.row == 2


def test_a_zip_of_two_files_is_refused_and_a_damaged_one_named(tmp_path):
    path = tmp_path / "two.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.data", SNAPSHOT)
        archive.writestr("b.data", SNAPSHOT)
    with pytest.raises(ArchiveError, match="holds 2 files, not one"):
        read(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.data", SNAPSHOT)
    content = path.read_bytes()
    path.write_bytes(content.replace(b"65000.10", b"65000.20", 1))
    with pytest.raises(ArchiveError, match="damaged or cut short"):
        read(path)
    method = content.index(b"PK\x01\x02") + 10  # of the directory at the end; 99 is what an encrypted file has
    path.write_bytes(content[:method] + b"\x63" + content[method + 1 :])
    with pytest.raises(ArchiveError, match=r"cannot be unpacked \(That compression method is not supported\)"):
        read(path)
    flags = content.index(b"PK\x01\x02") + 8
    path.write_bytes(content[:6] + b"\x01" + content[7:flags] + b"\x01" + content[flags + 1 :])
    with pytest.raises(ArchiveError, match=r"cannot be unpacked .*password required"):
        read(path)
