"""The Role that `rbac` prints suffices: with just these rights everything is done, with the lesser ones all is seen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from changes import CONF, Place, roll_out
from control_planes import ControlPlane

from tui.core import actions
from tui.core import undo as undoing
from tui.core.errors import ForbiddenError, RefusedError
from tui.core.ports import CONFIG_MAP, DAEMON_SET, NAMESPACE, POD, Access, Cluster, Kind
from tui.core.receipts import Receipt, Store
from tui.core.rights import role
from tui.core.survey import find_datakit, survey, wanted_rights

KINDS = {
    "Role": Kind("rbac.authorization.k8s.io/v1", "Role", "roles"),
    "RoleBinding": Kind("rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings"),
    "ClusterRole": Kind("rbac.authorization.k8s.io/v1", "ClusterRole", "clusterroles", namespaced=False),
    "ClusterRoleBinding": Kind(
        "rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "clusterrolebindings", namespaced=False
    ),
}


class Rolled:
    """A client of a user, while a DaemonSet's controller does its work with rights of its own."""

    def __init__(self, user: Cluster, controller: Cluster) -> None:
        self._user, self._controller = user, controller

    def __getattr__(self, name: str) -> Any:
        return getattr(self._user, name)

    def wait_rollout(self, namespace: str, name: str, generation: int, **options: Any) -> Any:
        roll_out(self._controller, namespace, name)
        return self._user.wait_rollout(namespace, name, generation, **options)


class Person(Place):
    """The place through the client of somebody who has just the printed rights."""

    admin: Cluster

    def carry_out(self, plan: Any) -> Receipt:
        return actions.apply(Rolled(self.cluster, self.admin), plan, None, self.store, on_event=self._say)

    def undo(self, receipt: Receipt | None = None) -> Receipt:
        chosen = receipt or self.store.newest(self.look().uid, self.namespace)
        assert chosen is not None
        return undoing.undo(Rolled(self.cluster, self.admin), chosen, None, self.store, on_event=self._say)


@pytest.fixture
def granted(plane: ControlPlane, admin: Cluster, namespace: str, tmp_path: Path) -> Callable[[bool], Person]:
    """Grants the printed rights to the user `viewer`, who had none, and gives the place as they see it."""

    def grant(verify_only: bool) -> Person:
        Place(admin, namespace, Store(tmp_path / "admin")).install()
        text = role(namespace, verify_only=verify_only).replace("$USER_NAME", "viewer")
        for document in yaml.safe_load_all(text):
            metadata = document["metadata"]
            if metadata.get("namespace"):
                admin.apply(NAMESPACE, "", metadata["namespace"], {}, manager="admin", dry_run=False)
            kind = KINDS[document["kind"]]
            body = {**document, "metadata": {}}
            admin.apply(kind, metadata.get("namespace", ""), metadata["name"], body, manager="admin", dry_run=False)
        person = Person(plane.cluster("viewer"), namespace, Store(tmp_path))
        person.admin = admin
        return person

    return grant


def test_everything_is_done_with_the_printed_rights(granted: Callable[[bool], Person], admin: Cluster) -> None:
    person = granted(False)
    before = person.objects()
    look = person.look()
    assert all(allowed for _access, allowed in look.rights), look.rights
    assert look.uid == admin.get(NAMESPACE, "", "kube-system")["metadata"]["uid"]
    assert not [note for note in look.notes if "may not" in note]
    receipt = person.apply(CONF, name="default")
    assert receipt.complete
    assert person.objects()["ConfigMap"]["data"]["etcd.conf"] == CONF
    person.undo()
    assert person.objects() == before


def test_with_the_lesser_rights_all_is_seen_and_nothing_can_be_changed(granted: Callable[[bool], Person]) -> None:
    person = granted(True)
    look = person.look()
    missing = [str(access) for access, allowed in look.rights if not allowed]
    assert missing == ["patch configmaps datakit-conf", "patch daemonsets.apps datakit"]
    plan = person.plan(name="default")
    assert plan.has_changes
    assert len(plan.blockers()) == 2
    with pytest.raises(RefusedError, match="cannot be applied"):
        person.carry_out(plan)
    for kind, name in ((CONFIG_MAP, "datakit-conf"), (DAEMON_SET, "datakit")):
        with pytest.raises(ForbiddenError):
            person.cluster.apply(kind, person.namespace, name, {}, manager="datakit-wizard", dry_run=True)


def test_one_rules_review_says_the_same_as_a_review_of_each(granted: Callable[[bool], Person]) -> None:
    person = granted(False)
    datakit = find_datakit(person.cluster, person.namespace)[0]
    assert survey(person.cluster, datakit, reviews=False).rights == survey(person.cluster, datakit).rights


def test_the_neighbours_are_out_of_reach(granted: Callable[[bool], Person]) -> None:
    person = granted(False)
    namespace = person.namespace
    beyond = [
        Access("patch", CONFIG_MAP, namespace, "kube-root-ca.crt"),
        Access("delete", DAEMON_SET, namespace, "datakit"),
        Access("delete", POD, "kube-system"),
        Access("get", Kind("v1", "Secret", "secrets"), namespace),
    ]
    assert list(person.cluster.allowed(beyond)) == [False] * len(beyond)
    assert all(person.cluster.allowed(wanted_rights(person.look().datakit)))
