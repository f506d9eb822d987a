import errno
import os
import subprocess
import sys

import pytest

from services.cli import commands
from tests.fleet.fleet import ROOT, free_port


def undertow(*arguments: str, **environment: str) -> tuple[int, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("UNDERTOW_", "BYBIT_"))}
    done = subprocess.run(
        [sys.executable, "-m", "services.cli", *arguments],
        cwd=ROOT,
        env=clean | environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("arguments", "environment", "code", "words"),
    [
        (["run", "--for", "0"], {}, 4, "--for 0"),
        (["run", "--for", "nan"], {}, 4, "--for nan"),
        (["run", "--for", "soon"], {}, 4, "--for"),
        (["run", "--shards", "5"], {}, 4, "--shards 5"),
        (["run", "--shards", "0"], {}, 4, "--shards 0"),
        (["run"], {"UNDERTOW_BUS__URL": "redis+cluster://127.0.0.1:{free}"}, 4, "Redis does not answer"),
        (["run", "--fro", "3"], {}, 4, "--fro"),
        (["frobnicate"], {}, 4, "frobnicate"),
        (["pause"], {}, 4, "--why"),
        (["status"], {"UNDERTOW_CONSOLE_PROT": "9"}, 4, "UNDERTOW_CONSOLE_PORT"),
        (["kill", "--why", "x"], {"UNDERTOW_CONSOLE_PORT": "{free}"}, 3, "no fleet answers"),
        (["venue"], {"UNDERTOW_MOED": "live"}, 4, "UNDERTOW_MODE"),
        (["venue", "--tape", "/nowhere.gz"], {}, 4, "/nowhere.gz"),
        (["model", "show", "nope"], {}, 2, "no model nope"),
        (["query", "select 1", "--data", "/nowhere"], {}, 2, "/nowhere"),
        (["run"], {"UNDERTOW_VAR": " "}, 4, "UNDERTOW_VAR"),
        (["run", "--tape", "x"], {"UNDERTOW_MODE": "demo"}, 4, "UNDERTOW_PAPER__TAPE"),
    ],
)
def test_a_wrong_use_is_one_line_and_its_code(arguments, environment, code, words):
    environment = {name: value.format(free=free_port()) for name, value in environment.items()}
    left, line = undertow(*arguments, **environment)
    assert (left, len(line.splitlines())) == (code, 1), line
    assert words in line


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
