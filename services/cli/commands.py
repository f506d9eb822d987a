"""The verbs of `undertow`; each leaves with a code of `ExitCode` and, when it fails, one line on stderr."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console as Screen
from rich.table import Table
from typer.exceptions import TyperException

from services.cli import lone_venue
from services.cli.console import Console
from services.cli.exits import CommandError, ExitCode
from services.cli.settings import Settings
from services.cli.workspace import claimed
from undertow.domain.state import Mode
from undertow.markets.recorder import DEFAULT_TOPICS
from undertow.runtime.errors import ConfigurationError
from undertow.runtime.settings import PREFIX, load

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Trade Bybit perpetuals around forced liquidations.")
models = typer.Typer(no_args_is_help=True, help="Models in the registry.")
app.add_typer(models, name="model")

_REPORTED = (
    "seconds",
    "frames_received",
    "frames_injected",
    "liquidations",
    "feature_vectors",
    "signals",
    "orders_submitted",
    "fills",
    "round_trips",
    "realised_pnl_usdt",
    "position_residual",
    "money_residual_usdt",
    "book_gaps",
    "dead_letters",
    "errors",
    "restarts",
)
_ORDER_COLUMNS = ("symbol", "side", "role", "qty", "price", "status", "reason")  # what fits a terminal of 80
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
Why = Annotated[str, typer.Option("--why", help="The reason; it is kept.")]


def main() -> None:
    """Run the command and leave with its exit code."""
    if len(sys.argv) == 1:
        sys.argv.append("--help")
    try:
        sys.exit(app(standalone_mode=False))
    except CommandError as error:
        _leave(error.code, str(error))
    except ConfigurationError as error:
        _leave(ExitCode.BAD_CONFIGURATION, f"configuration: {error}")
    except TyperException as error:
        _leave(
            ExitCode.BAD_CONFIGURATION, f"{error.format_message().rstrip('.')}; `undertow --help` shows what there is"
        )
    except (typer.Abort, KeyboardInterrupt):
        _leave(ExitCode.ERROR, "interrupted")
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        remedy = f"; free some, or name a folder on another disk with {PREFIX}VAR" if full else ""
        _leave(ExitCode.ERROR, f"{error.filename or 'input or output'}: {error.strerror or error}{remedy}")
    except Exception as error:
        if os.environ.get(f"{PREFIX}LOG__LEVEL") == "debug":
            raise
        _leave(ExitCode.ERROR, f"unexpected {type(error).__name__}: {error}; {PREFIX}LOG__LEVEL=debug shows where")


def _leave(code: ExitCode, line: str) -> None:
    with contextlib.suppress(OSError):  # a terminal that is gone
        sys.stderr.write(f"undertow: {' '.join(line.split())}\n")
    sys.exit(code)


@app.command()
def run(
    seconds: Annotated[
        float | None, typer.Option("--for", help="Seconds of open market; without it until Ctrl-C.")
    ] = None,
    tape: Annotated[
        Path | None, typer.Option(help="Recorded Bybit or Binance frames to trade on instead of the generated market.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the generated market and of injected cascades.")] = None,
    rate: Annotated[float | None, typer.Option(help="Speed of market time against wall time.")] = None,
    shards: Annotated[
        int, typer.Option(help="How many ingestors, collectors, feature hubs and snapshotters share the symbols.")
    ] = 1,
    *,
    as_json: AsJson = False,
) -> None:
    """Run the whole fleet on this machine; in paper mode with its own Redis and venue, without keys.

    UNDERTOW_BUS__URL names a Redis or a Redis Cluster to use instead.
    """
    inject = tape is not None  # recordings without liquidations would show nothing
    _run_fleet(seconds, tape, seed, rate, shards=shards, inject=inject, as_json=as_json)


def _run_fleet(
    seconds: float | None,
    tape: Path | None,
    seed: int | None,
    rate: float | None,
    *,
    shards: int = 1,
    inject: bool,
    as_json: bool,
) -> None:
    from services.cli.given_bus import given_url  # noqa: PLC0415
    from services.cli.preflight import check_before_start  # noqa: PLC0415 - rich, redis and the venue's readers load only here
    from services.cli.run import FleetRun, RunOptions  # noqa: PLC0415

    if seconds is not None and not 0 < seconds < math.inf:
        raise CommandError(
            ExitCode.BAD_CONFIGURATION,
            f"--for {seconds:g}: seconds must be a number above 0; leave it out to run until Ctrl-C",
        )
    for name, value in (("TAPE", tape and str(tape.absolute())), ("SEED", seed), ("RATE", rate)):
        if value is not None:
            os.environ[f"UNDERTOW_PAPER__{name}"] = str(value)
    settings = load(Settings)
    if tape is not None and settings.mode is Mode.PAPER:
        os.environ.setdefault("UNDERTOW_PAPER__INJECT", str(inject).lower())
        os.environ.setdefault("UNDERTOW_FEED__STALE_SECONDS", "86400")  # silence after a recording's end is no fault
    symbols = check_before_start(settings.mode)
    if symbols and "symbols" not in settings.model_fields_set:
        os.environ[f"{PREFIX}SYMBOLS"] = ",".join(symbols)  # a tape may hold fewer than we trade by default
        settings = load(Settings)
    if not 1 <= shards <= len(settings.symbols):
        raise CommandError(
            ExitCode.BAD_CONFIGURATION,
            f"--shards {shards}: {len(settings.symbols)} symbols are shared by 1 to {len(settings.symbols)} instances",
        )
    options = RunOptions(
        mode=settings.mode,
        symbols=settings.symbols,
        seconds=seconds,
        console_port=settings.console_port,
        var=settings.var,
        bus_url=given_url(),
        shards=shards,
    )
    screen = Screen(stderr=as_json)
    with claimed(settings.var):
        report = asyncio.run(FleetRun(options, screen).run())
    _print_report(report, settings.var / "run-report.json", screen, as_json=as_json)
    if report["failures"]:
        raise CommandError(ExitCode.ERROR, report["failures"][0])


def _print_report(report: dict[str, Any], path: Path, screen: Screen, *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(report) + "\n")
    table = Table(title=f"run report · {report['market']}", show_header=False)
    for name in _REPORTED:
        table.add_row(name.replace("_", " "), str(report[name]))
    tick = report["tick_to_order_ms"]
    table.add_row("tick to order, ms", f"p50 {tick['p50']}  p99 {tick['p99']}  n {tick['n']}")
    screen.print(table)
    screen.print(f"report: {path}")
    if str(report["mode"]) == "paper":
        screen.print("[dim]Paper result on this market; not a forecast of trading performance.[/]")


def _console() -> Console:
    _check_names()
    return Console(load(Settings).console_port)


def _check_names() -> None:
    from services.cli.preflight import check_names  # noqa: PLC0415 - the services' settings load only here

    check_names(os.environ)


def _show(data: Any, *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(data) + "\n")
        return
    screen = Screen()
    if isinstance(data, list):
        if not data:
            screen.print("none")
            return
        table = Table(*data[0])
        for row in data:
            table.add_row(*(str(value) for value in row.values()))
        screen.print(table)
        return
    for name, value in data.items():
        words = ", ".join(f"{key} {each}" for key, each in value.items()) if isinstance(value, dict) else value
        screen.print(f"[bold]{name}[/]: {words}", highlight=False, soft_wrap=True)


@app.command()
def status(*, as_json: AsJson = False) -> None:
    """Show mode, state and the services' health."""
    _show(_console().get("/api/status"), as_json=as_json)


