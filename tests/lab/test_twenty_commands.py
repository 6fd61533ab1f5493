"""Twenty kubectl commands print the same on the practice control plane and on a real kube-apiserver, ages aside.

What they print there, from kube-apiserver 1.36.2, is kept in tests/data/kubernetes/twenty-commands.json; both are held
against it, texts included where kubectl is of the minor version that was recorded. Left out, for want of nodes behind a
bare API server: logs, exec, get -w and rollout status of pods that run (the lab's own tests play them), and kubectl
older than 1.28.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.backend.control_planes import NO_SERVER, practice, real, real_binaries
from tests.kubectl import PROBLEM

pytestmark = pytest.mark.skipif(bool(PROBLEM), reason=PROBLEM)
KEPT = Path(__file__).parent.parent / "data" / "kubernetes" / "twenty-commands.json"
FILES = {
    "ns.yaml": "apiVersion: v1\nkind: Namespace\nmetadata: {name: twenty}\n",
    "map.yaml": (
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: conf, namespace: twenty, labels: {app: x}}\n"
        "data: {a: '1', b: two}\n"
    ),
    "part.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: conf, namespace: twenty}\ndata: {a: '9'}\n",
    "wrong.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: conf, namespace: twenty}\ndta: {a: '9'}\n",
    "set.yaml": """\
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent, namespace: twenty}
spec:
  selector: {matchLabels: {app: agent}}
  template:
    metadata: {labels: {app: agent}}
    spec:
      containers:
      - name: agent
        image: example.com/agent:1
        env: [{name: A, value: '1'}]
        volumeMounts: [{name: conf, mountPath: /etc/conf, subPath: a}]
      volumes: [{name: conf, configMap: {name: conf}}]
""",
    "patch.yaml": """\
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent, namespace: twenty}
spec: {template: {spec: {containers: [{name: agent, env: [{name: B, value: '2'}]}]}}}
""",
}
COMMANDS = (
    "apply -f ns.yaml",
    "apply --server-side -f map.yaml",
    "apply --server-side --field-manager=other -f part.yaml",
    "diff --server-side --force-conflicts --field-manager=other -f part.yaml",
    "apply --server-side --force-conflicts --field-manager=other -f part.yaml",
    "apply -f wrong.yaml",
    "get -n twenty cm conf -o yaml --show-managed-fields",
    "apply --server-side -f set.yaml",
    "apply --server-side --field-manager=other -f patch.yaml",
    "get -n twenty ds -o wide",
    "get -n twenty ds agent -o jsonpath={.spec.template.spec.containers[0].env}",
    "set image -n twenty ds/agent agent=example.com/agent:2",
    "rollout restart -n twenty ds/agent",
    "rollout status -n twenty ds/agent --watch=false",
    "describe -n twenty ds agent",
    "auth can-i patch ds -n twenty",
    "get -n twenty cm,ds --show-labels",
    "label -n twenty cm conf app-",
    'patch -n twenty cm conf --type=json -p [{"op":"test","path":"/data/b","value":"three"}]',
    "delete -n twenty cm conf",
)


def settled(text: str) -> str:
    """What a command printed, without what differs from run to run."""
    text = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "<time>", text)
    text = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "<uid>", text)
    text = re.sub(r"(resourceVersion: )\"\d+\"", r"\1<version>", text)
    text = re.sub(r"(?m)^([+-]{3}) \S+/(LIVE|MERGED)-\d+/(\S+)\t.*$", r"\1 \2 \3", text)
    text = re.sub(r"diff -u -N \S+/LIVE-\d+/(\S+) \S+/MERGED-\d+/\S+", r"diff \1", text)
    text = re.sub(r"(?m)(\s)\d+s(\s|$)", r"\1<age>\2", text)
    return re.sub(r"[ \t]+", " ", text)


@pytest.fixture(params=["practice", "kube-apiserver"])
def kubectl(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[str], dict[str, Any]]]:
    binaries = real_binaries()
    if request.param == "kube-apiserver" and binaries is None:
        pytest.skip(NO_SERVER)
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    with ExitStack() as stack:
        place = practice() if request.param == "practice" or binaries is None else real(binaries)
        kubeconfig = stack.enter_context(place).kubeconfig
        env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "KUBECONFIG": str(kubeconfig)}

        def run(command: str) -> dict[str, Any]:
            argv = ["kubectl", *command.split(" ")]
            done = subprocess.run(argv, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=60)
            out, err = settled(done.stdout), settled(done.stderr)
            return {"command": command, "status": done.returncode, "out": out, "err": err}

        yield run


def test_twenty_commands(
    kubectl: Callable[[str], dict[str, Any]], record_property: Callable[[str, object], None]
) -> None:
    kept = json.loads(KEPT.read_text(encoding="utf-8"))
    assert len(COMMANDS) == 20
    assert [each["command"] for each in kept["commands"]] == list(COMMANDS)
    version = json.loads(kubectl("version --client -o json")["out"])["clientVersion"]["gitVersion"]
    same = version.split(".")[:2] == kept["kubectl"].split(".")[:2]
    left_out = "logs, exec, get -w, rollouts of real pods" + ("" if same else "; texts, which this kubectl words anew")
    record_property("figure", f"twenty commands of kubectl {version}; left out: {left_out}")
    for recorded in kept["commands"]:
        done = kubectl(recorded["command"])
        assert done == (recorded if same else {**done, "status": recorded["status"]})
