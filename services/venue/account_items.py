"""How an account's balance and positions are spelt; account totals count one USDT as one USD (our inference)."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

from services.venue.accounts import Account
from services.venue.answers import Item
from services.venue.holdings import Holding
from services.venue.margin import liquidation_price
from services.venue.orders import average, money, plain
from undertow.matching import money as kernel
from undertow.matching.scale import from_units

_BREAK_EVEN_RATE: Final = Decimal("0.00055")
_RATE_STEP: Final = Decimal("0.0001")
_PRICE_STEP: Final = Decimal("0.00000001")


def wallet_item(account: Account) -> Item:
    """Give it as account/wallet-balance and the wallet topic show it."""
    unrealised, balance = account.unrealised, account.balance
    positions, orders, maintenance = account.position_margin, account.order_margin(), account.maintenance
    initial = positions + orders
    cumulative = sum(h.result for h in account.holdings.values())
    rates = (_rate(initial, balance), _rate(maintenance, balance))
    return {
        "accountType": "UNIFIED",
        "accountIMRate": rates[0],
        "accountMMRate": rates[1],
        "totalEquity": money(balance),
        "totalWalletBalance": money(account.wallet),
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
        "coin": [
            {
                "coin": account.coin,
                "equity": money(balance),
                "usdValue": money(balance),
                "walletBalance": money(account.wallet),
                "locked": "0",
                "spotHedgingQty": "0",
                "borrowAmount": "0",
                "accruedInterest": "0",
                "totalOrderIM": money(orders),
                "totalPositionIM": money(positions),
                "totalPositionMM": money(maintenance),
                "unrealisedPnl": money(unrealised),
                "cumRealisedPnl": money(cumulative),
                "bonus": "0",
                "marginCollateral": True,
                "collateralSwitch": True,
                "colRes": "0",
                "spotBorrow": "0",
                "availableToWithdraw": "",
                "availableToBorrow": "",
            }
        ],
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
    initial, maintenance = holding.initial(account.taker_rate), holding.maintenance(account.taker_rate)
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
        "autoAddMargin": 0,
        "positionStatus": "Normal",
        "leverage": plain(Decimal(holding.leverage) / 100),
        "breakEvenPrice": _break_even(holding, session, from_units(account.taker_rate)),
        "markPrice": str(market.mark),
        "liqPrice": "" if liquidation is None else plain(liquidation.quantize(scale.tick_size, ROUND_HALF_EVEN)),
        "positionIM": money(initial),
        "positionIMByMp": money(initial),
        "positionMM": money(maintenance),
        "positionMMByMp": money(maintenance),
        "takeProfit": str(holding.target.trigger) if holding.target else nothing,
        "stopLoss": str(holding.stop.trigger) if holding.stop else nothing,
        "trailingStop": "0",
        "sessionAvgPrice": nothing,
        "unrealisedPnl": money(holding.unrealised),
        "curRealisedPnl": money(session),
        "cumRealisedPnl": money(holding.result),
        "adlRankIndicator": 2 if lots else 0,
        "createdTime": str(holding.created_ms),
        "updatedTime": str(holding.updated_ms),
        "openTime": holding.opened_ms,
        "seq": holding.sequence,
        "isReduceOnly": False,
        "mmrSysUpdatedTime": "",
        "leverageSysUpdatedTime": "",
        "tpslMode": "Full",
        "bustPrice": "",
        "positionBalance": "0",
        "tradeMode": 0,
    }


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
