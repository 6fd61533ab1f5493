"""The ETCD view fits both ways in which etcd's fields may be named."""

from __future__ import annotations

from collections import defaultdict

import pytest

from tui.core import views
from tui.core.ports import Answer, Ask, Series
from tui.core.prom.collector import Scrape, collect
from tui.core.prom.conf import load
from tui.core.view_spelling import TUTORIAL, Spelling, fitting, of_conf, of_data, spelled, spelling
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
NEWER = "[[inputs.etcd]]\n  urls = ['http://127.0.0.1:2381/metrics']\n"
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


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (CONF + RULE, TUTORIAL),
        (CONF, Spelling(full_names=True)),
        (NEWER, Spelling(full_names=True)),  # elected: its points carry no host either
        (NEWER + "  election = false\n", Spelling(full_names=True, member="host")),
    ],
    ids=["the rule", "without it", "the newer input", "the newer input on each node"],
)
def test_a_conf_tells_the_spelling(text: str, found: Spelling) -> None:
    assert of_conf(text) == found


@pytest.mark.parametrize(
    "text",
    [
        "",
        CONF.replace('"etcd"', '"other"'),
        "[[inputs.prom]",
    ],
    ids=["none", "another measurement", "no TOML"],
)
def test_what_makes_no_points_of_etcd_tells_nothing(text: str) -> None:
    assert of_conf(text) is None


class Workspaces:
    """A studio that answers queries of which it knows a part of the text, and counts requests."""

    def __init__(self, known: dict[str, tuple[Series, ...]]) -> None:
        self.known = known
        self.requests = 0

    def answers(self, asks: list[Ask], *, start_ms: int, end_ms: int) -> list[Answer]:
        self.requests += 1
        assert start_ms < end_ms
        return [Answer(next((s for part, s in self.known.items() if part in ask.text), ())) for ask in asks]


def point(time_ms: float, **tags: str) -> tuple[Series, ...]:
    return (Series(tags, ("time", "x"), ((time_ms, 1.0),)),)


def keys(name: str, *values: str) -> tuple[Series, ...]:
    return tuple(Series({name: value}, (), ()) for value in values)


@pytest.mark.parametrize(
    ("known", "found"),
    [
        ({}, None),
        ({"(`server_has_leader`)": point(1, instance="a")}, TUTORIAL),
        ({"etcd_server_has_leader": point(1, instance="a", host="")}, Spelling(full_names=True)),
        ({"etcd_server_has_leader": point(1, instance="", host="m1")}, Spelling(True, "host")),
        ({"etcd_server_has_leader": point(9, host="m1"), "(`server_has_leader`)": point(1)}, Spelling(True, "host")),
        ({"show_field_key": keys("fieldKey", "etcd_server_leader_changes_seen_total")}, Spelling(full_names=True)),
        (
            {
                "show_field_key": keys("fieldKey", "etcd_server_leader_changes_seen_total"),
                "show_tag_key": keys("tagKey", "host"),
            },
            Spelling(True, "host"),
        ),
    ],
)
def test_what_has_arrived_tells_the_spelling(known: dict[str, tuple[Series, ...]], found: Spelling | None) -> None:
    studio = Workspaces(known)
    assert of_data(studio, "lab", now_s=1e9) == found  # type: ignore[arg-type]
    assert studio.requests == 1


def test_the_conf_is_believed_before_the_data_and_saves_the_request() -> None:
    studio = Workspaces({"etcd_server_has_leader": point(1, instance="a")})
    assert fitting(studio, "lab", "", CONF + RULE, now_s=1e9) == TUTORIAL  # type: ignore[arg-type]
    assert studio.requests == 0
    assert fitting(studio, "lab", "", now_s=1e9) == Spelling(full_names=True)  # type: ignore[arg-type]
    assert fitting(None, "lab", "", now_s=1e9) == TUTORIAL
