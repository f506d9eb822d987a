import re
from pathlib import Path

import msgspec
import pytest

from undertow.contracts import streams
from undertow.contracts.envelope import Envelope
from undertow.contracts.messages.market import Resync
from undertow.contracts.streams import MARKET, SIGNALS, STREAMS, Stream

SERVICES = Path(__file__).parents[3] / "services"
NAMES = {name: value for name, value in vars(streams).items() if isinstance(value, Stream)}
EVERYTHING = {"snapshotter"}  # stores every stream, by the list and not by name
OUTSIDE = {"cli"}  # tells the operator what happens; not a consumer


def imported_by(service: str) -> set[str]:
    source = "".join(path.read_text() for path in sorted((SERVICES / service).glob("*.py")))
    found = re.findall(r"from undertow\.contracts\.streams import (\([^)]*\)|[^\n]*)", source)
    return {name for block in found for name in re.findall(r"\b[A-Z]+\b", block) if name in NAMES}


def services() -> list[str]:
    return sorted(path.parent.name for path in SERVICES.glob("*/app.py"))


def test_no_two_streams_share_a_name_a_key_pattern_or_a_tag():
    assert len({s.name for s in STREAMS}) == len({s.pattern for s in STREAMS}) == len(STREAMS) == len(NAMES)
    tags = [payload.__struct_config__.tag for stream in STREAMS for payload in stream.payloads]
    assert len(tags) == len(set(tags))


@pytest.mark.parametrize("service", [s for s in services() if s not in EVERYTHING | OUTSIDE])
def test_a_service_uses_exactly_the_streams_that_are_declared_for_it(service):
    declared = {name for name, stream in NAMES.items() if service in stream.readers or service in stream.writers}
    assert imported_by(service) == declared


@pytest.mark.parametrize("stream", STREAMS, ids=lambda s: s.name)
def test_every_stream_has_real_writers_and_readers_and_is_stored(stream):
    assert {*stream.writers, *stream.readers} <= set(services())
    assert stream.writers
    assert "snapshotter" in stream.readers
    assert stream.maxlen > 0
    assert len(stream.writers) == 1 or "{source}" in stream.pattern


def test_a_key_carries_the_shards_hash_tag():
    assert MARKET.key(symbol="BTCUSDT") == "market:{BTCUSDT}"
    assert SIGNALS.key(symbol="BTCUSDT", source="model_server") == "signals:{BTCUSDT}:model_server"


def test_a_key_without_its_symbol_is_refused():
    with pytest.raises(ValueError, match="name symbol and source"):
        MARKET.key()


def test_what_is_encoded_is_decoded_by_the_streams_decoder():
    envelope = Envelope("ingestor/1", 7, (1, 2), Resync(ts_event=1, ts_recv=2, symbol="BTCUSDT"))
    assert MARKET.decoder.decode(msgspec.msgpack.encode(envelope)) == envelope
