from services.venue.link_ids import RecentLinkIds


def test_an_id_is_known_until_as_many_others_as_fit_have_come() -> None:
    ids = RecentLinkIds(3)
    assert "a" not in ids
    for link_id in "abc":
        ids.add(link_id)
    assert all(link_id in ids for link_id in "abc")
    ids.add("d")
    assert "a" not in ids
    assert all(link_id in ids for link_id in "bcd")
