from __future__ import annotations

from undertow.features import kernel
from undertow.features.warm import warm


def test_after_a_warm_up_the_kernel_is_compiled():
    warm()
    assert len(kernel.advance.signatures) == 1
