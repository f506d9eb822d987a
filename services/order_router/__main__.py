from __future__ import annotations

from services.order_router.app import build
from services.order_router.settings import Settings
from undertow.runtime.service import run

if __name__ == "__main__":
    run("order_router", Settings, build)
