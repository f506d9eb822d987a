from __future__ import annotations

from typing import Any

import pytest

from tests.undertow.contracts import golden
from undertow.contracts.streams import STREAMS

DECODERS = {stream.name: stream.decoder for stream in STREAMS}


def covers(now: Any, then: Any) -> bool:
    """Whether all that was said then is said now; new fields may have come."""
    if isinstance(then, dict):
        return all(key in now and covers(now[key], value) for key, value in then.items())
    if isinstance(then, list):
        return len(now) == len(then) and all(map(covers, now, then))
    return bool(now == then)


@pytest.mark.parametrize("line", golden.recorded(), ids=lambda line: f"{line['stream']}-{line['tag']}")
def test_old_bytes_still_decode_to_what_they_said(line: dict[str, Any]) -> None:
    message = DECODERS[line["stream"]].decode(bytes.fromhex(line["bytes"]))
    assert covers(golden.plain(message), line["reads"])


def test_every_payload_and_word_of_today_has_its_bytes() -> None:
    absent = sorted({line["tag"] for line in golden.missing()})
    assert not absent, "run: python tests/undertow/contracts/golden.py"
