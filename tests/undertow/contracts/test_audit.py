from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from undertow.contracts.audit import GENESIS, SEALED, AuditChain, verify
from undertow.contracts.messages.decision import Decision, Verdict


def records(count: int) -> list[Decision]:
    chain = AuditChain("model_server")
    return [
        chain.record(
            Verdict.NO_EDGE,
            ts_event=number,
            ts_recv=number,
            cause=(f"features/{number}",),
            symbol="BTCUSDT",
            subject=str(number),
            detail={"drawn_bps": 1.5},
        )
        for number in range(count)
    ]


def test_an_untouched_chain_verifies() -> None:
    chain = records(5)
    assert chain[0].previous == GENESIS
    assert verify(chain, GENESIS) is None
    assert verify(chain[2:]) is None
    assert verify([]) is None


@given(st.integers(0, 4), st.sampled_from([*SEALED, "previous", "hash"]))
def test_any_altered_field_is_found_where_it_is(index: int, field: str) -> None:
    chain = records(5)
    other = {"ts_event": -1, "ts_recv": -1, "cause": ("x",), "verdict": Verdict.SIGNALLED}.get(field, "altered")
    chain[index] = msgspec.structs.replace(chain[index], **{field: other})
    assert verify(chain, GENESIS) == index


def test_a_left_out_record_is_found() -> None:
    chain = records(5)
    del chain[2]
    assert verify(chain) == 2
    assert verify(chain[1:], GENESIS) == 0


def test_a_chain_goes_on_after_a_restart() -> None:
    chain = records(2)
    again = AuditChain("model_server", chain[-1].hash)
    chain.append(again.record(Verdict.PAUSED, ts_event=9, ts_recv=9))
    assert verify(chain, GENESIS) is None
    assert again.head == chain[-1].hash


def test_a_record_survives_the_wire() -> None:
    raw = msgspec.msgpack.encode(records(1)[0])
    assert verify([msgspec.msgpack.decode(raw, type=Decision)], GENESIS) is None


def test_every_field_but_the_hash_is_sealed() -> None:
    assert set(SEALED) | {"previous", "hash"} == set(Decision.__struct_fields__)
