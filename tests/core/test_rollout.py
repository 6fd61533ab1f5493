"""What a rollout costs before it begins, and the look whether the first node's series arrive."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from tests.core.objects import daemon_set
from tui.core import hold
from tui.core.canary import Sight, wait_series
from tui.core.errors import UnreachableError
from tui.core.manifests import APPLIED_ANNOTATION, HASH_ANNOTATION, applied_hash, keeping_template, template_hash
from tui.core.ports import Feed, Series
from tui.core.rollout import RolloutPlan, at_a_time, cost, surge_note
from tui.core.survey import AgentPod, DataKit, Survey
from tui.core.topology import discover

NODES = ("cp-1", "worker-1", "worker-2")


def survey_of(strategy: dict[str, Any], desired: int = 3, **spec: Any) -> Survey:
    obj = daemon_set(status={"desiredNumberScheduled": desired, "observedGeneration": 1, "updatedNumberScheduled": 1})
    obj["spec"] |= {"updateStrategy": strategy, **spec}
    pods = tuple(AgentPod(node, f"datakit-{node}", True) for node in NODES)
    found = DataKit("datakit", "datakit", "datakit", "image", obj, pods=pods)
    return Survey("lab", "https://k", "me", "uid", "v1", found, discover([], []), None, (), "lab")


def rolling(**fields: Any) -> dict[str, Any]:
    return {"type": "RollingUpdate", "rollingUpdate": fields}


class TestAtATime:
    @pytest.mark.parametrize(
        ("fields", "pods", "expected"),
        [
            ({}, 10, (1, False)),
            ({"maxUnavailable": 3}, 10, (3, False)),
            ({"maxUnavailable": "25%"}, 10, (3, False)),  # rounded up
            ({"maxUnavailable": "1%"}, 10, (1, False)),
            ({"maxUnavailable": "100%"}, 5000, (5000, False)),
            ({"maxSurge": "10%", "maxUnavailable": 0}, 5000, (500, True)),
            ({"maxSurge": 2, "maxUnavailable": 0}, 10, (2, True)),
            ({"maxSurge": 0, "maxUnavailable": 2}, 10, (2, False)),
        ],
    )
    def test_percentages_and_surge(self, fields: dict[str, Any], pods: int, expected: tuple[int, bool]) -> None:
        assert at_a_time(rolling(**fields), pods) == expected


class TestSurge:
    """A pod beside its old one on the same node: where both want a port of the node, the rollout does not move."""

    SURGE = rolling(maxSurge=1, maxUnavailable=0)

    def noted(self, strategy: dict[str, Any], *, host_network: bool, **port: int) -> str:
        obj = survey_of(strategy).datakit.object
        spec = obj["spec"]["template"]["spec"]
        spec["hostNetwork"] = host_network
        spec["containers"][0]["ports"] = [port] if port else []
        return surge_note(obj)

    def test_the_port_that_both_want_is_named_with_what_to_do(self) -> None:
        text = self.noted(self.SURGE, host_network=True, containerPort=9529, hostPort=9529)
        assert "port 9529 of the node: the new one stays Pending" in text
        assert "kubectl -n datakit patch daemonset datakit" in text
        assert self.noted(self.SURGE, host_network=False, containerPort=9529, hostPort=9529) == text
        assert self.noted(self.SURGE, host_network=True, containerPort=9529) == text  # what the default makes of it

    def test_a_port_that_is_not_declared_is_taken_too(self) -> None:
        assert "finds its port taken" in self.noted(self.SURGE, host_network=True)

    def test_where_nothing_collides_nothing_is_said(self) -> None:
        assert self.noted(self.SURGE, host_network=False, containerPort=9529) == ""
        assert self.noted(rolling(maxUnavailable=1), host_network=True, containerPort=9529, hostPort=9529) == ""
        assert self.noted({"type": "OnDelete"}, host_network=True, containerPort=9529, hostPort=9529) == ""


class TestCost:
    ALL = RolloutPlan(restarts=True)

    def test_thousands_one_by_one(self) -> None:
        assert cost(survey_of(rolling(maxUnavailable=1), 5000), self.ALL) == (
            "5000 pods restart one by one, about 2 days, about 40 s without data per node."
        )

    def test_a_tenth_at_a_time(self) -> None:
        text = cost(survey_of(rolling(maxUnavailable="10%"), 5000), self.ALL)
        assert text.startswith("5000 pods restart, 500 at a time, about 5 min,")

    def test_each_new_pod_beside_the_old_one(self) -> None:
        text = cost(survey_of(rolling(maxSurge="10%", maxUnavailable=0), 5000), self.ALL)
        assert "500 at a time" in text
        assert "beside its old one" in text
        assert "without data" not in text

    def test_min_ready_seconds_count(self) -> None:
        assert "about 2 min" in cost(survey_of(rolling(maxUnavailable=1), 3, minReadySeconds=10), self.ALL)

    def test_one_first_then_the_rest(self) -> None:
        pods = (AgentPod("cp-1", "datakit-cp-1", True),)
        text = cost(survey_of(rolling(maxUnavailable=1)), replace(self.ALL, first="cp-1", held=True, pods=pods))
        assert text.startswith("First the pod on cp-1 alone, and a look whether its series arrive. 2 pods restart")

    def test_what_is_left_of_a_held_rollout(self) -> None:
        survey = survey_of({"type": "OnDelete", "rollingUpdate": {"maxUnavailable": 1}})
        fields = {"f:spec": {"f:updateStrategy": {"f:type": {}}}}
        entry = {"manager": "datakit-wizard", "operation": "Apply", "fieldsV1": fields}
        survey.datakit.object["metadata"]["managedFields"] = [entry]
        assert hold.is_ours(survey.datakit.object)
        assert cost(survey, self.ALL).startswith("2 pods restart one by one")

    def test_some_pods_deleted_by_us(self) -> None:
        pods = (AgentPod("cp-1", "datakit-cp-1", True),)
        text = cost(survey_of(rolling(maxUnavailable=1)), replace(self.ALL, pods=pods))
        assert text.startswith("1 pod is deleted")
        assert text.endswith("The other nodes keep their pods.")

    def test_on_delete_and_no_node_at_all(self) -> None:
        assert "when you delete it" in cost(survey_of({"type": "OnDelete"}), replace(self.ALL, on_delete=True))
        assert "nothing restarts or collects" in cost(survey_of(rolling(maxUnavailable=1), 0), self.ALL)
        assert cost(survey_of(rolling(maxUnavailable=1)), RolloutPlan()) == "No pod restarts."


class TestKeepingTheTemplate:
    def body(self, text: str) -> Any:
        metadata = {"name": "datakit", "namespace": "datakit"}
        return {"metadata": metadata, "spec": {"template": {"metadata": {"annotations": {HASH_ANNOTATION: text}}}}}

    def live(self, text: str) -> Any:
        obj = daemon_set()
        obj["spec"]["template"]["metadata"]["annotations"] = {HASH_ANNOTATION: text}
        return obj

    def test_the_new_hash_moves_to_the_daemon_set_itself(self) -> None:
        made = keeping_template(self.body("new"), self.live("old"))
        assert (template_hash(made), applied_hash(made)) == ("old", "new")
        assert made["metadata"]["annotations"] == {APPLIED_ANNOTATION: "new"}

    def test_where_nothing_is_to_be_kept(self) -> None:
        same = self.body("old")
        assert keeping_template(same, self.live("old")) == same
        assert keeping_template(same, daemon_set()) == same
        assert keeping_template({"metadata": {}}, self.live("old")) == {"metadata": {}}


class World:
    """What `wait_series` asks of a cluster; its clock moves only when somebody sleeps."""

    def __init__(self, *, points: float = 0, loaded: int = 1, exec_granted: bool = True) -> None:
        self.time = 1000.0
        self.points, self.loaded, self.may_exec = points, loaded, exec_granted
        self.electing, self.interval_s = False, 10.0
        self.cluster = SimpleNamespace(time_scale=1.0)
        self.ready_pods = [AgentPod("cp-1", "datakit-cp-1", True)]
        self.etcd_conf = SimpleNamespace(path="etcd.conf")
        self.studio: Any = None
        self.probes = [("etcd", "x")]
        self.series: list[Series] = []
        self.fails = False

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds

    def forget(self) -> None:
        """Nothing is kept."""

    def agent(self, _pod: AgentPod) -> Any:
        if self.fails:
            raise UnreachableError("away")
        inputs = SimpleNamespace(loaded={"etcd.conf": self.loaded})
        feeds = {"prom.etcd": Feed(1, self.points, self.time)} if self.points else {}
        return SimpleNamespace(inputs=lambda: inputs, feeds=lambda: feeds)

    def etcd_inputs(self, _node: str) -> list[Any]:
        return [SimpleNamespace(feed_name="prom.etcd")]

    def newest_points(self, _names: Any) -> list[list[Series]]:
        return [self.series]

    def look(self, cancelled: bool = False) -> Sight:
        facts: Any = self
        return wait_series(facts, "cp-1", cancelled=lambda: cancelled, pause=self.sleep)


class TestSeries:
    def test_the_agents_own_counts(self) -> None:
        world = World(points=112)
        assert world.look() == Sight("cp-1", True, "its DataKit collected 112 points of etcd")
        assert world.time == 1000.0

    def test_none_in_three_collections_and_an_upload(self) -> None:
        world = World()
        assert not world.look().arrived
        assert 1060 <= world.time <= 1065

    def test_a_conf_that_is_not_loaded(self) -> None:
        sight = World(points=5, loaded=0).look()
        assert (sight.arrived, sight.text) == (False, "its DataKit has not loaded the conf")

    @pytest.mark.parametrize(
        ("tags", "at", "arrived"),
        [
            ({"host": "cp-1"}, 1000, True),
            ({"instance": "cp-1:2381"}, 1000, True),
            ({"host": "cp-10"}, 1000, False),
            ({"host": "cp-1"}, 999, False),  # of the pod before
        ],
    )
    def test_the_studio(self, tags: dict[str, str], at: int, arrived: bool) -> None:
        world = World(exec_granted=False)
        world.studio = object()
        world.series = [Series(tags, ("time", "x"), ((at * 1000.0, 1.0),))]
        assert world.look().arrived is arrived

    def test_where_a_studio_is_connected_it_has_the_last_word(self) -> None:
        world = World(points=5)
        world.studio = object()
        sight = world.look()
        assert not sight.arrived
        assert "not in the studio yet" in sight.text

    def test_under_election_nothing_is_proven(self) -> None:
        world = World(points=5)
        world.electing = True
        sight = world.look()
        assert not sight.arrived
        assert "only the leader collects" in sight.text
        assert world.time == 1000.0

    def test_without_any_right_it_says_so(self) -> None:
        assert "could not be looked at" in World(exec_granted=False).look(cancelled=True).text

    def test_an_agent_that_does_not_answer_is_asked_again_until_the_end(self) -> None:
        world = World(points=5)
        world.fails = True
        assert world.look() == Sight("cp-1", False, "away")
