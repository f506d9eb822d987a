"""What was recorded from a venue goes through the fleet, by the commands of docs/history.md."""

from __future__ import annotations

import asyncio
import io
import json
import re
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest
from rich.console import Console

from services.cli.record import Recording, RecordOptions, RecordSettings
from tests.fleet.fleet import ROOT, Fleet
from tests.services.venue.little_market import running
from tests.support import eventually
from undertow.domain.state import Mode
from undertow.markets.generated import GeneratedMarket
from undertow.markets.recorder import DEFAULT_TOPICS
from undertow.runtime.settings import VenueSettings

pytestmark = [pytest.mark.fleet, pytest.mark.long, pytest.mark.timeout(240)]
SYMBOLS = ("BTCUSDT", "ETHUSDT")
FRAMES = 1_200


class Replay(Fleet):
    """`undertow replay` instead."""

    verb = "replay"


async def record(tape: Path, out: Path) -> None:
    async with running(tape=tape, start="on_command", symbols=SYMBOLS, rate=10.0) as client:
        rest_url = f"http://127.0.0.1:{client.session._base_url.port}"
        settings = RecordSettings(mode=Mode.PAPER, symbols=SYMBOLS, venue=VenueSettings(rest_url=rest_url))
        options = RecordOptions(
            out=out, kinds=DEFAULT_TOPICS, seconds=None, sync_seconds=1.0, rotate_hours=None, rotate_mb=None
        )
        each = Recording(options, settings, Console(file=io.StringIO()))
        task = asyncio.create_task(each.run())
        await eventually(lambda: each._connected_at is not None)
        await client.start()
        await eventually(lambda: each._recorder.frames >= FRAMES, 60)
        each._stop.set()
        await task


def test_a_recording_plays_through_the_fleet_and_its_books_agree_with_the_venues(tmp_path):
    frames = islice(GeneratedMarket(SYMBOLS, seed=5).frames(), FRAMES)
    tape, out = tmp_path / "t.rawlines", tmp_path / "market.rawlines.zst"
    tape.write_bytes(b"".join(b"%d %s\n" % (frame.at_ns, frame.raw) for frame in frames))
    asyncio.run(record(tape, out))
    (words,) = re.findall(
        r"^\$ undertow replay (market\S+ --speed .*)$", (ROOT / "docs" / "history.md").read_text(), re.MULTILINE
    )
    fleet = Replay(tmp_path, *words.replace("market.rawlines.zst", str(out)).split())
    try:
        assert fleet.wait() == 0, fleet.text
    finally:
        fleet.launcher.kill()
        fleet.launcher.wait()
    report = fleet.report()
    assert (report["frames_received"], report["frames_injected"]) == (FRAMES, 0), report
    assert (report["book_gaps"], report["dead_letters"], report["errors"]) == (0, 0, 0), report
    assert (report["position_residual"], report["money_residual_usdt"]) == ("0", "0")
    assert fleet.left_behind() == []
    done = subprocess.run(
        [sys.executable, "-m", "services.cli", "replay", str(out), "--stats", "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout)["frames"] == FRAMES