@app.command()
def positions(*, as_json: AsJson = False) -> None:
    """Show positions."""
    _show(_console().get("/api/positions"), as_json=as_json)


@app.command()
def orders(*, as_json: AsJson = False) -> None:
    """Show orders."""
    rows = _console().get("/api/orders")
    _show(rows if as_json else [{name: row.get(name, "") for name in _ORDER_COLUMNS} for row in rows], as_json=as_json)


@app.command()
def pause(why: Why, *, as_json: AsJson = False) -> None:
    """Send no new entries; trades run to their end."""
    _show(_console().command("pause", why), as_json=as_json)


@app.command()
def resume(why: Why, *, as_json: AsJson = False) -> None:
    """Send entries again."""
    _show(_console().command("resume", why), as_json=as_json)


@app.command()
def flatten(why: Why, *, as_json: AsJson = False) -> None:
    """Cancel entries, close every position, stay paused."""
    _show(_console().command("flatten", why), as_json=as_json)


@app.command()
def limit(
    name: Annotated[str, typer.Argument(help="The limit, such as symbol_fraction (docs/risk.md has all).")],
    value: Annotated[str, typer.Argument(help="What it is to be.")],
    why: Why,
    *,
    as_json: AsJson = False,
) -> None:
    """Change a risk limit of the running fleet."""
    _show(_console().command("limits", why, limit=name, value=value), as_json=as_json)


