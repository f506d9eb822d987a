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
class FeeCoin:
    """A coin in which an account pays its trading fees while it has enough of it, then in the settle coin again (our inference).

    Attributes:
        price: USDT of one coin, the same for ever; from 0.01 to 900.
        balance: what the account opens with.

    Raises:
        ValueError: a price outside these bounds, or USDT itself.
    """

    coin: str
    price: Decimal
    balance: Decimal

    def __post_init__(self) -> None:
        """Check the bounds."""
        if self.coin == "USDT":
            raise ValueError("coin: fees in USDT need no fee coin; leave it out or name another, such as MNT")
        if not Decimal("0.01") <= self.price <= 900:  # noqa: PLR2004 - see undertow.matching.money.in_coin
            raise ValueError(f"price: {self.price} is outside 0.01 to 900; use a coin whose price lies there")


@dataclass(frozen=True, slots=True)
class AccountSpec:
    """An account as it is opened; rates are fractions, those of its fee tier; a negative maker rate is a rebate.

    Attributes:
        keys: API keys that sign for it; the core itself only knows the uid.
        fee_coin: another coin to pay trading fees in.
    """

    uid: str
    opening_balance: Decimal
    keys: tuple[str, ...] = ()
    maker_rate: Decimal = Decimal("0.0002")
    taker_rate: Decimal = Decimal("0.00055")
    fee_coin: FeeCoin | None = None


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


class CommandRefused(Exception):  # noqa: N818 - an answer too
    """A command of the venue's owner that cannot be carried out: the field, the rule that it breaks, the remedy."""

    def __init__(self, field: str, rule: str, remedy: str) -> None:
        super().__init__(f"{field}: {rule}; {remedy}")
        self.field = field
        self.rule = rule
        self.remedy = remedy


PARAMETER: Final = 10001
NO_ROUTE: Final = 10017
ORDER_UNKNOWN: Final = 110001
PRICE_OUT_OF_RANGE: Final = 110003
BALANCE_SHORT: Final = 110007
TOO_MANY_STOPS: Final = 110009
AVAILABLE_SHORT: Final = 110012
LEVERAGE_ABOVE_TIER: Final = 110013
REDUCE_ONLY_IMPOSSIBLE: Final = 110017
TOO_MANY_ORDERS: Final = 110020
MODE_HAS_POSITION: Final = 110024
MODE_UNCHANGED: Final = 110025
MARGIN_MODE_UNCHANGED: Final = 110026
MARGIN_UNCHANGED: Final = 110027
MODE_HAS_ORDERS: Final = 110028
HEDGE_UNSUPPORTED: Final = 110029
WOULD_LIQUIDATE: Final = 110040
LEVERAGE_UNCHANGED: Final = 110043
PROTECTION_TOO_LARGE: Final = 110058
PROTECTION_OF_PART_FILLED: Final = 110059
TOO_MANY_PARTIAL_STOPS: Final = 110061
AMEND_BELOW_FILLED: Final = 110064
LINK_ID_DUPLICATE: Final = 110072
NOT_LIVE: Final = 110074
LEVERAGE_FOR_SIZE: Final = 110086
POSITION_LIMIT: Final = 110090
TRIGGER_NOT_ABOVE: Final = 110092
TRIGGER_NOT_BELOW: Final = 110093
NOTIONAL_BELOW_MINIMUM: Final = 110094
TOLERANCE_TICKS: Final = 110108
TOLERANCE_PERCENT: Final = 110109
NO_MARKET_PRICE: Final = 110118
NO_RPI: Final = 110119
BELOW_LIMIT_PRICE: Final = 110120
ABOVE_LIMIT_PRICE: Final = 110121
PROTECTION_UNCHANGED: Final = 34040
MARGIN_MODE_REFUSED: Final = 3400045
