from decimal import Decimal

import msgspec
import pytest

from tests.undertow.storage.rows import commit, store_at, trades
from undertow.contracts.messages.market import Kline, Liquidation, Ticker, Trade
from undertow.storage.errors import StoreMissingError
from undertow.storage.kinds import KINDS
from undertow.storage.query import ONE_BY_ONE, TEXT_NUMBERS, QueryError, answer


@pytest.fixture
def store(tmp_path):
    made = store_at(tmp_path)
    commit(made.writer("a"), trades(1), trades(2, hour=1))
    return made


def test_a_view_has_the_exact_text_and_beside_it_the_number_and_the_time(store):
    (row,) = answer(store, "SELECT price, price_number, event_time FROM trade WHERE trade_id = 't1'").records
    assert (row["price"], row["price_number"]) == ("65000.10", Decimal("65000.10"))
    assert answer(store, "SELECT epoch_ns(event_time) = ts_event AS same FROM trades").rows == [(True,), (True,)]


def test_date_hour_and_symbol_choose_rows(store):
    sql = "SELECT count(*) FROM trades WHERE date = DATE '1970-01-01' AND hour = 1 AND symbol = 'BTCUSDT'"
    assert answer(store, sql).rows == [(1,)]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('{file}')",
        "SELECT * FROM '{file}'",
        "SELECT * FROM read_parquet('{folder}/**/*.parquet')",
        "SELECT * FROM glob('{folder}/*')",
        "COPY trades TO '{folder}/out.csv'",
        "EXPORT DATABASE '{folder}/out'",
        "ATTACH '{folder}/out.db'",
        "SET enable_external_access = true",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SELECT * FROM store",
    ],
)
def test_a_query_reaches_nothing_but_what_is_stored(store, tmp_path, sql):
    (tmp_path / "secret.csv").write_text("a\n1\n")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(QueryError, match="there are the views trade, trades"):
        answer(store, sql.format(folder=tmp_path, file=tmp_path / "secret.csv"))
    assert sorted(tmp_path.rglob("*")) == before


def test_what_is_not_stored_cannot_be_asked(tmp_path):
    with pytest.raises(StoreMissingError, match="no snapshots in"):
        answer(store_at(tmp_path / "none"), "SELECT 1")


def test_the_numbers_that_are_text_are_fields_of_their_messages():
    assert {Ticker, Kline} == set(TEXT_NUMBERS)
    for kind, names in TEXT_NUMBERS.items():
        types = {field.name: field.type for field in msgspec.structs.fields(kind)}
        assert all(types[name] is str for name in names)
    elements = {"trade": Trade, "liquidation": Liquidation}
    for name, _, names in ONE_BY_ONE.values():
        assert set(names) <= set(elements[name].__struct_fields__)
        assert name not in KINDS
