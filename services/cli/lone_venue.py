"""The paper venue alone: what `undertow venue` tells it, and what a person must know to point a bot at it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from undertow.runtime.settings import PREFIX

HELP: Final = """Run the paper Bybit alone, for any bot to trade on.

The generated market runs at the wall time, so a bot signs by its own clock.
A tape has the time of its recording: sign with what /v5/market/time says.
Accounts, limits and misbehaviour are settings: docs/venue.md has them all.

\b
Point a bot at it (key paper-router, secret paper-router-secret):
  HTTP, sockets  http://127.0.0.1:8100, ws://127.0.0.1:8100/v5/private
  TLS            --tls-port 8443: https://127.0.0.1:8443
                 trust var/tls/ca.pem; it is good for Bybit's names too
  pybit          session = HTTP(api_key="paper-router", api_secret=...)
                 session.endpoint = "http://127.0.0.1:8100"
  ccxt           urls = exchange.urls["api"]
                 urls |= dict.fromkeys(urls, "http://127.0.0.1:8100")
  freqtrade      "ccxt_config": {"urls": {"api": {"public": ADDRESS,
                                                  "private": ADDRESS}}}
  any other      resolve api.bybit.com and stream.bybit.com to 127.0.0.1
                 and start with --tls-port 443
"""


def told(
    *, port: int, tape: Path | None, tls_port: int | None, tls_folder: Path, accounts: Path | None, rate: float | None
) -> dict[str, str]:
    """Give the settings that the options stand for; what the environment says already is left to it by `setdefault`."""
    said = {f"{PREFIX}HTTP__PORT": str(port)}
    if tape is not None:
        said[f"{PREFIX}PAPER__TAPE"] = str(tape.absolute())
    if tls_port is not None:
        said[f"{PREFIX}PAPER__TLS_PORT"] = str(tls_port)
        said[f"{PREFIX}PAPER__TLS_FOLDER"] = str(tls_folder.absolute())
    if accounts is not None:
        said[f"{PREFIX}PAPER__ACCOUNTS_FILE"] = str(accounts.absolute())
    if rate is not None:
        said[f"{PREFIX}PAPER__RATE"] = str(rate)
    return said


def assumed(*, follows_wall: bool) -> dict[str, str]:
    """Give the settings of a venue that stands alone, where nobody says otherwise."""
    start = {f"{PREFIX}PAPER__START": "immediately"}
    return start | ({f"{PREFIX}PAPER__ORIGIN": "now"} if follows_wall else {})
