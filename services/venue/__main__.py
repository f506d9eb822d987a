"""Run the paper venue."""

from services.venue.app import build
from services.venue.settings import Settings
from undertow.runtime.service import run

if __name__ == "__main__":
    run("venue", Settings, build)
