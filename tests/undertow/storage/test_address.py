"""A store in a bucket, against an S3 server on loopback (moto), and what is said of addresses that are none."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.undertow.storage.rows import bucket_store, commit, numbers, trades
from undertow.contracts.messages.market import Trades
from undertow.runtime.errors import ConfigurationError
from undertow.storage.address import open_store
from undertow.storage.layout import HOUR_NS
from undertow.storage.query import answer
from undertow.storage.settings import StoreSettings
from undertow.storage.tidy import Housekeeper, Rules


def test_a_bucket_stores_compacts_and_answers_like_a_directory(s3_server: str) -> None:
    store = bucket_store(s3_server, "bucket/deep/prefix")
    writer = store.writer("a")
    commit(writer, trades(1))
    commit(writer, trades(2))
    commit(writer, trades(3, hour=1), state=b'{"x":1}')
    assert numbers(bucket_store(s3_server, "bucket/deep/prefix")) == [1, 2, 3]
    keeper = Housekeeper(store.files, (writer,), Rules(most_files=9, grace_s=0.0, keep_days=0))
    assert keeper.tidy(2 * HOUR_NS, 0.0).written == 1
    assert len([path for path in store.files.paths("topic=trades") if "hour=00" in path]) == 1
    assert answer(store, "SELECT count(*) AS n, sum(price_number) AS total FROM trade").records[0]["n"] == 3
    assert bytes(bucket_store(s3_server, "bucket/deep/prefix").writer("a").progress.state) == b'{"x":1}'


def test_a_commit_that_was_not_finished_in_a_bucket_is_removed_at_the_next_start(s3_server: str) -> None:
    store = bucket_store(s3_server, "bucket/unfinished")
    commit(store.writer("a"), trades(1))  # 1 is void for ever, 2 is the commit
    path = next(path for path in store.files.paths() if path.endswith(".parquet"))
    content = store.files.read(path)
    left = path.replace("000000000002-000000000002", "000000000003-000000000003")
    store.files.write(left, lambda file: file.write(content))
    assert store.dataset(Trades).count_rows() == 1
    store.writer("a")
    assert left not in store.files.paths()


def test_a_bucket_that_there_is_not_is_one_line(s3_server: str) -> None:
    with pytest.raises(
        ConfigurationError, match=r"UNDERTOW_SNAPSHOT__ROOT: s3://nowhere has no such bucket; create it"
    ):
        bucket_store(s3_server, "nowhere")


def test_a_server_that_does_not_answer_is_one_line() -> None:
    with pytest.raises(ConfigurationError, match=r"^[^\n]*does not answer[^\n]*; correct the address[^\n]*$"):
        bucket_store("127.0.0.1:9", "bucket")


@pytest.mark.parametrize(
    ("root", "rule"),
    [
        ("http://host/x", "neither a directory nor s3://"),
        ("s3://", "neither a directory nor s3://"),
        ("s3://bucket/x?endpoint=h", "no option endpoint, only endpoint_override, region, scheme"),
        ("s3://key:secret@bucket/x", "keys do not belong into the address"),
    ],
)
def test_an_address_that_is_none_names_the_rule(root: str, rule: str) -> None:
    with pytest.raises(ConfigurationError, match=rule):
        open_store(StoreSettings(root=root))


def test_half_a_login_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="one of access key and secret key is missing"):
        open_store(StoreSettings(root="s3://bucket", access_key="key"))


def test_a_path_is_a_directory(tmp_path: Path) -> None:
    assert open_store(StoreSettings(root=str(tmp_path))).address == str(tmp_path)
