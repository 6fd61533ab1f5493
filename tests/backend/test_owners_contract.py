"""What other owners do to our fields, replayed under their manager names: each leads to what the wizard said it would.

`kubectl apply` and Helm 3 are three-way patches of an Update manager; Helm 4 and Argo CD apply, Argo CD with force.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from changes import CONF, ENV, NAME, Place, comparable, vendor_daemon_set
from control_planes import ControlPlane

from tests.kubectl import PROBLEM
from tui.core.errors import ConflictError, UsageError
from tui.core.owners import KEEPS, LEAVES, REMOVES, SETS_BACK, STOPS, forced_effect, gitops_owner, tools
from tui.core.ports import DAEMON_SET, Cluster, Object
from tui.core.receipts import Store

MOUNT = "/usr/local/datakit/conf.d/etcd/etcd.conf"


@pytest.fixture
def place(admin: Cluster, namespace: str, tmp_path: Path) -> Place:
    return Place(admin, namespace, Store(tmp_path))


def daemon_set(place: Place) -> Object:
    return place.cluster.get(DAEMON_SET, place.namespace, "datakit")


def container(place: Place) -> Object:
    found: Object = daemon_set(place)["spec"]["template"]["spec"]["containers"][0]
    return found


def added(place: Place) -> bool:
    """Whether what we added is there."""
    return MOUNT in {mount["mountPath"] for mount in container(place)["volumeMounts"]}


def name_of(place: Place) -> str:
    env = {entry["name"]: entry.get("value", "") for entry in container(place)["env"]}
    return env["ENV_CLUSTER_NAME_K8S"]


def three_way(place: Place, manager: str) -> None:
    """The vendor's manifest once more by a client's three-way patch: with nothing removed from it, what differs from
    the live object is set to the manifest's value."""
    body = vendor_daemon_set(place.namespace)
    place.cluster.patch(DAEMON_SET, place.namespace, "datakit", body, manager=manager, dry_run=False)


def applied(place: Place, manager: str, *, force: bool) -> None:
    body = vendor_daemon_set(place.namespace)
    place.cluster.apply(DAEMON_SET, place.namespace, "datakit", body, manager=manager, dry_run=False, force=force)


def set_env(place: Place, manager: str) -> None:
    """`kubectl set env` on our key."""
    one = {"name": "datakit", "env": [{"name": "ENV_CLUSTER_NAME_K8S", "value": "theirs"}]}
    body = {"spec": {"template": {"spec": {"containers": [one]}}}}
    place.cluster.patch(DAEMON_SET, place.namespace, "datakit", body, manager=manager, dry_run=False)


@pytest.mark.parametrize(
    ("manager", "operation", "force", "tool"),
    [
        ("kubectl-client-side-apply", "Update", False, "kubectl apply"),
        ("helm", "Update", False, "Helm 3"),
        ("helm", "Apply", False, "Helm 4"),
        ("argocd-controller", "Apply", True, "Argo CD"),
    ],
)
def test_the_next_sync_does_what_was_said(place: Place, manager: str, operation: str, force: bool, tool: str) -> None:
    if operation == "Update":
        place.install("setup")
        # The tool's own first write makes it the manager of what it manages.
        body = vendor_daemon_set(place.namespace, ENV_CLUSTER_NAME_K8S="first")
        place.cluster.patch(DAEMON_SET, place.namespace, "datakit", body, manager=manager, dry_run=False)
        three_way(place, manager)
    else:
        place.install(manager)
    plan = place.plan()
    (said,) = tools(daemon_set(place))
    assert said.name == tool
    (conflict,) = [each for change in plan.changes for each in change.conflicts]
    assert conflict.field == ENV
    effect = forced_effect(daemon_set(place), manager, operation)
    assert effect == said.forced
    place.apply(CONF, forced=(ENV,))
    assert name_of(place) == NAME

    if operation == "Update":
        three_way(place, manager)
    elif effect == STOPS:
        with pytest.raises(ConflictError) as caught:
            applied(place, manager, force=force)
        assert {each.manager for each in caught.value.conflicts} == {"datakit-wizard"}
    else:
        applied(place, manager, force=force)
    assert said.added == KEEPS
    assert added(place)
    assert name_of(place) == {SETS_BACK: "default", STOPS: NAME}[effect]


