"""Reading managedFields."""

from __future__ import annotations

from tests.core.objects import daemon_set
from tui.core.ownership import FIELD_MANAGER, gitops_owner, managers, owned, owner_notes


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


def test_owners_by_their_signs() -> None:
    helm = daemon_set()
    helm["metadata"]["annotations"] = {"meta.helm.sh/release-name": "datakit"}
    assert gitops_owner(helm) == "Helm"
    argo = daemon_set()
    argo["metadata"]["managedFields"].append({"manager": "argocd-controller", "operation": "Apply"})
    assert gitops_owner(argo) == "Argo CD"
    fleet = daemon_set()
    fleet["metadata"]["labels"]["objectset.rio.cattle.io/id"] = "x"
    assert owner_notes(fleet)[0].startswith("Rancher Fleet")
    assert gitops_owner(daemon_set()) == ""
