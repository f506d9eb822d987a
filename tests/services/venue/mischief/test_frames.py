"""Frames that are lost, late, doubled, out of order; where the fleet has code for it, that code is the victim."""

from __future__ import annotations

import contextlib
import itertools
from typing import Any

from services.ingestor.core import Publish, Resubscribe
from tests.services.ingestor.as_read import ReadCore
from tests.services.venue.little_market import Client, Wire, order
from tests.services.venue.mischief.bench import (
    BOOK,
    CREATE,
    KEY,
    add,
    base,
    book_page,
    remove,
    struck,
    subscribed,
)
from undertow.contracts.messages.market import Book, Gap, GapReason, Resync
from undertow.exchange.bybit.private_ws import BybitPrivateFeed
from undertow.exchange.bybit.public_ws import BybitPublicStream, Frames
from undertow.exchange.bybit.venue_clock import VenueClock
from undertow.exchange.models import VenueOrder
from undertow.exchange.ports import FeedDown, FeedUp


async def test_a_lost_book_update_is_noticed_as_a_gap_by_our_feed_and_healed_by_subscribing_again(client):
    core, seen = ReadCore(["BTCUSDT"]), []
    url = (await base(client)).replace("http", "ws") + "/v5/public/linear"
    stream = BybitPublicStream(url, [[BOOK]])
    async with contextlib.aclosing(stream.events()) as events:
        async for event in events:
            if not isinstance(event, Frames):
                continue
            for raw, at_ns in event.frames:
                for effect in core.on_frame(raw, at_ns):
                    if isinstance(effect, Resubscribe):
                        await stream.resubscribe(BOOK)
                    elif isinstance(effect, Publish):
                        seen.append(effect.fact)
            if len(seen) == 5:
                await add(client, action="lose_update", topic=BOOK, count=1)
            if any(isinstance(fact, Gap) for fact in seen) and isinstance(seen[-1], Book):
                break
    kinds = [type(fact) for fact in seen if not isinstance(fact, Book)]
    assert kinds == [Resync, Gap, Resync]
    gap = next(fact for fact in seen if isinstance(fact, Gap))
    assert gap.reason is GapReason.UPDATE_ID
    assert core.out_of_sync == []
    assert await struck(client, "lose_update") == 1


async def test_the_venues_own_book_goes_on_where_clients_lose_an_update(client):
    async with client.socket("/v5/public/linear", auth=False) as wire:
        await subscribed(wire)
        numbers = [(await wire.until(BOOK))["data"]["u"]]
        await add(client, action="lose_update", count=2)
        while (data := (await wire.until(BOOK))["data"])["u"] == numbers[-1] + 1:
            numbers.append(data["u"])
        assert data["u"] == numbers[-1] + 3
        assert (await book_page(client))["seq"] >= data["seq"]


async def test_public_frames_are_dropped_doubled_delayed_and_out_of_order_for_whom_it_is_meant(client):
    async with client.socket("/v5/public/linear", auth=False) as wire:
        await subscribed(wire)
        numbers = [(await wire.until(BOOK))["data"]["u"]]
        for action, more in (("drop", {}), ("duplicate", {"copies": 2}), ("reorder", {"behind": 2})):
            await add(client, action=action, topic="orderbook.*", kind="delta", count=1, **more)
        numbers += [(await wire.until(BOOK))["data"]["u"] for _ in range(25)]
        steps = [after - before for before, after in itertools.pairwise(numbers)]
        assert [step for step in steps if step != 1] == [2, 0, 0, 2, -2, 3]
        name = await add(client, action="delay", where="public", delay_ms=300)
        delayed = await delayed_frame(client, wire)
        assert client.now_ms - delayed["ts"] >= 300
        await remove(client, name)
        follow = [(await wire.until(BOOK))["data"]["u"] for _ in range(30)]
        assert follow == list(range(follow[0], follow[0] + 30))


async def delayed_frame(client: Client, wire: Wire) -> dict[str, Any]:
    while True:
        frame = await wire.until(BOOK)
        if client.now_ms - frame["ts"] >= 300:
            return frame


async def test_private_frames_are_dropped_and_doubled_for_one_key_and_topic(client):
    async with client.socket("/v5/private") as ours, client.as_key("paper-guardian").socket("/v5/private") as theirs:
        for wire in (ours, theirs):
            await wire.ask({"op": "subscribe", "args": ["order"]})
        await add(client, action="drop", topic="order", key="paper-router", count=1)
        await add(client, action="duplicate", topic="order", key="paper-router", count=1)
        for link in ("one", "two"):
            await client.post(CREATE, order(price="64000.00", orderLinkId=link))
        heard = [(await wire.until("order"))["data"][0]["orderLinkId"] for wire in (ours, ours, theirs, theirs)]
        assert heard == ["two", "two", "one", "two"]


async def test_a_reply_can_be_lost_as_any_frame(client):
    await add(client, action="drop", topic="subscribe", kind="reply", count=1)
    async with client.socket("/v5/public/linear", auth=False) as wire:
        await wire.connection.send_json({"op": "subscribe", "args": ["publicTrade.BTCUSDT"]})
        assert (await wire.ask({"op": "ping"}))["ret_msg"] == "pong"


async def test_a_frame_can_end_its_connection_and_our_private_feed_comes_back(client):
    url = (await base(client)).replace("http", "ws") + "/v5/private"
    feed = BybitPrivateFeed(url, KEY, VenueClock(client.venue.clock))
    await add(client, action="disconnect", topic="order", count=1, abrupt=True)
    seen: list[Any] = []
    async with contextlib.aclosing(feed.events()) as events:
        async for event in events:
            seen.append(event)
            if isinstance(event, FeedUp):
                await client.post(CREATE, order(price="64000.00", orderLinkId=f"n{len(seen)}"))
            if isinstance(event, VenueOrder):
                break
    assert [type(event) for event in seen] == [FeedUp, FeedDown, FeedUp, VenueOrder]


async def test_once_a_fault_is_removed_clients_get_the_bytes_of_the_tape(client, tape):
    recorded = {line.partition(" ")[2] for line in tape.read_text().splitlines()}
    name = await add(client, action="delay", topic="orderbook.*", delay_ms=50)
    async with (
        client.socket("/v5/public/linear", auth=False) as one,
        client.socket("/v5/public/linear", auth=False) as two,
    ):
        for wire in (one, two):
            await subscribed(wire)
        await remove(client, name)
        ours, theirs = [[await wire.raw() for _ in range(20)] for wire in (one, two)]
        assert set(ours) | set(theirs) <= recorded
        assert len(set(ours) & set(theirs)) >= 10
