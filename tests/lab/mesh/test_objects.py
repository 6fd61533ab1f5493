"""The mesh's objects as data: the tutorial's annotations with their mistakes, and who gets a sidecar."""

from __future__ import annotations

import pytest

from tui.core.prom import conf
from tui.core.prom.settings import Pod
from tui.lab.client import Object
from tui.lab.mesh import injection, objects

DEPLOYMENTS = "/apis/apps/v1/namespaces/prod/deployments"


def test_one_annotation_does_not_parse_and_the_others_drop_every_histogram() -> None:
    pod = Pod("10.244.1.2", "prod", "details-v1-x", "worker-1")
    texts = {
        item["metadata"]["name"]: item["spec"]["template"]["metadata"]["annotations"][objects.INSTANCES]
        for path, item in objects.objects()
        if path == DEPLOYMENTS and item["spec"]["template"]["metadata"].get("annotations")
    }
    assert sorted(texts) == ["details-v1", "productpage-v1", "ratings-v1", "reviews-v1", "reviews-v2", "reviews-v3"]
    for name, text in texts.items():
        loaded = conf.load_annotation(text, pod)
        assert bool(loaded.error) == (name == objects.BROKEN)
        for each in loaded.inputs:
            assert each.metric_types == ("counter", "gauge")
            assert each.urls == ("http://10.244.1.2:15020/stats/prometheus",)
            assert each.tags == {"namespace": "prod"}


@pytest.mark.parametrize(
    ("pod_labels", "annotations", "namespace", "wanted"),
    [
        ({}, {}, {"istio-injection": "enabled"}, True),
        ({}, {}, {}, False),
        ({}, {}, {"istio.io/rev": "canary"}, True),
        ({"sidecar.istio.io/inject": "false"}, {}, {"istio-injection": "enabled"}, False),
        ({}, {"sidecar.istio.io/inject": "false"}, {"istio-injection": "enabled"}, False),
        ({"sidecar.istio.io/inject": "true"}, {}, {}, True),
        ({}, {}, {"istio-injection": "disabled"}, False),
    ],
)
def test_who_gets_a_sidecar(pod_labels: Object, annotations: Object, namespace: Object, wanted: bool) -> None:
    pod = {"metadata": {"labels": pod_labels, "annotations": annotations}, "spec": {"containers": [{"name": "a"}]}}
    assert injection.wants_sidecar(pod, namespace) is wanted


def test_a_sidecar_brings_its_container_ports_labels_and_annotations() -> None:
    owner = {"kind": "ReplicaSet", "name": "reviews-v1-5d4f8c7b9c"}
    metadata = {"labels": {"app": "reviews", "version": "v1"}, "ownerReferences": [owner]}
    pod = {"metadata": metadata, "spec": {"containers": [{"name": "reviews"}]}}
    made = injection.inject(pod)
    assert [each["name"] for each in made["spec"]["containers"]] == ["reviews", "istio-proxy"]
    assert [each["name"] for each in made["spec"]["initContainers"]] == ["istio-init"]
    proxy = made["spec"]["containers"][1]
    assert proxy["image"].endswith("/proxyv2:1.13.2")
    assert {"name": "ISTIO_META_WORKLOAD_NAME", "value": "reviews-v1"} in proxy["env"]
    assert proxy["ports"] == [{"containerPort": 15090, "name": "http-envoy-prom", "protocol": "TCP"}]
    assert made["metadata"]["labels"]["service.istio.io/canonical-revision"] == "v1"
    assert made["metadata"]["annotations"]["prometheus.io/port"] == "15020"
    assert pod == {"metadata": metadata, "spec": {"containers": [{"name": "reviews"}]}}  # it is a copy
