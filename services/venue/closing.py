"""What one order closed of a position, summed over its fills."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Closing:
    """Lots, money in units of 1e-8, and of the last closing fill the leverage (in 1/100), kind, time and place among all executions.

    Attributes:
        opening_fee: the closed part's share of what opening the position cost.
    """

    lots: int = 0
    entry_value: int = 0
    exit_value: int = 0
    opening_fee: int = 0
    closing_fee: int = 0
    pnl: int = 0
    fills: int = 0
    leverage: int = 0
    kind: str = ""
    at_ms: int = 0
    sequence: int = 0

    def add(self, *, lots: int, exit_value: int, gain: int, is_long: bool, opening_fee: int, closing_fee: int) -> None:
        """Take in one fill that closed `lots` of a long or short and realised `gain` before fees."""
        self.lots += lots
        self.exit_value += exit_value
        self.entry_value += exit_value - gain if is_long else exit_value + gain
        self.opening_fee += opening_fee
        self.closing_fee += closing_fee
        self.pnl += gain - opening_fee - closing_fee
        self.fills += 1
