"""`python -m tests.simulation SEED`: play one seed and tell its story. `--seeds N`: play many, on all cores, and sum them up.

Exit code 1 when something does not hold.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from typing import Final

from tests.simulation.one_seed import Outcome, play
from tests.simulation.plan import drawn, only
from tests.simulation.report import Report
from tests.simulation.shrink import shrunk

BLOCK: Final = 20
STORIES: Final = 3
"""So many failing seeds are shrunk and told."""


def played(seeds: Sequence[int]) -> list[Outcome]:
    """Play a block of seeds; the story of a good one is not kept."""
    outcomes = [play(seed) for seed in seeds]
    for outcome in outcomes:
        if not outcome.problem:
            outcome.story.clear()
    return outcomes


def many(first: int, count: int, workers: int) -> Iterator[Outcome]:
    """Play many seeds, as many blocks at a time as there are workers."""
    blocks = iter([range(at, min(at + BLOCK, first + count)) for at in range(first, first + count, BLOCK)])
    with ProcessPoolExecutor(workers) as pool:
        running: set[Future[list[Outcome]]] = set()
        while True:
            while len(running) < workers + 1 and (block := next(blocks, None)) is not None:
                running.add(pool.submit(played, block))
            if not running:
                return
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                yield from future.result()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seed", type=int, nargs="?", help="replay this one")
    parser.add_argument("--only", default="", help="with these faults of its plan alone, such as 2,5,7; 0 for none")
    parser.add_argument("--shrink", action="store_true", help="leave out the faults that the failure does not need")
    parser.add_argument("--seeds", type=int, default=0, help="play so many")
    parser.add_argument("--first", type=int, default=1, help="from this seed on")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    asked = parser.parse_args()
    if asked.seed is not None:
        return _replay(asked.seed, asked.only, asked.shrink)
    if asked.seeds < 1:
        parser.error("give a seed to replay, or --seeds")
    return _sum_up(asked.first, asked.seeds, asked.workers)


def _replay(seed: int, which: str, is_to_shrink: bool) -> int:
    plan = drawn(seed)
    if which:
        plan = only(plan, [int(number) for number in which.split(",")])
    outcome = play(seed, plan)
    if is_to_shrink and outcome.problem:
        outcome = shrunk(outcome, lambda words: print(words, file=sys.stderr))  # noqa: T201 - progress
    print(outcome.report())  # noqa: T201 - a command's answer
    print(f"again with: {_again(outcome)}")  # noqa: T201
    return int(bool(outcome.problem))


def _sum_up(first: int, count: int, workers: int) -> int:
    report, failed, began = Report(), [], time.monotonic()
    for outcome in many(first, count, workers):
        report.add(outcome)
        if outcome.problem:
            failed.append(outcome)
        if sys.stderr.isatty():
            left_s = (time.monotonic() - began) / report.seeds * (count - report.seeds)
            line = f"\r{report.seeds}/{count} seeds, {len(failed)} failed, {left_s / 60:.1f} min left "
            print(line, end="", file=sys.stderr, flush=True)  # noqa: T201 - progress
    if sys.stderr.isatty():
        print(file=sys.stderr)  # noqa: T201
    print("\n".join(report.lines()))  # noqa: T201 - a command's answer
    print(f"{time.monotonic() - began:.0f} s on {workers} cores")  # noqa: T201
    told: set[str] = set()
    for outcome in failed:
        problem = next(kind for kind, seeds in report.failures.items() if outcome.seed in seeds)
        if problem in told or len(told) == STORIES:
            continue
        told.add(problem)
        short = shrunk(outcome)
        print(f"\n{short.report()}\nagain with: {_again(short)}")  # noqa: T201
    return int(bool(failed or report.poor))


def _again(outcome: Outcome) -> str:
    numbers = ",".join(str(fault.number) for fault in outcome.plan) or "0"
    whole = len(outcome.plan) == len(drawn(outcome.seed))
    return f"python -m tests.simulation {outcome.seed}" + ("" if whole else f" --only {numbers}")


if __name__ == "__main__":
    sys.exit(main())
