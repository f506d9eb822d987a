from __future__ import annotations

from decimal import Decimal

import msgspec
import numpy as np
import pytest

from services.model_server.core import SOURCE, ModelServerCore, SignalRule, vector_id
from services.model_server.settings import SignalSettings
from undertow.contracts.audit import AuditChain, verify
from undertow.contracts.messages.control import Command, GuardianState, Verb
from undertow.contracts.messages.decision import Features, Verdict
from undertow.contracts.messages.trading import TradeClosed
from undertow.domain.order import Side
from undertow.domain.state import TradingState
from undertow.learning.grid import ARM_COLUMNS, ARMS, REST_NS
from undertow.learning.policy import PolicyRule, ThompsonPolicy
from undertow.learning.scoring import Scores

MS = 1_000_000
SURE = PolicyRule(prior_trades=1e9, prior_sd_bps=1.0)
BEST = 14  # a buy at 12 bp, held 15 s


class FixedScorer:
    model_hash = "0123456789abcdef"
    schema_hash = "schema"

    def __init__(self, best_bps: float = 8.0) -> None:
        self.best_bps = best_bps

    def score(self, matrix):
        assert matrix.shape == (36, 3 + len(ARM_COLUMNS))
        returns = np.full(36, -30.0)
        returns[BEST] = self.best_bps
        return Scores(returns, np.full(36, 0.4))


def make(best_bps=8.0, rule=SURE):
    return ModelServerCore(
        FixedScorer(best_bps),
        3 + len(ARM_COLUMNS),
        ThompsonPolicy(rule),
        AuditChain(SOURCE),
        SignalRule(250 * MS, 20.0),
    )


def features(ts=1_000_000 * MS, schema="schema", values=(1.0, 2.0, 3.0)):
    return Features(
        ts_event=ts,
        ts_recv=ts + 2 * MS,
        symbol="BTCUSDT",
        schema_hash=schema,
        trigger="liquidation",
        trigger_side=Side.BUY,
        values=np.array(values).tobytes(),
        mid=Decimal("65000.05"),
        best_bid=Decimal("65000.0"),
        best_ask=Decimal("65000.1"),
    )


def look(core, message=None, late_ns=0):
    message = message or features()
    return core.on_features(message, "features:{BTCUSDT}/7-0", message.ts_recv + late_ns)


def closed(trade_id="t1", arm=ARMS[BEST], returned=-20.0, **changes):
    fields = {
        "ts_event": 5, "ts_recv": 5, "trade_id": trade_id, "signal_id": "s", "symbol": "BTCUSDT", "source": SOURCE,
        "side": arm.side, "delta_bps": arm.delta_bps, "hold_ns": arm.hold_ns, "model_hash": FixedScorer.model_hash,
        "qty": Decimal(1), "entry_price": Decimal(1), "exit_price": Decimal(1), "gross_pnl": Decimal(0),
        "fees": Decimal(0), "return_bps": returned, "expected_bps": 8.0,
    }  # fmt: skip
    return TradeClosed(**{**fields, **changes})


def test_a_result_that_is_not_known_teaches_nothing():
    core = make()
    assert not core.on_order(closed(is_complete=False))
    assert core.on_order(closed())


def command(verb, command_id="c1"):
    return Command(ts_event=1, ts_recv=1, command_id=command_id, verb=verb, who="me", why="test")


def test_an_arm_worth_it_becomes_a_signal_with_a_deadline_and_a_record_with_the_numbers():
    result = look(make())
    signal, decision = result.signal, result.decision
    assert (signal.side, signal.delta_bps, signal.hold_ns) == (Side.BUY, 12.0, 15_000_000_000)
    assert signal.valid_until_ns == features().ts_recv + 250 * MS
    assert signal.mid == Decimal("65000.05")
    assert signal.rest_ns == 3_000_000_000
    assert signal.expected_bps == 8.0
    assert signal.drawn_bps == pytest.approx(8.0, abs=0.01)
    assert signal.size_hint == pytest.approx(0.4, abs=0.001)
    assert signal.fill_probability == 0.4
    assert not signal.shadow
    assert signal.cause == ("features:{BTCUSDT}/7-0",)
    assert (decision.verdict, decision.subject) == (Verdict.SIGNALLED, signal.signal_id)
    detail = msgspec.json.decode(decision.detail)
    assert (detail["side"], detail["delta_bps"], detail["hold_s"], detail["explores"]) == ("Buy", 12.0, 15.0, False)
    assert detail["model"] == signal.model_hash


def test_the_same_vector_gives_the_same_decision_whatever_carried_it():
    first, second = make(rule=PolicyRule()), make(rule=PolicyRule())
    one = first.on_features(features(), "a", features().ts_recv)
    other = second.on_features(features(), "b", features().ts_recv + 5 * MS)
    assert msgspec.structs.replace(one.signal, cause=()) == msgspec.structs.replace(other.signal, cause=())
    assert len(one.signal.signal_id) <= 36


def test_a_redelivered_vector_is_looked_at_once():
    core = make()
    assert look(core) is not None
    assert look(core) is None


