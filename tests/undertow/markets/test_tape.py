from __future__ import annotations

import gzip
import json
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest

from tests.support import recorded
from undertow.markets.instruments import instruments_for, known_symbols, risk_tiers_for
from undertow.markets.rawlines import TapeError
from undertow.markets.tape import TapeSource

BOOK = b'{"topic":"orderbook.200.BTCUSDT","type":"snapshot","ts":1,"data":{"s":"BTCUSDT","b":[],"a":[],"u":1,"seq":1}}'
TRADE = b'{"topic":"publicTrade.ETHUSDT","type":"snapshot","ts":1,"data":[]}'
ACK = b'{"success":true,"ret_msg":"","conn_id":"c","req_id":"","op":"subscribe"}'


def tape(tmp_path: Path, *lines: bytes, name: str = "little.rawlines") -> Path:
    path = tmp_path / name
    path.write_bytes(b"\n".join(lines) + b"\n")
    return path


def test_the_recording_yields_its_market_frames_and_none_of_its_acknowledgements():
    path = recorded("bybit/linear-20260809.rawlines.gz")
    source = TapeSource(path)
    lines = gzip.decompress(path.read_bytes()).splitlines()
    expected = [line.split(b" ", 1) for line in lines if b'"topic"' in line]
    frames = list(source.frames())
    assert len(lines) == 2546
    assert len(frames) == source.frame_count == 2529
    assert [(frame.at_ns, frame.raw) for frame in frames] == [(int(stamp), raw) for stamp, raw in expected]
    assert source.symbols == ("BTCUSDT", "DOGEUSDT", "ETHUSDT", "SOLUSDT")
    assert source.book_depth == 200
    assert source.label == "recorded linear-20260809"
    assert (source.origin_ns, source.end_ns) == (frames[0].at_ns, frames[-1].at_ns)


def test_a_plain_file_reads_like_a_gzipped_one(tmp_path):
    plain = tape(tmp_path, b"5 " + BOOK, b"6 " + ACK, b"7 " + TRADE)
    packed = tmp_path / "little.rawlines.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert list(TapeSource(plain).frames()) == list(TapeSource(packed).frames())
    assert TapeSource(packed).symbols == ("BTCUSDT", "ETHUSDT")
    assert TapeSource(packed).frame_count == 2


def test_iterating_twice_gives_the_same_frames(tmp_path):
    source = TapeSource(tape(tmp_path, b"5 " + BOOK, b"5 " + TRADE))
    assert list(source.frames()) == list(source.frames())


@pytest.mark.parametrize(
    ("lines", "line", "rule"),
    [
        ([b"5 " + BOOK, b"not a number {}"], 2, "is not `<receive ns> <json>`"),
        ([b"5 " + BOOK, b"7"], 2, "is not `<receive ns> <json>`"),
        ([b"5 " + BOOK, b'6 {"topic":"tickers.BTCU'], 2, "is not a JSON object"),
        ([b"5 " + BOOK, b"6 [1]"], 2, "is not a JSON object"),
        ([b"5 " + BOOK, b"4 " + TRADE], 2, "receive time 4 is before 5"),
        ([b'5 {"topic":"orderbook.deep.BTCUSDT"}'], 1, "is not `orderbook.<depth>.<symbol>`"),
        ([b"5 " + BOOK, b'6 {"topic":"orderbook.200.BTCUSDT","type":"delta","ts":1}'], 2, "is not a frame of Bybit"),
        ([b"5 " + BOOK, b'6 {"topic":"weather.BTCUSDT","data":{}}'], 2, "unknown topic"),
        ([b"1786310861689545000" * 2 + b" " + BOOK], 1, "is not in nanoseconds"),
        (
            [b"5 " + BOOK, b"6 " + BOOK.replace(b'"snapshot"', b'"delta"').replace(b"[]", b'[["1e9","1"]]', 1)],
            2,
            "is not a number",
        ),
        ([b"5 " + BOOK, b"6 " + b"x" * 2**22], 2, "is longer than"),
        ([b"5 " + ACK], 0, "holds no market frame"),
        ([b"5 " + TRADE], 0, "has none"),
        ([b"5 " + BOOK, b"6 " + BOOK.replace(b"200", b"50")], 0, "orderbook.50 and orderbook.200"),
    ],
)
def test_a_broken_tape_is_refused_with_file_line_rule_and_remedy(tmp_path, lines, line, rule):
    path = tape(tmp_path, *lines)
    with pytest.raises(TapeError) as caught:
        TapeSource(path)
    assert caught.value.line == line
    assert rule in str(caught.value)
    assert str(path) in str(caught.value)
    assert caught.value.remedy in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_gzip_file_cut_short_is_refused(tmp_path):
    whole = gzip.compress(b"\n".join(b"%d " % n + BOOK for n in range(2000)))
    path = tmp_path / "cut.rawlines.gz"
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(TapeError, match="damaged or cut short"):
        TapeSource(path)


def test_what_a_file_is_its_content_says_not_its_name(tmp_path):
    assert TapeSource(tape(tmp_path, b"5 " + BOOK, name="liar.gz")).frame_count == 1


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(TapeError, match=r"cannot be read .*check the path"):
        TapeSource(tmp_path / "nowhere.gz")


def test_the_shipped_filters_are_those_that_the_venue_gave():
    answer = json.loads(gzip.decompress(recorded("bybit/instruments-info-linear-20260809.json.gz").read_bytes()))
    real = {item["symbol"]: item for item in answer["result"]["list"]}
    for item in instruments_for(known_symbols()):
        assert item == real[item["symbol"]]


@pytest.mark.parametrize("symbol", known_symbols())
def test_risk_tiers_are_continuous_and_agree_with_the_leverage_filter(symbol):
    tiers = risk_tiers_for([symbol])
    (instrument,) = instruments_for([symbol])
    assert tiers[0]["maxLeverage"] == instrument["leverageFilter"]["maxLeverage"]
    assert [tier["isLowestRisk"] for tier in tiers] == [1] + [0] * (len(tiers) - 1)
    for tier in tiers:
        assert abs(Decimal(tier["initialMargin"]) * Decimal(tier["maxLeverage"]) - 1) < Decimal("0.01")
    for lower, upper in pairwise(tiers):
        step = Decimal(lower["riskLimitValue"]) * (
            Decimal(upper["maintenanceMargin"]) - Decimal(lower["maintenanceMargin"])
        )
        assert Decimal(upper["mmDeduction"]) == Decimal(lower["mmDeduction"] or 0) + step


def test_an_instrument_that_is_not_shipped_is_a_key_error():
    with pytest.raises(KeyError):
        instruments_for(["NOPEUSDT"])
