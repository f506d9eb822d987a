from __future__ import annotations

import gzip

import pytest

from tests.undertow.history.archives import AT_S, TRADE_HEADER, trade, trades
from undertow.contracts.messages.market import Trade, Trades
from undertow.domain.order import Side
from undertow.history.archive import ArchiveError, opened
from undertow.history.bybit_trades import read_bybit_trades

AT_NS = AT_S * 10**9


def read(path):
    with opened(path) as archive:
        return list(read_bybit_trades(archive))


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.zip"])
def test_trades_of_one_moment_are_one_message_in_the_archives_own_numbers(tmp_path, name):
    path = trades(
        tmp_path / name,
        trade(".0547"),
        trade(".0547", "Sell", "0.001", "65065.70", 2),
        trade(".0548", "Sell", "12", "65065", 3),
        trade("", n=4).replace(f"{AT_S},", f"{AT_S + 1},"),
    )
    at = AT_NS + 54_700_000
    assert read(path) == [
        Trades(
            ts_event=at,
            ts_recv=at,
            symbol="BTCUSDT",
            trades=(
                Trade(at, Side.BUY, "65065.80", "0.038", "match-1"),
                Trade(at, Side.SELL, "65065.70", "0.001", "match-2"),
            ),
        ),
        Trades(
            ts_event=at + 100_000,
            ts_recv=at + 100_000,
            symbol="BTCUSDT",
            trades=(Trade(at + 100_000, Side.SELL, "65065", "12", "match-3"),),
        ),
        Trades(
            ts_event=AT_NS + 10**9,
            ts_recv=AT_NS + 10**9,
            symbol="BTCUSDT",
            trades=(Trade(AT_NS + 10**9, Side.BUY, "65065.80", "0.038", "match-4"),),
        ),
    ]


def test_columns_are_found_by_name_and_new_ones_do_no_harm(tmp_path):
    row = trade(".5")
    newer = trades(tmp_path / "a.csv", f"{row},0", header=f"{TRADE_HEADER},RPI")
    older = trades(tmp_path / "b.csv", row)
    assert read(newer) == read(older)
    cells = row.split(",")
    turned = trades(tmp_path / "c.csv", ",".join(reversed(cells)), header=",".join(reversed(TRADE_HEADER.split(","))))
    assert read(turned) == read(older)


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.zip"])
@pytest.mark.parametrize("count", [2, 3, 5_000])
def test_an_old_file_whose_newest_row_is_first_gives_the_same_trades(tmp_path, name, count):
    rows = [trade(f".{number:04}", n=number) for number in range(count)]
    rows += rows[-1:]  # of one moment with the one before
    older = read(trades(tmp_path / f"older-{name}", *reversed(rows)))
    assert older == read(trades(tmp_path / f"newer-{name}", *rows))
    assert len(older) == count


def test_a_file_of_one_moment_is_read_as_it_is(tmp_path):
    (message,) = read(trades(tmp_path / "a.csv", trade(".5", n=1), trade(".5", n=2)))
    assert [each.trade_id for each in message.trades] == ["match-1", "match-2"]


def test_a_size_in_powers_of_ten_becomes_plain_decimal(tmp_path):
    ((found,),) = [message.trades for message in read(trades(tmp_path / "a.csv", trade(".5", size="1.5e-05")))]
    assert found.size == "0.000015"


@pytest.mark.parametrize(
    ("rows", "line", "rule"),
    [
        ([trade(".5"), trade(".6"), trade(".55")], 4, "is out of order; sort its rows"),
        ([trade(".6"), trade(".5"), trade(".55")], 3, "is out of order; sort its rows"),
        ([trade(".6"), trade(".5"), trade(".4", side="Long"), trade(".3")], 4, "side 'Long' is none of"),
        ([trade(".5"), trade(".6", side="Long")], 3, "side 'Long' is none of Buy, Sell"),
        ([trade(".5", size="0.000")], 2, "size 0.000 is not above 0"),
        ([trade(".5", price="-1")], 2, "price '-1' is not a price or size"),
        ([trade(".5", price="nan")], 2, "price 'nan' is not a price or size"),
        ([trade(".5"), "1,2,3"], 3, "has 3 columns, the header 10"),
        ([trade(".5").replace(str(AT_S), "2019-05-01D00:00:07")], 2, "is not a time in seconds since 1970"),
        ([trade(".5").replace("BTCUSDT", "../x")], 2, "'../x' is not a symbol"),
        ([trade(".5"), trade(".6").replace("Zero", "Z\rro")], 3, "is damaged or cut short"),
        ([trade(".5").replace("2472.5", "9" * 200_000)], 2, "is damaged or cut short"),
    ],
)
def test_a_row_that_makes_no_sense_is_named_with_file_and_line(tmp_path, rows, line, rule):
    path = trades(tmp_path / "a.csv.gz", *rows)
    with pytest.raises(ArchiveError) as caught:
        read(path)
    assert (caught.value.row, caught.value.path) == (line, path)
    assert rule in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_quote_that_damage_has_made_hides_no_row(tmp_path):
    hurt = trade(".5").replace(",2472.5", ',"472.5')
    assert len(read(trades(tmp_path / "a.csv", hurt, trade(".6"), trade(".7")))) == 3


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (b"id,timestamp,price,volume,side,rpi\n", "has no column symbol, size, trdMatchID"),
        (b"", "has no column"),
        (b"\xff\xfe\n", "is not text"),
        (gzip.compress(TRADE_HEADER.encode() * 99)[:-20], "is damaged or cut short"),
        (b"PK\x03\x04nonsense", "is damaged or cut short"),
    ],
)
def test_a_file_that_is_no_such_archive_is_named(tmp_path, content, rule):
    path = tmp_path / "a.csv.gz"
    path.write_bytes(content)
    with pytest.raises(ArchiveError, match=rule):
        read(path)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ArchiveError, match="cannot be read"):
        read(tmp_path / "nowhere.csv")
