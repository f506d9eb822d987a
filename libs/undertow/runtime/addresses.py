"""What is right about an address besides its form: a host, and a port that there can be. Pure."""

from __future__ import annotations

from urllib.parse import urlsplit


def check_places(address: str) -> str:
    """Give an address back whose hosts, separated by commas, all can be; one without a host, as of a file, has none to check.

    Raises:
        ValueError: names the place, and never the login before it.
    """
    _, _, rest = address.partition("://")
    places = rest.partition("/")[0].partition("?")[0].rpartition("@")[2]
    for place in places.split(",") if places else ():
        try:
            parts = urlsplit(f"//{place}")
            is_one = bool(parts.hostname) and parts.port != 0
        except ValueError:
            is_one = False
        if not is_one:
            host, _, port = place.rpartition(":")
            shown = place if port.isdecimal() else host  # else it may be the login, in which a slash was not quoted
            raise ValueError(f"{shown!r} is not HOST or HOST:PORT with a port from 1 to 65535")
    return address
