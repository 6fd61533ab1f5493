"""One contract for the cluster gateway: each scenario runs against the practice control plane and a real one.

Scenarios that need a kubelet are in test_nodes_contract.py.
"""

from __future__ import annotations

import secrets
import threading
import time
from typing import Any

import pytest
from control_planes import ControlPlane

from tui.backend import lists
from tui.backend.api_errors import CredentialsRefusedError
from tui.backend.cluster import KubernetesCluster
from tui.core.errors import (
    ConflictError,
    DeadlineError,
    FieldConflict,
    ForbiddenError,
    NotFoundError,
    StaleError,
    UnreachableError,
    WizardError,
)
from tui.core.ports import CONFIG_MAP, DAEMON_SET, NAMESPACE, NODE, POD, SECRET, Access, Cluster, Kind, Object
from tui.core.survey import granted_by_rules

ROLE = Kind("rbac.authorization.k8s.io/v1", "Role", "roles")
ROLE_BINDING = Kind("rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings")
US = "datakit-wizard"
VENDOR = "kubectl-client-side-apply"


def write(
    cluster: Cluster, namespace: str, data: dict[str, str], *, name: str = "conf", manager: str = US, **more: Any
) -> Object:
    metadata = more.pop("metadata", {})
    applied = cluster.apply(
        CONFIG_MAP,
        namespace,
        name,
        {"metadata": metadata, **({"data": data} if data else {})},
        manager=manager,
        dry_run=more.pop("dry_run", False),
        **more,
    )
    return applied.object


def managers(item: Object) -> set[tuple[str, str]]:
    return {(entry["manager"], entry["operation"]) for entry in item["metadata"].get("managedFields", [])}


def daemonset(namespace: str) -> Object:
    """A DaemonSet as a vendor makes it."""
    labels = {"app": "daemonset-datakit"}
    container = {
        "name": "datakit",
        "image": "registry.invalid/datakit:1.84.1",
        "env": [{"name": "ENV_CLUSTER_NAME_K8S", "value": "default"}],
        "volumeMounts": [{"name": "rootfs", "mountPath": "/rootfs"}],
    }
    return {
        "metadata": {"name": "datakit", "namespace": namespace},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [container], "volumes": [{"name": "rootfs", "hostPath": {"path": "/"}}]},
            },
        },
    }


def ours() -> Object:
    """Our part of it: an annotation of the template, a volume, a mount and an env entry."""
    container = {
        "name": "datakit",
        "env": [{"name": "ENV_GLOBAL_ELECTION_TAGS", "value": "cluster_name_k8s=x"}],
        "volumeMounts": [{"name": "conf", "mountPath": "/etcd.conf", "subPath": "etcd.conf"}],
    }
    volumes = [{"name": "conf", "configMap": {"name": "datakit-conf"}}]
    return {
        "spec": {
            "template": {
                "metadata": {"annotations": {"datakit-wizard/etcd-conf-sha256": "abc"}},
                "spec": {"containers": [container], "volumes": volumes},
            }
        }
    }


def without_bookkeeping(item: Object) -> Object:
    skipped = {"resourceVersion", "generation", "managedFields", "annotations"}
    return {
        "metadata": {key: value for key, value in item["metadata"].items() if key not in skipped},
        "spec": item["spec"],
    }


class TestWhoAndWhat:
    def test_who_and_which_version(self, admin: Cluster, viewer: Cluster) -> None:
        assert admin.whoami() == "admin"
        assert viewer.whoami() == "viewer"
        assert admin.version().startswith("v1.")

    @pytest.mark.parametrize("context", ["expired", "stranger"])
    def test_certificates_that_are_not_accepted(self, plane: ControlPlane, context: str) -> None:
        """With an expired or foreign client certificate TLS succeeds and every answer is 401."""
        with pytest.raises(CredentialsRefusedError) as caught:
            plane.cluster(context).version()
        assert ("certificate expired on" in caught.value.why) == (context == "expired")
        with pytest.raises(UnreachableError):
            plane.cluster(context).allowed([Access("get", POD)])


