"""The lines that docs/venue.md shows for other bots run as they stand, but for the ports and the file to trust."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import aiohttp
import ccxt
import pytest
from pybit import unified_trading as pybit

from tests.services.venue.clients.running_venue import RunningVenue, until

PAGE = (Path(__file__).parents[4] / "docs" / "venue.md").read_text()
SECTION = PAGE.partition("## Point another bot at it")[2].partition("\n## ")[0]
BLOCKS = re.findall(r"```python\n(.*?)```", SECTION, re.DOTALL)
CONFIGURATION = re.findall(r"```json\n(.*?)```", SECTION, re.DOTALL)


@pytest.fixture
def here(venue: RunningVenue, monkeypatch):
    """Put this venue's ports where the page has its own."""
    monkeypatch.setattr(pybit, "PRIVATE_WSS", pybit.PRIVATE_WSS)
    monkeypatch.setattr(pybit, "PUBLIC_WSS", pybit.PUBLIC_WSS)

    def place(text: str) -> str:
        return text.replace(":8100", f":{venue.plain_port}").replace("8443", str(venue.tls_port))

    return place


def block(word: str) -> str:
    (found,) = [each for each in BLOCKS if word in each]
    assert len([line for line in found.splitlines() if line]) <= 5
    return found


def run(text: str) -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(text, names)  # noqa: S102 - the page is ours
    return names


def test_every_block_of_the_page_is_run_here():
    words = ("place_order", "order_stream", "create_order", "watch_ticker", "getaddrinfo")
    assert [sum(word in each for each in BLOCKS) for word in words] == [1] * 5
    assert (len(BLOCKS), len(CONFIGURATION)) == (5, 1)


def test_the_lines_of_pybit_place_an_order(here, capsys):
    run(here(block("place_order")))
    assert "'retMsg': 'OK'" in capsys.readouterr().out


def test_the_lines_of_pybits_sockets_hear_of_it(venue, here, capsys):
    stream = run(here(block("order_stream")))["stream"]
    try:
        until(lambda: stream.auth)
        until(lambda: run(here(block("place_order"))) and "'topic': 'order'" in capsys.readouterr().out)
    finally:
        stream.exit()


def test_the_lines_of_ccxt_place_an_order(here, capsys):
    run(here(block("create_order")))
    assert "'total'" in capsys.readouterr().out


def test_the_lines_of_ccxt_pro_watch_a_ticker(here, capsys):
    names = run(here(block("watch_ticker")))
    asyncio.run(names["exchange"].close())
    assert "'BTC/USDT:USDT'" in capsys.readouterr().out


def test_the_configuration_of_freqtrade_reaches_the_venue_through_ccxt(here):
    exchange = json.loads(here(CONFIGURATION[0]))
    keys = {"apiKey": exchange["key"], "secret": exchange["secret"]}
    bot = getattr(ccxt, exchange["name"])({**keys, **exchange["ccxt_config"]})
    assert bot.fetch_balance()["USDT"]["total"] > 0


def test_the_lines_for_fixed_addresses_lead_bybits_names_here(venue, here, monkeypatch):
    import socket  # noqa: PLC0415 - the block sets what monkeypatch puts back
    import ssl  # noqa: PLC0415

    monkeypatch.setattr(socket, "getaddrinfo", socket.getaddrinfo)
    run(here(block("getaddrinfo")))

    async def ask() -> dict[str, Any]:
        trusting = ssl.create_default_context(cafile=venue.ca_file)
        async with (
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(resolver=aiohttp.ThreadedResolver())) as session,
            session.get("https://api.bybit.com/v5/market/time", ssl=trusting) as answer,
        ):
            return await answer.json()

    assert asyncio.run(ask())["retCode"] == 0
