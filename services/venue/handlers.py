"""What a handler of signed requests is."""

from __future__ import annotations

from collections.abc import Callable

from services.venue.accounts import Account
from services.venue.answers import Answer, Item

Handler = Callable[[Account, Item, int], Answer]
"""Account, body and market time in ns to an answer.

Raises:
    Refusal: with the venue's code.
"""
Schedule = Callable[[int, Callable[[int], None]], None]
"""Take an effect of a request that came at a market time; it is told when it happens."""
