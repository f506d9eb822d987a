"""The recorder against the paper venue, over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import io
import itertools
import json
import os
import signal
import subprocess
import sys
from operator import itemgetter
from pathlib import Path

import pytest
from rich.console import Console

from services.cli import commands
from services.cli.exits import CommandError, ExitCode
from services.cli.record import Recording, RecordOptions, RecordSettings
from tests.services.venue.little_market import dripping, running
from tests.support import eventually, recorded
from undertow.domain.state import Mode
from undertow.markets.generated import GeneratedMarket
from undertow.markets.notes import decode_note
from undertow.markets.rawlines import read_lines
from undertow.markets.recorder import DEFAULT_TOPICS
from undertow.markets.recordings import open_recording
from undertow.markets.survey import survey
from undertow.runtime.settings import VenueSettings

ROOT = Path(__file__).parents[3]
SYMBOLS = ("BTCUSDT", "ETHUSDT")
FRAMES = 250


@pytest.fixture(autouse=True)
def _starts_at_once(monkeypatch):
    monkeypatch.setattr("services.venue.clock.START_DELAY_NS", 400_000_000)  # followers of its clock look each 0.2 s


def tape_of(path: Path, count: int = FRAMES) -> Path:
    frames = itertools.islice(GeneratedMarket(SYMBOLS, seed=5).frames(), count)
    path.write_bytes(b"".join(b"%d %s\n" % (frame.at_ns, frame.raw) for frame in frames))
    return path


def recording(client, out: Path, symbols=SYMBOLS, **how) -> Recording:
    asked = {
        "kinds": DEFAULT_TOPICS,
        "seconds": None,
        "sync_seconds": 0.1,
        "rotate_hours": None,
        "rotate_mb": None,
    } | how
    rest_url = f"http://127.0.0.1:{client.session._base_url.port}"
    settings = RecordSettings(mode=Mode.PAPER, symbols=symbols, venue=VenueSettings(rest_url=rest_url))
    return Recording(RecordOptions(out=out, **asked), settings, Console(file=io.StringIO()))


@contextlib.asynccontextmanager
async def begun(each: Recording):
    """Run a recording; it is stopped at the end and its figures are set."""
    task = asyncio.create_task(each.run())
    try:
        await eventually(lambda: task.done() or each._connected_at is not None)
        yield task
    finally:
        each._stop.set()
        await task


async def record_all(tape: Path, out: Path, count: int, rate: float = 1.0, **how) -> dict:
    async with running(tape=tape, start="on_command", symbols=SYMBOLS, rate=rate) as client:
        each = recording(client, out, **how)
        async with begun(each) as task:
            await client.start()
            await eventually(lambda: each._recorder.frames >= count, 30)
        return task.result()


def lines(path: Path) -> list[tuple[int, bytes]]:
    return [(at_ns, raw) for _, at_ns, raw in read_lines(path) if decode_note(raw) is None]


async def test_what_is_recorded_plays_and_is_recorded_again_as_the_same_frames(tmp_path, monkeypatch):
    monkeypatch.setattr("services.venue.clock.START_DELAY_NS", 1_200_000_000)  # the recorder's clock must know in time
    tape, first, second = tape_of(tmp_path / "t.rawlines"), tmp_path / "1.zst", tmp_path / "2.zst"
    figures = await record_all(tape, first, FRAMES, rate=5.0)
    assert (figures["frames"], figures["connections_lost"], figures["files"]) == (FRAMES, 0, [str(first)])
    assert figures["bytes"] == first.stat().st_size
    assert [raw for _, raw in lines(first)] == [raw for _, raw in lines(tape)]
    assert [(frame.at_ns, frame.raw) for frame in open_recording(first).frames()] == lines(first)
    await record_all(first, second, FRAMES, rate=5.0)
    assert [raw for _, raw in lines(second)] == [raw for _, raw in lines(tape)]
    for (sent_ns, _), (once_ns, _), (twice_ns, _) in zip(lines(tape), lines(first), lines(second), strict=True):
        assert sent_ns <= once_ns <= twice_ns  # market time: a frame is received after it was sent


async def test_a_recording_knows_its_contracts_and_what_it_is_of(tmp_path):
    out = tmp_path / "a.zst"
    await record_all(tape_of(tmp_path / "t.rawlines", 50), out, 50, rate=10.0)
    found = survey([out])
    (head,) = found.heads
    assert (head.mode, head.clock, head.symbols) == ("paper", "market", SYMBOLS)
    assert set(head.topics) == {f"{kind}.{symbol}" for kind in DEFAULT_TOPICS for symbol in SYMBOLS}
    assert found.is_closed
    source = open_recording(out)
    assert [item["symbol"] for item in source.instruments] == list(SYMBOLS)
    assert {tier["symbol"] for tier in source.risk_tiers} == set(SYMBOLS)
    assert source.instruments[0] is not None


async def test_a_contract_that_is_not_shipped_plays_on_the_venue_as_it_was_recorded(tmp_path):
    known = tmp_path / "known.zst"
    await record_all(tape_of(tmp_path / "t.rawlines", 200), known, 200, rate=20.0)
    renamed = tmp_path / "renamed.rawlines"
    renamed.write_bytes(
        b"".join(b"%d %s\n" % (at_ns, raw.replace(b"ETHUSDT", b"NEWUSDT")) for _, at_ns, raw in read_lines(known))
    )
    async with running(tape=renamed, symbols=["BTCUSDT", "NEWUSDT"], rate=10.0) as client:
        page = await client.page("/v5/market/instruments-info?category=linear&symbol=NEWUSDT")
        assert page["result"]["list"][0]["symbol"] == "NEWUSDT"
        page = await client.page("/v5/market/risk-limit?category=linear&symbol=NEWUSDT")
        assert page["result"]["list"]
        await eventually(lambda: client.has_sent(200))


async def test_a_lost_connection_is_a_gap_in_the_file_and_the_recording_goes_on(tmp_path):
    out = tmp_path / "a.zst"
    async with running(tape=dripping(tmp_path / "t.rawlines"), symbols=["BTCUSDT"]) as client:
        each = recording(client, out, ("BTCUSDT",))
        async with begun(each):
            await eventually(lambda: each._recorder.frames > 5)
            await client.post("/control/faults", {"action": "disconnect", "where": "public", "count": 1})
            await eventually(lambda: each._recorder.lost == 1 and not each._trouble)
            before = each._recorder.frames
            await eventually(lambda: each._recorder.frames > before + 5)
    found = survey([out])
    (hole,) = found.holes
    assert hole.until_ns > hole.from_ns
    assert found.tracks["publicTrade.BTCUSDT"].frames > 5
    again = [json.loads(raw) for at_ns, raw in lines(out) if at_ns >= hole.until_ns]
    assert any(frame["topic"] == "orderbook.200.BTCUSDT" and frame["type"] == "snapshot" for frame in again)
    assert open_recording(out).frame_count == found.frames


def is_asked_again(raw: bytes) -> bool:
    return raw.startswith((b'{"topic":"orderbook.', b'{"topic":"tickers.'))


async def test_files_that_follow_each_other_play_alone_and_together_as_everything(tmp_path):
    tape = tape_of(tmp_path / "t.rawlines")
    figures = await record_all(tape, tmp_path / "m.zst", FRAMES, rate=2.0, rotate_mb=0.002)
    paths = [Path(name) for name in figures["files"]]
    assert len(paths) > 3
    assert sorted(tmp_path.glob("m-*.rawlines.zst")) == sorted(paths)
    together = open_recording(tmp_path / "m-*.rawlines.zst")
    assert together.frame_count == figures["frames"]
    alone = [open_recording(path).frame_count for path in sorted(paths)[:-1]]
    assert all(alone)
    assert sum(alone) + len(lines(max(paths))) == figures["frames"]  # the last may have ended within the change
    came = [raw for raw in map(itemgetter(1), lines(tape)) if not is_asked_again(raw)]
    kept = [frame.raw for frame in together.frames() if not is_asked_again(frame.raw)]
    assert len(kept) > 20
    assert kept == came[: len(kept)]
    more = {frame.raw for frame in together.frames()} - {raw for _, raw in lines(tape)}
    assert {json.loads(raw)["type"] for raw in more} == {"snapshot"}
    assert survey(paths).is_closed


async def test_a_venue_that_refuses_a_topic_or_is_not_there_is_said_in_one_line(tmp_path, monkeypatch):
    async with running(tape=dripping(tmp_path / "t.rawlines"), symbols=["BTCUSDT"]) as client:
        with pytest.raises(CommandError, match=r"the venue refuses .*weather") as refused:
            await recording(client, tmp_path / "a.zst", ("BTCUSDT",), kinds=("publicTrade", "weather")).run()
        assert refused.value.code == ExitCode.BAD_CONFIGURATION
        each = recording(client, tmp_path / "c.zst", ("BTCUSDT",))
        each._stream._url = "ws://127.0.0.1:1"
        monkeypatch.setattr("services.cli.record.CONNECT_S", 0.1)
        with pytest.raises(CommandError, match=r"Connect call failed.*check network and proxy") as unreachable:
            await each.run()
        assert unreachable.value.code == ExitCode.TIMED_OUT
    with pytest.raises(CommandError, match="control/clock does not answer") as gone:
        await recording(client, tmp_path / "b.zst").run()
    assert gone.value.code == ExitCode.NOT_RUNNING
    assert list(tmp_path.glob("*.zst")) == []


@pytest.fixture
def here(monkeypatch, capfd):
    """The command in this process; gives its code and what it wrote."""

    def command(*arguments: str) -> tuple[int, str, str]:
        before = dict(os.environ)
        monkeypatch.setattr(sys, "argv", ["undertow", *arguments])
        try:
            with pytest.raises(SystemExit) as left:
                commands.main()
        finally:
            os.environ.clear()
            os.environ.update(before)
        shown = capfd.readouterr()
        return int(left.value.code or 0), shown.out, shown.err

    return command


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_a_recorder_that_is_ended_leaves_what_plays(tmp_path, number):
    out = tmp_path / "a.zst"
    async with running(tape=dripping(tmp_path / "t.rawlines"), symbols=["BTCUSDT"]) as client:
        recorder = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "services.cli", "record", "--out", str(out), "--symbols", "BTCUSDT"),
            *("--sync-seconds", "0.05", "--json"),
            cwd=ROOT,
            env=os.environ | {"UNDERTOW_VENUE__REST_URL": f"http://127.0.0.1:{client.session._base_url.port}"},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        await eventually(lambda: out.exists() and len(lines(out)) > 20, 30)
        recorder.send_signal(number)
        shown, _ = await recorder.communicate()
        code = recorder.returncode
    is_asked = number is signal.SIGTERM
    found = survey([out])
    assert (code, found.is_closed) == (0 if is_asked else -number, is_asked)
    assert found.frames > 20
    assert open_recording(out).frame_count == found.frames
    assert not is_asked or json.loads(shown)["frames"] == found.frames


async def test_a_recording_ends_when_its_time_is_over(tmp_path):
    out = tmp_path / "a.zst"
    async with running(tape=dripping(tmp_path / "t.rawlines"), symbols=["BTCUSDT"]) as client:
        figures = await recording(client, out, ("BTCUSDT",), seconds=0.3).run()
    found = survey([out])
    assert (figures["frames"], found.is_closed) == (found.frames, True)
    assert figures["bytes_per_frame"] > 0


async def test_a_full_disk_ends_the_recording_with_one_line_and_a_file_that_plays(tmp_path):
    out = tmp_path / "a.zst"
    async with running(tape=tape_of(tmp_path / "t.rawlines", 5_000), symbols=SYMBOLS, rate=5.0) as client:
        url = f"http://127.0.0.1:{client.session._base_url.port}"
        words = f"record --out {out} --symbols BTCUSDT,ETHUSDT --sync-seconds 0.05"
        uncovered = {name: value for name, value in os.environ.items() if not name.startswith("COV")}  # it writes too
        done = await asyncio.to_thread(
            subprocess.run,
            ["bash", "-c", f"ulimit -f 24; exec {sys.executable} -m services.cli {words}"],
            cwd=ROOT,
            env=uncovered | {"UNDERTOW_VENUE__REST_URL": url},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1), done.stderr
    assert f"{out}: File too large; what is in it can be played" in done.stderr
    assert open_recording(out).frame_count > 0


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("record", "--out", "{there}"), 1, "is there already"),
        (("record", "--out", "{tmp}/no/a.zst"), 4, "there is no folder"),
        (("record", "--out", "{tmp}/a.zst", "--for", "0"), 4, "--for 0"),
        (("record", "--out", "{tmp}/a.zst", "--rotate-hours", "-1"), 4, "--rotate-hours -1"),
        (("record", "--out", "{tmp}/a.zst", "--topics", " "), 4, "--topics"),
        (("record", "--out", "{tmp}/a.zst"), 4, "UNDERTOW_VENUE__REST_URL"),
        (("replay", "{tmp}/nowhere.zst"), 2, "there is no file"),
        (("replay", "{tmp}/nowhere-*.zst", "--stats"), 2, "no file matches"),
        (("replay", "{there}", "--stats"), 1, "line 1: is not `<receive ns> <json>`"),
        (("replay", "{there}", "--print"), 1, "line 1: is not `<receive ns> <json>`"),
        (("replay", "{there}"), 1, "line 1: is not `<receive ns> <json>`"),
        (("replay", "{empty}", "--stats"), 1, "holds no market frame"),
    ],
)
def test_a_wrong_use_is_one_line_and_its_code(tmp_path, here, arguments, code, words):
    there, empty = tmp_path / "there.txt", tmp_path / "empty.txt"
    there.write_text("a shopping list\n")
    empty.write_text("")
    left, _, line = here(*(each.format(tmp=tmp_path, there=there, empty=empty) for each in arguments))
    assert (left, len(line.splitlines())) == (code, 1), line
    assert words in line


def test_replay_reads_a_recording_without_a_fleet(here):
    tape = recorded("bybit/linear-20260809.rawlines.gz")
    code, shown, line = here("replay", str(tape), "--stats", "--json")
    assert code == 0, line
    figures = json.loads(shown)
    assert (figures["frames"], figures["other_lines"], figures["gaps"], figures["closed"]) == (2529, 17, [], True)
    assert sum(each["frames"] for each in figures["topics"] if each["topic"].startswith("orderbook.")) == 1598
    assert {each["book_breaks"] for each in figures["topics"]} == {0}
    assert figures["file_bytes"] == tape.stat().st_size
    assert "publicTrade.BTCUSDT" in here("replay", str(tape), "--stats")[1]
    assert here("replay", str(tape), "--print")[1].encode() == gzip.decompress(tape.read_bytes())


def test_a_recording_is_not_played_outside_paper_mode(tmp_path, here, monkeypatch):
    monkeypatch.setenv("UNDERTOW_MODE", "demo")
    code, _, line = here("replay", str(dripping(tmp_path / "t.rawlines")))
    assert (code, len(line.splitlines())) == (4, 1), line
    assert "a recording is played in paper mode" in line
