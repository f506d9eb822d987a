import pyarrow.parquet as pq
import pytest

from tests.undertow.storage.rows import commit, numbers, store_at, trades
from undertow.contracts.messages.market import Trades
from undertow.storage.layout import HOUR_NS, place_of
from undertow.storage.schema import table_of
from undertow.storage.store import Part
from undertow.storage.tidy import Housekeeper, Rules, Tidied

DAY_NS = 24 * HOUR_NS
LATER = 2 * HOUR_NS


def parquet(store):
    return sorted(path for path in store.files.paths() if path.endswith(".parquet"))


def housekeeper(store, writer, *, most_files=100, grace_s=10.0, keep_days=0):
    return Housekeeper(store.files, (writer,), Rules(most_files, grace_s, keep_days))


def note(keeper, writer, row):
    """Commit a row as the snapshotter does."""
    keeper.note(writer.commit([Part(place_of(row.message), table_of(Trades, [row]))], b"null").files)


@pytest.fixture
def store(tmp_path):
    return store_at(tmp_path)


def test_an_hour_that_is_over_becomes_one_file_and_the_old_ones_go_after_the_grace(store):
    writer = store.writer("a")
    for number in (1, 2, 3):
        commit(writer, trades(number))
    keeper = housekeeper(store, writer)
    assert keeper.tidy(LATER, 0.0).written == 1
    assert len(parquet(store)) == 4  # those who read the old ones may go on
    assert len(store.part_files()) == 1
    assert numbers(store) == [1, 2, 3]
    assert keeper.tidy(LATER, 9.9).removed == 0
    assert keeper.tidy(LATER, 10.0).removed == 3
    assert parquet(store) == ["topic=trades/date=1970-01-01/hour=00/symbol=BTCUSDT/000000000002-000000000004.a.parquet"]
    assert numbers(store) == [1, 2, 3]


def test_a_dataset_that_was_opened_before_reads_the_same_after(store):
    writer = store.writer("a")
    commit(writer, trades(1))
    commit(writer, trades(2))
    before = store.dataset(Trades)
    housekeeper(store, writer).tidy(LATER, 0.0)
    assert before.count_rows() == 2


