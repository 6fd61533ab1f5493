"""What a client notices: the same answers from the practice control plane and from a real kube-apiserver.

The expected statuses and texts are kube-apiserver 1.36.2's. They are held against a real one too, where
KUBEBUILDER_ASSETS names it.
"""

from __future__ import annotations

import base64
import http.client
import json
import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
import yaml
from kubernetes_refusals import (
    APPLY,
    DEPLOYMENTS,
    JSON,
    JSON_PATCH,
    MAPS,
    MERGE,
    RBAC,
    REFUSED,
    REFUSED_SETS,
    SECRETS,
    SETS,
    SPACE,
    STRATEGIC,
    Obj,
    config_map,
    daemon_set,
    deployment,
    secret,
)

from tests.backend.control_planes import NO_SERVER, practice, real, real_binaries


@dataclass
class Answer:
    """An HTTP answer; `body` is parsed where it is JSON."""

    status: int
    body: Any
    warnings: list[str]

    @property
    def message(self) -> str:
        return str(self.body["message"])


class Server:
    """A control plane, asked as its administrator."""

    def __init__(self, kubeconfig: Path) -> None:
        config = yaml.safe_load(kubeconfig.read_text())
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        ca = base64.b64decode(cluster["certificate-authority-data"]).decode()
        self.tls = ssl.create_default_context(cadata=ca)
        paths = []
        for name in ("client-certificate-data", "client-key-data"):
            paths.append(kubeconfig.with_name(name))
            paths[-1].touch(mode=0o600)
            paths[-1].write_bytes(base64.b64decode(user[name]))
        self.tls.load_cert_chain(*paths)
        self.address = urlsplit(cluster["server"])

    def send(self, method: str, path: str, body: Any = None, kind: str = JSON, **query: str) -> Answer:
        """One request; a text is sent as it is, anything else as JSON."""
        port = self.address.port
        connection = http.client.HTTPSConnection("127.0.0.1", port, context=self.tls, timeout=30)
        try:
            data = body if isinstance(body, str) else None if body is None else json.dumps(body)
            headers = {"Accept": JSON, "User-Agent": "same/1.0"} | ({"Content-Type": kind} if data is not None else {})
            connection.request(method, f"{path}?{urlencode(query)}", data and data.encode(), headers)
            answer = connection.getresponse()
            text = answer.read().decode()
            try:
                found = json.loads(text)
            except ValueError:
                found = text
            return Answer(answer.status, found, answer.headers.get_all("Warning") or [])
        finally:
            connection.close()

    def ask(self, path: str, **headers: str) -> Answer:
        """A GET with headers of its own."""
        connection = http.client.HTTPSConnection("127.0.0.1", self.address.port, context=self.tls, timeout=30)
        try:
            connection.request("GET", path, headers={name.replace("_", "-"): text for name, text in headers.items()})
            answer = connection.getresponse()
            return Answer(answer.status, answer.read().decode(), [])
        finally:
            connection.close()

    def apply(self, path: str, body: Any, manager: str = "us", **query: str) -> Answer:
        return self.send("PATCH", path, body, APPLY, fieldManager=manager, **query)


@pytest.fixture(scope="module", params=["practice", "kube-apiserver"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    binaries = real_binaries()
    if request.param == "kube-apiserver" and binaries is None:
        pytest.skip(NO_SERVER)
    with ExitStack() as stack:
        place = practice() if request.param == "practice" or binaries is None else real(binaries)
        found = Server(stack.enter_context(place).kubeconfig)
        space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "same"}}
        assert found.send("POST", "/api/v1/namespaces", space).status == 201
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
        assert found.send("POST", f"{SPACE}/serviceaccounts", account).status == 201
        yield found


@pytest.mark.parametrize("at", range(len(REFUSED_SETS)), ids=lambda at: REFUSED_SETS[at][1])
def test_a_daemon_set_is_refused(at: int, server: Server) -> None:
    body, field, text = REFUSED_SETS[at]
    answer = server.send("POST", SETS, body, dryRun="All")
    assert answer.status == 422
    causes = {cause["field"]: cause["message"] for cause in answer.body["details"]["causes"]}
    assert causes[f"spec.template.spec.{field}"] == text


