from __future__ import annotations

import gzip
import json
from collections import Counter
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest

from tests.support import recorded
from undertow.exchange.book import OrderBook
from undertow.exchange.bybit.facts import FrameDecoder
from undertow.markets.binance_tape import BinanceTape
from undertow.markets.rawlines import TapeError
from undertow.markets.recordings import open_recording
from undertow.markets.tape import TapeSource

WINDOW = ("usdm_btcusdt_20240718.gz", "usdm_btcusdt_20240719.gz")
T0 = 1_721_347_000_000


def window() -> list[Path]:
    return [recorded(f"binance/{name}") for name in WINDOW]


@pytest.fixture(scope="module")
def tape():
    return BinanceTape(window())


@pytest.fixture(scope="module")
def frames(tape):
    return list(tape.frames())


@pytest.fixture(scope="module")
def payloads(frames):
    return [json.loads(frame.raw) for frame in frames]


def independent_replay(paths: list[Path]) -> tuple[dict[Decimal, str], dict[Decimal, str], int, int]:
    """The book after the whole stream as Binance's manual has it, and the trades and lines seen since the snapshot."""
    bids: dict[Decimal, str] = {}
    asks: dict[Decimal, str] = {}
    pending, last, joined, trades, best = [], None, False, 0, 0

    def apply(side: dict[Decimal, str], levels: list[list[str]]) -> None:
        for price, size in levels:
            side[Decimal(price)] = size
            if Decimal(size) == 0:
                del side[Decimal(price)]

    def diff(data: dict) -> None:
        nonlocal last, joined
        if not joined and data["u"] < last:
            return
        assert data["U"] <= last <= data["u"] if not joined else data["pu"] == last
        joined, last = True, data["u"]
        apply(bids, data["b"])
        apply(asks, data["a"])

    for path in paths:
        for line in gzip.decompress(path.read_bytes()).splitlines():
            data = json.loads(line.partition(b" ")[2])
            if "lastUpdateId" in data:
                last = data["lastUpdateId"]
                apply(bids, data["bids"])
                apply(asks, data["asks"])
                for each in pending:
                    diff(each)
            elif data["stream"].endswith("@depth@0ms"):
                if last is None:
                    pending.append(data["data"])
                else:
                    diff(data["data"])
            elif last is not None:
                trades += data["stream"].endswith("@trade")
                best += data["stream"].endswith("@bookTicker")
    return bids, asks, trades, best


def test_the_final_book_is_that_of_an_independent_replay_and_no_trade_is_lost(payloads):
    bids, asks, trades, _ = independent_replay(window())
    shown: dict[str, dict[Decimal, str]] = {"b": {}, "a": {}}
    for payload in payloads:
        if payload["topic"].startswith("orderbook"):
            for side, levels in shown.items():
                for price, size in payload["data"][side]:
                    levels[Decimal(price)] = size
                    if Decimal(size) == 0:
                        del levels[Decimal(price)]
    assert shown["b"] == dict(sorted(bids.items(), reverse=True)[:200])
    assert shown["a"] == dict(sorted(asks.items())[:200])
    assert sum(len(p["data"]) for p in payloads if p["topic"].startswith("publicTrade")) == trades > 10_000


def test_the_book_opens_with_a_snapshot_goes_on_contiguous_shows_200_levels_and_is_never_crossed(payloads):
    books = [p for p in payloads if p["topic"].startswith("orderbook")]
    assert Counter(p["type"] for p in books) == {"snapshot": 1, "delta": len(books) - 1}
    assert books[0]["type"] == "snapshot"
    assert all(later["data"]["u"] == earlier["data"]["u"] + 1 for earlier, later in pairwise(books))
    book = OrderBook(1_000)
    for payload in books:
        book.apply(*(list(map(tuple, payload["data"][side])) for side in "ba"))
        assert not book.is_crossed
        assert [len(side) for side in book.levels()] == [200, 200]


def test_deltas_say_only_what_changed_best_level_first(payloads):
    shown: dict[str, dict[str, str]] = {"b": {}, "a": {}}
    for payload in payloads:
        if not payload["topic"].startswith("orderbook"):
            continue
        for side, levels in shown.items():
            changes = payload["data"][side]
            prices = [Decimal(price) for price, _ in changes]
            assert prices == sorted(prices, reverse=side == "b")
            for price, size in changes:
                assert levels.get(price) != size
                assert size != "0" or price in levels
                levels[price] = size
                if size == "0":
                    del levels[price]


