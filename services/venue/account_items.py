"""How an account's balance and positions are spelt.

What the protocol page does not say (our inference): account totals count one USDT as one USD; the fee coin counts at its price in the
totals of equity and wallet, and is no collateral; liqPrice stands on the tick that the mark reaches just before: a long's rounded up, a
short's down, so that it never promises more room than there is.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Final

from services.venue.accounts import Account
from services.venue.adl import lights
from services.venue.answers import Item
from services.venue.holdings import Holding
from services.venue.margin import liquidation_price
from services.venue.orders import average, money, plain, price_or
from undertow.matching import money as kernel
from undertow.matching.scale import from_units

_BREAK_EVEN_RATE: Final = Decimal("0.00055")
_RATE_STEP: Final = Decimal("0.0001")
_PRICE_STEP: Final = Decimal("0.00000001")
_CROSS_ONLY: Final = (
    "accountIMRate",
    "accountMMRate",
    "totalMarginBalance",
    "totalAvailableBalance",
    "totalInitialMargin",
    "totalMaintenanceMargin",
    "accountIMRateByMp",
    "accountMMRateByMp",
    "totalInitialMarginByMp",
    "totalMaintenanceMarginByMp",
)


def wallet_item(account: Account) -> Item:
    """Give it as account/wallet-balance and the wallet topic show it; in isolated mode what only cross margin has is empty."""
    unrealised, balance = account.unrealised, account.balance
    positions, orders, maintenance = account.position_margin, account.order_margin(), account.maintenance
    initial = positions + orders
    purse = account.purse
    worth = purse.worth if purse else 0
    rates = (_rate(initial, balance), _rate(maintenance, balance))
    settle = _coin(account.coin, account.wallet, balance) | {
        "equity": money(balance),
        "totalOrderIM": money(orders),
        "totalPositionIM": money(positions),
        "totalPositionMM": money(maintenance),
        "unrealisedPnl": money(unrealised),
        "cumRealisedPnl": money(sum(h.result for h in account.holdings.values())),
        "marginCollateral": True,
        "collateralSwitch": True,
    }
    item = {
        "accountType": "UNIFIED",
        "accountIMRate": rates[0],
        "accountMMRate": rates[1],
        "totalEquity": money(balance + worth),
        "totalWalletBalance": money(account.wallet + worth),
        "totalMarginBalance": money(balance),
        "totalAvailableBalance": money(max(0, balance - initial)),
        "totalPerpUPL": money(unrealised),
        "totalInitialMargin": money(initial),
        "totalMaintenanceMargin": money(maintenance),
        "accountIMRateByMp": rates[0],
        "accountMMRateByMp": rates[1],
        "totalInitialMarginByMp": money(initial),
        "totalMaintenanceMarginByMp": money(maintenance),
        "accountLTV": "0",
        "coin": [settle, *([_coin(purse.coin, purse.units, worth)] if purse else [])],
    }
    return item | dict.fromkeys(_CROSS_ONLY, "") if account.isolated else item


def _coin(coin: str, wallet: int, worth: int) -> Item:
    return {
        "coin": coin,
        "equity": money(wallet),
        "usdValue": money(worth),
        "walletBalance": money(wallet),
        "locked": "0",
        "spotHedgingQty": "0",
        "borrowAmount": "0",
        "accruedInterest": "0",
        "totalOrderIM": "0",
        "totalPositionIM": "0",
        "totalPositionMM": "0",
        "unrealisedPnl": "0",
        "cumRealisedPnl": "0",
        "bonus": "0",
        "marginCollateral": False,
        "collateralSwitch": False,
        "colRes": "0",
        "spotBorrow": "0",
        "availableToWithdraw": "",
        "availableToBorrow": "",
    }


def rest_position(account: Account, holding: Holding) -> Item:
    """Give a position as position/list shows it."""
    item = _position(account, holding, "")
    item["avgPrice"] = item.pop("entryPrice")
    return item | dict.fromkeys(("delta", "gamma", "vega", "theta"), "")


def stream_position(account: Account, holding: Holding) -> Item:
    """Give a position as the position topic shows it."""
    return {"category": "linear", **_position(account, holding, "0")}


def _position(account: Account, holding: Holding, nothing: str) -> Item:
    market, lots, scale = holding.market, holding.lots, holding.market.scale
    row = int(kernel.tier_of(holding.value, market.tiers))
    initial, maintenance = account.margin_of(holding), account.maintenance_of(holding)
    liquidation = liquidation_price(account, holding)
    session = holding.result - holding.session_base
    return {
        "positionIdx": holding.index,
        "riskId": market.tier_ids[row],
        "riskLimitValue": money(int(market.tiers[row, 0])),
        "symbol": market.symbol,
        "side": "" if not lots else "Buy" if lots > 0 else "Sell",
        "size": plain(scale.qty(abs(lots))),
        "entryPrice": average(abs(holding.cost), abs(lots), scale) or "0",
        "positionValue": money(abs(holding.cost)),
        "autoAddMargin": int(holding.adds_margin),
        "positionStatus": "Normal",
        "leverage": plain(Decimal(holding.leverage) / 100),
        "breakEvenPrice": _break_even(holding, session, from_units(account.taker_rate)),
        "markPrice": str(market.mark),
        "liqPrice": "" if liquidation is None else _early(liquidation, holding),
        "positionIM": money(initial),
        "positionIMByMp": money(initial),
        "positionMM": money(maintenance),
        "positionMMByMp": money(maintenance),
        "takeProfit": price_or(holding.guards.trigger("TakeProfit"), nothing),
        "stopLoss": price_or(holding.guards.trigger("StopLoss"), nothing),
        "trailingStop": price_or(holding.guards.distance, "0"),
        "sessionAvgPrice": nothing,
        "unrealisedPnl": money(holding.unrealised),
        "curRealisedPnl": money(session),
        "cumRealisedPnl": money(holding.result),
        "adlRankIndicator": lights(account, holding),
        "createdTime": str(holding.created_ms),
        "updatedTime": str(holding.updated_ms),
        "openTime": holding.opened_ms,
        "seq": holding.sequence,
        "isReduceOnly": False,
        "mmrSysUpdatedTime": "",
        "leverageSysUpdatedTime": "",
        "tpslMode": "Full",
        "bustPrice": "",
        "positionBalance": money(initial) if account.isolated else "0",
        "tradeMode": 0,
    }


def _early(price: Decimal, holding: Holding) -> str:
    """Spell a liquidation price on the tick that the mark reaches before it: a long's above, a short's below."""
    tick = holding.market.scale.tick_size
    ticks = (price / tick).to_integral_value(ROUND_CEILING if holding.lots > 0 else ROUND_FLOOR)
    return plain(ticks * tick)


def _rate(part: int, whole: int) -> str:
    if not part:
        return "0"
    if whole <= 0:
        return "1"
    return plain((Decimal(part) / whole).quantize(_RATE_STEP))


def _break_even(holding: Holding, session: int, taker_rate: Decimal) -> str:
    if not holding.lots:
        return ""
    quantity = holding.market.scale.qty(holding.lots)
    divisor = quantity - abs(quantity) * max(taker_rate, _BREAK_EVEN_RATE)
    return plain((from_units(holding.cost - session) / divisor).quantize(_PRICE_STEP))
