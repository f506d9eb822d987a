import json
import re
from pathlib import Path

from services.cli.dashboards import PANELS, overview
from services.cli.docs import generated, main
from undertow.contracts.metrics import declared
from undertow.contracts.streams import STREAMS

ROOT = Path(__file__).parents[3]
STANDARD = {"process_resident_memory_bytes"}


def test_every_generated_file_is_up_to_date(monkeypatch):
    monkeypatch.chdir(ROOT)
    assert main(["--check"]) == 0


def test_the_readme_shows_every_stream():
    readme = generated(ROOT)[ROOT / "README.md"]
    for stream in STREAMS:
        assert f"  {stream.name}[(" in readme


def test_every_query_of_the_dashboard_names_declared_metrics_only():
    names = {m.name for m in declared()} | STANDARD
    for panel in PANELS:
        for query in panel.queries.values():
            for found in re.findall(r"\b(?:undertow|process)_[a-z_]+", query):
                assert found.removesuffix("_bucket") in names, f"{panel.title}: {found}"


def test_no_two_panels_of_the_dashboard_overlap():
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(overview())["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not taken & cells, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
