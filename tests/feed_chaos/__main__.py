"""`python -m tests.feed_chaos SEED [--real]`: play one seed and tell its story; exit code 1 when something does not hold."""

from __future__ import annotations

import argparse
import sys

from tests.feed_chaos.one_seed import play_really, play_virtually

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seed", type=int)
    parser.add_argument("--real", action="store_true", help="over real sockets, at the pace of the wall clock")
    asked = parser.parse_args()
    (outcome,) = play_really([asked.seed]) if asked.real else [play_virtually(asked.seed)]
    sys.stdout.write(outcome.report() + "\n")
    sys.exit(bool(outcome.problems))
