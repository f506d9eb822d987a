"""What protects a position: a target and a stop, each with its trigger and the order it lets loose."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

FULL, PARTIAL = "Full", "Partial"


@dataclass(frozen=True, slots=True)
class Leg:
    """Where one side of a bracket triggers, by which price, and the limit of its order in ticks (0 = at the market)."""

    trigger: Decimal = Decimal(0)
    by: str = ""
    tick: int = 0

    def __bool__(self) -> bool:
        """Tell whether there is one."""
        return bool(self.trigger)


NO_LEG: Final = Leg()


@dataclass(frozen=True, slots=True)
class Bracket:
    """A target and a stop, as an order carries them until it fills; `mode` "Full" or "Partial"."""

    target: Leg = NO_LEG
    stop: Leg = NO_LEG
    mode: str = FULL

    def __bool__(self) -> bool:
        """Tell whether it protects anything."""
        return bool(self.target or self.stop)

    def legs(self) -> tuple[tuple[str, Leg], ...]:
        """Give what there is, by the kind of system order that shows it."""
        prefix = PARTIAL if self.mode == PARTIAL else ""
        both = ((f"{prefix}StopLoss", self.stop), (f"{prefix}TakeProfit", self.target))
        return tuple((kind, leg) for kind, leg in both if leg)

    def changed(self, *, target: Leg | None, stop: Leg | None, mode: str) -> Bracket:
        """Give it with what is not None replaced."""
        return replace(
            self,
            target=self.target if target is None else target,
            stop=self.stop if stop is None else stop,
            mode=mode or self.mode,
        )


NO_BRACKET: Final = Bracket()
