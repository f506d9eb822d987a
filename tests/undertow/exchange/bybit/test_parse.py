from __future__ import annotations

from decimal import Decimal

import pytest

from tests.services.venue.examples import ITEMS as EXAMPLES
from undertow.domain.order import OrderStatus, OrderType, Side, TimeInForce
from undertow.exchange.bybit import parse
from undertow.exchange.errors import (
    AccessError,
    AlreadySoError,
    BadAnswerError,
    BannedError,
    ClockSkewError,
    OrderGoneError,
    OrderRefusedError,
    OutcomeUnknownError,
    RateLimitedError,
    VenueBusyError,
)
from undertow.exchange.models import OrderRequest, Touch

MS = 1_000_000
TABLE = {
    ClockSkewError: (-1, 10002),
    OutcomeUnknownError: (429, 10000, 10014, 10016, 10019, 110072, 110079, 170141),
    RateLimitedError: (10006, 10403, 10429, 20003, 170222),
    BannedError: (10018,),
    BadAnswerError: (10017,),
    AccessError: (10003, 10004, 10005, 10007, 10008, 10009, 10010, 10024, 10027, 10028, 10029, 33004, 110123, 110125),
    OrderGoneError: (110001, 110008, 110010, 40004, 170142, 170213),
    AlreadySoError: (110025, 110026, 110027, 110043, 34036, 34040),
    VenueBusyError: (110005, 110066, 110103),
    OrderRefusedError: (
        10001, 110003, 110004, 110006, 110007, 110009, 110012, 110013, 110014, 110017, 110020, 110021, 110023, 110024,
        110028, 110029, 110032, 110040, 110042, 110044, 110045, 110051, 110052, 110053, 110059, 110064, 110074, 110086,
        110090, 110092, 110093, 110094, 110118, 110120, 110121, 30208, 30209, 170131, 170136, 170140, 170218, 170810,
        999999,
    ),
}  # fmt: skip
RETRYABLE = (ClockSkewError, OutcomeUnknownError, RateLimitedError, VenueBusyError)


@pytest.mark.parametrize(("code", "kind"), [(code, kind) for kind, codes in TABLE.items() for code in codes])
def test_each_code_of_the_table_has_its_action(code, kind):
    error = parse.error_for(code, "words", 5)
    assert type(error) is kind
    assert (error.code, error.message) == (code, "words")
    assert parse.is_retryable(error) is (kind in RETRYABLE)


def test_a_rate_limit_ends_when_the_header_says_or_after_a_second():
    assert parse.error_for(10006, "", 1000 * MS, 1300).retry_at_ns == 1300 * MS
    assert parse.error_for(10006, "", 1000 * MS, 900).retry_at_ns == 1000 * MS
    assert parse.error_for(10006, "", 1000 * MS).retry_at_ns == 2000 * MS


@pytest.mark.parametrize("which", ["rest_order", "stream_order"])
def test_the_documented_order_is_read(which):
    order = parse.order(EXAMPLES[which])
    assert (order.order_id, order.side, order.order_type, order.time_in_force) == (
        "bot1-000042", Side.BUY, OrderType.LIMIT, TimeInForce.POST_ONLY,
    )  # fmt: skip
    assert (order.price, order.qty, order.average_price) == (Decimal("1.2345"), Decimal("10.5"), Decimal(0))
    assert order.created_ns == 1767225600175 * MS
    if which == "stream_order":
        assert (order.status, order.reject_reason) == (OrderStatus.CANCELLED, "EC_PostOnlyWillTakeLiquidity")
    else:
        assert (order.status, order.reject_reason, order.cancel_type) == (OrderStatus.NEW, "", "")


@pytest.mark.parametrize("which", ["rest_execution", "stream_execution"])
def test_the_documented_execution_is_read(which):
    fill = parse.execution(EXAMPLES[which])
    assert (fill.price, fill.qty, fill.fee) == (Decimal("1.2345"), Decimal("10.5"), Decimal("0.00259245"))
    assert (fill.is_maker, fill.moves_position, fill.executed_ns) == (True, True, 1767225601000 * MS)
    assert not parse.execution({**EXAMPLES[which], "execType": "Funding"}).moves_position


@pytest.mark.parametrize("which", ["rest_position", "stream_position"])
def test_the_documented_position_is_read_with_either_name_of_its_price(which):
    position = parse.position(EXAMPLES[which])
    assert (position.qty, position.entry_price, position.liquidation_price) == (
        Decimal("10.5"), Decimal("1.2345"), Decimal(0),
    )  # fmt: skip
    assert parse.position({**EXAMPLES[which], "side": "Sell"}).qty == Decimal("-10.5")
    assert parse.position({**EXAMPLES[which], "side": "", "size": "0"}).qty == 0


