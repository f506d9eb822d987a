"""The page of coins: those of the venue's markets. None can be deposited or withdrawn here, so no coin has a chain."""

from __future__ import annotations

from collections.abc import Mapping

from services.venue import answers as code
from services.venue.answers import Item, Refusal
from services.venue.market import Market


def coin_info(markets: Mapping[str, Market], params: Mapping[str, str]) -> Item:
    """Give one coin or all.

    Raises:
        Refusal: 10001, a coin that no market has.
    """
    known = sorted({coin for market in markets.values() for coin in (market.base_coin, market.settle_coin)})
    wanted = params.get("coin", "")
    if wanted and wanted not in known:
        raise Refusal(code.PARAMETER, f"params error: coin invalid {wanted}")
    return {
        "rows": [
            {"name": coin, "coin": coin, "remainAmount": "0", "chains": []} for coin in known if wanted in {"", coin}
        ]
    }