def test_the_recorders_clock_is_shifted_so_that_nothing_arrives_before_it_happened(tape, frames, payloads):
    assert tape.behind_ns == pytest.approx(1.524e9, abs=1e6)
    assert all(frame.at_ns >= payload["ts"] * 1_000_000 for frame, payload in zip(frames, payloads, strict=True))
    assert frames[0].at_ns == tape.origin_ns
    assert [f.at_ns for f in frames] == sorted(f.at_ns for f in frames)


def test_tickers_hold_what_is_known_and_nothing_made_up(payloads):
    tickers = [p for p in payloads if p["topic"] == "tickers.BTCUSDT"]
    first = tickers[0]
    assert first["type"] == "snapshot"
    assert set(first["data"]) == {
        *("symbol", "tickDirection", "lastPrice", "markPrice", "indexPrice"),
        *("bid1Price", "bid1Size", "ask1Price", "ask1Size"),
        *("prevPrice24h", "price24hPcnt", "highPrice24h", "lowPrice24h", "turnover24h", "volume24h", "prevPrice1h"),
        *("fundingIntervalHour", "fundingCap", "preOpenPrice", "preQty", "curPreListingPhase"),
    }
    middle = (Decimal(first["data"]["bid1Price"]) + Decimal(first["data"]["ask1Price"])) / 2
    assert Decimal(first["data"]["markPrice"]) == Decimal(first["data"]["indexPrice"]) == middle
    assert all(later["ts"] - earlier["ts"] >= 100 for earlier, later in pairwise(tickers))
    assert {p["type"] for p in tickers[1:]} == {"delta"}


def test_the_figures_of_the_day_are_those_of_the_trades_that_were_shown(payloads):
    ticker: dict[str, str] = {}
    seen: list[tuple[Decimal, Decimal]] = []
    shown = 0
    for payload in payloads:
        if payload["topic"].startswith("publicTrade"):
            seen += [(Decimal(trade["p"]), Decimal(trade["v"])) for trade in payload["data"]]
        elif payload["topic"].startswith("tickers"):
            ticker |= payload["data"]
            prices = [price for price, _ in seen]
            highest, lowest = Decimal(ticker["highPrice24h"]), Decimal(ticker["lowPrice24h"])
            assert (highest, lowest) == (max(prices), min(prices))
            assert Decimal(ticker["volume24h"]) == sum(size for _, size in seen)
            shown += 1
            if shown == 50:
                break
    assert ticker["prevPrice24h"] == ticker["prevPrice1h"] == str(seen[0][0])


def test_trades_carry_the_takers_side_and_their_own_ids(payloads):
    trades = [trade for p in payloads if p["topic"].startswith("publicTrade") for trade in p["data"]]
    assert len({trade["i"] for trade in trades}) == len(trades)
    first = trades[0]
    assert (first["S"], first["p"], first["v"]) == ("Sell", "63943.90", "0.003")


def test_the_fleets_decoder_reads_every_frame(frames):
    decoder = FrameDecoder()
    assert all(decoder.decode(frame.raw, frame.at_ns) for frame in frames)


def test_the_label_says_that_the_frames_are_converted_and_from_what(tape, frames):
    assert tape.label == ("recorded Binance USD-M BTCUSDT 2024-07-18 23:57:02 UTC, 479 s (converted to Bybit frames)")
    assert tape.frame_count == len(frames)


def test_two_symbols_are_one_market_and_ether_is_traded_in_binances_finer_lots():
    pattern = recorded("binance/usdm_btcusdt_20240808.gz").with_name("usdm_*_20240808.gz")
    tape = open_recording(pattern)
    assert tape.symbols == ("BTCUSDT", "ETHUSDT")
    steps = {item["symbol"]: item["lotSizeFilter"]["qtyStep"] for item in tape.instruments}
    assert steps == {"BTCUSDT": "0.001", "ETHUSDT": "0.001"}
    at = [frame.at_ns for frame, _ in zip(tape.frames(), range(5_000), strict=False)]
    assert at == sorted(at)


# what cannot be converted


def line(at_ms: int, stream: str, **data: object) -> bytes:
    body = {"stream": f"btcusdt@{stream}", "data": {"E": T0 + at_ms, "T": T0 + at_ms, "s": "BTCUSDT", **data}}
    return b"%d %s" % ((T0 + at_ms) * 1_000_000, json.dumps(body, separators=(",", ":")).encode())


def diff(at_ms: int, first: int, last: int, previous: int, *, bids: object = (), stream: str = "depth@0ms") -> bytes:
    return line(at_ms, stream, e="depthUpdate", U=first, u=last, pu=previous, b=bids, a=[])