def test_the_documented_wallet_is_read_and_a_missing_coin_is_zero():
    wallet = parse.wallet(EXAMPLES["wallet"], "USDT")
    assert (wallet.equity, wallet.wallet, wallet.available) == (Decimal("100.01"), Decimal(100), Decimal("98.70"))
    assert parse.wallet(EXAMPLES["wallet"], "BTC").equity == 0
    isolated = {**EXAMPLES["wallet"], "totalAvailableBalance": ""}
    assert parse.wallet(isolated, "USDT").available == Decimal("98.69")


@pytest.mark.parametrize("nothing", ["", None])
def test_nothing_is_zero_however_it_is_spelt(nothing):
    assert parse.order({**EXAMPLES["rest_order"], "avgPrice": nothing, "cumExecQty": nothing}).average_price == 0


@pytest.mark.parametrize(
    "fields",
    [{"side": "Long"}, {"qty": "x"}, {"qty": "NaN"}, {"price": "Infinity"}, {"orderStatus": "Odd"}, {"createdTime": "x"},
     {"qty": []}, {"side": None}],
)  # fmt: skip
def test_a_field_that_cannot_be_read_is_named(fields):
    with pytest.raises(BadAnswerError, match="somewhere"):
        parse.read(parse.order, {**EXAMPLES["rest_order"], **fields}, "somewhere")


@pytest.mark.parametrize("item", [None, [], "x", 3, {}])
def test_what_is_no_item_at_all_is_a_bad_answer(item):
    for what in (parse.order, parse.execution, parse.position, parse.instrument, parse.ledger_entry, parse.key_info):
        with pytest.raises(BadAnswerError):
            parse.read(what, item, "somewhere")


def test_numbers_that_come_unquoted_keep_their_decimals():
    assert parse.order({**EXAMPLES["rest_order"], "qty": 0.1}).qty == Decimal("0.1")


def request(**fields):
    plain = {
        "order_id": "id", "symbol": "ABCUSDT", "side": Side.BUY, "order_type": OrderType.LIMIT, "qty": Decimal("1E+2"),
        "price": Decimal("0.0000001"), "time_in_force": TimeInForce.POST_ONLY, "reduce_only": False,
    }  # fmt: skip
    return OrderRequest(**{**plain, **fields})


def test_an_exit_of_everything_goes_out_without_a_quantity():
    body = parse.order_body(request(order_type=OrderType.MARKET, reduce_only=True, closes_all=True))
    assert (body["qty"], body["reduceOnly"], body["closeOnTrigger"]) == ("0", True, True)


@pytest.mark.parametrize("prices", [("", "1"), ("1", "0"), ("2", "1"), ("1", "1")])
def test_best_prices_are_both_there_and_not_crossed(prices):
    assert parse.touch({"bid1Price": "1", "ask1Price": "1.5"}) == Touch(Decimal(1), Decimal("1.5"))
    with pytest.raises(ValueError, match="best prices"):
        parse.touch(dict(zip(("bid1Price", "ask1Price"), prices, strict=True)))


def test_an_order_goes_out_without_exponents_and_with_its_stop():
    body = parse.order_body(request(stop_loss=Decimal("0.5")))
    assert body == {
        "category": "linear", "symbol": "ABCUSDT", "side": "Buy", "orderType": "Limit", "qty": "100", "price": "0.0000001",
        "timeInForce": "PostOnly", "positionIdx": 0, "orderLinkId": "id", "reduceOnly": False, "stopLoss": "0.5",
        "slTriggerBy": "MarkPrice", "tpslMode": "Full",
    }  # fmt: skip
    market = parse.order_body(request(order_type=OrderType.MARKET, reduce_only=True))
    assert "price" not in market
    assert "stopLoss" not in market


def test_a_key_s_rights_and_expiry_are_read():
    item = {
        "readOnly": 0, "permissions": {"ContractTrade": ["Order", "Position"], "Wallet": ["Withdraw"]}, "ips": ["*"],
        "expiredAt": "1970-01-01T00:01:00Z", "userID": 7,
    }  # fmt: skip
    key = parse.key_info(item)
    assert (key.can_trade, key.can_withdraw, key.addresses, key.expires_ns) == (True, True, ("*",), 60 * 10**9)
    assert parse.key_info({**item, "expiredAt": "1970-01-01T00:01:00"}).expires_ns == 60 * 10**9
    assert not parse.key_info({**item, "readOnly": 1}).can_trade
    assert parse.key_info({**item, "permissions": {"Derivatives": ["DerivativesTrade"]}, "expiredAt": ""}).can_trade


@pytest.mark.parametrize(("text", "number"), [("15", 15), (None, 0), ("x", 0), ("-1", 0), ("1.5", 0), (7, 7), ("²", 0)])
def test_a_header_is_a_whole_number_or_zero(text, number):
    assert parse.whole(text) == number
