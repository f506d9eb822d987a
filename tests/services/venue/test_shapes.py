"""Every endpoint, topic and control frame of the venue against the protocol page's example: keys and types, machine-read."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from services.venue.core import VenueCore
from services.venue.offer import linear_offer, spot_offer
from services.venue.private_socket import TOPICS
from services.venue.trade_socket import PATHS
from tests.services.venue.a_day import LINEAR_KINDS, SPOT_KINDS, day
from tests.services.venue.examples import EXAMPLES, Example, lists
from tests.services.venue.shown import Shown, unlimited
from tests.support import recorded
from undertow.markets.binance_tape import BinanceTape
from undertow.markets.generated import GeneratedMarket
from undertow.markets.injection import InjectedSource
from undertow.markets.instruments import instruments_for
from undertow.markets.ports import FrameSource
from undertow.markets.tape import TapeSource

Said = dict[str, list[Any]]
EMPTY_LISTS = {
    "GET /v5/market/account-ratio": "result.list",  # nobody knows other people's accounts
    "GET /v5/account/query-dcp-info": "result.dcpInfos",  # not for ordinary accounts
    "GET /v5/asset/coin/query-info": "result.rows[].chains",  # nothing can be deposited here
}


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> Said:
    return asyncio.run(day(tmp_path_factory.mktemp("day")))


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_message_has_the_keys_and_types_of_its_example(said: Said, name: str) -> None:
    assert said.get(name), f"{name} did not occur in the day"
    differences = {line for message in said[name] for line in EXAMPLES[name].differences(message)}
    assert not differences, f"{name}, section {EXAMPLES[name].section}:\n" + "\n".join(sorted(differences))


def test_no_list_went_uncompared_because_it_was_always_empty(said: Said) -> None:
    empty = set()
    for name, example in EXAMPLES.items():
        uncompared = (EMPTY_LISTS.get(name, "-"), *example.maps, *example.may_lack)
        filled = {place for message in said[name] for place in lists(message)}
        empty |= {f"{name}: {place}" for place in lists(example.example) - filled if not place.startswith(uncompared)}
        assert EMPTY_LISTS.get(name) not in filled, f"{name} has something to compare now"
    assert empty == set()


def test_orders_executions_and_positions_of_every_kind_were_compared(said: Said) -> None:
    def items(name: str, *fields: str) -> set[tuple[Any, ...]]:
        return {tuple(item[field] for field in fields) for message in said[name] for item in message["data"]}

    orders = items("private order", "orderStatus", "rejectReason")
    assert {status for status, _ in orders} >= {"New", "Filled", "Cancelled", "Untriggered", "Deactivated"}
    assert ("Cancelled", "EC_PostOnlyWillTakeLiquidity") in orders
    assert items("private order", "stopOrderType") >= {
        *(("Stop",), ("StopLoss",), ("TakeProfit",), ("TrailingStop",), ("PartialTakeProfit",), ("PartialStopLoss",))
    }
    executions = items("private execution", "execType", "isMaker")
    assert executions >= {
        ("Trade", True),
        ("Trade", False),
        ("Funding", False),
        ("BustTrade", False),
        ("AdlTrade", False),
    }
    assert items("private position", "side") >= {("Buy",), ("Sell",), ("",)}
    listed = [item for message in said["GET /v5/position/list"] for item in message["result"]["list"]]
    assert {(item["side"], item["positionIdx"]) for item in listed} >= {("", 0), ("Buy", 0), ("Buy", 1), ("Sell", 2)}
    assert {row["type"] for page in said["GET /v5/account/transaction-log"] for row in page["result"]["list"]} >= {
        *("TRANSFER_IN", "TRADE", "SETTLEMENT")
    }


def test_whatever_the_venue_serves_has_an_example() -> None:
    shown = Shown()
    core = VenueCore(instruments_for(["BTCUSDT"]), [], [])
    served = {f"POST {path}" for path in core._posts} | {f"GET {path}" for path in core._gets}
    served |= {f"GET {path}" for path in (*shown.pages._pages["linear"], *shown.pages._without_category)}
    served |= {f"spot GET {path}" for path in shown.pages._pages["spot"]}
    served |= {f"private {topic}" for topic in TOPICS} | {f"trade {operation}" for operation in PATHS}
    assert served - set(EXAMPLES) == set()


def test_every_kind_of_public_topic_was_listened_to() -> None:
    linear, spot = linear_offer(200, ("1",), unlimited), spot_offer(50)
    for offer, kinds in ((linear, LINEAR_KINDS), (spot, SPOT_KINDS)):
        assert {kind.partition(".")[0] for kind in (*offer.own, *offer.made)} == {
            kind.partition(".")[0] for kind in kinds
        }


def generated() -> FrameSource:
    return GeneratedMarket(("BTCUSDT", "DOGEUSDT"), seed=5)


def tape() -> TapeSource:
    return TapeSource(recorded("bybit/linear-20260809.rawlines.gz"))


@pytest.mark.parametrize("market", [generated, tape, lambda: InjectedSource(tape(), seed=5)])
def test_the_markets_own_frames_have_the_shapes_that_go_out_byte_for_byte(market: Callable[[], FrameSource]) -> None:
    counts: dict[str, int] = {}
    for frame in islice(market().frames(), 1_500):
        message = json.loads(frame.raw)
        kind = message["topic"].partition(".")[0]
        name = f"topic {kind} {message['type']}" if kind in ("orderbook", "tickers") else f"topic {kind}"
        counts[name] = counts.get(name, 0) + 1
        assert EXAMPLES[name].differences(message) == [], name
    assert len(counts) >= 6


def test_a_converted_market_has_the_same_shapes_but_for_what_its_recording_does_not_tell(tmp_path: Path) -> None:
    untold = {"openInterest", "openInterestValue", "singleOpenInterest", "singleOpenInterestValue"}
    untold |= {"fundingRate", "nextFundingTime"}
    beginning = tmp_path / "beginning.rawlines"
    with gzip.open(recorded("binance/usdm_btcusdt_20240808.gz"), "rt") as whole:
        beginning.write_text("".join(islice(whole, 3_000)))
    missing, names = set(), set()
    for frame in BinanceTape([beginning]).frames():
        message = json.loads(frame.raw)
        kind = message["topic"].partition(".")[0]
        name = f"topic {kind}" if kind == "publicTrade" else f"topic {kind} {message['type']}"
        names.add(name)
        missing |= {f"{name}: {line}" for line in EXAMPLES[name].differences(message)}
        assert all(str(UUID(trade["i"])) == trade["i"] for trade in message["data"] if kind == "publicTrade")
    assert missing == {f"topic tickers snapshot: data.{field}: is missing" for field in untold}
    assert names == {
        *("topic orderbook snapshot", "topic orderbook delta", "topic publicTrade"),
        *("topic tickers snapshot", "topic tickers delta"),
    }


# the comparison itself


def test_the_comparison_names_every_kind_of_difference() -> None:
    example = Example(
        section="0",
        stated="example",
        example={
            "n": 1,
            "s": "1.5",
            "w": "Buy",
            "t": "1767225600123",
            "l": [{"a": "x"}],
            "o": None,
            "e": "",
            "b": True,
        },
    )
    same = {"n": 2, "s": "-7", "w": "Sell", "t": "1767225600999", "l": [], "o": None, "e": "anything", "b": False}
    assert example.differences(same) == []
    assert example.differences(same | {"w": ""}) == []
    for change, words in {
        "n": ("1", "n: should be number like 1, is number text"),
        "s": ("x", "s: should be number text like '1.5', is word"),
        "w": ("5", "w: should be word like 'Buy', is number text"),
        "t": ("0", "t: should be milliseconds text"),
        "l": ([{"a": "y", "z": 1}], "l[].z: is not documented (1)"),
        "o": ({}, "o: should be null like None, is object"),
        "e": (0, "e: should be empty text like '', is number (0)"),
        "b": (0, "b: should be boolean like True, is number"),
    }.items():
        (difference,) = example.differences(same | {change: words[0]})
        assert words[1] in difference
    assert example.differences({key: value for key, value in same.items() if key != "n"}) == ["n: is missing"]
    assert example.differences([]) == [f"message: should be object like {example.example!r}, is list ([])"]


def test_the_comparison_lets_pass_what_the_page_allows() -> None:
    example = Example(
        section="0",
        stated="prose",
        example={"fee": {}, "was": "1.5", "gone": 1},
        maps=["fee"],
        may_be={"was": [""]},
        may_lack=["gone"],
        may_have=["more"],
    )
    assert example.differences({"fee": {"USDT": "0.1"}, "was": "", "more": 1}) == []
    assert example.differences({"fee": {"USDT": 0.1}, "was": "1", "gone": 2}) == [
        "fee.USDT: should be number text like '0', is number (0.1)"
    ]


def test_every_example_says_from_which_section_it_is() -> None:
    for name, example in EXAMPLES.items():
        assert example.stated in {"example", "prose", "our inference"}, name
        assert (example.section == "-") <= (example.stated == "our inference"), name
