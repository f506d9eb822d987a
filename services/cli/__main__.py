"""The command `undertow`: the operator's hands."""

import os
import signal

# Until there is something to stop, Ctrl-C just leaves; set before the imports, which take a while.
signal.signal(signal.SIGINT, lambda *_: os._exit(0))

from services.cli.commands import main  # noqa: E402 - see above

if __name__ == "__main__":
    main()
