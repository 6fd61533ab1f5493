"""The mount rules of a kubelet, as recorded from a real one."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from tui.lab import volumes
from tui.lab.container import Container
from tui.lab.nodes import Node, make_nodes

MAP = {"metadata": {"name": "conf"}, "data": {"etcd.conf": "one\n", "container.conf": "two\n"}}


class Objects:
    """ConfigMaps and Secrets by (kind, name)."""

    def __init__(self, **found: Any) -> None:
        self.found: dict[tuple[str, str], Any] = {("ConfigMap", "conf"): MAP}
        self.found |= {("Secret", name): item for name, item in found.items()}

    async def __call__(self, kind: str, name: str) -> Any:
        item = self.found.get((kind, name))
        return None if item is None else {"kind": kind, **item}


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return make_nodes(tmp_path, 1)[0]


def pod(mounts: list[dict[str, Any]], *declared: dict[str, Any], env: Any = ()) -> dict[str, Any]:
    container = {"name": "main", "volumeMounts": mounts, "env": list(env)}
    return {
        "metadata": {"name": "p", "namespace": "ns", "uid": "u1"},
        "spec": {"containers": [container], "volumes": list(declared)},
    }


async def start(node: Node, item: dict[str, Any], source: Objects) -> Container:
    mounted = await volumes.mount_volumes(node, item, source)
    spec = item["spec"]["containers"][0]
    mounts = volumes.container_mounts(node, item, spec, mounted)
    folder = volumes.container_folder(node, "u1", "main")
    env = await volumes.container_env(node, item, spec, source)
    return Container("p", "ns", "main", "u1", "", node, folder, mounts, env)


def visible(container: Container, path: str) -> list[str]:
    """What a directory mount shows, without the links behind it."""
    return [name for name in container.names(path) if not name.startswith("..")]


CONF = {"name": "v", "configMap": {"name": "conf"}}
SUB_PATH = {"name": "v", "mountPath": "/etc/x/etcd.conf", "subPath": "etcd.conf"}


async def test_a_sub_path_file_never_changes_and_a_directory_mount_follows(node: Node) -> None:
    objects = Objects()
    container = await start(node, pod([SUB_PATH, {"name": "v", "mountPath": "/dir"}], CONF), objects)
    assert container.read("/etc/x/etcd.conf") == b"one\n"
    assert container.names("/etc/x") == ["etcd.conf"]
    assert visible(container, "/dir") == ["container.conf", "etcd.conf"]
    target = node.path("/var/lib/kubelet/pods/u1/volumes/kubernetes.io~configmap/v")
    assert volumes.write_atomically(target, {"etcd.conf": b"changed\n"})
    assert not volumes.write_atomically(target, {"etcd.conf": b"changed\n"})
    assert container.read("/dir/etcd.conf") == b"changed\n"
    assert "container.conf" not in container.names("/dir")
    assert container.read("/etc/x/etcd.conf") == b"one\n"
    volumes.write_atomically(target, {})
    assert visible(container, "/dir") == []
    assert container.read("/etc/x/etcd.conf") == b"one\n"


async def test_a_sub_path_whose_key_is_missing_becomes_a_directory(node: Node) -> None:
    mount = {"name": "v", "mountPath": "/etc/x/other.conf", "subPath": "other.conf"}
    container = await start(node, pod([mount], CONF), Objects())
    assert container.real("/etc/x/other.conf").is_dir()
    assert container.names("/etc/x/other.conf") == []


@pytest.mark.parametrize(
    ("volume", "message"),
    [
        ({"configMap": {"name": "nope"}}, 'MountVolume.SetUp failed for volume "v" : configmap "nope" not found'),
        (
            {"configMap": {"name": "conf", "items": [{"key": "no.conf", "path": "no.conf"}]}},
            'MountVolume.SetUp failed for volume "v" : configmap references non-existent config key: no.conf',
        ),
        (
            {"hostPath": {"path": "/does/not/exist", "type": "Directory"}},
            'MountVolume.SetUp failed for volume "v" : hostPath type check failed: /does/not/exist is not a directory',
        ),
        (
            {"hostPath": {"path": "/etc", "type": "File"}},
            'MountVolume.SetUp failed for volume "v" : hostPath type check failed: /etc is not a file',
        ),
        ({"secret": {"secretName": "nope"}}, 'MountVolume.SetUp failed for volume "v" : secret "nope" not found'),
    ],
)
async def test_what_holds_a_pod_back(node: Node, volume: dict[str, Any], message: str) -> None:
    item = pod([{"name": "v", "mountPath": "/v"}], {"name": "v", **volume})
    with pytest.raises(volumes.MountError) as caught:
        await volumes.mount_volumes(node, item, Objects())
    assert str(caught.value) == message


async def test_a_host_path_without_type_is_made(node: Node) -> None:
    item = pod([{"name": "v", "mountPath": "/v"}], {"name": "v", "hostPath": {"path": "/etc/kubernetes/pki/etcd"}})
    container = await start(node, item, Objects())
    assert node.path("/etc/kubernetes/pki/etcd").is_dir()
    assert container.names("/v") == []


async def test_optional_and_secret_volumes(node: Node) -> None:
    secret = {"data": {"tls.key": base64.b64encode(b"key").decode()}}
    item = pod(
        [{"name": "v", "mountPath": "/v"}, {"name": "s", "mountPath": "/s"}],
        {"name": "v", "configMap": {"name": "nope", "optional": True}},
        {"name": "s", "secret": {"secretName": "certs"}},
    )
    container = await start(node, item, Objects(certs=secret))
    assert visible(container, "/v") == []
    assert container.read("/s/tls.key") == b"key"


async def test_the_deepest_mount_wins_and_nothing_escapes(node: Node) -> None:
    item = pod(
        [
            {"name": "root", "mountPath": "/rootfs"},
            {"name": "v", "mountPath": "/rootfs/opt/etcd.conf", "subPath": "etcd.conf"},
        ],
        CONF,
        {"name": "root", "hostPath": {"path": "/"}},
    )
    container = await start(node, item, Objects())
    assert container.read("/rootfs/etc/hostname") == b"cp-1\n"
    assert container.read("/rootfs/opt/etcd.conf") == b"one\n"
    assert container.names("/rootfs/opt") == ["etcd.conf"]  # the mount point was made on the node
    assert container.absolute("/rootfs/../../etc/passwd") == "/etc/passwd"
    assert container.real("/rootfs/../etc/x") == container.folder / "etc/x"


async def test_environment(node: Node) -> None:
    env = [
        {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
        {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.hostIP"}}},
        {"name": "BOTH", "value": "$(NODE)/$(IP)/$(NONE)/$$(NODE)"},
        {"name": "KEY", "valueFrom": {"configMapKeyRef": {"name": "conf", "key": "etcd.conf"}}},
        {"name": "GONE", "valueFrom": {"secretKeyRef": {"name": "no", "key": "x", "optional": True}}},
        {"name": "EMPTY"},
    ]
    container = await start(node, pod([], env=env), Objects())
    found = {name: container.env.get(name) for name in ("NODE", "IP", "BOTH", "KEY", "GONE", "EMPTY")}
    assert found == {
        "NODE": "cp-1",
        "IP": "172.16.0.229",
        "BOTH": "cp-1/172.16.0.229/$(NONE)/$(NODE)",
        "KEY": "one\n",
        "GONE": None,
        "EMPTY": "",
    }
    missing = [{"name": "KEY", "valueFrom": {"configMapKeyRef": {"name": "conf", "key": "no"}}}]
    with pytest.raises(volumes.ConfigError, match="couldn't find key no in ConfigMap ns/conf"):
        await start(node, pod([], env=missing), Objects())