def test_a_value_written_by_hand_is_left_alone_and_taken_knowingly(place: Place) -> None:
    place.install()
    set_env(place, "kubectl-set")
    assert forced_effect(daemon_set(place), "kubectl-set", "Update") == LEAVES
    place.cluster.patch(
        DAEMON_SET,
        place.namespace,
        "datakit",
        {"spec": {"template": {"spec": {"containers": [{"name": "datakit", "env": [_default()]}]}}}},
        manager="kubectl-set",
        dry_run=False,
    )
    place.apply(CONF, forced=(ENV,))
    set_env(place, "kubectl-set")
    one = {"name": "datakit", "env": [{"name": "ENV_CLUSTER_NAME_K8S", "value": NAME}]}
    ours = {"spec": {"template": {"spec": {"containers": [one]}}}}
    with pytest.raises(ConflictError) as caught:
        place.cluster.apply(DAEMON_SET, place.namespace, "datakit", ours, manager="datakit-wizard", dry_run=True)
    assert [(each.field, each.manager) for each in caught.value.conflicts] == [(ENV, "kubectl-set")]


@pytest.mark.skipif(bool(PROBLEM), reason=PROBLEM)
def test_kubectl_itself_does_what_was_said(plane: ControlPlane, admin: Cluster, namespace: str, tmp_path: Path) -> None:
    """`kubectl apply` of the vendor's manifest keeps what we added and sets its own value back; `kubectl set env` on
    our key takes it over, and the next plan says so."""
    manifest = tmp_path / "datakit.yaml"
    whole = {"apiVersion": "apps/v1", "kind": "DaemonSet", **vendor_daemon_set(namespace)}
    manifest.write_text(json.dumps(whole))

    def kubectl(*words: str) -> None:
        argv = ["kubectl", "--kubeconfig", str(plane.kubeconfig), "--context", "admin", "-n", namespace, *words]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr

    place = Place(admin, namespace, Store(tmp_path / "state"))
    kubectl("apply", "-f", str(manifest))
    before = place_objects(place)
    (said,) = tools(daemon_set(place))
    assert (said.name, said.added, said.forced) == ("kubectl apply", KEEPS, SETS_BACK)
    place.apply(CONF, forced=(ENV,))
    assert (added(place), name_of(place)) == (True, NAME)

    kubectl("apply", "-f", str(manifest))
    assert (added(place), name_of(place)) == (True, "default")
    (conflict,) = [each for change in place.plan().changes for each in change.conflicts]
    assert (conflict.field, conflict.manager) == (ENV, "kubectl-client-side-apply")

    place.apply(CONF, forced=(ENV,))
    kubectl("set", "env", "daemonset/datakit", "ENV_CLUSTER_NAME_K8S=theirs")
    assert forced_effect(daemon_set(place), "kubectl-set", "Update") == LEAVES
    with pytest.raises(UsageError, match="differs from what this cluster's DataKit reports: theirs"):
        place.plan()  # another name by now: which of the two is meant has to be answered

    place.undo()
    place.undo()
    assert (added(place), name_of(place)) == (False, "theirs"), "what they wrote since stays"
    kubectl("apply", "-f", str(manifest))
    assert place_objects(place) == before


def place_objects(place: Place) -> Object:
    """The DaemonSet's spec, which kubectl and we change."""
    found: Object = comparable(daemon_set(place), ownership=False)["spec"]
    return found


def _default() -> dict[str, str]:
    return {"name": "ENV_CLUSTER_NAME_K8S", "value": "default"}


def test_a_replaced_object_loses_what_was_added_and_another_apply_brings_it_back(place: Place) -> None:
    """Argo CD with Replace=true, `kubectl replace` and Helm's forced replace: a PUT of the manifest."""
    place.install("argocd-controller")
    marks = {"metadata": {"annotations": {"argocd.argoproj.io/sync-options": "Replace=true"}}}
    place.cluster.patch(DAEMON_SET, place.namespace, "datakit", marks, manager="argocd-controller", dry_run=False)
    (said,) = tools(daemon_set(place))
    assert said.added == REMOVES
    assert gitops_owner(daemon_set(place)) == "Argo CD"
    before = daemon_set(place)
    plan = place.plan(forced=(ENV,))
    assert plan.source == "Argo CD"
    assert any("export" in note for note in plan.notes)
    place.carry_out(plan)
    after = place.objects()
    replaced = {**before, "metadata": {k: v for k, v in before["metadata"].items() if k != "resourceVersion"}}
    replaced["metadata"].pop("managedFields")
    path = f"/apis/apps/v1/namespaces/{place.namespace}/daemonsets/datakit"
    query = [("fieldManager", "argocd-controller")]
    place.cluster._ask("put", path, "datakit", body=replaced, query=query, writing=True)
    assert not added(place)
    place.apply(CONF, forced=(ENV,))
    assert added(place)
    assert name_of(place) == NAME
    again = comparable(daemon_set(place), ownership=False)
    assert again["spec"] == after["DaemonSet"]["spec"]
