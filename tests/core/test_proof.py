"""A conf tried by the agent itself, beside our preview."""

from __future__ import annotations

import pytest

from tests.screens.fakes import FakeAgent, FakeBackend, FakeCluster, World
from tui.core import proof
from tui.core.errors import RefusedError
from tui.core.survey import Survey, find_datakit, survey

CONF = """\
[[inputs.prom]]
  urls = ["http://127.0.0.1:2381/metrics"]
  source = "etcd"
  election = false
  metric_name_filter = ["^etcd_server_(has_leader|proposals_committed_total)$"]
  [[inputs.prom.measurements]]
    prefix = "etcd_"
    name = "etcd"
  [inputs.prom.tags]
    instance = "${ENV_K8S_NODE_NAME}:2381"
"""


def world_and_look() -> tuple[World, FakeCluster, Survey]:
    world = World.fresh()
    cluster = FakeCluster(world, world.contexts[0])
    return world, cluster, survey(cluster, find_datakit(cluster)[0])


def test_both_make_the_same_series() -> None:
    world, cluster, look = world_and_look()
    found = proof.prove(FakeBackend(world), cluster, look, CONF)
    assert (found.node, found.url) == ("cp-1", "http://127.0.0.1:2381/metrics")
    assert {(measurement, name) for measurement, _tags, name in found.agent} == {
        ("etcd", "server_has_leader"),
        ("etcd", "server_proposals_committed_total"),
    }
    assert all(("instance", "cp-1:2381") in tags for _measurement, tags, _name in found.agent)
    assert found.equal
    assert proof.told(found)[-1] == "The preview foretells exactly these."
    assert proof.document(found)["series"] == {"agent": 2, "preview": 2}


def test_what_differs_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    world, cluster, look = world_and_look()
    said = "etcd,host=cp-1 other=1 1700000000000000000\n# [metric] 1 points"
    monkeypatch.setattr(FakeAgent, "debug", lambda _agent, _conf, *, seconds: said)
    found = proof.prove(FakeBackend(world), cluster, look, CONF)
    assert not found.equal
    told = "\n".join(proof.told(found))
    assert "DataKit makes, the preview does not:\n  etcd.other" in told
    assert "The preview foretells, DataKit does not make:\n  etcd.server_has_leader" in told


def test_nothing_came_out(monkeypatch: pytest.MonkeyPatch) -> None:
    world, cluster, look = world_and_look()
    monkeypatch.setattr(FakeAgent, "debug", lambda _agent, _conf, *, seconds: "2026 ERROR prom connection refused")
    found = proof.prove(FakeBackend(world), cluster, look, CONF)
    assert proof.told(found)[-1] == "2026 ERROR prom connection refused"


def test_it_says_why_it_cannot_be_done() -> None:
    world, _cluster, look = world_and_look()
    viewer = FakeCluster(world, world.contexts[1])
    for cluster, given, conf, why in (
        (viewer, survey(viewer, look.datakit), CONF, "you may not get pods/exec, create pods/exec"),
        (viewer, look, "[[inputs.prom]]\n", "the conf names no URL"),
    ):
        with pytest.raises(RefusedError, match="cannot be tried") as caught:
            proof.prove(FakeBackend(world), cluster, given, conf)
        assert caught.value.why == why


def test_files_that_are_not_mounted_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    world, cluster, look = world_and_look()
    monkeypatch.setattr(FakeAgent, "access", lambda _agent, path: None if path == "/etc/etcd/ca.crt" else True)
    conf = CONF.replace("source", 'tls_ca = "/etc/etcd/ca.crt"\n  tls_open = true\n  source')
    with pytest.raises(RefusedError) as caught:
        proof.prove(FakeBackend(world), cluster, look, conf)
    assert caught.value.why == "/etc/etcd/ca.crt is not there on cp-1 before it is mounted"
