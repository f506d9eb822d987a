"""`python -m services.rest_collector`."""

from services.rest_collector.app import build
from services.rest_collector.settings import Settings
from undertow.runtime.service import run

if __name__ == "__main__":
    run("rest_collector", Settings, build)
