"""The export: what it writes, and that kustomize and server-side apply take it."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from changes import CONF, NAME, NEIGHBOUR, Place, vendor_daemon_set

from tests.kubectl import PROBLEM
from tui.core.answers import CertificateAnswers, DataKitAnswers, EtcdAnswers, ViewAnswers
from tui.core.errors import UsageError
from tui.core.etcd_conf import PATH as CONF_PATH
from tui.core.export import files
from tui.core.manifests import HASH_ANNOTATION
from tui.core.ports import CONFIG_MAP, DAEMON_SET, Cluster
from tui.core.receipts import Store


@pytest.fixture
def place(admin: Cluster, namespace: str, tmp_path: Path) -> Place:
    found = Place(admin, namespace, Store(tmp_path / "state"))
    found.install()
    return found


def test_the_manifests_are_what_apply_would_have_written(place: Place) -> None:
    made = files(place.answers(), place.look())
    place.cluster.get(CONFIG_MAP, place.namespace, "datakit-conf")
    for kind, name in ((CONFIG_MAP, "datakit-conf"), (DAEMON_SET, "datakit")):
        body = yaml.safe_load(made[f"manifests/{kind.kind.lower()}-{name}.yaml"])
        assert set(body["metadata"]) == {"name", "namespace"}
        place.cluster.apply(kind, place.namespace, name, body, manager="datakit-wizard", dry_run=False, force=True)
    assert not place.plan().has_changes


def test_helm_values(place: Place) -> None:
    text = files(place.answers(), place.look())["helm/values.yaml"]
    values = yaml.safe_load(text)
    assert values["dkconfig"] == [{"name": "etcd.conf", "path": CONF_PATH, "value": CONF}]
    assert values["datakit"] == {"cluster_name_k8s": NAME}
    assert "add these entries" in text
    assert "cannot mount" not in text
    etcd = EtcdAnswers(strategy="node-tls", conf=CONF)
    tls = replace(place.answers(), etcd=etcd, certificates=CertificateAnswers("hostpath", "/etc/kubernetes/pki/etcd"))
    assert "cannot mount" in files(tls, place.look())["helm/values.yaml"]


def test_views_are_dashboards(place: Place) -> None:
    answers = replace(place.answers(), views=ViewAnswers(create=("docker", "etcd"), lang="en"))
    made = files(answers, place.look())
    there = {f"dashboards/{key}.json" for key in answers.views.create}
    assert {name for name in made if name.startswith("dashboards/")} == there
    assert json.loads(made["dashboards/etcd.json"])["main"]
    alone = files(replace(answers, etcd=EtcdAnswers(strategy="none")), place.look())
    assert set(alone) == {"README.md", *there}


def test_settings_are_entries_of_the_patch_and_of_the_charts_values(place: Place) -> None:
    answers = replace(place.answers(), datakit=DataKitAnswers(("pod-metrics", "host-inputs")))
    made = files(answers, place.look())
    values = yaml.safe_load(made["helm/values.yaml"])
    assert values["datakit"] == {"cluster_name_k8s": NAME, "default_enabled_inputs": "cpu,disk,mem,system"}
    assert values["extraEnvs"] == [{"name": "ENV_INPUT_CONTAINER_ENABLE_POD_METRIC", "value": "true"}]
    body = yaml.safe_load(made["manifests/daemonset-datakit.yaml"])
    entries = body["spec"]["template"]["spec"]["containers"][0]["env"]
    assert {"name": "ENV_INPUT_CONTAINER_ENABLE_POD_METRIC", "value": "true"} in entries
    alone = files(replace(answers, etcd=EtcdAnswers("none")), place.look())
    assert "manifests/daemonset-datakit.yaml" in alone
    assert not any("configmap" in name for name in alone)


def test_a_conf_with_a_secret_is_not_exported(place: Place) -> None:
    conf = CONF + '  bearer_token = "canary-77aa01"\n'
    with pytest.raises(UsageError, match="holds a secret") as caught:
        files(place.answers(conf), place.look())
    assert "canary-77aa01" not in str(caught.value)


@pytest.mark.skipif(bool(PROBLEM), reason=PROBLEM)
def test_kustomize_takes_it_as_a_component(place: Place, tmp_path: Path) -> None:
    folder = tmp_path / "export"
    for name, text in files(place.answers(), place.look()).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    daemon_set = {"apiVersion": "apps/v1", "kind": "DaemonSet", **vendor_daemon_set(place.namespace)}
    config_map = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"container.conf": NEIGHBOUR}}
    config_map["metadata"] = {"name": "datakit-conf", "namespace": place.namespace}
    (tmp_path / "base.yaml").write_text(yaml.safe_dump_all([daemon_set, config_map]))
    overlay = {"resources": ["base.yaml"], "components": ["export"]}
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(overlay))
    done = subprocess.run(["kubectl", "kustomize", str(tmp_path)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    built = {each["kind"]: each for each in yaml.safe_load_all(done.stdout)}
    assert built["ConfigMap"]["data"] == {"container.conf": NEIGHBOUR, "etcd.conf": CONF}
    template = built["DaemonSet"]["spec"]["template"]
    assert HASH_ANNOTATION in template["metadata"]["annotations"]
    (container,) = template["spec"]["containers"]
    assert container["image"] == "registry.invalid/datakit:1.84.1"
    assert CONF_PATH in {mount["mountPath"] for mount in container["volumeMounts"]}
    assert {"name": "ENV_CLUSTER_NAME_K8S", "value": NAME} in container["env"]
