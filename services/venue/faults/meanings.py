"""What the venue says with a code, where a fault gives no text of its own. Texts that the protocol page does not show are our inference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from services.venue.refusals import TOO_MANY, TOO_MANY_TEXT

_UNKNOWN: Final = "The request was refused."

TEXTS: Final[Mapping[int, str]] = {
    -1: "Request expired before it was processed.",
    429: "System level frequency protection",
    10000: "Server Timeout",
    10002: "invalid request, please check your server timestamp or recv_window param.",
    10003: "API key is invalid.",
    10004: "error sign!",
    10005: "Permission denied, please check your API key permissions.",
    TOO_MANY: TOO_MANY_TEXT,
    10007: "User authentication failed.",
    10008: "User had been banned.",
    10009: "IP had been banned.",
    10010: "Unmatched IP, please check your API key's bound IP addresses.",
    10014: "Invalid duplicate request.",
    10016: "Server error.",
    10017: "Route not found.",
    10018: "Exceeded the IP Rate Limit.",
    10019: "The service is draining, please open a new connection.",
    10024: "Compliance rules triggered.",
    10027: "Transactions are banned.",
    10028: "The API can only be accessed by unified account users.",
    10029: "The requested symbol is not whitelisted.",
    10403: "Exceeded the IP Rate Limit.",
    10429: "System level frequency protection",
    20003: "Too frequent requests under the same session",
    33004: "Your api key has expired.",
    110001: "order not exists or too late to cancel",
    110003: "Order price exceeds the allowable range.",
    110004: "Wallet balance is insufficient",
    110005: "position status",
    110007: "ab not enough for new order",
    110012: "Insufficient available balance.",
    110017: "Reduce-only rule not satisfied",
    110020: "You have more than 500 active orders",
    110025: "Position mode is not modified",
    110026: "Cross/isolated margin mode is not modified",
    110043: "leverage not modified",
    110066: "Trading is currently not allowed.",
    110072: "OrderLinkedID is duplicate",
    110079: "The order is processing and can not be operated, please try again later",
    110094: "Order notional value below the lower limit",
    110103: "Only Post-Only orders are available at this stage",
}


def text_of(code: int) -> str:
    """Give the words that go with a code."""
    return TEXTS.get(code, _UNKNOWN)
