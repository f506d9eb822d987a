"""What a bucket does that a directory cannot: keep two writers apart without a lock, and refuse in words of its own."""

from __future__ import annotations

import json
from urllib.request import Request, urlopen

import botocore.session
import pytest

from tests.undertow.storage.rows import bucket_store, commit, numbers, trades
from undertow.runtime.errors import ConfigurationError
from undertow.storage.errors import StoreRefusedError, StoreTakenError


@pytest.fixture
def place(request) -> str:
    return f"bucket/{request.node.originalname}"


def test_of_two_writers_of_one_name_the_last_to_open_alone_writes_and_no_row_is_lost_or_doubled(s3_server, place):
    first_store, second_store = bucket_store(s3_server, place), bucket_store(s3_server, place)
    first = first_store.writer("a")
    commit(first, trades(1), state=b"[1]")
    second = second_store.writer("a")
    assert bytes(second.progress.state) == b"[1]"
    with pytest.raises(StoreTakenError, match=r"writes as a now; stop it, or give each process symbols of its own"):
        commit(first, trades(2), trades(3, hour=1))  # both its files are there, and do not count
    assert numbers(second_store) == [1]
    commit(second, trades(2), state=b"[2]")
    assert numbers(second_store) == [1, 2]
    third = second_store.writer("a")
    assert bytes(third.progress.state) == b"[2]"
    commit(third, trades(3, hour=1))
    assert numbers(second_store) == [1, 2, 3]


def test_two_that_open_at_the_same_moment_open_one_after_the_other(s3_server, place):
    store = bucket_store(s3_server, place)
    commit(store.writer("a"), trades(1))
    swap, others = store.files.swap, []

    def beaten(path, content, mark):
        if not others and "_progress" in path:
            others.append(bucket_store(s3_server, place).writer("a"))
        return swap(path, content, mark)

    store.files.swap = beaten
    writer = store.writer("a")
    with pytest.raises(StoreTakenError):
        commit(others[0], trades(2))
    commit(writer, trades(2))
    assert numbers(store) == [1, 2]


def test_a_commit_whose_answer_got_lost_is_found_to_be_ours_and_counts_once(s3_server, place):
    store = bucket_store(s3_server, place)
    writer = store.writer("a")
    put = store.files._asking.put_object

    def twice(**request):
        put(**request)
        return put(**request)  # as when the connection breaks before the answer, and the client asks again

    store.files._asking.put_object = twice
    commit(writer, trades(1))
    commit(writer, trades(2))
    assert numbers(store) == [1, 2]


def test_what_is_given_up_half_way_is_never_seen(s3_server, place):
    store = bucket_store(s3_server, place)

    def fill(file):
        file.write(b"half")
        raise ValueError

    with pytest.raises(ValueError):
        store.files.write("whole", fill)
    assert store.files.read("whole") is None


def test_a_store_that_ignores_conditions_is_refused_for_writing(s3_server, place):
    store = bucket_store(s3_server, place)
    put = store.files._asking.put_object
    store.files._asking.put_object = lambda IfNoneMatch, **request: put(**request)  # noqa: N803 - the client's own name
    with pytest.raises(StoreRefusedError, match=r"ignores If-None-Match.*use a store that knows conditional writes"):
        store.writer("a")


@pytest.fixture(scope="module")
def guarded(s3_server):
    """The server looks at keys: of a user who may do everything, and of users who may not."""

    def client(service):
        return botocore.session.get_session().create_client(
            service,
            region_name="us-east-1",
            endpoint_url=f"http://{s3_server}",
            aws_access_key_id="root",
            aws_secret_access_key="root",
        )

    iam, keys = client("iam"), {}
    for user, actions in {
        "all": ["s3:*"],
        "reader": ["s3:ListBucket", "s3:GetObject"],
        "stranger": ["s3:GetObject"],
    }.items():
        iam.create_user(UserName=user)
        rule = {"Effect": "Allow", "Action": actions, "Resource": "*"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [rule]})
        iam.put_user_policy(UserName=user, PolicyName="p", PolicyDocument=policy)
        key = iam.create_access_key(UserName=user)["AccessKey"]
        keys[user] = (key["AccessKeyId"], key["SecretAccessKey"])

    def let(actions):
        told = Request(f"http://{s3_server}/moto-api/reset-auth", data=actions, headers={"Content-Type": "text/plain"})
        urlopen(told).close()

    let(b"0")
    yield keys
    let(b"inf")


def test_whoever_has_the_keys_and_the_permissions_gets_in(s3_server, guarded, place):
    commit(bucket_store(s3_server, place, *guarded["all"]).writer("a"), trades(1))
    assert numbers(bucket_store(s3_server, place, *guarded["reader"])) == [1]


@pytest.mark.parametrize(
    ("access_key", "secret_key", "words"),
    [
        ("nobody", "nothing", "does not know the access key; set UNDERTOW_SNAPSHOT__ACCESS_KEY"),
        ("all", "wrong", "secret key is not that of the access key; set UNDERTOW_SNAPSHOT__ACCESS_KEY"),
        ("stranger", "", r"refuses us to list \(s3:ListBucket\): AccessDenied; give these keys the permission"),
    ],
)
def test_wrong_keys_and_missing_permissions_are_one_line_of_what_and_what_to_do(
    s3_server, guarded, place, access_key, secret_key, words
):
    known = guarded.get(access_key, (access_key, ""))
    with pytest.raises(ConfigurationError, match=f"^UNDERTOW_SNAPSHOT__ROOT: s3://{place}[^\n]*{words}[^\n]*$"):
        bucket_store(s3_server, place, known[0], secret_key or known[1])


def test_keys_that_may_only_read_are_refused_when_a_writer_is_opened(s3_server, guarded, place):
    store = bucket_store(s3_server, place, *guarded["reader"])
    with pytest.raises(StoreRefusedError, match=r"refuses us to write \(s3:PutObject\)"):
        store.writer("a")
