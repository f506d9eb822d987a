"""The page about the venue is true: every line of it that can be typed is typed here."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from services.venue.faults.catalogue import ACTIONS
from tests.services.venue.little_market import book, running, ticker, write_tape

PAGE = (Path(__file__).parents[3] / "docs" / "venue.md").read_text()
ROW = re.compile(r"^\| `(\w+)` \| (.+) \| `(curl .+)` \|$", re.MULTILINE)
SHOWN = re.compile(r"^\$ (curl .*\$VENUE.*)$", re.MULTILINE)


@pytest.fixture
async def client(tmp_path):
    tape = write_tape(tmp_path / "t.rawlines", [(0, book()), (1, ticker()), (60_000, ticker(60_000))])
    async with running(tape=tape) as each:
        yield each


async def typed(client, line: str) -> tuple[int, dict]:
    """Do what a line of curl does; its arguments are read as a shell reads them."""
    command, *words = shlex.split(line)
    assert command == "curl"
    method, data, url = "GET", None, ""
    while words:
        word = words.pop(0)
        if word == "-X":
            method = words.pop(0)
        elif word == "-d":
            data = words.pop(0)
        else:
            url = word
    assert url.startswith("$VENUE/")
    async with client.session.request(method, url.removeprefix("$VENUE"), data=data) as answer:
        return answer.status, await answer.json()


def test_the_table_has_every_action_with_its_own_words() -> None:
    assert {name: about for name, about, _ in ROW.findall(PAGE)} == {name: a.about for name, a in ACTIONS.items()}


async def test_every_line_of_the_table_works(client):
    for name, _, line in ROW.findall(PAGE):
        status, body = await typed(client, line)
        assert (status, [each["action"] for each in body["faults"]]) == (200, [name]), line
        asked = json.loads(shlex.split(line)[-1])
        assert asked.items() <= body["faults"][0].items()


async def test_the_lines_above_the_table_work_one_after_the_other(client):
    statuses = [(await typed(client, line))[0] for line in SHOWN.findall(PAGE)]
    assert statuses == [200] * 5
