"""`make calibrate`: recordings to parameters, parameters to a market, both to docs/generated-market.md."""

from __future__ import annotations

import argparse
import difflib
import sys
from pathlib import Path

import msgspec

from bench.calibration import generated, plots, recordings
from bench.calibration.parameters import estimate
from bench.calibration.report import report
from undertow.markets import generated_parameters

ROOT = Path(__file__).parents[2]
PARAMETERS = ROOT / "libs" / "undertow" / "markets" / generated_parameters.FILE
PAGE = ROOT / "docs" / "generated-market.md"


def main() -> None:
    parser = argparse.ArgumentParser(description="Calibrate the generated market on the recordings and report it.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail where anything would change")
    parser.add_argument("--png", type=Path, help="draw the pictures into this folder as PNG as well")
    options = parser.parse_args()
    if not recordings.root().is_dir():
        sys.exit(f"{recordings.root()}: no recordings there; set UNDERTOW_TEST_DATA to the folder that has them")
    print("reading the recordings")
    okx, bybit, binance = recordings.okx(), recordings.bybit(), recordings.binance()
    parameters = estimate(okx, bybit, binance)
    text = msgspec.json.format(msgspec.json.encode(parameters), indent=1).decode() + "\n"
    if options.check:
        _compare(PARAMETERS, text)
    else:
        PARAMETERS.write_text(text)
    print("watching the generated market")
    watched = generated.markets()
    excited = {symbol: generated.liquidations(symbol, parameters) for symbol in okx}
    page = report(parameters, okx, bybit, binance, watched, excited)
    if options.check:
        _compare(PAGE, page)
        print("the parameters and the report are what the recordings give")
        return
    PAGE.write_text(page)
    seen = (okx, excited, bybit, binance, watched)
    plots.draw(PAGE.with_suffix(""), *seen)
    if options.png:
        plots.draw(options.png, *seen, suffix="png")
    print(f"wrote {PARAMETERS.relative_to(ROOT)}, {PAGE.relative_to(ROOT)} and its pictures")


def _compare(path: Path, expected: str) -> None:
    found = path.read_text() if path.exists() else ""
    if found != expected:
        sys.stdout.writelines(
            difflib.unified_diff(found.splitlines(keepends=True), expected.splitlines(keepends=True), str(path), "now")
        )
        sys.exit(f"{path}: is not what the recordings give; run `make calibrate`")


if __name__ == "__main__":
    main()