@pytest.fixture(scope="module")
def kept(server: Server) -> Server:
    """A server with a ConfigMap and a DaemonSet named `kept`."""
    assert server.send("POST", MAPS, config_map("kept", {"a": "1"})).status == 201
    body = daemon_set()
    body["metadata"]["name"] = "kept"
    assert server.send("POST", SETS, body).status == 201
    return server


@pytest.mark.parametrize("at", range(len(REFUSED)), ids=lambda at: f"{at}-{REFUSED[at][0]}")
def test_a_request_is_refused(at: int, kept: Server) -> None:
    method, path, kind, body, status, message = REFUSED[at]
    query = {"fieldManager": "us"} if kind == APPLY else {}
    answer = kept.send(method, path, body, kind, **query)
    assert answer.status == status, answer.body
    if message.endswith("…"):
        assert answer.message.startswith(message[:-1])
    else:
        assert answer.message == message


def test_every_wrong_label_of_a_namespace_is_told_as_often_as_it_is_checked(server: Server) -> None:
    answer = server.send("PATCH", SPACE, {"metadata": {"labels": {"ok": "bad value!"}}}, MERGE)
    assert len(answer.body["details"]["causes"]) == 4


def test_a_create_that_is_invalid_and_forbidden_is_told_as_invalid(server: Server) -> None:
    body = {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "fresh"}}
    answer = server.apply(f"{SETS}/fresh", body)
    assert answer.status == 422


# -- what is accepted, and what becomes of it


def test_a_cluster_wide_object_may_name_a_namespace(server: Server) -> None:
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "other", "namespace": "foo"}}
    answer = server.send("POST", "/api/v1/namespaces", body)
    assert answer.status == 201
    assert "namespace" not in answer.body["metadata"]


def test_a_new_object_brings_no_deletion_along(server: Server) -> None:
    meta = {"generation": 9, "deletionTimestamp": "2020-01-01T00:00:00Z", "deletionGracePeriodSeconds": 3}
    made = server.send("POST", MAPS, config_map("leaving", {"a": "1"}, **meta)).body["metadata"]
    assert made["generation"] == 9
    assert not {"deletionTimestamp", "deletionGracePeriodSeconds"} & made.keys()
    assert made["managedFields"][0]["fieldsV1"] == {"f:data": {".": {}, "f:a": {}}}


def test_an_owner_is_owned_as_a_whole(server: Server) -> None:
    owner = {"apiVersion": "v1", "kind": "Pod", "name": "x", "uid": "y"}
    made = server.apply(f"{MAPS}/owned", config_map("owned", ownerReferences=[owner])).body["metadata"]
    assert made["managedFields"][0]["fieldsV1"] == {"f:metadata": {"f:ownerReferences": {'k:{"uid":"y"}': {}}}}


def test_yaml_keys_that_are_booleans(server: Server) -> None:
    text = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: yaml\n  annotations:\n    n: ''\n"
    made = server.apply(f"{MAPS}/yaml", text)
    assert made.status == 201, made.body
    assert made.body["metadata"]["annotations"] == {"false": ""}


def test_dry_run_may_be_said_twice(server: Server) -> None:
    answer = server.send("PATCH", f"{MAPS}/twice?dryRun=All&dryRun=All&fieldManager=us&", config_map("twice"), APPLY)
    assert answer.status == 201


def test_a_strategic_patch_puts_its_values_first_and_keeps_the_kind(server: Server) -> None:
    server.send("POST", MAPS, config_map("fin", finalizers=["a/b"]))
    answer = server.send("PATCH", f"{MAPS}/fin", {"kind": "Odd", "metadata": {"finalizers": ["c/d"]}}, STRATEGIC)
    assert (answer.status, answer.body["kind"]) == (200, "ConfigMap")
    assert answer.body["metadata"]["finalizers"] == ["c/d", "a/b"]


