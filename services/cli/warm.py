"""Compile every kernel once: `python -m services.cli.warm`, before a run and while an image is built."""

from undertow.exchange.kernels.warm import warm as warm_books
from undertow.features.warm import warm as warm_features
from undertow.matching.warm import warm as warm_matching

if __name__ == "__main__":
    warm_features()
    warm_matching()
    warm_books()
