from __future__ import annotations

from undertow.bus.ports import entry_order


def test_entries_compare_by_age() -> None:
    assert entry_order("9-1") < entry_order("10-0") < entry_order("10-2")
    assert entry_order("10") == entry_order("10-0")
