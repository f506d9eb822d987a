"""Rows and parts for the tests of the store."""

from __future__ import annotations

from pathlib import Path

from pydantic import SecretStr

from undertow.contracts.messages.market import Trade, Trades
from undertow.domain.order import Side
from undertow.storage.address import open_store
from undertow.storage.files import LocalFiles
from undertow.storage.layout import HOUR_NS, place_of
from undertow.storage.schema import Record, table_of
from undertow.storage.settings import StoreSettings
from undertow.storage.store import Part, Store, Writer


def store_at(folder: Path) -> Store:
    return Store(LocalFiles(folder))


def bucket_store(server: str, place: str, access_key: str = "key", secret_key: str = "secret") -> Store:  # noqa: S107 - of the server on loopback
    root = f"s3://{place}?endpoint_override={server}&scheme=http&region=us-east-1"
    return open_store(StoreSettings(root=root, access_key=access_key, secret_key=SecretStr(secret_key)))


def trades(number: int, *, hour: int = 0, symbol: str = "BTCUSDT") -> Record:
    at = hour * HOUR_NS + number
    trade = Trade(ts_event=at, side=Side.SELL, price="65000.10", size="0.001", trade_id=f"t{number}")
    message = Trades(ts_event=at, ts_recv=at, symbol=symbol, trades=(trade,))
    return Record(message, f"market:{{{symbol}}}", "ingestor/1", number, f"{number}-0", (1, 2))


def commit(writer: Writer, *rows: Record, state: bytes = b"null") -> int:
    places = {place_of(row.message): [] for row in rows}
    for row in rows:
        places[place_of(row.message)].append(row)
    return writer.commit([Part(place, table_of(Trades, each)) for place, each in places.items()], state).rows


def numbers(store: Store) -> list[int]:
    return store.dataset(Trades).to_table(columns=["producer_sequence"]).column(0).to_pylist()
