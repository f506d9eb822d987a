from services.snapshotter.core import SnapshotCore
from undertow.bus.ports import Delivery, Topic
from undertow.contracts.messages.market import Resync
from undertow.contracts.streams import MARKET

HOUR = 3600 * 10**9


def delivery(number: int, ts_event: int = 0, symbol: str = "BTCUSDT") -> Delivery:
    message = Resync(ts_event=ts_event, ts_recv=ts_event, symbol=symbol)
    return Delivery(Topic(MARKET, symbol=symbol), f"{number}-0", "p", number, (), message)


def core(stored: dict[str, str] | None = None) -> SnapshotCore:
    return SnapshotCore(flush_ns=10, flush_rows=3, stored=stored or {})


def test_rows_of_different_hours_and_symbols_go_into_different_parts():
    snapshots = core()
    snapshots.add([delivery(1), delivery(2), delivery(3, HOUR), delivery(4, symbol="ETHUSDT")], 0)
    assert [str(part.path) for part in snapshots.take()] == [
        "topic=resync/date=1970-01-01/hour=00/symbol=BTCUSDT/1-0_2-0.parquet",
        "topic=resync/date=1970-01-01/hour=01/symbol=BTCUSDT/3-0_3-0.parquet",
        "topic=resync/date=1970-01-01/hour=00/symbol=ETHUSDT/4-0_4-0.parquet",
    ]
    assert snapshots.take() == []


def test_a_flush_is_due_by_age_or_by_number():
    snapshots = core()
    assert not snapshots.is_due(1_000)
    snapshots.add([delivery(1)], 100)
    assert not snapshots.is_due(109)
    assert snapshots.is_due(110)
    snapshots.add([delivery(2), delivery(3)], 101)
    assert snapshots.is_due(101)


def test_rows_that_are_stored_already_are_left_out_when_they_come_again():
    snapshots = core({"market:{BTCUSDT}": "9-0"})
    assert snapshots.add([delivery(9), delivery(10)], 0) == 1
    (part,) = snapshots.take()
    assert [each.entry_id for each in part.deliveries] == ["10-0"]


def test_entry_ids_are_compared_as_numbers():
    snapshots = core({"market:{BTCUSDT}": "9-0"})
    snapshots.add([delivery(10)], 0)
    parts = snapshots.take()
    assert snapshots.stored_after(parts) == {"market:{BTCUSDT}": "10-0"}
