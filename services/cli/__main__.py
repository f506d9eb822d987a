"""The command `undertow`: the operator's hands."""

import os
import signal
import sys

from services.cli.terminal import own_foreground

# All this before the imports, which take a while: Ctrl-C is for us from now on, and until there is something to stop it just leaves.
give_back = own_foreground() if sys.argv[1:2] == ["run"] else None


def _leave(*_: object) -> None:
    if give_back is not None:
        give_back()
    os._exit(0)


signal.signal(signal.SIGINT, _leave)

from services.cli.commands import main  # noqa: E402 - see above

if __name__ == "__main__":
    main()
