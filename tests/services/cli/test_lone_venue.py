from __future__ import annotations

import json
import os
import signal
import ssl
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from services.cli.lone_venue import HELP, assumed, told
from tests.support import eventually


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "services.cli", "venue", *words]


def test_what_is_not_asked_for_is_not_told():
    said = told(port=8100, tape=None, tls_port=None, tls_folder=Path("tls"), accounts=None, rate=None)
    assert said == {"UNDERTOW_HTTP__PORT": "8100"}


def test_every_option_is_a_setting_of_the_venue(tmp_path):
    said = told(port=1, tape=tmp_path / "t", tls_port=2, tls_folder=tmp_path, accounts=tmp_path / "a", rate=3.0)
    assert said == {
        "UNDERTOW_HTTP__PORT": "1",
        "UNDERTOW_PAPER__TAPE": str(tmp_path / "t"),
        "UNDERTOW_PAPER__TLS_PORT": "2",
        "UNDERTOW_PAPER__TLS_FOLDER": str(tmp_path),
        "UNDERTOW_PAPER__ACCOUNTS_FILE": str(tmp_path / "a"),
        "UNDERTOW_PAPER__RATE": "3.0",
    }


def test_only_a_generated_market_is_put_at_the_wall_time():
    assert assumed(follows_wall=True)["UNDERTOW_PAPER__ORIGIN"] == "now"
    assert "UNDERTOW_PAPER__ORIGIN" not in assumed(follows_wall=False)


def test_the_help_shows_how_to_point_a_bot_at_it_within_eighty_columns():
    shown = subprocess.run(
        command("--help"), env={**os.environ, "COLUMNS": "80"}, capture_output=True, text=True, check=True
    ).stdout
    lines = [" ".join(line.split()) for line in shown.splitlines()]
    for line in HELP.partition("\b\n")[2].splitlines():
        assert " ".join(line.split()) in lines


async def test_the_venue_stands_alone_with_accounts_and_a_certificate_of_its_own_making(tmp_path):
    accounts = tmp_path / "accounts.json"
    accounts.write_text(json.dumps([{"uid": "200001", "keys": [{"key": "bot", "secret": "bot-secret"}]}]))
    options = ["--port", "0", "--tls-port", "0", "--tls-folder", str(tmp_path / "tls"), "--accounts", str(accounts)]
    process = subprocess.Popen(command(*options), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        port = json.loads(process.stdout.readline())["port"]

        def page(address: str, context: ssl.SSLContext | None = None):
            with urllib.request.urlopen(address, context=context) as answer:
                return json.load(answer)

        tls = await eventually(
            lambda: (
                page(f"http://127.0.0.1:{port}/control/tls")["port"] and page(f"http://127.0.0.1:{port}/control/tls")
            )
        )
        trusting = ssl.create_default_context(cafile=tls["ca_file"])
        now = page(f"https://localhost:{tls['port']}/v5/market/time", trusting)["time"]
        assert abs(now - time.time() * 1000) < 60_000
        assert page(f"http://127.0.0.1:{port}/control/ledger?key=bot")["uid"] == "200001"
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=10)
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('[{"uid": "x", "keys": []}]', ["UNDERTOW_PAPER__ACCOUNTS", "[0].uid", "set it to JSON such as"]),
        ("[", ["UNDERTOW_PAPER", "set it to valid JSON"]),
    ],
)
def test_accounts_that_cannot_be_read_end_it_with_4_and_one_line(tmp_path, content, words):
    accounts = tmp_path / "accounts.json"
    accounts.write_text(content)
    ended = subprocess.run(command("--accounts", str(accounts)), capture_output=True, text=True, check=False)
    assert ended.returncode == 4
    assert len(ended.stderr.splitlines()) == 1
    for word in words:
        assert word in ended.stderr
