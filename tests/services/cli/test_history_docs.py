"""The page about history is true: its commands are typed here, in its order."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import sys
from operator import itemgetter
from pathlib import Path

import pytest

from services.cli import commands
from tests.support import recorded
from tests.undertow.history.archives import (
    EVENT_HEADER,
    LEVEL_HEADER,
    SNAPSHOT,
    book,
    event,
    level,
    packed,
    tardis,
    trade,
    trades,
)

PAGE = (Path(__file__).parents[3] / "docs" / "history.md").read_text()
SHOWN = re.compile(r"^\$ (?:UNDERTOW_\w+=\w+ )?undertow (.*)$", re.MULTILINE)
PLAYS = "replay market.rawlines.zst --speed"


@pytest.fixture
def typed(monkeypatch, capfd, tmp_path):
    monkeypatch.chdir(tmp_path)

    def command(line: str) -> str:
        before = dict(os.environ)
        monkeypatch.setattr(sys, "argv", ["undertow", *shlex.split(line)])
        try:
            with pytest.raises(SystemExit) as left:
                commands.main()
        finally:
            os.environ.clear()
            os.environ.update(before)
        shown = capfd.readouterr()
        assert not left.value.code, shown.err
        return shown.out

    return command


def lines(verb: str) -> list[str]:
    return [line for line in SHOWN.findall(PAGE) if line.startswith(verb) and PLAYS not in line]


def test_what_is_said_of_a_recording_can_be_typed(typed, tmp_path):
    shutil.copy(recorded("bybit/linear-20260809.rawlines.gz"), tmp_path / "market.rawlines.zst")
    stats, shown = (typed(line) for line in lines("replay"))
    assert "2,529" in stats
    stamps = [int(each.partition(" ")[0]) for each in shown.splitlines()]
    assert 0 < stamps[-1] - stamps[0] <= 10**9


def test_what_is_said_of_imports_can_be_typed(typed, tmp_path):
    trades(tmp_path / "BTCUSDT2026-08-10.csv.gz", trade(".5"), trade(".6"))
    packed(tmp_path / "2026-08-10_BTCUSDT_ob200.data.zip", [SNAPSHOT, book(1100, "delta", 8)])
    tardis(tmp_path / "bybit_liquidations_2026-08-10_BTCUSDT.csv.gz", EVENT_HEADER, event(0, "sell", "65000", "1"))
    first = level(0, "bid", "65000", "1", first=True)
    tardis(tmp_path / "bybit_incremental_book_L2_2026-08-10_BTCUSDT.csv.gz", LEVEL_HEADER, first)
    raw = b'{"topic":"publicTrade.ETHUSDT","type":"snapshot","ts":1,"data":[{"T":1,"s":"ETHUSDT","S":"Buy","v":"1","p":"2","i":"x"}]}'
    (tmp_path / "market-20260810T000000000Z.rawlines.zst").write_bytes(b"1786320000000000000 %s\n" % raw)
    shown = [typed(line) for line in lines("import")]
    assert len(shown) == 4
    (counted,) = [typed(f"{line} --json") for line in lines("query")]
    assert sorted(json.loads(counted), key=itemgetter("symbol")) == [
        {"symbol": "BTCUSDT", "messages": 2},
        {"symbol": "ETHUSDT", "messages": 1},
    ]
    again = [json.loads(typed(f"{line} --json")) for line in lines("import")]
    assert {row["rows"] for rows in again for row in rows} == {"in already"}


def test_the_options_of_record_are_those_of_the_page(typed, monkeypatch):
    """A recording of the live venue cannot be made here: its options are, against a venue that is not there."""
    (line,) = lines("record")
    words = shlex.split(line)
    monkeypatch.setattr(sys, "argv", ["undertow", *words])
    monkeypatch.setenv("UNDERTOW_VENUE__REST_URL", "http://127.0.0.1:1")
    with pytest.raises(SystemExit) as left:
        commands.main()
    assert left.value.code == 3


def test_the_page_says_that_liquidations_must_be_recorded():
    assert "Nobody publishes the history of Bybit's liquidations" in PAGE
    assert "record them yourself" in PAGE
