"""What an edit changes: families, names, points, tags and panels, one by one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tui.core.etcd_conf import render
from tui.core.prom.against import Difference, compare, filled
from tui.core.prom.collector import Scrape
from tui.core.prom.preview import Preview, preview
from tui.core.prom.preview_report import difference_text, to_json, to_text
from tui.i18n import assets

SAMPLE = (assets() / "samples" / "etcd-3.4.txt").read_bytes()
URL = "http://10.0.0.1:2381/metrics"
CONF = f"""[[inputs.prom]]
urls = ["{URL}"]
interval = "60s"
metric_types = ["gauge"]
metric_name_filter = ["etcd_server_has", "etcd_server_is"]
"""


def made(conf: str) -> Preview:
    return preview(conf, lambda _url: Scrape(SAMPLE), host_tags={}, election_tags={}, env={}, now_ms=0)


def difference(old: str, new: str) -> Difference:
    return compare(made(old), made(new))


def told(found: Difference) -> str:
    return difference_text(found, "old", "new")


def test_nothing_changes() -> None:
    found = difference(CONF, "# a comment\n" + CONF)
    assert found.same
    assert (found.added, found.removed, found.gained, found.lost, found.renamed) == ([], [], [], [], [])
    assert told(found) == "From old to new:\n  the same points are sent\n"


def test_a_family_more_and_a_family_less() -> None:
    found = difference(CONF, CONF.replace("etcd_server_has", "^go_goroutines$"))
    assert [one.family for one in found.gained] == ["go_goroutines"]
    assert [one.family for one in found.lost] == ["etcd_server_has_leader"]
    assert [(point.measurement, list(point.fields)) for point in found.added] == [("go", ["goroutines"])]
    assert [(point.measurement, list(point.fields)) for point in found.removed] == [("etcd", ["server_has_leader"])]
    (etcd,) = (one for one in found.views if one.view == "etcd")
    assert etcd.lost == ["E1"]
    for line in ("+ go_goroutines (gauge, 1 series): go goroutines", "- panels of view etcd: E1", "Points added: 1"):
        assert line in told(found)


def test_new_names() -> None:
    found = difference(CONF, CONF + 'measurement_name = "etcd"\n')
    assert {(one.family, one.before.fields, one.after.fields) for one in found.renamed} == {
        (f"etcd_server_{name}", (f"server_{name}",), (f"etcd_server_{name}",))
        for name in ("has_leader", "is_leader", "is_learner")
    }
    assert (found.gained, found.lost, len(found.added), len(found.removed)) == ([], [], 3, 3)
    assert "~ etcd_server_has_leader: etcd server_has_leader → etcd etcd_server_has_leader" in told(found)


def test_new_tags_and_another_interval() -> None:
    found = difference(CONF, CONF.replace("60s", "30s") + '[inputs.prom.tags]\ncluster_name_k8s = "c"\n')
    assert (found.tags_added, found.tags_removed, found.renamed) == (["cluster_name_k8s"], [], [])
    assert found.after.picture.points_per_day == 2 * found.before.picture.points_per_day == 3 * 2880
    assert "points a day: 4,320 → 8,640" in told(found)


@pytest.mark.parametrize("broken", ['x = "', "", "[[inputs.prom]]\nurls = 1"])
def test_a_conf_that_does_not_load(broken: str) -> None:
    found = difference(CONF, broken)
    assert (found.after.loaded, len(found.removed), found.added) == (False, 3, [])
    assert "new: DataKit would load no input" in told(found)
    assert "up: 1 → –" in told(found)


def test_from_preset_to_preset_as_json() -> None:
    confs = [
        render("node-http", name, urls=["http://127.0.0.1:2381/m"], cluster_name="c") for name in ("tutorial", "full")
    ]
    found = difference(*confs)
    record: dict[str, Any] = json.loads(json.dumps(to_json(found.after, found), allow_nan=False))
    against = record["against"]
    assert against["series"] == {"before": 8, "after": 545, "all": 1246}
    points = against["points"]
    assert points["after"] - points["before"] == len(points["added"]) - len(points["removed"])
    assert (len(points["removed"]), against["renamed"], against["families"]["lost"]) == (0, [], [])
    assert sum(one["series"] for one in against["families"]["gained"]) == 537
    views = against["views"]["etcd"]
    assert views["after"] - views["before"] == len(views["gained"]) > 5
    assert record["views"]["etcd"]["panels"] == views["panels"]
    assert len(record["points"]) == points["after"]
    assert "against" not in to_json(found.after)


def test_the_preview_tells_cost_and_panels() -> None:
    tutorial = made(render("node-http", "tutorial", urls=["http://127.0.0.1:2381/m"], cluster_name="c"))
    text = to_text(tutorial)
    (etcd,) = (one for one in filled(tutorial.picture.fields) if one.view == "etcd")
    for part in (
        "8 of 1246 series kept, 8 points a round",
        "11,520 points a day",
        "and 8 points collector up a round",
        f"view etcd: {len(etcd.filled)} of {etcd.panels} panels filled",
    ):
        assert part in text


def test_an_etcd_input_whose_round_fails_fills_nothing() -> None:
    conf = f'[[inputs.etcd]]\nurls = ["{URL}"]\n'
    assert made(conf).up is None
    assert len(made(conf).points) == 1227
    broken = preview(conf, lambda _url: Scrape(SAMPLE + b"x"), host_tags={}, election_tags={}, env={}, now_ms=0)
    assert (broken.points, broken.picture.kept, broken.up) == ([], 0, None)
