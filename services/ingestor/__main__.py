"""`python -m services.ingestor`."""

from services.ingestor.app import build
from services.ingestor.settings import Settings
from undertow.runtime.service import run

if __name__ == "__main__":
    run("ingestor", Settings, build)
