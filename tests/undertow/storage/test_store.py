from datetime import date

import pyarrow.parquet as pq
import pytest

from tests.undertow.storage.rows import bucket_store, commit, numbers, store_at, trades
from undertow.contracts.messages.market import Trades
from undertow.storage.errors import StoreDamagedError, StoreRefusedError
from undertow.storage.layout import progress_path
from undertow.storage.store import Store


@pytest.fixture(params=["directory", "bucket"])
def store(request, tmp_path) -> Store:
    """Both kinds of files hold the same."""
    if request.param == "directory":
        return store_at(tmp_path / "deep" / "store")
    return bucket_store(request.getfixturevalue("s3_server"), f"bucket/{tmp_path.name}")


def test_rows_come_back_in_order_with_the_place_they_are_in(store):
    writer = store.writer("a")
    assert commit(writer, trades(1), trades(2), trades(3, hour=25)) == 3
    table = store.dataset(Trades).to_table()
    assert table.column("producer_sequence").to_pylist() == [1, 2, 3]
    assert table.column("date").to_pylist() == [date(1970, 1, 1), date(1970, 1, 1), date(1970, 1, 2)]
    assert table.column("hour").to_pylist() == [0, 0, 1]
    assert table.column("trades").to_pylist()[0][0]["price"] == "65000.10"
    assert store.dataset(Trades, dates={date(1970, 1, 2)}).count_rows() == 1


def test_the_state_is_given_back_with_the_commit_that_it_belongs_to(store):
    commit(store.writer("a"), trades(1), state=b'{"x":1}')
    assert bytes(store.writer("a").progress.state) == b'{"x":1}'
    assert bytes(store.writer("b").progress.state) == b"null"
    assert {name: bytes(each.state) for name, each in store.progress("a").items()} == {"a": b'{"x":1}'}


def test_a_crash_before_the_progress_leaves_nothing_and_the_rows_can_be_stored_again(store):
    writer = store.writer("a")
    commit(writer, trades(1))

    def parts_and_death():
        yield from ()
        commit_of_one = store.writer("b")  # another writer works meanwhile
        commit(commit_of_one, trades(9))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        writer.commit(parts_and_death(), b"null")
    original, store.files.swap = store.files.swap, lambda *_: _die()
    with pytest.raises(KeyboardInterrupt):
        commit(writer, trades(2))
    store.files.swap = original
    assert sorted(numbers(store)) == [1, 9]  # the file of the second commit is there and does not count
    assert len([path for path in store.files.paths() if path.endswith(".a.parquet")]) == 2
    writer.close()
    again = store.writer("a")
    assert len([path for path in store.files.paths() if path.endswith(".a.parquet")]) == 1
    commit(again, trades(2))
    assert sorted(numbers(store)) == [1, 2, 9]


def _die():
    raise KeyboardInterrupt


def test_a_dataset_does_not_change_while_it_is_read(store):
    writer = store.writer("a")
    commit(writer, trades(1))
    before = store.dataset(Trades)
    commit(writer, trades(2))
    assert before.count_rows() == 1
    assert store.dataset(Trades).count_rows() == 2


def test_an_unfinished_file_of_a_crash_is_removed(tmp_path):
    store = store_at(tmp_path)
    commit(store.writer("a"), trades(1))
    half = next(tmp_path.rglob("*.parquet")).with_suffix(".parquet.part")
    half.write_bytes(b"PAR1")
    assert half.name not in " ".join(store.files.paths())
    store.writer("a")
    assert not half.exists()


def test_a_damaged_progress_file_is_named(store):
    store.files.write(progress_path("a"), lambda file: file.write(b"{"))
    with pytest.raises(StoreDamagedError, match=r"_progress/a\.json is damaged"):
        store.writer("a")
    with pytest.raises(StoreDamagedError):
        store.part_files()


def test_a_place_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreRefusedError, match="file cannot be written"):
        store_at(tmp_path / "file").writer("a")


def test_a_writers_name_is_checked(store):
    with pytest.raises(ValueError, match="not a writer's name"):
        store.writer("a/b")


def test_parts_are_compressed_with_zstd_and_carry_the_schema_version(tmp_path):
    commit(store_at(tmp_path).writer("a"), trades(1))
    file = pq.ParquetFile(next(tmp_path.rglob("*.parquet")))
    assert file.metadata.row_group(0).column(0).compression == "ZSTD"
    assert file.schema_arrow.metadata[b"undertow.schema_version"] == b"2"


def test_an_older_file_without_a_newer_column_reads_null_there(store):
    writer = store.writer("a")
    commit(writer, trades(1))
    path = next(path for path in store.files.paths() if path.endswith(".parquet"))
    with store.files.filesystem.open_input_file(path) as file:
        older = pq.read_table(file).drop_columns(["hops"])
    store.files.write(path, lambda file: pq.write_table(older, file))
    commit(writer, trades(2))
    assert store.dataset(Trades).to_table().column("hops").to_pylist() == [None, [1, 2]]
