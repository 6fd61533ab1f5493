"""What DataKit's own inputs bring: on or not, fed by whom, arrived from where, and under which cluster's name."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from tui.core.checks import inputs
from tui.core.checks.facts import CONTAINER_CPU, NODE_CPU, PROBES, InStudio
from tui.core.errors import UnreachableError
from tui.core.ports import Feed, Series
from tui.core.survey import AgentPod

NAMED = {"ENV_DEFAULT_ENABLED_INPUTS": "cpu,container,mem", "ENV_CLUSTER_NAME_K8S": "lab", "ENV_ENABLE_ELECTION": "x"}


def facts(
    env: dict[str, str] | None = None,
    *,
    feeds: dict[str, dict[str, Feed] | UnreachableError] | None = None,
    arrived: dict[Any, list[Series]] | None = None,
    leader: str = "n1",
    confs: tuple[str, ...] = (),
) -> Any:
    pods = [AgentPod("n1", "dk-1", True), AgentPod("n2", "dk-2", True)]

    def agent(pod: AgentPod) -> Any:
        def of() -> dict[str, Feed]:
            found = (feeds or {}).get(pod.node, {})
            if isinstance(found, UnreachableError):
                raise found
            return found

        return SimpleNamespace(feeds=of)

    return SimpleNamespace(
        datakit=SimpleNamespace(namespace="datakit", name="datakit", env=NAMED if env is None else env, pods=pods),
        cluster=SimpleNamespace(context="here"),
        survey=SimpleNamespace(cluster_name="lab"),
        confs=[SimpleNamespace(text=text) for text in confs],
        ready_pods=pods,
        asked_pods=pods,
        may_exec=feeds is not None,
        leader=leader,
        agent=agent,
        studio=None if arrived is None else object(),
        no_studio="",
        arrived=lambda probe: (arrived or {}).get(probe, []),
    )


def fed(points: float) -> Feed:
    return Feed(1.0, points, 0.0)


def series(**tags: str) -> Series:
    return Series(tags, ("time", "v"), ((1.0, 1.0),))


def test_an_input_that_is_off_is_a_warning_that_names_the_command_and_the_rest_is_not_needed() -> None:
    off = facts({"ENV_DEFAULT_ENABLED_INPUTS": "cpu,-container"}, feeds={}, arrived={})
    found = inputs.container_enabled(off)
    assert (found.status, found.looked_at) == ("fail", "ENV_DEFAULT_ENABLED_INPUTS")
    assert found.command.endswith("set env daemonset/datakit ENV_DEFAULT_ENABLED_INPUTS=cpu,container")
    for check in (inputs.container_fed, inputs.container_series, inputs.kubernetes_fed, inputs.kubernetes_series):
        assert (check(off).status, check(off).needed) == ("skip", False)


def test_a_conf_switches_it_on_as_well() -> None:
    conf = ("[inputs.container]\n",)
    assert inputs.container_enabled(facts({}, confs=conf)).status == "pass"
    off = facts({"ENV_DEFAULT_ENABLED_INPUTS": "cpu,-container"}, confs=conf)
    assert inputs.container_enabled(off).status == "fail", "switched off even where a conf names it"


def test_every_agent_must_feed_and_who_does_not_is_named() -> None:
    both = {"n1": {"container-metric": fed(7)}, "n2": {"container-metric": fed(5)}}
    assert inputs.container_fed(facts(feeds=dict(both))).found == "12 points since the pods started"
    one = inputs.container_fed(facts(feeds={"n1": {"container-metric": fed(7)}}))
    assert (one.status, one.object) == ("pending", "n2")
    assert "ENV_INPUT_CONTAINER_ENDPOINTS" in one.remedy
    dead = inputs.container_fed(facts(feeds={**both, "n2": UnreachableError("does not answer")}))
    assert dead.causes[0] == "n2: does not answer"
    assert inputs.container_fed(facts()).status == "skip", "without exec nobody can say"


def test_the_elected_agent_alone_feeds_the_cluster() -> None:
    assert inputs.kubernetes_fed(facts(feeds={"n1": {"k8s-metric": fed(3)}})).status == "pass"
    other = inputs.kubernetes_fed(facts(feeds={"n1": {"k8s-metric": fed(3)}}, leader="n2"))
    assert (other.status, other.object) == ("pending", "n2")


def test_an_election_that_another_cluster_holds_names_the_namespace() -> None:
    found = inputs.elected(facts(feeds={}, leader="elsewhere"))
    assert found.status == "pending"
    assert "ENV_NAMESPACE" in found.remedy
    assert found.command.endswith("ENV_NAMESPACE=lab")
    assert inputs.elected(facts(feeds={}, leader="")).status == "pending"
    assert inputs.elected(facts({"ENV_DEFAULT_ENABLED_INPUTS": "container"}, feeds={})).needed is False


def test_series_of_every_node_under_the_clusters_name() -> None:
    here = {CONTAINER_CPU: [series(host="n1", cluster_name_k8s="lab"), series(host="n2", cluster_name_k8s="lab")]}
    assert inputs.container_series(facts(arrived=here)).status == "pass"
    assert inputs.container_cluster_tag(facts(arrived=here)).found == "cluster_name_k8s = lab"
    half = inputs.container_series(facts(arrived={CONTAINER_CPU: here[CONTAINER_CPU][:1]}))
    assert (half.status, half.object) == ("pending", "n2")
    bare = inputs.kubernetes_cluster_tag(facts(arrived={NODE_CPU: [series(node="n1")]}))
    assert bare.status == "fail"
    assert bare.command.endswith("ENV_CLUSTER_NAME_K8S=here")
    assert inputs.container_series(facts()).status == "skip", "without a studio nothing is proven"


def test_the_studio_is_asked_about_all_routes_at_once_and_again_only_when_answers_are_old() -> None:
    asked: list[int] = []

    def query(queries: list[str], *, start_ms: int, end_ms: int) -> list[list[Series]]:
        asked.append(len(queries))
        assert end_ms > start_ms
        return [[] for _query in queries]

    in_studio = InStudio()
    for now, probe in ((100.0, PROBES[0]), (101.0, PROBES[1]), (103.5, PROBES[0])):
        in_studio.of(probe, SimpleNamespace(query=query), now, 1.0)  # type: ignore[arg-type]
    assert asked == [len(PROBES)] * 2