def test_the_running_hour_is_left_alone_until_it_has_too_many_files(store):
    writer = store.writer("a")
    for number in (1, 2, 3):
        commit(writer, trades(number))
    assert housekeeper(store, writer).tidy(HOUR_NS // 2, 0.0).written == 0
    assert housekeeper(store, writer, most_files=2).tidy(HOUR_NS // 2, 0.0).written == 1
    commit(writer, trades(4))
    assert numbers(store) == [1, 2, 3, 4]


def test_late_rows_join_their_hour_in_the_next_round(store):
    writer = store.writer("a")
    commit(writer, trades(1))
    commit(writer, trades(2))
    keeper = housekeeper(store, writer)
    keeper.tidy(LATER, 0.0)
    note(keeper, writer, trades(3))
    assert keeper.tidy(LATER, 1.0).written == 1
    keeper.tidy(LATER, 20.0)
    assert [path.rpartition("/")[2] for path in parquet(store)] == ["000000000002-000000000004.a.parquet"]
    assert numbers(store) == [1, 2, 3]


def test_a_round_looks_only_where_something_was_written_and_at_all_of_it_once_a_day(store):
    writer = store.writer("a")
    keeper, listed = housekeeper(store, writer), []
    paths = store.files.paths
    store.files.paths = lambda folder="": listed.append(folder) or paths(folder)
    for hour in range(20):
        note(keeper, writer, trades(hour + 1, hour=hour))
    keeper.tidy(20 * HOUR_NS, 0.0)
    assert listed[0] == ""
    listed.clear()
    note(keeper, writer, trades(30, hour=20))
    note(keeper, writer, trades(31, hour=20))
    assert keeper.tidy(20 * HOUR_NS + 1, 60.0) == Tidied(0, 0, 0)
    assert listed == ["topic=trades/date=1970-01-01/hour=20/symbol=BTCUSDT"]
    listed.clear()
    assert keeper.tidy(22 * HOUR_NS, 120.0).written == 1  # the hour is over, and nobody had to look for it
    assert keeper.tidy(22 * HOUR_NS, 200.0).removed == 2
    assert listed == []
    keeper.tidy(25 * HOUR_NS, 300.0)
    assert listed == [""]


def test_several_writers_are_tidied_side_by_side_in_the_same_partition(store):
    writers = store.writers(("a", "b"))
    for number, name in ((1, "a"), (2, "b"), (3, "a"), (4, "b")):
        commit(writers[name], trades(number))
    keeper = Housekeeper(store.files, writers.values(), Rules(100, 0.0, 0))
    assert keeper.tidy(LATER, 0.0) == Tidied(2, 4, 0)
    assert sorted(numbers(store)) == [1, 2, 3, 4]


def test_what_a_followed_process_still_writes_is_removed_at_the_next_look(store):
    writer = store.writer("a")
    commit(writer, trades(1))
    commit(writer, trades(2))
    void = parquet(store)[0].replace("000000000002-000000000002", "000000000001-000000000001")
    store.files.write(void, lambda file: file.write(store.files.read(parquet(store)[0])))
    assert numbers(store) == [1, 2]
    housekeeper(store, writer).tidy(HOUR_NS // 2, 0.0)
    assert void not in parquet(store)
    assert numbers(store) == [1, 2]


def test_files_of_another_writer_are_left_alone(store):
    commit(store.writer("import"), trades(1))
    commit(store.writer("import"), trades(2))
    housekeeper(store, store.writer("a"), keep_days=1).tidy(9 * DAY_NS, 0.0)
    assert len(store.part_files()) == 2


def test_a_death_at_any_step_of_a_compaction_leaves_every_row_once(store):
    """Each call on the disk is the last one once; then the writer is opened again and finishes the work."""

    class Killed(BaseException):
        pass

    for step in range(1, 8):
        writer = store.writer(f"w{step}")
        for number in (1, 2, 3):
            commit(writer, trades(number, symbol=f"S{step}"))
        keeper, calls = housekeeper(store, writer, grace_s=0.0), iter(range(1, 100))
        write, remove = store.files.write, store.files.remove

        def deadly(action, calls=calls, step=step):
            def act(*arguments):
                if next(calls) == step:
                    raise Killed
                action(*arguments)

            return act

        remove_one = deadly(remove)

        def remove_one_by_one(paths, remove_one=remove_one):
            for path in paths:
                remove_one([path])

        def write_and_die(path, fill, write=write, deadly=deadly):
            deadly(lambda: None)()
            write(path, fill)
            deadly(lambda: None)()

        store.files.write, store.files.remove = write_and_die, remove_one_by_one
        try:
            keeper.tidy(LATER, 0.0)
        except Killed:
            pass
        finally:
            store.files.write, store.files.remove = write, remove
        table = store.dataset(Trades).to_table()
        rows = [
            number
            for number, symbol in zip(
                *(table.column(n).to_pylist() for n in ("producer_sequence", "symbol")), strict=True
            )
            if symbol == f"S{step}"
        ]
        assert rows == [1, 2, 3], f"killed at step {step}"
        writer.close()
        again = housekeeper(store, store.writer(f"w{step}"), grace_s=0.0)
        again.tidy(LATER, 0.0)
        assert len([path for path in parquet(store) if f"symbol=S{step}/" in path]) == 1


def test_days_past_their_keeping_go(store):
    writer = store.writer("a")
    for day in range(4):
        commit(writer, trades(day + 1, hour=24 * day))
    assert housekeeper(store, writer, keep_days=1).tidy(3 * DAY_NS + LATER, 0.0).expired == 2
    assert numbers(store) == [3, 4]


def test_columns_of_a_newer_version_are_not_compacted_away(store):
    writer = store.writer("a")
    commit(writer, trades(1))
    commit(writer, trades(2))
    path = parquet(store)[0]
    with store.files.filesystem.open_input_file(path) as file:
        table = pq.read_table(file)
    newer = table.append_column("mood", [["calm"]])
    store.files.write(path, lambda file: pq.write_table(newer, file))
    assert housekeeper(store, writer).tidy(LATER, 0.0).written == 0
    assert numbers(store) == [1, 2]
