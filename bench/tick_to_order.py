"""Frame received → order bytes written, in the running fleet, beside a floor in the same run: `python -m bench.tick_to_order`.

`undertow run` is started twice (real processes, embedded Redis, paper venue) on a tape of 2,000 market frames a second, once with
bursts of 20 liquidations in 500 ms and once with 200 liquidations a second. Each is to end in an order: thresholds are low, the policy
explores without a budget, limits are raised. Since a symbol has one trade at a time, an entry rests 1 ms. What an entry order took is
read from the run's own report, which is made from the `orders` stream.

The floor (`bench.floor`) uses the fleet's own Redis and disk while the fleet trades, so both have the same background. It makes ten
messages a second at uneven intervals and has no queue of its own: the ratio contains the fleet's.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import quantiles
from typing import Any

from bench import tapes
from bench.floor import PER_S, Floor

COMMAND = "python -m bench.tick_to_order"
SECONDS = 25
LEAD_S = 5  # the windows are warm
END_S = 24
MARKET_S = 35  # orders are closed in a market that still moves
START_TIMEOUT_S = 60
END_TIMEOUT_S = 60
PHASES = {
    "bursts of 20 in 500 ms": tapes.bursts(LEAD_S, END_S, 1.5),
    "200/s": tapes.steady(LEAD_S, END_S, 200),
}
SETTINGS = {
    "UNDERTOW_SYMBOLS": ",".join(tapes.SYMBOLS),
    "UNDERTOW_PAPER__INJECT": "false",
    "UNDERTOW_PAPER__RATE_LIMITS": '{"order/create": 1000, "order/cancel": 1000}',
    "UNDERTOW_FEATURES__THRESHOLD_USDT": str(tapes.TRIGGER_USDT // 2),
    "UNDERTOW_FEATURES__REFRACTORY_SECONDS": "0.005",
    "UNDERTOW_FEATURES__WARM_SECONDS": "3",
    "UNDERTOW_POLICY__PRIOR_SD_BPS": "1000",  # so wide a prior draws an arm above 0 from nearly every vector
    "UNDERTOW_POLICY__PRIOR_TRADES": "1",
    "UNDERTOW_POLICY__EXPLORATION_BUDGET_BPS": "1e9",
    "UNDERTOW_SIGNAL__REST_MS": "1",
    "UNDERTOW_RISK__MAX_ORDERS_PER_SECOND": "1000",
    "UNDERTOW_RISK__MAX_OPEN_ORDERS": "100",
    "UNDERTOW_RISK__GROSS_FRACTION": "1",
    "UNDERTOW_RISK__CORRELATED_FRACTION": "1",
    "UNDERTOW_RISK__CASCADE_S": "1",
    "UNDERTOW_RISK__MAX_ENTRIES_PER_CASCADE": "1000",
    "UNDERTOW_RISK__MAX_ENTRIES_PER_SYMBOL": "1000",
    "UNDERTOW_RISK__MAX_LOSSES_IN_ROW": "1000",
    "UNDERTOW_RISK__PER_TRADE": "0.0001",  # a thousand explorations may not reach the limit of the drawdown
}


class Run:
    """One `undertow run` in a folder of its own, and the floor beside it."""

    def __init__(self, home: Path, tape: Path) -> None:
        self.home = home
        self.tape = tape
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.environment = (
            os.environ
            | SETTINGS
            | {
                "UNDERTOW_VAR": str(home / "var"),
                "UNDERTOW_CONSOLE_PORT": str(port),
                "NUMBA_CACHE_DIR": os.environ.get("NUMBA_CACHE_DIR", str(Path("var/numba").absolute())),
                "TMPDIR": str(home),
            }
        )

    def measure(self) -> tuple[dict[str, Any], list[float]]:
        """Give the report, and what each message of the floor took, ms."""
        output = self.home / "output.txt"
        command = ["-m", "services.cli", "run", "--tape", str(self.tape), "--for", str(SECONDS)]
        with output.open("wb") as file:
            fleet = subprocess.Popen(
                [sys.executable, *command], env=self.environment, stdout=file, stderr=subprocess.STDOUT
            )
        floor: Floor | None = None
        try:
            deadline = time.monotonic() + START_TIMEOUT_S
            while "console:" not in output.read_text():
                if fleet.poll() is not None or time.monotonic() > deadline:
                    sys.exit(f"the fleet did not start: {output.read_text().strip()[-300:]}")
                time.sleep(0.05)
                paths = list(self.home.glob("**/redis.sock"))
                floor = floor or (Floor(paths[0], self.home, self.environment) if paths else None)
            if floor is None:
                sys.exit("the fleet has no Redis socket below the folder of the run")
            time.sleep(LEAD_S)
            floor.begin()
            took = floor.took()
            fleet.wait(END_TIMEOUT_S)
        finally:
            if floor is not None:
                floor.stop()
            if fleet.poll() is None:
                fleet.send_signal(signal.SIGINT)
                fleet.wait(END_TIMEOUT_S)
        report = json.loads((self.home / "var" / "run-report.json").read_text())
        if report["errors"] or not report["tick_to_order_ms"]["n"]:
            sys.exit(f"the run measured nothing: {report['failures'] or report['verdicts']}")
        return report, took


def tell(name: str, value: float, to: tuple[str, float] | None = None, **more: object) -> None:
    ratio = {"ratio_to": to[0], "ratio": round(value / to[1], 2)} if to else {"ratio_to": None, "ratio": None}
    print(json.dumps({"name": name, "value": round(value, 3), "unit": "ms", **ratio, "command": COMMAND, **more}))


def tell_run(label: str, triggers: Sequence[float], report: dict[str, Any], took: Sequence[float]) -> None:
    cuts = quantiles(took, n=100, method="inclusive")
    floor = {"p50": cuts[49], "p99": cuts[98]}
    lasted = triggers[-1] - triggers[0]
    rates = {
        "triggers": len(triggers),
        "frames_per_s": round(report["frames_received"] / report["seconds"]),
        "decisions_per_s": round(report["feature_vectors"] / lasted, 1),
        "orders_per_s": round(report["tick_to_order_ms"]["n"] / lasted, 1),
        "verdicts": report["verdicts"],
        "lag_max": report["stream_lag_max"],
        "load": round(os.getloadavg()[0], 2),
    }
    whole = report["tick_to_order_ms"]
    for share, least in floor.items():
        tell(f"tick to order, {label}, {share}", whole[share], ("floor", least), n=whole["n"], **rates)
    for share, least in floor.items():
        tell(f"tick to order, {label}, floor, {share}", least, n=len(took), per_s=PER_S)
    for hop, figures in report["latency_ms"].items():
        for share in floor:
            tell(f"hop {hop}, {label}, {share}", figures[share], ("tick to order", whole[share]), n=figures["n"])


def main() -> None:
    market = tapes.background(MARKET_S)
    for label, triggers in PHASES.items():
        with tempfile.TemporaryDirectory(prefix="bench-") as home:
            tape = Path(home) / "bench.rawlines"
            tapes.write(tape, market, triggers)
            tell_run(label, triggers, *Run(Path(home), tape).measure())


if __name__ == "__main__":
    main()
