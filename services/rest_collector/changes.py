"""What changed in what the venue says of a contract: facts without their times, held against those published before. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from undertow.contracts.messages.base import Message
from undertow.contracts.messages.reference import UNLISTED, InstrumentChanged, RiskTier

_NO_SUBSTANCE: Final = frozenset({"ts_event", "ts_recv", "cause", "changed"})


def substance(fact: Message) -> dict[str, Any]:
    """Give what a fact says, without when it was seen."""
    return {name: getattr(fact, name) for name in fact.__struct_fields__ if name not in _NO_SUBSTANCE}


def differ(facts: Sequence[Message], before: Sequence[Message]) -> bool:
    """Answer whether facts say something else than those before."""
    return [substance(fact) for fact in facts] != [substance(fact) for fact in before]


def instrument_news(
    found: InstrumentChanged | None, before: InstrumentChanged | None, now_ns: int
) -> InstrumentChanged | None:
    """Give what is to be published of a contract, or None.

    Args:
        found: as the venue has it now; None where it names it no longer.
        before: as published last.
        now_ns: market time.
    """
    if before is None:
        return found
    if found is None:
        found = msgspec.structs.replace(before, status=UNLISTED, ts_event=now_ns, ts_recv=now_ns, cause=())
    then = substance(before)
    changed = tuple(name for name, value in substance(found).items() if value != then[name])
    return msgspec.structs.replace(found, changed=changed) if changed else None


def last_tiers(tiers: Sequence[RiskTier]) -> list[RiskTier]:
    """Give the tiers that were published together last."""
    return [tier for tier in tiers if tier.ts_event == tiers[-1].ts_event]
