"""Commands to the fleet, and the state that results."""

from __future__ import annotations

from enum import StrEnum

from undertow.contracts.messages.base import Message
from undertow.domain.state import TradingState


class Verb(StrEnum):
    """What a person or a watch asks for."""

    PAUSE = "pause"  # no new entries; trades run to their end
    RESUME = "resume"
    REDUCE = "reduce"  # no new entries; shown as REDUCING
    HALT = "halt"  # the guardian cancels and flattens; needs rearming
    REARM = "rearm"
    FLATTEN = "flatten"  # cancel entries, close positions, then stay paused
    PROMOTE = "promote"  # model registry
    LIMIT = "limit"  # changes a risk limit of the router


class Command(Message, frozen=True, kw_only=True, tag="command"):
    """A command: idempotent by `command_id`; who and why are never empty.

    Attributes:
        limit: name of the risk limit that LIMIT changes.
        value: what it is to be, a decimal string.
    """

    command_id: str
    verb: Verb
    who: str
    why: str
    symbol: str = ""
    limit: str = ""
    value: str = ""


class GuardianState(Message, frozen=True, kw_only=True, tag="guardian_state"):
    """The guardian's state, copied to the bus by admin."""

    state: TradingState
    reason: str
    heartbeat_age_ns: int


ControlFact = Command | GuardianState
