"""Reading managedFields."""

from __future__ import annotations

from typing import Any

import pytest

from tests.core.objects import daemon_set
from tui.core.owners import (
    KEEPS,
    LEAVES,
    MAY_REMOVE,
    REMOVES,
    SETS_BACK,
    STOPS,
    forced_effect,
    forced_note,
    gitops_owner,
    owner_notes,
    resync,
    tools,
)
from tui.core.ownership import FIELD_MANAGER, managers, owned


def ours(fields: dict[str, object]) -> dict[str, object]:
    return {"manager": FIELD_MANAGER, "operation": "Apply", "apiVersion": "apps/v1", "fieldsV1": fields}


def test_nothing_of_ours_is_none() -> None:
    assert owned(daemon_set()) is None


def test_what_we_own_is_the_body_that_would_apply_it_again() -> None:
    obj = daemon_set()
    pod = obj["spec"]["template"]["spec"]
    obj["spec"]["template"]["metadata"]["annotations"] = {"datakit-wizard/etcd-conf-sha256": "abc", "other": "x"}
    pod["containers"][0]["volumeMounts"].append(
        {"mountPath": "/conf", "name": "datakit-conf", "subPath": "etcd.conf", "readOnly": True}
    )
    obj["metadata"]["managedFields"].append(
        ours(
            {
                "f:spec": {
                    "f:template": {
                        "f:metadata": {"f:annotations": {"f:datakit-wizard/etcd-conf-sha256": {}}},
                        "f:spec": {
                            "f:containers": {
                                'k:{"name":"datakit"}': {
                                    ".": {},
                                    "f:name": {},
                                    "f:volumeMounts": {
                                        'k:{"mountPath":"/conf"}': {
                                            ".": {},
                                            "f:mountPath": {},
                                            "f:name": {},
                                            "f:readOnly": {},
                                            "f:subPath": {},
                                        }
                                    },
                                }
                            },
                            "f:volumes": {
                                'k:{"name":"datakit-conf"}': {
                                    ".": {},
                                    "f:configMap": {"f:name": {}},
                                    "f:name": {},
                                }
                            },
                        },
                    }
                }
            }
        )
    )
    assert owned(obj) == {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "datakit", "namespace": "datakit"},
        "spec": {
            "template": {
                "metadata": {"annotations": {"datakit-wizard/etcd-conf-sha256": "abc"}},
                "spec": {
                    "containers": [
                        {
                            "name": "datakit",
                            "volumeMounts": [
                                {
                                    "mountPath": "/conf",
                                    "name": "datakit-conf",
                                    "subPath": "etcd.conf",
                                    "readOnly": True,
                                }
                            ],
                        }
                    ],
                    "volumes": [{"name": "datakit-conf", "configMap": {"name": "datakit-conf"}}],
                },
            }
        },
    }


def test_an_update_record_under_our_name_is_not_an_apply() -> None:
    obj = daemon_set()
    obj["metadata"]["managedFields"].append({**ours({"f:spec": {}}), "operation": "Update"})
    assert owned(obj) is None


def test_sets_and_items_that_are_gone() -> None:
    obj = daemon_set()
    obj["metadata"]["finalizers"] = ["a"]
    obj["metadata"]["managedFields"].append(
        ours({"f:metadata": {"f:finalizers": {'v:"a"': {}, 'v:"b"': {}}}, "f:spec": {"f:gone": {}}})
    )
    body = owned(obj)
    assert body is not None
    assert body["metadata"]["finalizers"] == ["a"]
    assert body["spec"] == {}


def test_managers_leave_out_status_and_ourselves() -> None:
    obj = daemon_set()
    obj["metadata"]["managedFields"].append(ours({}))
    assert managers(obj) == [("kubectl-client-side-apply", "Update")]


def marked(*managers: tuple[str, str], **annotations: str) -> dict[str, Any]:
    """A DaemonSet with these managers and annotations alone."""
    obj = daemon_set()
    obj["metadata"]["managedFields"] = [{"manager": name, "operation": operation} for name, operation in managers]
    obj["metadata"]["annotations"] = annotations
    return obj


@pytest.mark.parametrize(
    ("obj", "name", "added", "forced"),
    [
        (marked(("helm", "Update")), "Helm 3", KEEPS, SETS_BACK),
        (marked(("helm", "Apply")), "Helm 4", KEEPS, STOPS),
        (marked(**{"meta.helm.sh/release-name": "datakit"}), "Helm", KEEPS, SETS_BACK),
        (marked(("argocd-controller", "Apply")), "Argo CD", KEEPS, SETS_BACK),
        (
            marked(
                **{
                    "argocd.argoproj.io/tracking-id": "a:apps/DaemonSet:datakit/datakit",
                    "argocd.argoproj.io/sync-options": "Prune=false, Replace=true",
                }
            ),
            "Argo CD",
            REMOVES,
            SETS_BACK,
        ),
        (marked(**{"objectset.rio.cattle.io/id": "x"}), "Rancher Fleet", MAY_REMOVE, SETS_BACK),
    ],
)
def test_owners_by_their_signs(obj: dict[str, Any], name: str, added: str, forced: str) -> None:
    (tool,) = tools(obj)
    assert (tool.name, tool.added, tool.forced) == (name, added, forced)
    assert tool.sign in tool.note
    assert gitops_owner(obj) == name
    assert owner_notes(obj)[0].startswith(f"{name}: ")


def test_a_label_of_helm_is_a_sign_too() -> None:
    obj = daemon_set()
    obj["metadata"]["labels"]["app.kubernetes.io/managed-by"] = "Helm"
    assert gitops_owner(obj) == "Helm"
    assert tools(obj)[0].sign == "app.kubernetes.io/managed-by=Helm"


def test_kubectl_holds_no_source() -> None:
    assert gitops_owner(daemon_set()) == ""
    assert [tool.name for tool in tools(daemon_set())] == ["kubectl apply"]


@pytest.mark.parametrize(
    ("manager", "operation", "effect", "word"),
    [
        ("kubectl-client-side-apply", "Update", SETS_BACK, "kubectl apply"),
        ("kubectl-edit", "Update", LEAVES, "kubectl edit"),
        ("Mozilla", "Update", LEAVES, "Rancher"),
        ("somebody", "Apply", STOPS, "somebody"),
    ],
)
def test_what_becomes_of_a_forced_value(manager: str, operation: str, effect: str, word: str) -> None:
    obj = marked((manager, operation))
    assert forced_effect(obj, manager, operation) == effect
    assert word in forced_note(obj, manager, operation)
    assert resync(manager)
