from decimal import Decimal

import pyarrow.parquet as pq
import pytest

from services.cli.exits import CommandError, ExitCode
from services.cli.snapshots import ask, latest
from services.snapshotter.core import SnapshotCore
from services.snapshotter.schema import schema_of, table_of
from services.snapshotter.store import SnapshotError, SnapshotStore
from undertow.bus.ports import Delivery, Topic
from undertow.contracts.messages.market import Trade, Trades
from undertow.contracts.messages.reference import OpenInterest
from undertow.contracts.streams import MARKET, REFERENCE, STREAMS
from undertow.domain.order import Side


def trades(number: int) -> Delivery:
    trade = Trade(ts_event=number, side=Side.SELL, price="65000.10", size="0.001", trade_id=f"t{number}")
    message = Trades(ts_event=number, ts_recv=number, symbol="BTCUSDT", trades=(trade,))
    return Delivery(Topic(MARKET, symbol="BTCUSDT"), f"{number}-0", "ingestor:1", number, (1, 2), message)


def stored(store: SnapshotStore, *numbers: int) -> None:
    core = SnapshotCore(flush_ns=1, flush_rows=1, stored=store.open())
    core.add([trades(number) for number in numbers], 0)
    parts = core.take()
    store.write(parts, core.stored_after(parts))


@pytest.mark.parametrize("payload", [payload for stream in STREAMS for payload in stream.payloads])
def test_every_message_of_every_stream_has_a_schema(payload):
    names = schema_of(payload).names
    assert {"entry_id", "producer", "producer_sequence", "ts_event", "ts_recv"} <= set(names)
    assert len(names) == len(set(names))


def test_money_is_stored_as_the_exact_text_of_the_wire():
    message = OpenInterest(ts_event=1, ts_recv=1, symbol="BTCUSDT", open_interest=Decimal("59891.7320"))
    table = table_of(OpenInterest, [Delivery(Topic(REFERENCE, symbol="BTCUSDT"), "1-0", "p", 1, (), message)])
    assert table.column("open_interest").to_pylist() == ["59891.7320"]


def test_sql_sees_what_was_stored_and_can_unnest_the_trades(tmp_path):
    stored(SnapshotStore(tmp_path), 1, 2)
    rows = ask(
        tmp_path,
        "SELECT symbol, t.price AS price, t.side AS side FROM (SELECT symbol, unnest(trades) AS t FROM trades)",
    )
    assert rows == [{"symbol": "BTCUSDT", "price": "65000.10", "side": "Sell"}] * 2


def test_a_crash_before_the_progress_leaves_nothing_and_the_rows_can_be_stored_again(tmp_path):
    store = SnapshotStore(tmp_path)
    stored(store, 1)
    core = SnapshotCore(flush_ns=1, flush_rows=1, stored=store.open())
    core.add([trades(2)], 0)
    original = SnapshotStore._replace
    calls = []

    def dies_at_the_second(self, progress):
        calls.append(progress)
        if len(calls) == 2:
            raise KeyboardInterrupt
        original(self, progress)

    parts = core.take()
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(SnapshotStore, "_replace", dies_at_the_second)
        store.write(parts, core.stored_after(parts))
    stored(SnapshotStore(tmp_path), 2)
    assert ask(tmp_path, "SELECT count(*) AS n FROM trades") == [{"n": 2}]
    assert SnapshotStore(tmp_path).open() == {"market:{BTCUSDT}": "2-0"}


def test_an_unfinished_file_of_a_crash_is_removed(tmp_path):
    stored(SnapshotStore(tmp_path), 1)
    half = next(tmp_path.rglob("*.parquet")).with_suffix(".part")
    half.write_bytes(b"PAR1")
    SnapshotStore(tmp_path).open()
    assert not half.exists()


def test_a_damaged_progress_file_is_named(tmp_path):
    (tmp_path / "progress.json").write_text("{")
    with pytest.raises(SnapshotError, match=r"progress\.json is damaged"):
        SnapshotStore(tmp_path).open()


def test_parts_are_compressed_with_zstd_and_carry_the_schema_version(tmp_path):
    stored(SnapshotStore(tmp_path), 1)
    file = pq.ParquetFile(next(tmp_path.rglob("*.parquet")))
    assert file.metadata.row_group(0).column(0).compression == "ZSTD"
    assert file.schema_arrow.metadata[b"undertow.schema_version"] == b"1"


def test_a_query_without_snapshots_or_with_wrong_sql_says_what_to_do(tmp_path):
    with pytest.raises(CommandError, match="run the fleet first") as none:
        ask(tmp_path, "SELECT 1")
    assert none.value.code is ExitCode.NOT_FOUND
    stored(SnapshotStore(tmp_path), 1)
    with pytest.raises(CommandError, match="there are the views trades"):
        ask(tmp_path, "SELECT * FROM nothing")


def test_a_query_without_a_directory_asks_the_newest_run(tmp_path):
    for run in ("20261120-235900", "20261121-000100"):
        (tmp_path / "runs" / run / "snapshots").mkdir(parents=True)
    assert latest(tmp_path) == tmp_path / "runs" / "20261121-000100" / "snapshots"
