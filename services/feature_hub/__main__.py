"""`python -m services.feature_hub`."""

from services.feature_hub.app import build
from services.feature_hub.settings import Settings
from undertow.runtime.service import run

if __name__ == "__main__":
    run("feature_hub", Settings, build)
