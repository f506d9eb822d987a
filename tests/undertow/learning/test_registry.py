from __future__ import annotations

import pytest

from undertow.domain.state import Mode
from undertow.learning.errors import ModelError
from undertow.learning.registry import (
    DEMONSTRATION,
    Card,
    load_entry,
    load_serving,
    promote,
    read_champion,
    write_entry,
)


@pytest.fixture
def entry(trained, tmp_path):
    root = tmp_path / "models"
    return root, write_entry(root, trained.card, trained.return_onnx, trained.fill_onnx)


def test_what_was_written_is_read_back(entry, trained):
    root, name = entry
    loaded = load_entry(root, name)
    assert (loaded.model_hash, loaded.return_onnx, loaded.fill_onnx) == (name, trained.return_onnx, trained.fill_onnx)
    assert loaded.card.metrics == trained.card.metrics
    assert loaded.scorer().model_hash == name


def test_writing_an_entry_again_leaves_it_as_it_was(entry, trained):
    root, name = entry
    assert write_entry(root, trained.card, trained.return_onnx, trained.fill_onnx) == name
    assert sorted(path.name for path in root.iterdir()) == [name]


@pytest.mark.parametrize("file", ["return.onnx", "fill.onnx", "card.json"])
@pytest.mark.parametrize("harm", ["truncate", "flip", "delete"])
def test_a_harmed_file_is_refused_in_one_line_that_names_it(entry, file, harm):
    root, name = entry
    path = root / name / file
    raw = path.read_bytes()
    if harm == "delete":
        path.unlink()
    else:
        path.write_bytes(raw[: len(raw) // 2] if harm == "truncate" else raw[:100] + bytes([raw[100] ^ 1]) + raw[101:])
    with pytest.raises(ModelError) as caught:
        load_entry(root, name)
    assert file in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.remedy


def test_bytes_that_are_no_model_are_refused(trained, tmp_path):
    name = write_entry(tmp_path, trained.card, b"not onnx", trained.fill_onnx)
    with pytest.raises(ModelError, match="ONNX Runtime cannot load"):
        load_entry(tmp_path, name).scorer()


def test_a_card_for_another_number_of_columns_is_refused(trained, tmp_path):
    fewer = Card(**{**{f: getattr(trained.card, f) for f in Card.__struct_fields__}, "features": ("one",)})
    name = write_entry(tmp_path, fewer, trained.return_onnx, trained.fill_onnx)
    with pytest.raises(ModelError, match="columns"):
        load_entry(tmp_path, name).scorer()


def test_a_card_for_another_grid_is_refused(trained, tmp_path):
    other = Card(**{**{f: getattr(trained.card, f) for f in Card.__struct_fields__}, "arms": 12})
    with pytest.raises(ModelError, match="grid"):
        write_entry(tmp_path, other, trained.return_onnx, trained.fill_onnx)


def test_a_path_is_no_hash(entry):
    with pytest.raises(ModelError, match="no model hash"):
        load_entry(entry[0], "../../etc")


def test_the_champion_is_served(entry):
    root, name = entry
    promote(root, name)
    assert read_champion(root) == name
    assert load_serving(root, Mode.PAPER).model_hash == name


def test_a_champion_that_knows_other_features_does_not_serve(trained, tmp_path):
    other = Card(**{**{f: getattr(trained.card, f) for f in Card.__struct_fields__}, "schema_hash": "0123456789abcdef"})
    promote(tmp_path, write_entry(tmp_path, other, trained.return_onnx, trained.fill_onnx))
    with pytest.raises(ModelError, match=r"features of schema 0123456789abcdef.*train again"):
        load_serving(tmp_path, Mode.PAPER)


def test_only_a_sound_entry_can_be_promoted(entry):
    root, name = entry
    (root / name / "fill.onnx").write_bytes(b"")
    with pytest.raises(ModelError):
        promote(root, name)
    assert read_champion(root) is None


def test_a_pointer_that_is_no_hash_is_refused(entry):
    root, _ = entry
    (root / "champion").write_text("latest\n")
    with pytest.raises(ModelError, match="champion"):
        load_serving(root, Mode.PAPER)


def test_paper_without_a_champion_serves_the_shipped_demonstration_model(tmp_path):
    served = load_serving(tmp_path / "nothing", Mode.PAPER)
    assert served.card.demonstration
    assert served.model_hash == read_champion(DEMONSTRATION)
    assert max(len(served.return_onnx), len(served.fill_onnx)) < 1_500_000


def test_the_shipped_model_fits_the_features_of_this_version_and_found_its_edge():
    from undertow.features.catalogue import NAMES, SCHEMA_HASH  # noqa: PLC0415 - used here alone

    card = load_serving(DEMONSTRATION / "none", Mode.PAPER).card
    assert card.schema_hash == SCHEMA_HASH, "features changed: train the demonstration model again"
    assert card.features == NAMES
    assert card.metrics["signal_share"] >= 0.6
    assert card.metrics["net_bps_mean"] > 2 * card.metrics["net_bps_mean_error"]


@pytest.mark.parametrize("mode", [Mode.DEMO, Mode.TESTNET, Mode.LIVE])
def test_other_modes_refuse_a_demonstration_model(entry, mode, tmp_path):
    root, name = entry
    with pytest.raises(ModelError, match="paper only"):
        load_serving(tmp_path / "nothing", mode)
    promote(root, name)
    with pytest.raises(ModelError, match="paper only"):
        load_serving(root, mode)
