"""The ingestor against the misbehaving venue in virtual time: 200 seeds, each decides market, network and faults."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from services.ingestor.core import Drop, IngestorCore, Publish, Resubscribe
from tests.feed_chaos.one_seed import LONGEST_RECOVERY_S, Outcome, play_virtually
from undertow.contracts.messages.market import Gap, GapReason
from undertow.exchange.budget.circuit import Circuit
from undertow.exchange.kernels.memory import NEXT_ID

pytestmark = [pytest.mark.compiled, pytest.mark.unmeasured]

ROOT = Path(__file__).parents[2]
SEEDS = 200
AT_ONCE = 20
"""Of them in `make test`."""
KINDS = {
    "drop": ("drop",),
    "delay": ("delay",),
    "duplicate": ("duplicate",),
    "reorder": ("reorder",),
    "close": ("close_sockets", "disconnect"),
    "lose an update": ("lose_update",),
    "u=1": ("restart_books",),
    "refuse a subscription": ("refuse",),
    "maintenance": ("maintenance",),
    "403": ("ban",),
    "slow": ("answer_slowly",),
}

played = cache(play_virtually)


def replay(seed: int) -> str:
    return f"{Path(sys.executable).name} -m tests.feed_chaos {seed}"


def some(seed: int) -> object:
    return pytest.param(seed, marks=[] if seed < AT_ONCE else [pytest.mark.long])


@pytest.mark.parametrize("seed", [some(seed) for seed in range(SEEDS)])
def test_a_seed_ends_with_equal_books_and_every_gap_told_once(seed: int) -> None:
    outcome = played(seed)
    assert not outcome.problems, f"replay with: {replay(seed)}\n{outcome.report()}"
    assert outcome.recovery_s < LONGEST_RECOVERY_S
    assert outcome.frames > 0


@pytest.mark.long
@pytest.mark.timeout(900)
def test_every_kind_of_fault_strikes_often_enough_to_prove_something() -> None:
    outcomes = [played(seed) for seed in range(SEEDS)]
    hits = sum((outcome.hits for outcome in outcomes), Counter[str]())
    table = {kind: sum(hits[action] for action in actions) for kind, actions in KINDS.items()}
    assert min(table.values()) >= 20, table
    assert sum(outcome.gaps for outcome in outcomes) > SEEDS


def test_a_seed_is_played_the_same_each_time_in_each_process() -> None:
    here = played(3)
    assert play_virtually(3) == here
    hash_seed = "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"
    there = subprocess.run(
        [sys.executable, "-m", "tests.feed_chaos", "3"],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if not name.startswith("COV")}
        | {"PYTHONHASHSEED": hash_seed},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=60,
    )
    assert there.stdout == here.report() + "\n"


def test_another_seed_is_another_story() -> None:
    assert played(3).story != played(4).story
    assert played(3).digest != played(4).digest


# whether all that would notice anything: ingestors with a bug


class IgnoresWhatItMissed(IngestorCore):
    """Goes on after a gap as if nothing had been."""

    def on_frame(self, raw, recv_ns):
        if raw.startswith(b'{"topic":"orderbook'):
            data = json.loads(raw)["data"]
            feed = self._feeds[data["s"]]
            if feed.in_sync and data["u"] > feed.latest.update_id + 1:
                feed.book._memory[NEXT_ID] = data["u"]
        return super().on_frame(raw, recv_ns)


class TellsARepetitionAsAGap(IngestorCore):
    """Takes a frame that comes twice for one that is missing."""

    def _on_misfit(self, feed, fact):
        effects = super()._on_misfit(feed, fact)
        if [effect.reason for effect in effects if isinstance(effect, Drop)] == ["old_update"]:
            gap = Gap(ts_event=0, ts_recv=0, symbol=feed.symbol, reason=GapReason.UPDATE_ID, detail="planted")
            return [*effects, Publish(feed.symbol, gap)]
        return effects


class GoesByUpdateIdsAlone(IngestorCore):
    """Takes what follows a restart for old, when the snapshot with `u` = 1 is lost."""

    def _on_misfit(self, feed, fact):
        if feed.in_sync and fact.update_id <= feed.latest.update_id:
            return [Drop(feed.symbol, "old_update", "planted")]
        return super()._on_misfit(feed, fact)


class NeverAsksAgain(IngestorCore):
    """Waits for a snapshot that nobody has asked for."""

    def on_frame(self, raw, recv_ns):
        return [effect for effect in super().on_frame(raw, recv_ns) if not isinstance(effect, Resubscribe)]


class Forgetful(Circuit):
    """Does not look before it opens a socket."""

    async def look(self):
        return 0.0


def test_who_knocks_during_a_ban_is_caught(monkeypatch) -> None:
    monkeypatch.setattr("tests.feed_chaos.one_seed.Circuit", Forgetful)
    assert any("after a 403" in problem for seed in range(AT_ONCE) for problem in play_virtually(seed).problems)


@pytest.mark.parametrize(
    ("buggy", "noticed"),
    [
        (IgnoresWhatItMissed, "gaps: "),
        (TellsARepetitionAsAGap, "gaps: "),
        (GoesByUpdateIdsAlone, "gaps: "),
        (NeverAsksAgain, "not in step "),
    ],
)
def test_an_ingestor_with_a_bug_is_caught(monkeypatch, buggy, noticed) -> None:
    monkeypatch.setattr("services.ingestor.app.IngestorCore", buggy)

    def catches(outcome: Outcome) -> bool:
        return any(noticed in problem for problem in outcome.problems)

    caught = next((seed for seed in range(SEEDS) if catches(play_virtually(seed))), None)
    assert caught is not None
    assert caught < AT_ONCE, f"only by seed {caught}, which `make test` does not play"
