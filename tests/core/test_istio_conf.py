"""What is written for the mesh, read again by the collector's rules, by strict TOML and by YAML."""

from __future__ import annotations

import tomllib

import pytest
import yaml

from tests.core.mesh_objects import BROKEN, TUTORIAL, bookinfo, mesh
from tui.core.diff import as_yaml
from tui.core.istio_conf import annotation, conf, conf_key, discovery
from tui.core.istio_presets import PRESETS
from tui.core.istio_targets import body
from tui.core.mesh import Target
from tui.core.prom.conf import load, load_annotation
from tui.core.prom.settings import Pod

MESH = mesh(bookinfo())
ISTIOD, GATEWAY = MESH.control[0], MESH.gateways[0]
WORKLOAD = MESH.workloads[0]
POD = Pod("10.1.2.3", "prod", "details-v1-abc", "worker-1")


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("target", [ISTIOD, GATEWAY, WORKLOAD], ids=lambda one: one.role)
def test_an_annotation_is_toml_and_survives_yaml(target: Target, preset: str) -> None:
    text = annotation(target, preset, "lab")
    assert "\t" not in text
    assert tomllib.loads(text)["inputs"]["prom"][0]["interval"] == "60s"
    patch = yaml.safe_load(as_yaml(body(target, text)))
    assert patch["spec"]["template"]["metadata"]["annotations"] == {"datakit/prom.instances": text}
    loaded = load_annotation(text, POD)
    assert not loaded.error
    (one,) = loaded.inputs
    assert not one.problem
    assert one.measurement_name == "istio_prom"
    assert dict(one.tags) == {
        "namespace": "prod",
        "pod_name": "details-v1-abc",
        "cluster_name_k8s": "lab",
        **({"app_id": "istiod"} if target is ISTIOD else {}),
    }
    port = "15014/metrics" if target is ISTIOD else "15020/stats/prometheus"
    assert one.urls == (f"http://10.1.2.3:{port}",)


def test_histograms_are_in_but_for_the_tutorials_preset() -> None:
    for preset in PRESETS:
        (one,) = load_annotation(annotation(WORKLOAD, preset, "lab"), POD).inputs
        assert ("histogram" in one.metric_types or not one.metric_types) == (preset != "tutorial")
        assert any("_bucket" in name for name in one.metric_name_filter) == (preset == "tutorial")


@pytest.mark.parametrize("preset", PRESETS)
def test_a_conf_goes_through_the_service_and_is_elected(preset: str) -> None:
    made = conf(ISTIOD, preset, "lab")
    assert (made.key, made.path) == ("prom_istiod.conf", "/usr/local/datakit/conf.d/prom/prom_istiod.conf")
    tomllib.loads(made.text)
    (one,) = load(made.text, {}).inputs
    assert one.urls == ("http://istiod.istio-system.svc:15014/metrics",)
    assert one.election
    assert dict(one.tags) == {"namespace": "istio-system", "cluster_name_k8s": "lab", "app_id": "istiod"}
    assert one.feed_name == "prom.prom-istiod"


def test_the_filters_survive_the_agents_substitution_of_variables() -> None:
    text = conf(ISTIOD, "lean", "lab").text
    (plain,) = load(text, {}).inputs
    (given,) = load(text, {"IP": "1", "NAMESPACE": "x", "ENV_K8S_NODE_NAME": "n"}).inputs
    assert plain.metric_name_filter == given.metric_name_filter == PRESETS["lean"]["istiod"].names


def test_each_target_has_a_key_of_its_own() -> None:
    assert conf_key(ISTIOD) == "prom_istiod.conf"
    assert conf_key(GATEWAY) == "prom-ingressgateway.conf"


def test_a_name_with_quotes_stays_a_name() -> None:
    (one,) = load_annotation(annotation(WORKLOAD, "lean", 'a "b" \\c'), POD).inputs
    assert one.tags["cluster_name_k8s"] == 'a "b" \\c'


def test_discovery_takes_whole_namespaces_without_a_filter() -> None:
    made = discovery(["prod", "shop"], "lab")
    table = tomllib.loads(made.text)["inputs"]["kubernetesprometheus"]
    (one,) = table["instances"]
    assert (one["role"], one["namespaces"], one["port"]) == ("pod", ["prod", "shop"], "15020")
    assert one["custom"]["measurement"] == "istio_prom"
    assert one["custom"]["tags"]["cluster_name_k8s"] == "lab"
    assert made.path.endswith("/conf.d/kubernetesprometheus/kubernetesprometheus.conf")


def test_the_fixtures_are_what_they_say() -> None:
    assert load_annotation(BROKEN, POD).error
    assert not load_annotation(TUTORIAL, POD).error
