"""What the venue's core gives back: answers, private events, and refusals with the venue's own codes."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final, Literal

Item = dict[str, Any]
PrivateTopic = Literal["order", "execution", "position", "wallet"]


@dataclass(frozen=True, slots=True)
class PrivateEvent:
    """One message of a private topic for one account; items exactly as the venue's."""

    uid: str
    topic: PrivateTopic
    data: list[Item]


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer's envelope without its time, and the private events that the request led to at once."""

    ret_code: int = 0
    ret_msg: str = "OK"
    result: Item = field(default_factory=dict)
    ret_ext: Item = field(default_factory=dict)
    events: list[PrivateEvent] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class AccountSpec:
    """An account as it is opened; rates are fractions, a negative maker rate is a rebate.

    Attributes:
        keys: API keys that sign for it; the core itself only knows the uid.
    """

    uid: str
    opening_balance: Decimal
    keys: tuple[str, ...] = ()
    maker_rate: Decimal = Decimal("0.0002")
    taker_rate: Decimal = Decimal("0.00055")


class Refusal(Exception):  # noqa: N818 - the venue's answer, not a fault of the program
    """A request that the venue refuses."""

    def __init__(self, code: int, message: str, result: Item | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.result = result or {}

    def answer(self) -> Answer:
        """Give it as the venue answers."""
        return Answer(self.code, self.message, self.result)


PARAMETER: Final = 10001
NO_ROUTE: Final = 10017
ORDER_UNKNOWN: Final = 110001
PRICE_OUT_OF_RANGE: Final = 110003
BALANCE_SHORT: Final = 110007
TOO_MANY_STOPS: Final = 110009
LEVERAGE_ABOVE_TIER: Final = 110013
REDUCE_ONLY_IMPOSSIBLE: Final = 110017
TOO_MANY_ORDERS: Final = 110020
MODE_HAS_POSITION: Final = 110024
MODE_UNCHANGED: Final = 110025
MARGIN_MODE_UNCHANGED: Final = 110026
MODE_HAS_ORDERS: Final = 110028
HEDGE_UNSUPPORTED: Final = 110029
LEVERAGE_UNCHANGED: Final = 110043
PROTECTION_OF_PART_FILLED: Final = 110059
AMEND_BELOW_FILLED: Final = 110064
LINK_ID_DUPLICATE: Final = 110072
NOT_LIVE: Final = 110074
LEVERAGE_FOR_SIZE: Final = 110086
POSITION_LIMIT: Final = 110090
TRIGGER_NOT_ABOVE: Final = 110092
TRIGGER_NOT_BELOW: Final = 110093
NOTIONAL_BELOW_MINIMUM: Final = 110094
NO_MARKET_PRICE: Final = 110118
BELOW_LIMIT_PRICE: Final = 110120
ABOVE_LIMIT_PRICE: Final = 110121
PROTECTION_UNCHANGED: Final = 34040
MARGIN_MODE_REFUSED: Final = 3400045
