from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.order_router.journal import MAGIC, Journal, JournalError, frame, parse
from undertow.contracts.messages.control import Verb
from undertow.trading.records import Carried, CommandTaken, Published, TradeEnded

RECORDS = [
    TradeEnded(at_ns=1, trade_id="t1"),
    CommandTaken(at_ns=2, command_id="c", verb=Verb.PAUSE, symbol="", who="me", why="test"),
    Published(at_ns=3),
    Carried(at_ns=4, exec_ids=("x1", "x2"), order_ids=("o1",), last_execution_ns=9),
]
WHOLE = MAGIC + b"".join(frame(msgspec.msgpack.encode(record)) for record in RECORDS)
ENDS = [len(MAGIC)]
for _record in RECORDS:
    ENDS.append(ENDS[-1] + len(frame(msgspec.msgpack.encode(_record))))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "orders.journal"


def test_what_was_appended_is_there_after_a_restart(path: Path):
    journal = Journal(path)
    assert journal.records == []
    journal.append(RECORDS[:2], durable=True)
    assert journal.sync_seconds > 0
    journal.append(RECORDS[2:], durable=False)
    journal.close()
    again = Journal(path)
    assert again.records == RECORDS
    assert again.cut_bytes == 0
    again.close()


@given(st.integers(0, len(WHOLE)))
def test_a_tail_cut_anywhere_loses_only_the_record_it_cut(length: int):
    records, whole = parse(WHOLE[:length])
    complete = sum(1 for end in ENDS[1:] if end <= length)
    assert records == RECORDS[:complete]
    assert whole == (max(end for end in ENDS if end <= length) if length >= len(MAGIC) else 0)


@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 255))
def test_a_flipped_byte_is_refused_before_the_tail_and_cut_within_it(at: int, flip: int):
    garbled = bytearray(WHOLE)
    garbled[at] ^= flip
    if at < ENDS[-2]:
        with pytest.raises(JournalError):
            parse(bytes(garbled))
    else:
        records, whole = parse(bytes(garbled))
        assert records == RECORDS[:-1]
        assert whole == ENDS[-2]


@given(st.integers(1, 5000))
def test_a_tail_of_zeros_is_cut(length: int):
    records, whole = parse(WHOLE + bytes(length))
    assert records == RECORDS
    assert whole == len(WHOLE)


def test_a_torn_tail_is_cut_off_the_file_and_reported(path: Path):
    path.parent.mkdir()
    path.write_bytes(WHOLE[:-3])
    journal = Journal(path)
    assert journal.cut_bytes == ENDS[-1] - ENDS[-2] - 3
    assert journal.records == RECORDS[:-1]
    journal.append(RECORDS[-1:], durable=True)
    journal.close()
    assert path.read_bytes() == WHOLE


@pytest.mark.parametrize("born", [b"", MAGIC[:3]])
def test_a_journal_torn_at_its_birth_begins_anew(path: Path, born: bytes):
    path.parent.mkdir()
    path.write_bytes(born)
    journal = Journal(path)
    journal.append(RECORDS, durable=False)
    journal.close()
    assert path.read_bytes() == WHOLE


def test_corruption_is_named_with_its_place_and_a_remedy(path: Path):
    path.parent.mkdir()
    garbled = bytearray(WHOLE)
    garbled[ENDS[1] + 12] ^= 1
    path.write_bytes(garbled)
    with pytest.raises(JournalError, match=rf"orders.journal: is corrupt at byte {ENDS[1]}.*restore it"):
        Journal(path)
    assert path.read_bytes() == garbled


def test_a_record_of_another_kind_is_named(path: Path):
    with pytest.raises(JournalError, match="record 1 at byte 8 cannot be read"):
        parse(MAGIC + frame(msgspec.msgpack.encode({"type": "unheard_of"})))


def test_another_file_is_not_taken_for_a_journal(path: Path):
    path.parent.mkdir()
    path.write_bytes(b"something else entirely")
    with pytest.raises(JournalError, match="is not a journal"):
        Journal(path)
    assert path.read_bytes() == b"something else entirely"


def test_a_rewritten_journal_has_only_the_new_records_and_keeps_the_old_beside(path: Path):
    journal = Journal(path)
    journal.append(RECORDS, durable=True)
    journal.rewrite(RECORDS[:1])
    journal.append(RECORDS[1:2], durable=True)
    journal.rewrite(RECORDS[:2])
    journal.append(RECORDS[2:], durable=True)
    journal.close()
    assert path.read_bytes() == WHOLE
    assert parse(path.with_suffix(".previous").read_bytes())[0] == RECORDS[:2]
    assert not path.with_suffix(".new").exists()


def test_a_second_router_is_kept_out(path: Path):
    journal = Journal(path)
    program = (
        f"from pathlib import Path; from services.order_router.journal import Journal; Journal(Path({str(path)!r}))"
    )
    second = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "is open in another order_router" in second.stderr
    journal.close()
    Journal(path).close()