@app.command()
def kill(why: Why, *, as_json: AsJson = False) -> None:
    """Have the guardian cancel and flatten everything and stay HALTED."""
    _show(_console().command("kill", why), as_json=as_json)


@app.command()
def rearm(
    why: Why, token: Annotated[str, typer.Option(help="The token of the first call.")] = "", *, as_json: AsJson = False
) -> None:
    """Leave HALTED, in two steps: the first answers a token, the second brings it back."""
    more = {"token": token} if token else {}
    _show(_console().command("rearm", why, **more), as_json=as_json)


@app.command()
def record(
    out: Annotated[Path, typer.Option(help="The file to make; with rotation the stem of the files.")],
    symbols: Annotated[str, typer.Option(help="Comma separated; else those of the settings.")] = "",
    topics: Annotated[str, typer.Option(help="Comma separated, each for every symbol.")] = ",".join(DEFAULT_TOPICS),
    seconds: Annotated[float | None, typer.Option("--for", help="Seconds to record; without it until Ctrl-C.")] = None,
    sync_seconds: Annotated[float, typer.Option(help="Longest time until a frame is safe on disk.")] = 5.0,
    rotate_hours: Annotated[float | None, typer.Option(help="Begin a file at each multiple of so many hours.")] = None,
    rotate_mb: Annotated[float | None, typer.Option(help="Begin a file when one has so many megabytes.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Record the venue's public stream: frames as they come, with the times of their receipt; no keys."""
    from services.cli import recordings  # noqa: PLC0415 - the stream's client loads only here

    _check_names()
    options = recordings.options(out, topics, seconds, sync_seconds, rotate_hours, rotate_mb)
    _show(recordings.record(options, symbols, Screen(stderr=True)), as_json=as_json)


@app.command()
def replay(
    file: Annotated[Path, typer.Argument(help="A recording, or a pattern of files that belong together.")],
    speed: Annotated[float, typer.Option(help="Market seconds per wall second.")] = 1.0,
    seconds: Annotated[float | None, typer.Option("--for", help="Seconds; without it until Ctrl-C.")] = None,
    *,
    stats: Annotated[bool, typer.Option("--stats", help="Only say what is in it.")] = False,
    lines: Annotated[bool, typer.Option("--print", help="Only print its lines, `<ns> <frame>`.")] = False,
    as_json: AsJson = False,
) -> None:
    """Play a recording through the whole fleet, as it is; or only read it."""
    from services.cli import recordings  # noqa: PLC0415 - the readers load only here

    _check_names()
    paths = recordings.found(file)
    if lines:
        recordings.print_lines(paths, seconds)
    elif stats:
        survey = recordings.surveyed(paths)
        if as_json:
            _show(survey.figures(), as_json=True)
        else:
            Screen().print(*recordings.tables(survey))
    else:
        with recordings.as_tape():
            _run_fleet(seconds, file, None, speed, inject=False, as_json=as_json)


@app.command("import")
def import_(
    source: Annotated[str, typer.Argument(help="bybit-trades, bybit-books, tardis or recording.")],
    files: Annotated[list[Path], typer.Argument(help="Archives as they were downloaded, or folders of them.")],
    into: Annotated[str, typer.Option(help="A directory or s3:// address of the store.")] = "var/history",
    *,
    as_json: AsJson = False,
) -> None:
    """Import archives as rows that `undertow query --data` and training read; what is in already is left out."""
    from services.cli.imports import import_archives  # noqa: PLC0415 - pyarrow loads only here

    _check_names()
    _show(import_archives(source, files, into, Screen(stderr=True)), as_json=as_json)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def train(context: typer.Context) -> None:
    """Train a model and put it into the registry (needs the `trainer` dependency group)."""
    _check_names()
    sys.exit(subprocess.run([sys.executable, "-m", "services.trainer", *context.args], check=False).returncode)  # noqa: S603


@app.command(help=lone_venue.HELP)
def venue(
    port: Annotated[int, typer.Option(help="Where it listens, on 127.0.0.1.")] = 8100,
    tape: Annotated[Path | None, typer.Option(help="Recorded frames instead of the generated market.")] = None,
    tls_port: Annotated[int | None, typer.Option(help="Where it speaks TLS too, with a certificate it makes.")] = None,
    tls_folder: Annotated[Path, typer.Option(help="Where the certificate and ca.pem are put.")] = Path("var/tls"),
    accounts: Annotated[Path | None, typer.Option(help="JSON file of further accounts and keys.")] = None,
    rate: Annotated[float | None, typer.Option(help="Speed of market time against wall time.")] = None,
) -> None:
    """Become the venue."""
    from services.cli.preflight import check_market, check_names  # noqa: PLC0415 - the venue's readers load only here

    check_names(os.environ)
    os.environ |= lone_venue.told(
        port=port, tape=tape, tls_port=tls_port, tls_folder=tls_folder, accounts=accounts, rate=rate
    )
    alone = not any(os.environ.get(f"{PREFIX}PAPER__{name}") for name in ("TAPE", "UPSTREAM"))
    for name, value in lone_venue.assumed(follows_wall=alone).items():
        os.environ.setdefault(name, value)
    check_market()
    os.execv(sys.executable, [sys.executable, "-m", "services.venue"])  # noqa: S606 - becomes the venue


@app.command()
def query(
    sql: str,
    data: Annotated[str | None, typer.Option(help="A directory or s3:// address of snapshots.")] = None,
    *,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    as_json: AsJson = False,
) -> None:
    """Ask the snapshots in SQL; each kind of message is a view (book, trades, liquidations, signal, order, execution …)."""
    from services.cli.snapshots import ask, chosen, print_csv  # noqa: PLC0415 - duckdb loads only here

    _check_names()
    found = ask(chosen(data), sql)
    if as_csv:
        print_csv(found)
    elif as_json:
        sys.stdout.write(json.dumps(found.records, default=str) + "\n")
    else:
        _show(found.records, as_json=False)


@app.command()
def quality(
    day: Annotated[str | None, typer.Argument(help="YYYY-MM-DD; without it the newest day.")] = None,
    data: Annotated[str | None, typer.Option(help="A directory or s3:// address of snapshots.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Where the page is written; var/quality-DAY.html by default.")
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Report the quality of a stored day as a page: gaps, duplicates, silences, crossed books, counts, latency."""
    from services.cli.snapshots import chosen, examined  # noqa: PLC0415 - duckdb loads only here

    _check_names()
    found, page = examined(chosen(data), day)
    path = out or load(Settings).var / f"quality-{found['day']}.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page)
    _show(found | {"page": str(path)}, as_json=as_json)


@models.command("list")
def list_models(*, as_json: AsJson = False) -> None:
    """List the registry's entries."""
    from services.cli.registry import entries  # noqa: PLC0415

    _show(entries(), as_json=as_json)


@models.command("show")
def show_model(model_hash: str, *, as_json: AsJson = False) -> None:
    """Show one entry's card."""
    from services.cli.registry import card  # noqa: PLC0415

    _show(card(model_hash), as_json=as_json)
