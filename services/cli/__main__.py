"""The command `undertow`: the operator's hands."""

from services.cli.commands import main

if __name__ == "__main__":
    main()
