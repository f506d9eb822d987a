from __future__ import annotations

from decimal import Decimal

import pytest

from services.macro_collector.core import SECOND_NS, MacroCore
from services.macro_collector.read import UnreadableError
from tests.services.macro_collector.test_read import source

DATED = source(time="t", stale_seconds=10)
UNDATED = source(stale_seconds=10)
INDEX = source(time="t", unit="index", slot="dollar_index")


def at(t, v):
    return f'{{"t":{t},"v":{v}}}'.encode()


def told(core, source, symbol, body, now_ns):
    value = core.on_answer(source, symbol, body, now_ns)
    if value is not None:
        core.on_told(value)
    return value


def test_a_value_is_told_once_and_again_when_it_changes():
    core = MacroCore()
    first = told(core, DATED, "", at(5, 1), 9 * SECOND_NS)
    assert (first.ts_event, first.ts_recv, first.value) == (5 * SECOND_NS, 9 * SECOND_NS, Decimal(1))
    assert (first.source, first.unit, first.stale_after_ns) == ("x", "y", 10 * SECOND_NS)
    assert told(core, DATED, "", at(5, 1), 10 * SECOND_NS) is None
    assert told(core, DATED, "", at(5, 2), 11 * SECOND_NS).value == 2
    assert told(core, DATED, "", at(6, 2), 12 * SECOND_NS).ts_event == 6 * SECOND_NS
    assert told(core, DATED, "", at(4, 7), 13 * SECOND_NS) is None
    assert core.age_ns(DATED, "", 13 * SECOND_NS) == 7 * SECOND_NS


def test_a_value_names_its_slot():
    core = MacroCore()
    assert core.on_answer(INDEX, "", at(5, 121.5), 9 * SECOND_NS).slot == "dollar_index"
    assert core.on_answer(DATED, "", at(5, 1), 9 * SECOND_NS).slot == ""


def test_a_value_is_told_again_when_its_source_feeds_another_slot():
    core = MacroCore()
    core.on_told(core.on_answer(source(time="t", unit="index"), "", at(5, 121.5), 9 * SECOND_NS))
    assert core.on_answer(INDEX, "", at(5, 121.5), 10 * SECOND_NS).slot == "dollar_index"


@pytest.mark.parametrize("wrong", [0, -3, 1_000.01])
def test_a_value_that_cannot_be_true_of_its_slot_is_refused(wrong):
    with pytest.raises(UnreadableError, match=f"v is {wrong}, outside 1 to 1000 of the slot 'dollar_index'"):
        MacroCore().on_answer(INDEX, "", at(5, wrong), 9 * SECOND_NS)


def test_each_symbol_has_a_value_of_its_own():
    core = MacroCore()
    assert told(core, DATED, "BTCUSDT", at(5, 1), 9) is not None
    assert told(core, DATED, "ETHUSDT", at(5, 1), 9).symbol == "ETHUSDT"
    assert core.age_ns(DATED, "SOLUSDT", 9) is None


def test_a_value_without_a_time_holds_at_its_receipt_each_time():
    core = MacroCore()
    assert told(core, UNDATED, "", b'{"v":1}', 9).ts_event == 9
    assert told(core, UNDATED, "", b'{"v":1}', 11).ts_event == 11


def test_a_source_is_stale_before_its_first_value_and_when_the_last_is_too_old():
    core = MacroCore()
    assert core.is_stale(DATED, "", 0)
    value = told(core, DATED, "", at(5, 1), 9 * SECOND_NS)
    assert not core.is_stale(DATED, "", 15 * SECOND_NS)
    assert core.is_stale(DATED, "", 15 * SECOND_NS + 1)
    assert value.age_ns(0) == 0
    assert value.is_stale(15 * SECOND_NS + 1)


def test_a_value_that_was_not_published_is_given_again():
    core = MacroCore()
    first = core.on_answer(DATED, "", at(5, 1), 9)
    assert core.on_answer(DATED, "", at(5, 1), 11).value == first.value
    assert core.age_ns(DATED, "", 11) is None


def test_what_was_told_before_a_restart_is_not_told_again():
    told_before = told(MacroCore(), DATED, "", at(5, 1), 9)
    core = MacroCore()
    core.on_told(told_before)
    assert core.on_answer(DATED, "", at(5, 1), 11) is None
    assert core.on_answer(DATED, "", at(6, 1), 12) is not None