def test_json_patch_copies_what_is_not_there_as_nothing(server: Server) -> None:
    server.send("POST", MAPS, config_map("copy", {"a": "1"}))
    answer = server.send("PATCH", f"{MAPS}/copy", [{"op": "copy", "from": "/data/none", "path": "/data/b"}], JSON_PATCH)
    assert answer.body["data"] == {"a": "1", "b": ""}


def test_the_manager_kubectl_keeps_empty_annotations_in_what_it_applied_last(server: Server) -> None:
    last = "kubectl.kubernetes.io/last-applied-configuration"
    body = config_map("last", {"a": "1"}, annotations={last: "mine"})
    made = server.apply(f"{MAPS}/last", body, "kubectl").body
    assert json.loads(made["metadata"]["annotations"][last])["metadata"] == {"annotations": {}, "name": "last"}


def test_amounts_are_rounded_up_to_thousandths(server: Server) -> None:
    body = daemon_set({"resources": {"limits": {"cpu": "0.1234567", "memory": "1073741824"}}})
    made = server.send("POST", SETS, body, dryRun="All").body
    limits = made["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]
    assert limits == {"cpu": "124m", "memory": "1073741824"}


@pytest.mark.parametrize(
    ("body", "warning"),
    [
        (daemon_set({"ports": [{"containerPort": 80}, {"containerPort": 80}]}),
         "spec.template.spec.containers[0].ports[1]: duplicate port definition with "
         "spec.template.spec.containers[0].ports[0]"),
        (daemon_set(terminationGracePeriodSeconds=-1),
         "spec.template.spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be "
         "treated as 1"),
        (daemon_set(imagePullSecrets=[{}]), 'spec.template.spec.imagePullSecrets[0].name: invalid empty name ""'),
    ],
    ids=["ports", "grace", "pull-secrets"],
)  # fmt: skip
def test_warnings(body: Obj, warning: str, server: Server) -> None:
    answer = server.send("POST", SETS, body, dryRun="All")
    assert answer.status == 201
    assert answer.warnings == [f"299 - {json.dumps(warning)}"]


def test_a_secret_for_tls_without_pem_is_taken_with_a_warning(server: Server) -> None:
    body = secret("tls", type="kubernetes.io/tls", data={"tls.crt": "eA==", "tls.key": "eA=="})
    answer = server.send("POST", SECRETS, body)
    assert (answer.status, answer.warnings) == (201, ['299 - "tls: failed to find any PEM data in certificate input"'])


def test_a_deletion_can_only_be_hurried(server: Server) -> None:
    spec = {"nodeName": "n9", "containers": [{"name": "c", "image": "i"}]}
    server.send("POST", f"{SPACE}/pods", {"metadata": {"name": "p"}, "spec": spec})
    graces = [
        server.send("DELETE", f"{SPACE}/pods/p", options).body["metadata"]["deletionGracePeriodSeconds"]
        for options in ({"gracePeriodSeconds": 5}, None, {"gracePeriodSeconds": 2}, {"gracePeriodSeconds": 0})
    ]
    assert graces == [5, 5, 2, 0]
    assert server.send("GET", f"{SPACE}/pods/p").status == 404


def test_deleting_a_pod_of_no_node_tells_it_as_it_went(server: Server) -> None:
    body = {"metadata": {"name": "q"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    server.send("POST", f"{SPACE}/pods", body)
    meta = server.send("DELETE", f"{SPACE}/pods/q", dryRun="All").body["metadata"]
    assert (meta["deletionGracePeriodSeconds"], meta["generation"]) == (0, 2)
    assert meta["deletionTimestamp"]


def test_pages_by_a_selector(server: Server) -> None:
    """Whether there is more is said of all objects: the last page may be empty. Version 0 is told whole."""
    for name, label in (("p1", "x"), ("p2", "x"), ("p3", "y")):
        server.send("POST", MAPS, config_map(name, labels={"page": label}))
    first = server.send("GET", MAPS, labelSelector="page=x", limit="2").body
    assert [item["metadata"]["name"] for item in first["items"]] == ["p1", "p2"]
    more = {"continue": first["metadata"]["continue"]}
    rest = server.send("GET", MAPS, labelSelector="page=x", limit="2", **more).body
    assert rest["items"] == []
    whole = server.send("GET", MAPS, resourceVersion="0", limit="1").body
    assert len(whole["items"]) > 1
    one = server.send("GET", MAPS, fieldSelector="metadata.name=p1", limit="1").body
    assert (len(one["items"]), "continue" in one["metadata"]) == (1, False)


def test_events_always_say_who_reports(server: Server) -> None:
    involved = {"kind": "Pod", "namespace": "same", "name": "p"}
    body = {"metadata": {"name": "e"}, "involvedObject": involved, "reason": "R", "type": "Normal"}
    made = server.send("POST", f"{SPACE}/events", body).body
    assert (made["reportingComponent"], made["reportingInstance"]) == ("", "")
    other = server.send("GET", "/apis/events.k8s.io/v1/namespaces/same/events/e").body
    assert not {"reportingController", "reportingInstance"} & other.keys()


def test_the_pod_network_of_a_node_is_written_twice_and_stays(server: Server) -> None:
    body = {"metadata": {"name": "net"}, "spec": {"podCIDR": "10.1.0.0/24"}}
    assert server.send("POST", "/api/v1/nodes", body).body["spec"]["podCIDRs"] == ["10.1.0.0/24"]
    answer = server.send("PATCH", "/api/v1/nodes/net", {"spec": {"podCIDR": "10.2.0.0/24"}}, MERGE)
    assert answer.status == 422


def test_head_is_not_served(server: Server) -> None:
    assert server.send("HEAD", MAPS).status == 405
    assert server.send("HEAD", "/version").status == 405


def test_a_deployment_is_applied_in_part(server: Server) -> None:
    """Annotations of a pod template: owned, fought over, forced and left, with the generation that each step counts."""
    path, key = f"{DEPLOYMENTS}/web", "datakit/prom.instances"
    assert server.send("POST", DEPLOYMENTS, deployment("web", replicas=2)).status == 201

    def noted(**found: str) -> Obj:
        template = {"metadata": {"annotations": found}}
        return {"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"template": template}}

    def seen() -> tuple[Any, int, set[str]]:
        item = server.send("GET", path).body
        owners = {entry["manager"] for entry in item["metadata"]["managedFields"]}
        return item["spec"]["template"]["metadata"].get("annotations"), item["metadata"]["generation"], owners

    body = noted(**{key: "x", "b": "2"})
    assert server.apply(path, body, dryRun="All", fieldValidation="Strict").body["metadata"]["generation"] == 2
    assert seen() == (None, 1, {"same"})
    assert server.apply(path, body).status == 200
    assert server.apply(path, body).status == 200
    assert seen() == ({key: "x", "b": "2"}, 2, {"same", "us"})
    refused = server.apply(path, noted(**{key: "y"}), "them")
    text = f'Apply failed with 1 conflict: conflict with "us": .spec.template.metadata.annotations.{key}'
    assert (refused.status, refused.message) == (409, text)
    assert server.apply(path, noted(**{key: "y"}), "them", force="true").status == 200
    assert server.apply(path, noted(), "us").status == 200
    assert seen() == ({key: "y"}, 4, {"same", "us", "them"})  # an empty map is a claim as well
    for manager in ("us", "them"):
        assert server.apply(path, {"apiVersion": "apps/v1", "kind": "Deployment"}, manager).status == 200
    assert seen() == (None, 5, {"same"})
    unknown = server.apply(path, {"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"replica": 3}})
    assert (unknown.status, "field not declared in schema" in unknown.message) == (500, True)
    moved = {"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"selector": {"matchLabels": {"app": "other"}}}}
    causes = server.apply(path, moved, force="true").body["details"]["causes"]
    assert [cause["field"] for cause in causes] == ["spec.template.metadata.labels", "spec.selector"]


def test_the_status_of_a_deployment(server: Server) -> None:
    """Its numbers must go together, and the labels of the object are none of its business."""
    path = f"{DEPLOYMENTS}/counted/status"
    assert server.send("POST", DEPLOYMENTS, deployment("counted")).status == 201
    wrong = server.send("PATCH", path, {"status": {"replicas": 1, "readyReplicas": 5}}, MERGE)
    why = "status.readyReplicas: Invalid value: 5: cannot be greater than status.replicas"
    assert (wrong.status, wrong.message) == (422, f'Deployment.apps "counted" is invalid: {why}')
    change = {"metadata": {"labels": {"a": "b"}}, "status": {"replicas": 1, "readyReplicas": 1}}
    item = server.send("PATCH", path, change, MERGE).body
    assert ("labels" in item["metadata"], item["status"]["readyReplicas"]) == (False, 1)
    assert "f:metadata" not in item["metadata"]["managedFields"][-1]["fieldsV1"]


def test_roles_are_made_by_put_and_have_no_empty_rules(server: Server) -> None:
    body = {"metadata": {"name": "put"}, "rules": []}
    made = server.send("PUT", f"{RBAC}/roles/put", body)
    assert (made.status, made.body["rules"]) == (201, None)
    again = server.send("PUT", f"{RBAC}/roles/put", body)
    assert (again.status, again.body["metadata"]["resourceVersion"]) == (200, made.body["metadata"]["resourceVersion"])
    assert server.send("PUT", f"{MAPS}/put", config_map("put")).status == 404


def test_roles_of_people_are_made_of_others(server: Server) -> None:
    role = server.send("GET", "/apis/rbac.authorization.k8s.io/v1/clusterroles/edit").body
    selected = [{"matchLabels": {"rbac.authorization.k8s.io/aggregate-to-edit": "true"}}]
    assert role["aggregationRule"] == {"clusterRoleSelectors": selected}
    assert role["metadata"]["labels"]["rbac.authorization.k8s.io/aggregate-to-admin"] == "true"


def test_lists_are_in_the_order_of_keys(server: Server) -> None:
    """Namespaces are compared with the slash behind them, and tokens go on within the list that they are given to."""
    for name in ("same-a", "same"):
        space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        server.send("POST", "/api/v1/namespaces", space)
        server.send("POST", f"/api/v1/namespaces/{name}/configmaps", config_map("ordered", labels={"ordered": "1"}))
    found = server.send("GET", "/api/v1/configmaps", labelSelector="ordered=1").body["items"]
    assert [item["metadata"]["namespace"] for item in found] == ["same-a", "same"]
    token = server.send("GET", MAPS, limit="1").body["metadata"]["continue"]
    rest = server.send("GET", "/api/v1/configmaps", **{"continue": token}).body["items"]
    assert len(rest) == len(server.send("GET", "/api/v1/configmaps").body["items"])


def test_a_spread_without_a_selector_is_taken_with_a_warning(server: Server) -> None:
    spread = [{"maxSkew": 1, "topologyKey": "a", "whenUnsatisfiable": "DoNotSchedule"}]
    answer = server.send("POST", DEPLOYMENTS, deployment("spread", {"topologySpreadConstraints": spread}), dryRun="All")
    where = "spec.template.spec.topologySpreadConstraints[0].labelSelector"
    assert (answer.status, answer.warnings) == (
        201,
        [f'299 - "{where}: a null labelSelector results in matching no pod"'],
    )


def test_watches_stream_no_yaml_and_may_begin_now(server: Server) -> None:
    query = {"watch": "1", "timeoutSeconds": "1", "sendInitialEvents": "false", "resourceVersionMatch": "NotOlderThan"}
    assert server.send("GET", MAPS, allowWatchBookmarks="true", **query).body == ""
    assert server.ask(f"{MAPS}?watch=1&timeoutSeconds=1", Accept="application/yaml").status == 406


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        ("/healthz/etcd", 200, "ok"),
        ("/openapi/v3/", 404, ""),
        ("/openapi/v3/api/v9", 404, ""),
        ("//api/v1", 404, "404 page not found\n"),
        ("/apis/nosuch/v1", 404, "404 page not found\n"),
    ],
)
def test_paths_beside_the_objects(path: str, status: int, text: str, server: Server) -> None:
    answer = server.ask(path)
    assert (answer.status, answer.body) == (status, text)


def test_nobody_is_made_a_group_without_being_made_a_user(server: Server) -> None:
    answer = server.ask("/version", Impersonate_Group="a")
    assert answer.status == 400
    why = 'requested &user.DefaultInfo{Name:"", UID:"", Groups:[]string{"a"}, Extra:map[string][]string(nil)}'
    assert json.loads(answer.body)["message"] == f"{why} without impersonating a user name"


@pytest.mark.parametrize("kind", ["RoleBinding", "ClusterRoleBinding"])
def test_what_bindings_are_shown_with(kind: str, server: Server) -> None:
    path = f"/apis/rbac.authorization.k8s.io/v1/{kind.lower()}s"
    table = json.loads(server.ask(path, Accept="application/json;as=Table;v=v1;g=meta.k8s.io").body)
    told = {each["name"]: each["description"] for each in table["columnDefinitions"]}["Role"]
    assert told.startswith("RoleRef can ")
    assert told.endswith("the Authorizer must return an error.")


def test_what_an_apply_empties_is_still_there(server: Server) -> None:
    """A struct of which its owner gives all fields up, but not the struct."""
    path = f"{DEPLOYMENTS}/emptied"
    assert server.send("POST", DEPLOYMENTS, deployment("emptied")).status == 201

    def placed(affinity: Obj) -> Any:
        body = {"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"template": {"spec": {"affinity": affinity}}}}
        return server.apply(path, body).body["spec"]["template"]["spec"].get("affinity")

    terms = [{"weight": 1, "preference": {"matchExpressions": [{"key": "a", "operator": "Exists"}]}}]
    full = {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": terms}}
    assert placed(full) == full
    assert placed({"nodeAffinity": {}}) == {"nodeAffinity": {}}
    assert placed({}) == {}


@pytest.mark.parametrize(
    ("pod", "status", "text"),
    [
        ({"nodeSelector": {"$patch": "odd"}}, 500, "unknown patch type: odd in map: map[$patch:odd]"),
        ({"containers": [{"$patch": "odd"}]}, 500, "unknown patch type: odd in map: map[$patch:odd]"),
        ({"terminationGracePeriodSeconds": "x"}, 422, "unrecognized type: int64"),
        ({"hostNetwork": 1}, 422, "unrecognized type: bool"),
        ({"nodeName": 5}, 422, "cannot convert int64 to string"),
    ],
)
def test_a_strategic_patch_is_refused(pod: Obj, status: int, text: str, server: Server) -> None:
    path = f"{DEPLOYMENTS}/patched"
    server.send("POST", DEPLOYMENTS, deployment("patched", {"nodeSelector": {"a": "b"}}))
    answer = server.send("PATCH", path, {"spec": {"template": {"spec": pod}}}, STRATEGIC)
    assert answer.status == status
    assert answer.message.endswith(text)


def test_a_directive_about_what_is_not_there_says_nothing(server: Server) -> None:
    path = f"{DEPLOYMENTS}/directed"
    before = server.send("POST", DEPLOYMENTS, deployment("directed")).body
    for directive in ("replace", "delete", "merge"):
        change = {"spec": {"template": {"spec": {"affinity": {"$patch": directive, "nodeAffinity": {}}}}}}
        assert server.send("PATCH", path, change, STRATEGIC).body["metadata"] == before["metadata"]


def test_a_local_review_is_about_its_own_namespace(server: Server) -> None:
    path = "/apis/authorization.k8s.io/v1/namespaces/same/localsubjectaccessreviews"
    asked = {"verb": "get", "resource": "pods", "namespace": "default"}
    body = {"metadata": {"namespace": "same"}, "spec": {"user": "editor", "resourceAttributes": asked}}
    answer = server.send("POST", path, body)
    why = 'spec.resourceAttributes.namespace: Invalid value: "default": must match metadata.namespace'
    assert (answer.status, answer.message) == (422, f'.authorization.k8s.io "" is invalid: {why}')
    body["spec"]["resourceAttributes"]["namespace"] = "same"
    assert server.send("POST", path, body).body["status"] == {"allowed": False}
