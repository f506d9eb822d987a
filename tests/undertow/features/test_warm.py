from __future__ import annotations

import pytest

from tests.undertow.features.facts import JIT
from undertow.features import kernel
from undertow.features.warm import warm


@pytest.mark.skipif(not JIT, reason="the jit is off")
def test_after_a_warm_up_the_kernel_is_compiled():
    warm()
    assert len(kernel.advance.signatures) == 1