def snapshot(at_ms: int, last: int, bid: str = "64000.00") -> bytes:
    body = {
        "lastUpdateId": last,
        "E": T0 + at_ms,
        "T": T0 + at_ms,
        "bids": [[bid, "1.000"]],
        "asks": [["64001.00", "2.000"]],
    }
    return b"%d %s" % ((T0 + at_ms) * 1_000_000, json.dumps(body, separators=(",", ":")).encode())


def written(tmp_path: Path, *lines: bytes, name: str = "b.txt") -> Path:
    path = tmp_path / name
    path.write_bytes(b"\n".join(lines) + b"\n")
    return path


@pytest.mark.parametrize(
    ("lines", "number", "rule"),
    [
        (
            [diff(0, 1, 5, 0), snapshot(1, 5), diff(2, 6, 9, 5), diff(3, 12, 14, 11)],
            4,
            "diffs are missing between 9 and 11",
        ),
        ([diff(0, 1, 4, 0), snapshot(1, 5), diff(2, 8, 9, 7)], 3, "the snapshot 5 and the diff from 8 on do not meet"),
        ([diff(0, 1, 5, 0), snapshot(1, 5, bid="64000.05")], 2, "64000.05 is no multiple of the contract's tick 0.10"),
        ([diff(0, 1, 5, 0), diff(2, 6, 9, 5)], 0, "holds no depth snapshot"),
        ([diff(0, 1, 5, 0, stream="depth5@0ms")], 1, "depth5@0ms is not one that can be converted"),
        (
            [diff(0, 1, 5, 0).replace(b'"s":"BTCUSDT"', b'"s":"XRPUSDT"')],
            1,
            "the contract XRPUSDT is not one of BTCUSDT",
        ),
        ([diff(0, 1, 5, 0), snapshot(1, 5), diff(2, 6, 9, 5).replace(b'"s":"BTC', b'"s":"ETH')], 3, "is of ETHUSDT"),
        ([diff(0, 1, 5, 0), b"5 {"], 2, "is before"),
        ([diff(0, 1, 5, 0), b"1821347000000000000 {}"], 2, "is not a line of a Binance"),
        ([snapshot(0, 5)], 0, "holds no market frame"),
    ],
)
def test_a_recording_that_cannot_be_converted_is_refused_with_line_rule_and_remedy(tmp_path, lines, number, rule):
    with pytest.raises(TapeError) as caught:
        open_recording(written(tmp_path, *lines))
    assert caught.value.line == number
    assert rule in str(caught.value)
    assert caught.value.remedy in str(caught.value)


def test_a_second_snapshot_restarts_the_book_with_a_snapshot(tmp_path):
    lines = [diff(0, 1, 5, 0), snapshot(1, 5), diff(2, 6, 9, 5), snapshot(9, 40, "63990.00"), diff(10, 39, 41, 30)]
    tape = open_recording(written(tmp_path, *lines))
    books = [json.loads(frame.raw) for frame in tape.frames()]
    assert [(b["type"], b["data"]["u"]) for b in books] == [("snapshot", 2), ("snapshot", 3)]
    assert books[1]["data"]["b"] == [["63990.00", "1.000"]]


def test_files_weeks_apart_are_not_one_recording():
    early, late = (recorded(f"binance/usdm_btcusdt_{day}.gz") for day in ("20240719", "20240808"))
    with pytest.raises(TapeError, match=r"holds no|after the file before it ends; play it by itself"):
        BinanceTape([late, early])


def test_what_is_in_a_file_decides_what_it_is(tmp_path):
    ours = b'5 {"topic":"orderbook.200.BTCUSDT","type":"snapshot","ts":1,"data":{"s":"BTCUSDT","b":[],"a":[],"u":1,"seq":1}}'
    assert isinstance(open_recording(written(tmp_path, ours, name="usdm_btcusdt.txt")), TapeSource)
    theirs = written(tmp_path, diff(0, 1, 5, 0), snapshot(1, 5), name="linear.txt")
    assert isinstance(open_recording(theirs), BinanceTape)
    with pytest.raises(TapeError, match="means recordings of Bybit and of Binance, which are not joined"):
        open_recording(tmp_path / "*.txt")
    assert open_recording(_two(tmp_path, ours)).frame_count == 2
    with pytest.raises(TapeError, match="no file matches this pattern; check the path"):
        open_recording(tmp_path / "nothing*.gz")


def _two(tmp_path: Path, ours: bytes) -> Path:
    for name in ("x1.rawlines", "x2.rawlines"):
        written(tmp_path, ours, name=name)
    return tmp_path / "x*.rawlines"
