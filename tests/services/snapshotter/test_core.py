from __future__ import annotations

import random

from services.snapshotter.core import (
    MOST_PRODUCERS,
    MOST_RANGES,
    Flush,
    Memory,
    SnapshotCore,
    decoded,
    encoded,
    writer_of,
)
from undertow.bus.ports import Delivery, Topic
from undertow.contracts.messages.market import Resync
from undertow.contracts.streams import MARKET, ORDERS

HOUR = 3600 * 10**9
KEY = "market:{BTCUSDT}"


def delivery(
    number: int, ts_event: int = 0, symbol: str = "BTCUSDT", producer: str = "p", entry: int | None = None
) -> Delivery:
    message = Resync(ts_event=ts_event, ts_recv=ts_event, symbol=symbol)
    entry_id = f"{number if entry is None else entry}-0"
    return Delivery(Topic(MARKET, symbol=symbol), entry_id, producer, number, (), message)


def core(stored: Memory | None = None) -> SnapshotCore:
    return SnapshotCore(10, 3, {writer_of("BTCUSDT"): stored or {}, writer_of("ETHUSDT"): {}, writer_of(""): {}})


def taken(snapshots: SnapshotCore) -> Flush:
    (flush,) = snapshots.take()
    return flush


def stored_numbers(snapshots: SnapshotCore) -> list[int]:
    return [row.sequence for batch in taken(snapshots).batches for row in batch.rows]


def test_rows_of_different_hours_and_symbols_go_into_different_files():
    snapshots = core()
    snapshots.add([delivery(1), delivery(2), delivery(3, HOUR), delivery(1, symbol="ETHUSDT")], 0)
    flushes = snapshots.take()
    assert [(flush.writer, batch.place.folder, len(batch.rows)) for flush in flushes for batch in flush.batches] == [
        ("snapshotter-BTCUSDT", "topic=resync/date=1970-01-01/hour=00/symbol=BTCUSDT", 2),
        ("snapshotter-BTCUSDT", "topic=resync/date=1970-01-01/hour=01/symbol=BTCUSDT", 1),
        ("snapshotter-ETHUSDT", "topic=resync/date=1970-01-01/hour=00/symbol=ETHUSDT", 1),
    ]
    assert snapshots.take() == []


def test_what_has_no_symbol_in_its_key_has_a_writer_of_its_own_whatever_it_is_about():
    snapshots = core()
    snapshots.add([Delivery(Topic(ORDERS), "1-0", "r", 1, (), Resync(ts_event=1, ts_recv=1, symbol="BTCUSDT"))], 0)
    flush = taken(snapshots)
    assert (flush.writer, flush.memory) == ("snapshotter-all", {"orders": {"r": [(1, 1)]}})
    assert flush.batches[0].place.symbol == "BTCUSDT"


def test_each_writers_memory_is_of_its_own_keys_alone():
    snapshots = core()
    snapshots.add([delivery(1), delivery(4), delivery(1, symbol="ETHUSDT")], 0)
    btc, eth = snapshots.take()
    assert (list(btc.memory), list(eth.memory)) == ([KEY], ["market:{ETHUSDT}"])
    assert (len(btc.lost), len(eth.lost)) == (1, 0)
    snapshots.add([delivery(2, symbol="ETHUSDT")], 0)
    assert taken(snapshots).writer == "snapshotter-ETHUSDT"


def test_a_flush_is_due_by_age_or_by_number():
    snapshots = core()
    assert not snapshots.is_due(1_000)
    snapshots.add([delivery(1)], 100)
    assert not snapshots.is_due(109)
    assert snapshots.is_due(110)
    snapshots.add([delivery(2), delivery(3)], 101)
    assert snapshots.is_due(101)


def test_a_row_is_known_by_its_producers_number_whatever_its_entry_id():
    snapshots = core({KEY: {"p": [(1, 9)]}})
    again = [delivery(9, entry=500), delivery(10, entry=3), delivery(10, entry=501)]  # ids may even go back
    assert snapshots.add(again, 0) == 2
    assert stored_numbers(snapshots) == [10]


def test_the_memory_of_a_flush_is_what_is_stored_after_it_and_no_more():
    snapshots = core()
    snapshots.add([delivery(1), delivery(2)], 0)
    flush = taken(snapshots)
    snapshots.add([delivery(3)], 0)
    assert flush.memory == {KEY: {"p": [(1, 2)]}}
    assert decoded(encoded(flush.memory)) == flush.memory
    assert decoded(b"null") == {}


def test_a_jump_in_a_producers_numbers_is_a_loss_told_once_with_its_flush():
    snapshots = core({KEY: {"p": [(1, 9)]}})
    snapshots.add([delivery(13)], 0)
    (lost,) = taken(snapshots).lost
    assert (lost.stream, lost.key, lost.producer, lost.first, lost.last, lost.rows) == ("market", KEY, "p", 10, 12, 3)
    snapshots.add([delivery(14)], 0)
    assert taken(snapshots).lost == ()


def test_a_new_start_of_the_producer_begins_at_one_or_has_lost_the_rest():
    snapshots = core({KEY: {"p": [(1, 9)]}})
    snapshots.add([delivery(1, producer="q")], 0)
    assert taken(snapshots).lost == ()
    snapshots.add([delivery(4, producer="r")], 0)
    assert [(lost.first, lost.last) for lost in taken(snapshots).lost] == [(1, 3)]


def test_a_store_that_begins_in_the_middle_of_a_stream_has_lost_nothing():
    snapshots = core()
    snapshots.add([delivery(500)], 0)
    assert taken(snapshots).lost == ()


def test_numbers_that_come_late_are_stored():
    snapshots = core()
    snapshots.add([delivery(number) for number in (1, 4, 2, 3, 2)], 0)
    flush = taken(snapshots)
    assert [row.sequence for batch in flush.batches for row in batch.rows] == [1, 4, 2, 3]
    assert flush.memory == {KEY: {"p": [(1, 4)]}}


def test_memory_is_bounded_and_forgets_towards_storing_nothing_twice():
    snapshots = core()
    snapshots.add([delivery(number) for number in range(1, 1000, 2)], 0)
    ranges = taken(snapshots).memory[KEY]["p"]
    assert len(ranges) <= MOST_RANGES
    assert snapshots.add([delivery(number) for number in range(1, 1000, 2)], 0) == 500
    for start in range(100):
        snapshots.add([delivery(1, producer=f"q{start}")], 0)
    assert list(taken(snapshots).memory[KEY]) == [f"q{start}" for start in range(100 - MOST_PRODUCERS, 100)]


def test_crashes_and_redelivery_at_random_moments_store_every_row_once():
    for seed in range(50):
        chance = random.Random(seed)
        memory: Memory = {}
        rows: list[int] = []
        snapshots, next_new = core(), 1
        acked = 0
        while acked < 200:
            reach = chance.randint(acked + 1, min(next_new + 10, 201))
            again = [number for number in range(max(1, acked - chance.randint(0, 5)), reach) if number < 201]
            snapshots.add([delivery(number, entry=chance.randint(1, 10**6)) for number in again], 0)
            next_new = max(next_new, reach)
            flushes = snapshots.take()  # none where all was known
            if chance.random() < 0.3:  # killed before the commit
                snapshots = core(memory)
                continue
            for flush in flushes:
                rows += [row.sequence for batch in flush.batches for row in batch.rows]
                memory = decoded(encoded(flush.memory))
            if chance.random() < 0.3:  # killed before the acknowledgement
                snapshots = core(memory)
                continue
            acked = max([acked, *again])
        assert rows == list(range(1, 201)), f"seed {seed}"
