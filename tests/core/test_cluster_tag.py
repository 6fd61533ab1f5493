"""What the environment makes of the tag that all views filter on: the rows of DataKit's own rules."""

from __future__ import annotations

import pytest

from tui.core.cluster_tag import cluster_tag
from tui.lab.nodes import Node
from tui.lab.settings import settings

# env, and the names of: each node's own, containers, what is elected
CASES: dict[str, tuple[dict[str, str], tuple[str, str, str]]] = {
    "the vendor's manifest": (
        {"ENV_CLUSTER_NAME_K8S": "default", "ENV_ENABLE_ELECTION": "enable", "ENV_GLOBAL_ELECTION_TAGS": ""},
        ("default", "default", ""),
    ),
    "the tutorial's first part": (
        {
            "ENV_GLOBAL_HOST_TAGS": "host=__datakit_hostname,cluster_name_k8s=k8s-istio",
            "ENV_ENABLE_ELECTION": "enable",
            "ENV_NAMESPACE": "k8s-istio",
        },
        ("k8s-istio", "k8s-istio", ""),
    ),
    "the tutorial on a manifest of today": (
        {
            "ENV_CLUSTER_NAME_K8S": "default",
            "ENV_GLOBAL_HOST_TAGS": "cluster_name_k8s=k8s-istio",
            "ENV_ENABLE_ELECTION": "enable",
        },
        ("default", "default", ""),
    ),
    "both set": (
        {
            "ENV_CLUSTER_NAME_K8S": "prod",
            "ENV_GLOBAL_ELECTION_TAGS": "cluster_name_k8s=prod,a=b",
            "ENV_ENABLE_ELECTION": "enable",
            "ENV_NAMESPACE": "prod",
        },
        ("prod", "prod", "prod"),
    ),
    "the older names, as Helm's chart has them": (
        {
            "ENV_GLOBAL_TAGS": "cluster_name_k8s=prod",
            "ENV_GLOBAL_ENV_TAGS": "cluster_name_k8s=prod",
            "ENV_ENABLE_ELECTION": "false",
        },
        ("prod", "prod", "prod"),
    ),
    "election off": (
        {"ENV_CLUSTER_NAME_K8S": "prod", "ENV_GLOBAL_ELECTION_TAGS": "cluster_name_k8s=other"},
        ("prod", "prod", "prod"),
    ),
    "nothing": ({}, ("", "", "")),
}


@pytest.mark.parametrize("name", CASES)
def test_what_each_kind_carries(name: str) -> None:
    env, names = CASES[name]
    found = cluster_tag(env)
    assert tuple(row.name for row in found.rows[:3]) == names


@pytest.mark.parametrize("name", CASES)
def test_the_lab_s_agents_carry_the_same(name: str) -> None:
    env, (own, _containers, elected) = CASES[name]
    agent = settings(env, Node("n", "10.0.0.1", "worker", None))  # type: ignore[arg-type]
    assert agent.host_tags.get("cluster_name_k8s", "") == own
    assert agent.election_tags.get("cluster_name_k8s", "") == elected


@pytest.mark.parametrize(
    ("env", "wanted", "change"),
    [
        (
            CASES["the vendor's manifest"][0],
            "prod",
            "ENV_CLUSTER_NAME_K8S=prod ENV_GLOBAL_ELECTION_TAGS=cluster_name_k8s=prod",
        ),
        (CASES["the tutorial's first part"][0], "", "ENV_GLOBAL_ELECTION_TAGS=cluster_name_k8s=k8s-istio"),
        (CASES["both set"][0], "", ""),
        (CASES["election off"][0], "", ""),
        ({"ENV_CLUSTER_NAME_K8S": "a"}, "b", "ENV_CLUSTER_NAME_K8S=b"),
    ],
)
def test_the_smallest_change(env: dict[str, str], wanted: str, change: str) -> None:
    assert cluster_tag(env, wanted).change == change


def test_what_does_not_do_what_it_seems_to() -> None:
    assert any("means on" in one for one in cluster_tag({"ENV_ENABLE_ELECTION": "false"}).remarks)
    assert any("overrides" in one for one in cluster_tag(CASES["the tutorial on a manifest of today"][0]).remarks)
    assert any("not read" in one for one in cluster_tag(CASES["election off"][0]).remarks)
    assert any("ENV_NAMESPACE" in one for one in cluster_tag(CASES["the vendor's manifest"][0]).remarks)
    assert cluster_tag(CASES["both set"][0]).remarks == ()
    assert cluster_tag(CASES["both set"][0]).one_name
    assert not cluster_tag(CASES["the vendor's manifest"][0]).one_name
