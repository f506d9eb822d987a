"""Ctrl-C for the launcher alone.

`make run` and the launcher share the terminal's foreground group, so a Ctrl-C would end make with an error although the launcher stops
cleanly. While it runs the launcher takes the foreground for a group of its own and gives it back afterwards.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def foreground() -> Iterator[None]:
    """Own the terminal's foreground, where there is a terminal and somebody else's group owns it."""
    if not _shares_the_foreground():
        yield
        return
    terminal, before = sys.stdin.fileno(), os.getpgrp()
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # giving the foreground away from the background would stop us
    os.setpgid(0, 0)
    os.tcsetpgrp(terminal, os.getpgrp())
    try:
        yield
    finally:
        os.tcsetpgrp(terminal, before)


def _shares_the_foreground() -> bool:
    try:
        return sys.stdin.isatty() and os.getpgrp() != os.getpid() and os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (OSError, ValueError):
        return False