class TestReads:
    def test_absent_objects(self, admin: Cluster, namespace: str) -> None:
        for kind, where, name in ((CONFIG_MAP, namespace, "nope"), (DAEMON_SET, "no-such", "x"), (NODE, "", "nope")):
            with pytest.raises(NotFoundError) as caught:
                admin.get(kind, where, name)
            assert name in caught.value.object

    def test_an_empty_list(self, admin: Cluster, namespace: str) -> None:
        assert admin.list(DAEMON_SET, namespace) == []

    def test_a_list_in_pages(self, admin: Cluster, namespace: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(lists, "_PAGE", 2)
        names = [f"cm-{i}" for i in range(5)]
        for name in names:
            write(admin, namespace, {"k": name}, name=name)
        found = {item["metadata"]["name"]: item for item in admin.list(CONFIG_MAP, namespace)}
        assert set(names) <= set(found)
        assert found["cm-3"]["kind"] == "ConfigMap"
        assert found["cm-3"]["apiVersion"] == "v1"
        assert found["cm-3"]["data"] == {"k": "cm-3"}

    @pytest.mark.parametrize("sample", [0, 2])
    def test_rows_in_pages(self, admin: Cluster, namespace: str, monkeypatch: pytest.MonkeyPatch, sample: int) -> None:
        """What kubectl prints, in pages; metadata in the first rows alone."""
        monkeypatch.setattr(lists, "_ROWS", 3)
        for number in range(6):
            write(admin, namespace, {"a": "1", "b": "2"}, name=f"cm-{number}", metadata={"labels": {"tier": "x"}})
        rows = admin.table(CONFIG_MAP, namespace, labels="tier=x", sample=sample)
        assert [(row.name, int(row.cells["Data"])) for row in rows] == [(f"cm-{number}", 2) for number in range(6)]
        found = [row.metadata for row in rows if row.metadata]
        assert len(found) == sample
        assert all(each["labels"] == {"tier": "x"} and "managedFields" not in each for each in found)

    def test_rules_say_what_one_may(self, admin: Cluster, namespace: str) -> None:
        answer = admin.rules(namespace)
        assert answer["incomplete"] is False
        access = Access("patch", DAEMON_SET, namespace, "datakit")
        assert granted_by_rules(admin, [access], namespace) == admin.allowed([access]) == [True]

    def test_selectors(self, admin: Cluster, namespace: str) -> None:
        write(admin, namespace, {}, name="a", metadata={"labels": {"tier": "x"}})
        write(admin, namespace, {}, name="b")
        assert [each["metadata"]["name"] for each in admin.list(CONFIG_MAP, namespace, labels="tier=x")] == ["a"]
        by_field = admin.list(CONFIG_MAP, namespace, fields="metadata.name=b")
        assert [each["metadata"]["name"] for each in by_field] == ["b"]

    def test_namespaces_are_listed(self, admin: Cluster, namespace: str) -> None:
        assert {"kube-system", namespace} <= {each["metadata"]["name"] for each in admin.list(NAMESPACE)}


class TestApply:
    def test_make_repeat_change_and_remove_a_key(self, admin: Cluster, namespace: str) -> None:
        first = write(admin, namespace, {"etcd.conf": "1", "b": "2"})
        assert managers(first) == {(US, "Apply")}
        again = write(admin, namespace, {"etcd.conf": "1", "b": "2"})
        assert again["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
        changed = write(admin, namespace, {"etcd.conf": "3"})
        assert changed["data"] == {"etcd.conf": "3"}
        assert admin.get(CONFIG_MAP, namespace, "conf")["data"] == {"etcd.conf": "3"}

    def test_a_dry_run_shows_and_changes_nothing(self, admin: Cluster, namespace: str) -> None:
        before = write(admin, namespace, {"a": "1"}, manager=VENDOR)
        shown = write(admin, namespace, {"etcd.conf": "中文\n"}, dry_run=True)
        assert shown["data"] == {"a": "1", "etcd.conf": "中文\n"}
        assert admin.get(CONFIG_MAP, namespace, "conf") == before
        write(admin, namespace, {"a": "1"}, name="new", dry_run=True)
        with pytest.raises(NotFoundError):
            admin.get(CONFIG_MAP, namespace, "new")

    def test_fields_of_others_are_not_overwritten_unless_forced(self, admin: Cluster, namespace: str) -> None:
        write(admin, namespace, {"etcd.conf": "theirs", "mine": "x"}, manager="rancher")
        for dry_run in (True, False):
            with pytest.raises(ConflictError) as caught:
                write(admin, namespace, {"etcd.conf": "ours"}, dry_run=dry_run)
            assert caught.value.conflicts == [FieldConflict(".data.etcd.conf", "rancher")]
            assert caught.value.object == f"configmaps {namespace}/conf"
        assert write(admin, namespace, {"etcd.conf": "theirs"})["data"]["etcd.conf"] == "theirs"
        forced = write(admin, namespace, {"etcd.conf": "ours"}, force=True)
        assert forced["data"] == {"etcd.conf": "ours", "mine": "x"}

    def test_the_reviewed_version_holds(self, admin: Cluster, namespace: str) -> None:
        reviewed = write(admin, namespace, {"a": "1"}, manager=VENDOR)["metadata"]
        held = {"uid": reviewed["uid"], "resourceVersion": reviewed["resourceVersion"]}
        write(admin, namespace, {"a": "2"}, manager=VENDOR)
        with pytest.raises(StaleError):
            write(admin, namespace, {"b": "1"}, metadata=held)
        with pytest.raises(StaleError):
            write(admin, namespace, {"b": "1"}, metadata=held, force=True)
        with pytest.raises(StaleError):
            write(admin, namespace, {"b": "1"}, metadata={"uid": "00000000-0000-0000-0000-000000000000"})
        now = admin.get(CONFIG_MAP, namespace, "conf")["metadata"]
        held["resourceVersion"] = now["resourceVersion"]
        assert write(admin, namespace, {"b": "1"}, metadata=held)["data"] == {"a": "2", "b": "1"}

    def test_a_uid_keeps_a_mistyped_name_from_being_made(self, admin: Cluster, namespace: str) -> None:
        with pytest.raises(StaleError):
            write(admin, namespace, {"a": "1"}, name="typo", metadata={"uid": secrets.token_hex(8)})
        with pytest.raises(NotFoundError):
            admin.get(CONFIG_MAP, namespace, "typo")

    @pytest.mark.parametrize(
        ("body", "word"),
        [
            ({"dta": {"a": "b"}}, "dta"),
            ({"data": {"a": 1}}, "expected string"),
            ({"data": {"a/b": "c"}}, "valid config key"),
            ({"metadata": {"managedFields": []}}, "managedFields"),
            ({"metadata": {"name": "other"}}, "name"),
        ],
    )
    def test_what_the_caller_got_wrong(self, admin: Cluster, namespace: str, body: Object, word: str) -> None:
        write(admin, namespace, {})
        with pytest.raises(WizardError) as caught:
            admin.apply(CONFIG_MAP, namespace, "conf", body, manager=US, dry_run=True)
        assert type(caught.value) is WizardError
        assert word in caught.value.why

    def test_a_namespace_that_is_not_there(self, admin: Cluster) -> None:
        with pytest.raises(NotFoundError):
            write(admin, "no-such-namespace", {"a": "1"})

    def test_our_part_of_a_daemonset_comes_and_goes(self, admin: Cluster, namespace: str) -> None:
        admin.apply(DAEMON_SET, namespace, "datakit", daemonset(namespace), manager=VENDOR, dry_run=False)
        before = admin.get(DAEMON_SET, namespace, "datakit")
        after = admin.apply(DAEMON_SET, namespace, "datakit", ours(), manager=US, dry_run=False).object
        assert after["metadata"]["generation"] == before["metadata"]["generation"] + 1
        (container,) = after["spec"]["template"]["spec"]["containers"]
        assert [each["name"] for each in container["env"]] == ["ENV_CLUSTER_NAME_K8S", "ENV_GLOBAL_ELECTION_TAGS"]
        assert {each["mountPath"] for each in container["volumeMounts"]} == {"/rootfs", "/etcd.conf"}
        assert container["image"] == "registry.invalid/datakit:1.84.1"
        again = admin.apply(DAEMON_SET, namespace, "datakit", ours(), manager=US, dry_run=False).object
        assert again["metadata"]["resourceVersion"] == after["metadata"]["resourceVersion"]
        undone = admin.apply(DAEMON_SET, namespace, "datakit", {}, manager=US, dry_run=False).object
        assert without_bookkeeping(undone) == without_bookkeeping(before)
        assert managers(undone) == managers(before)

    def test_a_daemonset_that_would_be_invalid(self, admin: Cluster, namespace: str) -> None:
        admin.apply(DAEMON_SET, namespace, "datakit", daemonset(namespace), manager=VENDOR, dry_run=False)
        body = ours()
        body["spec"]["template"]["spec"].pop("volumes")
        with pytest.raises(WizardError, match="refuses the request") as caught:
            admin.apply(DAEMON_SET, namespace, "datakit", body, manager=US, dry_run=True)
        assert "volumeMounts" in caught.value.why


class TestUndo:
    def test_a_forced_value_goes_back_to_its_owner(self, admin: Cluster, namespace: str) -> None:
        """A patch under the former owner's name, then an apply of nothing: value and owner are as before."""
        write(admin, namespace, {"keep": "1"}, manager="setup")
        admin.patch(
            CONFIG_MAP, namespace, "conf", {"data": {"etcd.conf": "old"}}, manager="kubectl-edit", dry_run=False
        )
        before = admin.get(CONFIG_MAP, namespace, "conf")
        write(admin, namespace, {"etcd.conf": "new"}, force=True)
        assert ("kubectl-edit", "Update") not in managers(admin.get(CONFIG_MAP, namespace, "conf"))
        admin.patch(
            CONFIG_MAP, namespace, "conf", {"data": {"etcd.conf": "old"}}, manager="kubectl-edit", dry_run=False
        )
        after = write(admin, namespace, {})
        assert after["data"] == before["data"]
        assert managers(after) == managers(before)

    def test_delete_takes_this_object_alone(self, admin: Cluster, namespace: str) -> None:
        uid = write(admin, namespace, {"a": "1"})["metadata"]["uid"]
        with pytest.raises(StaleError):
            admin.delete(CONFIG_MAP, namespace, "conf", uid="00000000-0000-0000-0000-000000000000")
        admin.delete(CONFIG_MAP, namespace, "conf", uid=uid)
        with pytest.raises(NotFoundError):
            admin.delete(CONFIG_MAP, namespace, "conf", uid=uid)


class TestRights:
    def test_a_viewer_is_refused_and_told_what_is_lacking(
        self, admin: Cluster, viewer: Cluster, namespace: str
    ) -> None:
        write(admin, namespace, {"a": "1"})
        with pytest.raises(ForbiddenError, match="get configmaps"):
            viewer.get(CONFIG_MAP, namespace, "conf")
        self.let_view(admin, viewer, namespace)
        assert viewer.get(CONFIG_MAP, namespace, "conf")["data"] == {"a": "1"}
        with pytest.raises(ForbiddenError, match="get secrets"):
            viewer.get(SECRET, namespace, "any")
        for dry_run in (True, False):
            with pytest.raises(ForbiddenError) as caught:
                write(viewer, namespace, {"a": "2"}, dry_run=dry_run)
            assert "You lack a right: patch configmaps" in caught.value.what
            assert "--user=viewer" in caught.value.command
            assert namespace in caught.value.command
        with pytest.raises(ForbiddenError, match="pods/exec"):
            viewer.exec(namespace, "any", "c", ["ls"])

    def test_access_reviews(self, admin: Cluster, viewer: Cluster, namespace: str) -> None:
        self.let_view(admin, viewer, namespace)
        wanted = [
            Access("get", CONFIG_MAP, namespace, "conf"),
            Access("patch", CONFIG_MAP, namespace, "conf"),
            Access("patch", DAEMON_SET, namespace, "datakit"),
            Access("list", POD, namespace),
            Access("create", POD, namespace, subresource="exec"),
            Access("list", NODE),
            Access("get", NAMESPACE, name=namespace),
        ]
        assert viewer.allowed(wanted) == [True, False, False, True, False, False, True]
        assert admin.allowed(wanted) == [True] * len(wanted)

    def let_view(self, admin: Cluster, viewer: Cluster, namespace: str) -> None:
        """A Role of its own: the ClusterRole view is filled by a controller, which a bare API server has not."""
        group = "rbac.authorization.k8s.io"
        read = {"verbs": ["get", "list"]}
        rules = [
            {"apiGroups": [""], "resources": ["configmaps", "pods", "namespaces"], **read},
            {"apiGroups": ["apps"], "resources": ["daemonsets"], **read},
        ]
        admin.apply(ROLE, namespace, "readers", {"rules": rules}, manager="setup", dry_run=False)
        body = {
            "roleRef": {"apiGroup": group, "kind": "Role", "name": "readers"},
            "subjects": [{"apiGroup": group, "kind": "User", "name": "viewer"}],
        }
        admin.apply(ROLE_BINDING, namespace, "viewers", body, manager="setup", dry_run=False)
        end = time.monotonic() + 20
        while not viewer.allowed([Access("get", DAEMON_SET, namespace)])[0]:  # the authorizer follows by a watch
            assert time.monotonic() < end, "the role binding has no effect"


class TestWatchAndRollout:
    def test_changes_of_one_object(self, admin: Cluster, namespace: str) -> None:
        assert isinstance(admin, KubernetesCluster)
        version = write(admin, namespace, {"a": "1"})["metadata"]["resourceVersion"]
        stream = admin.watch(CONFIG_MAP, namespace, "conf", version, seconds=30)
        guard = threading.Timer(30, stream.stop)
        guard.start()
        write(admin, namespace, {"x": "1"}, name="another")
        write(admin, namespace, {"a": "2"})
        seen = [(kind, item["data"]) for kind, item in _take(stream, 1)]
        guard.cancel()
        assert seen == [("MODIFIED", {"a": "2"})]

    def test_a_stopped_watch_ends(self, admin: Cluster, namespace: str) -> None:
        assert isinstance(admin, KubernetesCluster)
        version = write(admin, namespace, {"a": "1"})["metadata"]["resourceVersion"]
        stream = admin.watch(CONFIG_MAP, namespace, "conf", version, seconds=60)
        seen: list[Any] = []
        thread = threading.Thread(target=lambda: seen.extend(stream), daemon=True)
        thread.start()
        stream.stop()
        thread.join(10)
        assert not thread.is_alive()
        assert [kind for kind, _item in seen if kind != "BOOKMARK"] == []

    def test_a_rollout_that_nobody_carries_out_ends_with_the_deadline(self, admin: Cluster, namespace: str) -> None:
        made = admin.apply(DAEMON_SET, namespace, "datakit", daemonset(namespace), manager=VENDOR, dry_run=False)
        told: list[Any] = []
        with pytest.raises(DeadlineError, match="not done"):
            admin.wait_rollout(
                namespace,
                "datakit",
                made.object["metadata"]["generation"],
                deadline_s=0.5,
                progress=told.append,
                cancelled=lambda: False,
            )
        assert [each.done for each in told] == [False]

    def test_a_daemonset_that_is_not_there(self, admin: Cluster, namespace: str) -> None:
        with pytest.raises(NotFoundError):
            admin.wait_rollout(
                namespace, "nope", 1, deadline_s=5, progress=lambda _state: None, cancelled=lambda: False
            )

    def test_exec_into_a_pod_that_is_not_there(self, admin: Cluster, namespace: str) -> None:
        with pytest.raises(NotFoundError):
            admin.exec(namespace, "nope", "c", ["ls"])


def _take(stream: Any, count: int) -> list[Any]:
    found = []
    for kind, item in stream:
        if kind == "BOOKMARK":
            continue
        found.append((kind, item))
        if len(found) == count:
            break
    stream.stop()
    return found
