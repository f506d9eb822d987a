"""A feature vector in, a decision out, and a signal where an arm is worth it: pure.

The policy's draws are seeded by the vector itself (`vector_id`), not by its place on the bus, so the same market gives the same
decisions whatever carried it.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import numpy as np

from undertow.bus.ports import Topic
from undertow.contracts.audit import AuditChain
from undertow.contracts.messages.base import Message
from undertow.contracts.messages.control import Command, ControlFact, GuardianState, Verb
from undertow.contracts.messages.decision import Decision, Features, Signal, Verdict
from undertow.contracts.messages.trading import OrderFact, TradeClosed
from undertow.contracts.streams import AUDIT, SIGNALS
from undertow.domain.state import TradingState, most_severe
from undertow.learning.grid import ARM_COLUMNS, ARM_INDEX, ARMS, REST_NS, Arm, model_input
from undertow.learning.policy import Choice, ThompsonPolicy
from undertow.learning.scoring import Scorer

SOURCE: Final = "model_server"
REMEMBERED: Final = 10_000
LEAST_SIZE: Final = 0.1

Publication = tuple[Topic, Message, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Look:
    """How one look at the market ended; what the shell publishes."""

    decision: Decision
    signal: Signal | None = None

    def publications(self, hops: tuple[int, ...]) -> list[Publication]:
        """Give what is to be published: the signal, where there is one, then the record of the decision."""
        record: Publication = (Topic(AUDIT, source=SOURCE), self.decision, hops)
        if self.signal is None:
            return [record]
        return [(Topic(SIGNALS, symbol=self.signal.symbol, source=SOURCE), self.signal, hops), record]


@dataclass(frozen=True, slots=True)
class SignalRule:
    """Numbers of a signal.

    Attributes:
        valid_ns: from the vector's `ts_recv` to the deadline.
        full_size_bps: drawn expectation that deserves a size hint of 1.
        rest_ns: how long an entry may rest.
    """

    valid_ns: int = 250_000_000
    full_size_bps: float = 20.0
    rest_ns: int = REST_NS


class ModelServerCore:
    """The model, the policy, and what commands and the guardian allow."""

    def __init__(
        self, scorer: Scorer, columns: int, policy: ThompsonPolicy, chain: AuditChain, rule: SignalRule | None = None
    ) -> None:
        self.scorer = scorer
        self.policy = policy
        self.chain = chain
        self._rule = rule or SignalRule()
        self._vector_bytes = 8 * (columns - len(ARM_COLUMNS))
        self._paused = False
        self._halted = False
        self._guardian = TradingState.ACTIVE
        self._commands: OrderedDict[str, None] = OrderedDict()
        self._vectors: OrderedDict[str, None] = OrderedDict()

    @property
    def state(self) -> TradingState:
        """What commands and the guardian allow."""
        if self._halted:
            return TradingState.HALTED
        return most_severe(self._guardian, TradingState.REDUCING if self._paused else TradingState.ACTIVE)

    def on_features(self, features: Features, ref: str, now_ns: int) -> Look | None:
        """Look at one vector; None when it has been looked at before.

        Args:
            features: the vector.
            ref: where it stands on the bus, for `cause`.
            now_ns: market time.
        """
        identity = vector_id(features)
        if not _is_new(self._vectors, identity):
            return None
        deadline = features.ts_recv + self._rule.valid_ns
        if features.schema_hash != self.scorer.schema_hash or len(features.values) != self._vector_bytes:
            detail = {
                "vector": identity,
                "vector_schema": features.schema_hash,
                "model_schema": self.scorer.schema_hash,
                "vector_bytes": len(features.values),
                "model_bytes": self._vector_bytes,
            }
            return self._look(Verdict.SCHEMA_MISMATCH, features, ref, detail)
        if now_ns > deadline:
            return self._look(Verdict.STALE, features, ref, {"vector": identity, "late_ms": (now_ns - deadline) / 1e6})
        if self.state is not TradingState.ACTIVE:
            return self._look(Verdict.PAUSED, features, ref, {"vector": identity, "state": self.state.value})
        return self._decide(features, identity, ref, deadline)

    def on_order(self, fact: OrderFact) -> bool:
        """Let the policy learn from a closed trade of ours and of this model; say whether it did."""
        if not isinstance(fact, TradeClosed) or fact.source != SOURCE or fact.model_hash != self.scorer.model_hash:
            return False
        if not fact.is_complete:
            return False
        arm = ARM_INDEX.get(Arm(fact.side, fact.delta_bps, fact.hold_ns))
        return arm is not None and self.policy.learn(arm, fact.trade_id, fact.return_bps, fact.expected_bps)

    def on_control(self, fact: ControlFact) -> None:
        """Obey a command, once, or take over the guardian's state."""
        match fact:
            case GuardianState(state=state):
                self._guardian = state
                if state is TradingState.ACTIVE:
                    self._halted = False
            case Command(command_id=command_id, verb=verb) if _is_new(self._commands, command_id):
                match verb:
                    case Verb.PAUSE | Verb.REDUCE | Verb.FLATTEN:
                        self._paused = True
                    case Verb.RESUME:
                        self._paused = False
                    case Verb.HALT:
                        self._halted = True
                    case Verb.REARM:
                        self._halted = False
                    case Verb.PROMOTE | Verb.LIMIT:
                        pass  # a restart serves the new champion; limits are the router's

    def restore(self, decisions: Sequence[Decision]) -> None:
        """Take up an earlier life from its own records, oldest first: the chain, the vectors it looked at, its explorations."""
        for decision in decisions:
            self.chain.head = decision.hash
            detail = msgspec.json.decode(decision.detail)
            _is_new(self._vectors, detail["vector"])
            if decision.verdict is Verdict.SIGNALLED and detail["explores"]:
                self.policy.charge(-detail["expected_bps"] * detail["fill_probability"], decision.ts_event)

    def _decide(self, features: Features, identity: str, ref: str, deadline: int) -> Look:
        vector = np.frombuffer(features.values, dtype="<f8")
        scores = self.scorer.score(model_input(vector, features.trigger_side))
        choice = self.policy.choose(scores, identity, features.ts_event)
        detail = _numbers(choice, self.scorer.model_hash, identity)
        if not choice.taken:
            return self._look(Verdict.NO_EDGE, features, ref, detail)
        arm = ARMS[choice.arm]
        signal = Signal(
            ts_event=features.ts_event,
            ts_recv=features.ts_recv,
            cause=(ref,),
            signal_id=_hash("signal", SOURCE, self.scorer.model_hash, features.symbol, identity),
            symbol=features.symbol,
            source=SOURCE,
            side=arm.side,
            mid=features.mid,
            delta_bps=arm.delta_bps,
            hold_ns=arm.hold_ns,
            rest_ns=self._rule.rest_ns,
            valid_until_ns=deadline,
            expected_bps=choice.expected_bps,
            drawn_bps=choice.drawn_bps,
            fill_probability=choice.fill_probability,
            size_hint=min(1.0, max(LEAST_SIZE, choice.drawn_bps / self._rule.full_size_bps)),
            model_hash=self.scorer.model_hash,
        )
        return self._look(Verdict.SIGNALLED, features, ref, detail, signal)

    def _look(
        self, verdict: Verdict, features: Features, ref: str, detail: dict[str, Any], signal: Signal | None = None
    ) -> Look:
        decision = self.chain.record(
            verdict,
            symbol=features.symbol,
            subject=signal.signal_id if signal else "",
            detail=detail,
            ts_event=features.ts_event,
            ts_recv=features.ts_recv,
            cause=(ref,),
        )
        return Look(decision, signal)


def vector_id(features: Features) -> str:
    """Name a vector by its content: 32 hex digits."""
    return _hash("vector", features.symbol, features.schema_hash, str(features.ts_event), features.values.hex())


def _hash(*parts: str) -> str:
    return hashlib.sha256("/".join(parts).encode()).hexdigest()[:32]


def _numbers(choice: Choice, model_hash: str, identity: str) -> dict[str, Any]:
    arm = ARMS[choice.arm]
    return {
        "side": arm.side.value,
        "delta_bps": arm.delta_bps,
        "hold_s": arm.hold_ns / 1e9,
        "expected_bps": choice.expected_bps,
        "drawn_bps": choice.drawn_bps,
        "fill_probability": choice.fill_probability,
        "candidates": choice.candidates,
        "explores": choice.explores,
        "model": model_hash,
        "vector": identity,
    }


def _is_new(seen: OrderedDict[str, None], key: str) -> bool:
    if key in seen:
        return False
    seen[key] = None
    if len(seen) > REMEMBERED:
        seen.popitem(last=False)
    return True
