"""Ctrl-C for the launcher alone.

`make run` and the launcher share the terminal's foreground group, so a Ctrl-C would end make with an error although the launcher stops
cleanly. While it runs the launcher takes the foreground for a group of its own and gives it back at its end.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
from collections.abc import Callable


def own_foreground() -> Callable[[], None] | None:
    """Own the terminal's foreground until this process ends; None where there is no terminal or nobody else's group owns it.

    Returns:
        What gives it back, for those who leave without `atexit`.
    """
    if not _shares_the_foreground():
        return None
    terminal, before = sys.stdin.fileno(), os.getpgrp()
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # giving the foreground away from the background would stop us
    os.setpgid(0, 0)
    os.tcsetpgrp(terminal, os.getpgrp())

    def give_back() -> None:
        os.tcsetpgrp(terminal, before)

    atexit.register(give_back)
    return give_back


def _shares_the_foreground() -> bool:
    try:
        return sys.stdin.isatty() and os.getpgrp() != os.getpid() and os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (OSError, ValueError):
        return False
