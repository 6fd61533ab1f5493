"""The ETCD view fits both ways in which etcd's fields may be named."""

from __future__ import annotations

from collections import defaultdict

import pytest

from tui.core import views
from tui.core.prom.collector import Scrape, collect
from tui.core.prom.conf import load
from tui.core.view_spelling import TUTORIAL, Spelling, spelled, spelling
from tui.i18n import assets

ETCD = views.view("etcd")
CONF = """
[[inputs.prom]]
  urls = ["http://127.0.0.1:2381/metrics"]
  source = "etcd"
  metric_types = ["counter", "gauge", "histogram"]
  metric_name_filter_ignore = ["^grpc_server_handled_total$"]
  measurement_name = "etcd"
"""
RULE = """
  [[inputs.prom.measurements]]
    prefix = "etcd_"
    name = "etcd"
"""


def arrived(conf: str) -> dict[str, set[str]]:
    """The fields that DataKit makes of a real exposition."""
    loaded = load(conf, {})
    assert not loaded.error
    body = (assets() / "samples" / "etcd-3.4.txt").read_bytes()
    got = collect(loaded.inputs[0], lambda _url: Scrape(body), host_tags={}, election_tags={}, now_ms=1)
    fields: dict[str, set[str]] = defaultdict(set)
    for point in [*got.points, *got.ups]:
        fields[point.measurement].update(point.fields)
    return fields


@pytest.mark.parametrize(("rule", "full"), [(RULE, False), ("", True)])
def test_the_view_fits_what_the_conf_makes(rule: str, full: bool) -> None:
    fields = arrived(CONF + rule)
    found = spelling(fields["etcd"])
    assert found == Spelling(full_names=full)
    view = spelled(ETCD, found)
    lacking = {fill.panel.key for fill in views.fillable(view, fields) if not fill.ok}
    assert lacking == {"E14f", "E16", "E16p"}  # handled_total is left out, and one member has no peers
    other = spelled(ETCD, Spelling(full_names=not full))
    assert sum(fill.ok for fill in views.fillable(other, fields)) <= 4  # Up, and what has no prefix


def test_names_that_are_not_etcds_own_stay() -> None:
    panels = {panel.key: panel for panel in spelled(ETCD, Spelling(full_names=True)).panels}
    assert panels["E1"].queries({}) == ["M::`etcd`:(min(`etcd_server_has_leader`)) BY `instance`"]
    assert panels["E11"].queries({}) == ["M::`etcd`:(avg(`process_resident_memory_bytes`)) BY `instance`"]
    assert panels["E14"].lines[0].query.field == "grpc_server_started_total"
    assert panels["E8"].needs == (("collector", "up"),)
    assert "etcd:etcd_disk_wal_fsync_duration_seconds_bucket" in panels["E10"].queries({})[0]


def test_without_instance_members_are_told_by_host() -> None:
    found = spelling({"etcd_server_has_leader"}, {"host", "cluster_name_k8s"})
    assert found == Spelling(full_names=True, member="host")
    view = spelled(ETCD, found)
    assert view.variables[1].code == "instance"
    assert view.variables[1].tag == "host"
    for panel in view.panels:
        if panel.key != "E8":
            assert all("instance" not in tags for tags in panel.tags.values()), panel.key
    assert view.panels[0].queries({"instance": "m1"}) == [
        "M::`etcd`:(min(`etcd_server_has_leader`)) { `host` = 'm1' } BY `host`"
    ]


def test_the_tutorials_spelling_is_kept_in_doubt() -> None:
    assert spelling(set()) == TUTORIAL
    assert spelling({"etcd_server_has_leader", "server_has_leader"}) == TUTORIAL
    assert spelling({"process_open_fds"}) == TUTORIAL
    assert spelled(ETCD, TUTORIAL) is ETCD
    docker = views.view("docker")
    assert spelled(docker, Spelling(full_names=True)) is docker
