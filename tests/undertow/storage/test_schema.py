from decimal import Decimal

import pytest

from undertow.contracts.messages.reference import OpenInterest
from undertow.contracts.streams import STREAMS
from undertow.storage.schema import Record, schema_of, table_of


@pytest.mark.parametrize("payload", [payload for stream in STREAMS for payload in stream.payloads])
def test_every_message_of_every_stream_has_a_schema(payload):
    names = schema_of(payload).names
    assert {"stream_key", "entry_id", "producer", "producer_sequence", "ts_event", "ts_recv"} <= set(names)
    assert len(names) == len(set(names))


def test_money_is_stored_as_the_exact_text_of_the_wire():
    message = OpenInterest(ts_event=1, ts_recv=1, symbol="BTCUSDT", open_interest=Decimal("59891.7320"))
    table = table_of(OpenInterest, [Record(message, "reference:{BTCUSDT}", "p", 1)])
    assert table.column("open_interest").to_pylist() == ["59891.7320"]
