"""`python -m services.macro_collector`."""

from services.macro_collector.app import build
from services.macro_collector.settings import Settings
from undertow.runtime.service import run

if __name__ == "__main__":
    run("macro_collector", Settings, build)
