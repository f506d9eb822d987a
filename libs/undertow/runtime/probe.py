"""A container's health check: `python -m undertow.runtime.probe` asks this container's own `/readyz`; exit 0 when ready, else 1."""

from __future__ import annotations

import http.client
import os
import sys

_TIMEOUT_SECONDS = 3.0


def is_ready(port: int) -> bool:
    """Ask `/readyz` on this machine."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_SECONDS)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.client.OK
    except OSError:
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(0 if is_ready(int(os.environ.get("UNDERTOW_HTTP__PORT", "8000"))) else 1)
