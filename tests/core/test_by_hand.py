"""The plan by hand: commands, the same as clicks in Rancher, and where the tutorial leads astray."""

from __future__ import annotations

from dataclasses import replace

from tests.screens.fakes import FakeCluster, World
from tui.core.by_hand import commands
from tui.core.plan import make_plan
from tui.core.proposal import propose
from tui.core.survey import find_datakit, survey


def test_clicks_stand_beside_each_command_and_name_the_tutorial_s_traps() -> None:
    world = World.fresh()
    cluster = FakeCluster(world, world.contexts[0])
    look = survey(cluster, find_datakit(cluster)[0])
    answers = propose(look)
    shown = {one.title: one for one in commands(make_plan(cluster, look, replace(answers)))}
    conf, mount = shown["ConfigMap datakit/datakit-conf"], shown["DaemonSet datakit/datakit"]
    assert "--server-side" in conf.command
    assert "key etcd.conf" in conf.clicks
    assert "The tutorial's row datakit.conf is this ConfigMap, datakit-conf." in conf.clicks
    assert "deletes them" in conf.clicks
    assert "renames the container" in mount.clicks
    assert "becomes a directory" in mount.clicks
    assert all(one.clicks for one in shown.values())
