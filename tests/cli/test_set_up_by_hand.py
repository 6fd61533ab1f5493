"""A cluster that somebody set up with kubectl as the tutorial says, and no answers file: `check` understands it."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from practice import Practice, practice
from test_walk import checks, not_well

from tui.core.etcd_presets import TUTORIAL

CONF_PATH = "/usr/local/datakit/conf.d/etcd/etcd.conf"
MOUNTS = [
    {"name": "datakit-conf", "mountPath": CONF_PATH, "subPath": "etcd.conf"},
    {"name": "dir-etcd", "mountPath": "/etc/kubernetes/pki/etcd"},
]
POD = {
    "containers": [{"name": "datakit", "volumeMounts": MOUNTS}],
    "volumes": [{"name": "dir-etcd", "hostPath": {"path": "/etc/kubernetes/pki/etcd"}}],
}

pytestmark = pytest.mark.skipif(not shutil.which("kubectl"), reason="kubectl is not installed")


def kubectl(lab: Practice, *arguments: str) -> None:
    command = ["kubectl", "--kubeconfig", lab.ready["kubeconfig"], "-n", lab.ready["namespace"], *arguments]
    subprocess.run(command, check=True, capture_output=True, timeout=90)


def test_the_tutorial_followed_by_hand_is_understood_without_answers(tmp_path: Path) -> None:
    with practice(tmp_path) as lab:
        conf = {"data": {"etcd.conf": TUTORIAL}}
        kubectl(lab, "patch", "configmap", "datakit-conf", "--type", "merge", "-p", json.dumps(conf))
        pod = {"spec": {"template": {"spec": POD}}}
        kubectl(lab, "patch", "daemonset", "datakit", "--type", "strategic", "-p", json.dumps(pod))
        kubectl(lab, "rollout", "status", "daemonset/datakit", "--timeout=60s")
        by_hand = lab.objects()

        done = lab.run("check", "-o", "json", "--wait", "60s")
        found = checks(done)
        assert done.status == 1, done
        seen = {id: one["status"] for id, one in found.items()}
        assert seen["datakit/found"] == seen["conf/key"] == seen["conf/mounted"] == seen["conf/loaded"] == "pass", seen
        [first, *_rest] = [id for id, one in found.items() if one["status"] == "fail"]
        assert first == "etcd/election-tag", not_well(found)
        told = found[first]
        assert 'cluster_name_k8s = "lab"' in told["remedy"], told
        assert lab.objects() == by_hand

        text = lab.run("check", "--wait", "60s")
        assert text.status == 1, text
        assert f"First broken hop: {first}" in text.out
