"""What the fleet may do, and on which venue."""

from __future__ import annotations

from enum import StrEnum


class Mode(StrEnum):
    """Which venue the fleet trades on."""

    PAPER = "paper"
    DEMO = "demo"
    TESTNET = "testnet"
    LIVE = "live"


class TradingState(StrEnum):
    """What the fleet may do: everything; only get smaller; nothing."""

    ACTIVE = "ACTIVE"
    REDUCING = "REDUCING"
    HALTED = "HALTED"

    @property
    def severity(self) -> int:
        """0, 1, 2; of several opinions the most severe holds."""
        return list(TradingState).index(self)


def most_severe(*states: TradingState) -> TradingState:
    """Of several opinions the most severe holds."""
    return max(states, key=lambda state: state.severity)
