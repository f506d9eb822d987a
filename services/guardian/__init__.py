"""The kill switch.

Its memory is small by rule. httpx brings a command line along, structlog coloured tracebacks, and both with them rich and pygments,
wherever those are installed: 4 MiB that the guardian never uses. A module that is None cannot be imported, which both allow for.
"""

from __future__ import annotations

import sys

for _name in ("httpx._main", "rich"):
    sys.modules.setdefault(_name, None)  # type: ignore[arg-type]  # the import system's own word for "not there"
