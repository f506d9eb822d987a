"""`python -m services.snapshotter`."""

from services.snapshotter.app import build
from services.snapshotter.settings import Settings
from undertow.runtime.service import run

if __name__ == "__main__":
    run("snapshotter", Settings, build)
