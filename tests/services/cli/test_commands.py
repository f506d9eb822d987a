import errno
import json
import os
import signal
import subprocess
import sys

import pytest

from services.cli import commands
from services.cli.exits import CommandError
from tests.fleet.fleet import ROOT, free_port
from tests.undertow.storage import rows as store_rows


def undertow(*arguments: str, **environment: str) -> tuple[int, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("UNDERTOW_", "BYBIT_"))}
    done = subprocess.run(
        [sys.executable, "-m", "services.cli", *arguments],
        cwd=ROOT,
        env=clean | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stderr


@pytest.fixture
def undertow_here(monkeypatch, capfd):
    """`undertow` in this process, which saves the start of another; for what is refused before anything is started."""
    heard = signal.pthread_sigmask(signal.SIG_BLOCK, ())

    def call(*arguments: str, **environment: str) -> tuple[int, str]:
        for name in [name for name in os.environ if name.startswith(("UNDERTOW_", "BYBIT_"))]:
            monkeypatch.delenv(name)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["undertow", *arguments])
        with pytest.raises(SystemExit) as left:
            commands.main()
        return left.value.code, capfd.readouterr().err

    yield call
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == heard, "a fleet was started here"


@pytest.mark.parametrize(
    ("arguments", "environment", "code", "words"),
    [
        (["run", "--for", "0"], {}, 4, "--for 0"),
        (["run", "--for", "nan"], {}, 4, "--for nan"),
        (["run", "--for", "soon"], {}, 4, "--for"),
        (["run", "--shards", "5"], {}, 4, "--shards 5"),
        (["run", "--shards", "0"], {}, 4, "--shards 0"),
        (["run", "--fro", "3"], {}, 4, "--fro"),
        (["frobnicate"], {}, 4, "frobnicate"),
        (["pause"], {}, 4, "--why"),
        (["limit", "symbol_fraction", "0.05"], {}, 4, "--why"),
        (
            ["limit", "symbol_fraction", "0.05", "--why", "x"],
            {"UNDERTOW_CONSOLE_PORT": "{free}"},
            3,
            "no fleet answers",
        ),
        (["status"], {"UNDERTOW_CONSOLE_PROT": "9"}, 4, "UNDERTOW_CONSOLE_PORT"),
        (["kill", "--why", "x"], {"UNDERTOW_CONSOLE_PORT": "{free}"}, 3, "no fleet answers"),
        (["venue"], {"UNDERTOW_MOED": "live"}, 4, "UNDERTOW_MODE"),
        (["venue", "--tape", "/nowhere.gz"], {}, 4, "/nowhere.gz"),
        (["model", "show", "nope"], {}, 2, "no model nope"),
        (["query", "select 1", "--data", "/nowhere"], {}, 2, "/nowhere"),
        (["query", "select 1", "--data", "ftp://host"], {}, 4, "neither a directory nor s3://"),
        (["quality", "--data", "/nowhere"], {}, 2, "/nowhere"),
        (["run"], {"UNDERTOW_VAR": " "}, 4, "UNDERTOW_VAR"),
        (["run", "--tape", "x"], {"UNDERTOW_MODE": "demo"}, 4, "UNDERTOW_PAPER__TAPE"),
    ],
)
def test_a_wrong_use_is_one_line_and_its_code(undertow_here, arguments, environment, code, words):
    environment = {name: value.format(free=free_port()) for name, value in environment.items()}
    left, line = undertow_here(*arguments, **environment)
    assert (left, len(line.splitlines())) == (code, 1), line
    assert words in line


def test_a_redis_that_does_not_answer_is_one_line(tmp_path):
    url = f"redis+cluster://127.0.0.1:{free_port()}"
    code, line = undertow("run", UNDERTOW_BUS__URL=url, UNDERTOW_VAR=str(tmp_path))
    assert (code, len(line.splitlines())) == (4, 1), line
    assert "Redis does not answer" in line


def test_a_damaged_model_is_one_line_when_models_are_listed(tmp_path):
    (tmp_path / "0123456789abcdef").mkdir()
    code, line = undertow("model", "list", UNDERTOW_MODEL__REGISTRY=str(tmp_path))
    assert (code, len(line.splitlines())) == (1, 1), line
    assert "0123456789abcdef" in line


def test_without_a_verb_the_verbs_are_listed():
    assert undertow() == (0, "")


def test_a_full_disk_is_one_line_with_a_remedy(capsys, monkeypatch):
    def full(**_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "run-report.part")

    monkeypatch.setattr(commands, "app", full)
    with pytest.raises(SystemExit) as left:
        commands.main()
    assert left.value.code == 1
    assert capsys.readouterr().err == (
        "undertow: run-report.part: No space left on device; free some, or name a folder on another disk with UNDERTOW_VAR\n"
    )


def test_what_nobody_foresaw_is_one_line(capsys, monkeypatch):
    def broken(**_: object) -> None:
        raise ZeroDivisionError("division by\nzero")

    monkeypatch.setattr(commands, "app", broken)
    with pytest.raises(SystemExit) as left:
        commands.main()
    assert left.value.code == 1
    assert capsys.readouterr().err.startswith("undertow: unexpected ZeroDivisionError: division by zero;")


def test_a_query_answers_as_json_as_csv_and_as_a_table(tmp_path, capsys):
    store_rows.commit(store_rows.store_at(tmp_path).writer("a"), store_rows.trades(1))
    sql = "SELECT symbol, price, price_number FROM trade"
    for option, wanted in (
        ("--json", '[{"symbol": "BTCUSDT", "price": "65000.10", "price_number": "65000.100000000000000000"}]'),
        ("--csv", "symbol,price,price_number\nBTCUSDT,65000.10,65000.100000000000000000"),
    ):
        commands.app(["query", sql, "--data", str(tmp_path), option], standalone_mode=False)
        assert capsys.readouterr().out.strip() == wanted
    commands.app(["query", sql, "--data", str(tmp_path)], standalone_mode=False)
    assert "65000.10" in capsys.readouterr().out


def test_a_wrong_query_is_an_error_that_names_the_views(tmp_path):
    store_rows.commit(store_rows.store_at(tmp_path).writer("a"), store_rows.trades(1))
    code, line = undertow("query", "SELECT * FROM nothing", "--data", str(tmp_path))
    assert (code, len(line.splitlines())) == (1, 1), line
    assert "there are the views trade, trades" in line


def test_the_quality_of_a_day_is_a_page_and_figures(tmp_path, capsys):
    store_rows.commit(store_rows.store_at(tmp_path).writer("a"), store_rows.trades(1), store_rows.trades(4))
    arguments = ["quality", "--data", str(tmp_path), "--out", str(tmp_path / "page.html")]
    commands.app([*arguments, "--json"], standalone_mode=False)
    figures = json.loads(capsys.readouterr().out)
    assert (figures["day"], figures["rows"], figures["missing"]) == ("1970-01-01", 2, 2)
    assert "Missing rows" in (tmp_path / "page.html").read_text()
    for day, exit_code in (("yesterday", 4), ("2020-01-01", 2)):
        with pytest.raises(CommandError) as refused:
            commands.app([*arguments, day], standalone_mode=False)
        assert refused.value.code == exit_code
