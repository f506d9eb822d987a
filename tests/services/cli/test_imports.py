from __future__ import annotations

import io

import pytest
from rich.console import Console

from services.cli.exits import CommandError, ExitCode
from services.cli.imports import import_archives
from tests.undertow.history.archives import trade, trades
from undertow.history.importer import WRITER
from undertow.storage.files import LocalFiles
from undertow.storage.store import Store

SCREEN = Console(file=io.StringIO())


def take(source, files, into):
    return import_archives(source, files, str(into), SCREEN)


def test_a_folder_is_every_archive_in_it_by_name(tmp_path):
    for day in ("2", "1"):
        trades(tmp_path / "raw" / "BTCUSDT" / f"BTCUSDT2026-08-1{day}.csv.gz", trade(f".{day}"))
    (tmp_path / "raw" / "notes.txt").write_text("mine")
    rows = take("bybit-trades", [tmp_path / "raw"], tmp_path / "store")
    assert [(row["archive"], row["rows"]) for row in rows] == [
        ("BTCUSDT2026-08-11.csv.gz", 1),
        ("BTCUSDT2026-08-12.csv.gz", 1),
    ]
    assert rows[0]["from"] == "2026-08-10 00:00:00"


@pytest.mark.parametrize(
    ("source", "name", "code", "words"),
    [
        (
            "bybit-trade",
            "there.csv",
            ExitCode.BAD_CONFIGURATION,
            "these are: bybit-trades, bybit-books, tardis, recording",
        ),
        ("bybit-trades", "nowhere.csv", ExitCode.NOT_FOUND, "there is no file"),
        ("bybit-trades", "empty", ExitCode.NOT_FOUND, "holds no archive"),
        ("bybit-books", "there.csv", ExitCode.ERROR, "line 1: is no frame of Bybit"),
        ("tardis", "there.csv", ExitCode.ERROR, "has no column exchange"),
    ],
)
def test_what_cannot_be_imported_is_one_line_and_its_code(tmp_path, source, name, code, words):
    trades(tmp_path / "there.csv", trade(".5"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(CommandError, match=words) as refused:
        take(source, [tmp_path / name], tmp_path / "store")
    assert refused.value.code == code


def test_two_imports_into_one_store_do_not_run_at_once(tmp_path):
    path = trades(tmp_path / "a.csv", trade(".5"))
    take("bybit-trades", [path], tmp_path / "store")
    other = Store(LocalFiles(tmp_path / "store")).writer(WRITER)
    with pytest.raises(CommandError, match="another process writes there as import"):
        take("bybit-trades", [path], tmp_path / "store")
    other.close()
    assert take("bybit-trades", [path], tmp_path / "store")[0]["rows"] == "in already"
