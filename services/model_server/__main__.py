"""`python -m services.model_server`."""

from services.model_server.app import build
from services.model_server.settings import Settings
from undertow.runtime.service import run

if __name__ == "__main__":
    run("model_server", Settings, build)
