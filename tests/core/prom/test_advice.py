"""What panels need and a conf drops: each edit that is offered really brings it, and changes nothing else."""

from __future__ import annotations

import re

import pytest

from tui.core import views
from tui.core.etcd_conf import render
from tui.core.etcd_presets import PRESETS
from tui.core.prom.advice import advise
from tui.core.prom.live import LivePreview
from tui.i18n import assets

SAMPLE = (assets() / "samples" / "etcd-3.4.txt").read_bytes()
LIVE = LivePreview(SAMPLE, {})
VIEW = views.view("etcd")
CONFS = {
    f"{strategy} {preset}": render(strategy, preset, urls=[url], cluster_name="c")
    for strategy, url in (("node-http", "http://127.0.0.1:2381/metrics"), ("tutorial", "https://10.0.0.1:2379/metrics"))
    for preset in PRESETS
}
HEADER = '[[inputs.prom]]\n  url = "http://127.0.0.1:2381/metrics" # here\n'
CONFS |= {
    "no rule": HEADER + '  measurement_name = "prom"\n  metric_types = ["gauge"] # these\n',
    "default split": HEADER + "  metric_name_filter = [\n    'etcd_server_has', # leader\n    '^process_'\n  ]\n",
    "prefix": HEADER + '  measurement_prefix = "x_"\n',
    "ignores twice": HEADER
    + '  metric_name_filter_ignore = ["^etcd_", "leader",\n  "^go"]\n  measurement_name = "etcd"\n',
    "full names": HEADER + '  measurement_name = "etcd"\n',
    "with inline tags": HEADER + '  metric_name_filter = ["x"]\n  tags = {a = "b"}\n',
}


@pytest.mark.parametrize("conf", CONFS.values(), ids=CONFS)
def test_every_edit_keeps_what_it_is_offered_for(conf: str) -> None:
    before = LIVE.look(conf)
    offered = advise(LIVE, conf, views.catalogue())
    missing = {need for fill in views.fillable(VIEW, before.fields) for need in fill.missing}
    assert {need for one in offered for need in one.needs} <= missing
    for one in offered:
        assert one.edit is not None, one.family
        edited = one.edit.apply(conf)
        after = LIVE.look(edited)
        family = after.family(one.family.family)
        assert family is not None
        assert family.kept
        assert all(need[1] in after.fields[need[0]] for need in one.needs)
        assert [comment for comment in re.findall("#.*", conf) if comment not in edited] == []
        assert one.panels
        assert one.why()
        assert one.edit.sentence()


@pytest.mark.parametrize("conf", CONFS.values(), ids=CONFS)
def test_all_edits_together_fill_what_the_scrape_can_fill(conf: str) -> None:
    text = conf
    for one in advise(LIVE, conf, [VIEW]):
        assert one.edit is not None
        text = one.edit.apply(text)
    assert advise(LIVE, text, [VIEW]) == []
    fills = views.fillable(VIEW, LIVE.look(text).fields)
    assert [fill.panel.key for fill in fills if not fill.ok] == ["E16", "E16p"]  # this etcd has no peers


def test_families_and_panels_are_named() -> None:
    offered = {one.family.family: one for one in advise(LIVE, CONFS["tutorial tutorial"], [VIEW])}
    fsync = offered["etcd_disk_wal_fsync_duration_seconds"]
    assert fsync.edit is not None
    assert [step.function for step in fsync.edit.steps] == ["add_filter", "add_type"]
    assert [panel.key for _view, panel in fsync.panels] == ["E10"]
    assert fsync.series > 10
    assert "etcd_server_has_leader" not in offered


@pytest.mark.parametrize(
    "conf",
    [
        '[[inputs.etcd]]\nurls = ["http://127.0.0.1:2381/metrics"]\n',
        'inputs.prom = {url = "http://127.0.0.1:2381/metrics", metric_types = ["info"]}\n',
        HEADER + "  metric_types = ['info']\n[[inputs.prom]]\n  source = 1\n",
        HEADER + "  measurements = [{prefix = 'etcd_server_', name = 'x'}]\n  metric_name_filter = ['server_has']\n",
    ],
    ids=["etcd", "inline", "dropped block", "other rule"],
)
def test_where_no_edit_would_do_none_is_offered(conf: str) -> None:
    offered = {one.family.family: one for one in advise(LIVE, conf, [VIEW])}
    one = offered["etcd_server_has_leader"]
    assert one.edit is None
    assert one.why()