def test_another_moment_symbol_or_value_is_another_vector():
    names = {
        vector_id(message)
        for message in (
            features(), features(ts=1), features(values=(1.0, 2.0, 4.0)),
            msgspec.structs.replace(features(), symbol="ETHUSDT"),
        )
    }  # fmt: skip
    assert len(names) == 4


def test_without_an_edge_there_is_no_signal_but_a_record_of_the_best_arm():
    result = look(make(best_bps=-0.5))
    assert result.signal is None
    assert result.decision.verdict is Verdict.NO_EDGE
    assert msgspec.json.decode(result.decision.detail)["candidates"] == 0


@pytest.mark.parametrize("message", [features(schema="other"), features(values=(1.0, 2.0))])
def test_a_vector_of_another_schema_or_length_is_refused(message):
    result = look(make(), message)
    assert (result.signal, result.decision.verdict) == (None, Verdict.SCHEMA_MISMATCH)


def test_a_vector_is_stale_the_moment_after_its_deadline():
    assert look(make(), late_ns=250 * MS).decision.verdict is Verdict.SIGNALLED
    late = look(make(), late_ns=250 * MS + 1)
    assert (late.signal, late.decision.verdict) == (None, Verdict.STALE)


@pytest.mark.parametrize(
    ("stops", "starts"),
    [(Verb.PAUSE, Verb.RESUME), (Verb.REDUCE, Verb.RESUME), (Verb.FLATTEN, Verb.RESUME), (Verb.HALT, Verb.REARM)],
)
def test_commands_stop_and_start_signals(stops, starts):
    core = make()
    core.on_control(command(stops, "c1"))
    assert look(core).decision.verdict is Verdict.PAUSED
    core.on_control(command(starts, "c2"))
    assert look(core, features(ts=2)).decision.verdict is Verdict.SIGNALLED


def test_a_command_told_twice_is_obeyed_once():
    core = make()
    core.on_control(command(Verb.PAUSE, "c1"))
    core.on_control(command(Verb.RESUME, "c2"))
    core.on_control(command(Verb.PAUSE, "c1"))
    assert core.state is TradingState.ACTIVE


def test_rearming_does_not_undo_a_pause():
    core = make()
    core.on_control(command(Verb.PAUSE, "c1"))
    core.on_control(command(Verb.HALT, "c2"))
    assert core.state is TradingState.HALTED
    core.on_control(command(Verb.REARM, "c3"))
    assert core.state is TradingState.REDUCING


@pytest.mark.parametrize("state", [TradingState.REDUCING, TradingState.HALTED])
def test_the_guardians_state_holds(state):
    core = make()
    core.on_control(GuardianState(ts_event=1, ts_recv=1, state=state, reason="drawdown", heartbeat_age_ns=0))
    assert look(core).decision.verdict is Verdict.PAUSED
    core.on_control(GuardianState(ts_event=2, ts_recv=2, state=TradingState.ACTIVE, reason="", heartbeat_age_ns=0))
    assert look(core, features(ts=2)).decision.verdict is Verdict.SIGNALLED


def test_closed_trades_teach_the_arm_they_were_of():
    core = make(rule=PolicyRule(prior_trades=2.0, prior_sd_bps=5.0))
    for number in range(40):
        assert core.on_order(closed(f"t{number}"))
    assert core.policy.count[BEST] == 40
    assert look(core).decision.verdict is Verdict.NO_EDGE


@pytest.mark.parametrize("changes", [{"source": "mine"}, {"model_hash": "other"}, {"delta_bps": 3.0}])
def test_trades_of_others_teach_nothing(changes):
    core = make()
    assert not core.on_order(closed(**changes))
    assert core.policy.count.sum() == 0


def test_the_records_are_one_chain_that_a_new_life_goes_on_with():
    core = make()
    records = [look(core, features(ts=ts)).decision for ts in range(5)]
    new = make()
    new.restore(records)
    records.append(look(new, features(ts=99)).decision)
    assert verify(records) is None


def test_a_new_life_looks_at_no_vector_again_and_keeps_the_exploration_budget():
    rule = PolicyRule(prior_trades=1.0, prior_sd_bps=50.0, exploration_budget_bps=0.5)
    core = make(best_bps=-1.0, rule=rule)
    looks = [look(core, features(ts=ts)) for ts in range(20)]
    explored = [one for one in looks if one.signal is not None]
    assert explored
    new = make(best_bps=-1.0, rule=rule)
    new.restore([one.decision for one in looks])
    assert look(new, features(ts=3)) is None
    again = [look(new, features(ts=ts)) for ts in range(20, 60)]
    before = sum(one.signal is not None for one in (look(core, features(ts=ts)) for ts in range(20, 60)))
    assert sum(one.signal is not None for one in again) == before


def test_an_entry_rests_as_long_as_the_settings_say():
    rule = SignalSettings(rest_ms=10.5).rule()
    core = ModelServerCore(FixedScorer(), 3 + len(ARM_COLUMNS), ThompsonPolicy(SURE), AuditChain(SOURCE), rule)
    assert look(core).signal.rest_ns == 10_500_000
    assert look(make()).signal.rest_ns == REST_NS
