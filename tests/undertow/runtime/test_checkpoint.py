from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from undertow.runtime.checkpoint import Checkpoint, CheckpointError


class Kept(msgspec.Struct, frozen=True):
    amount: Decimal


def test_a_first_start_finds_nothing(tmp_path):
    assert Checkpoint(tmp_path / "deep" / "state.json", Kept).load() is None


def test_what_was_saved_last_is_loaded_exactly(tmp_path):
    checkpoint = Checkpoint(tmp_path / "deep" / "state.json", Kept)
    checkpoint.save(Kept(Decimal(1)))
    checkpoint.save(Kept(Decimal("0.10000000")))
    loaded = Checkpoint(tmp_path / "deep" / "state.json", Kept).load()
    assert str(loaded.amount) == "0.10000000"


def test_half_a_write_leaves_the_old_file(tmp_path):
    checkpoint = Checkpoint(tmp_path / "state.json", Kept)
    checkpoint.save(Kept(Decimal(1)))
    (tmp_path / "state.new").write_bytes(b'{"amo')
    assert checkpoint.load() == Kept(Decimal(1))


@pytest.mark.parametrize("content", [b"", b'{"amount":', b'{"other":1}'])
def test_a_spoilt_file_stops_instead_of_starting_anew(tmp_path, content):
    (tmp_path / "state.json").write_bytes(content)
    with pytest.raises(CheckpointError, match="move it away"):
        Checkpoint(tmp_path / "state.json", Kept).load()
