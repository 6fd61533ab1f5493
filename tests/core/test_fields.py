"""Single fields of objects, named as the API server names them."""

from __future__ import annotations

from tests.core.objects import daemon_set
from tui.core import fields
from tui.core.fields import MISSING, Item

POD = ("spec", "template", "spec")
ENV = (*POD, "containers", Item("name", "datakit"), "env", Item("name", "A"), "value")
BODY = {
    "apiVersion": "apps/v1",
    "kind": "DaemonSet",
    "metadata": {"name": "datakit", "uid": "u", "annotations": {"x": "1"}},
    "spec": {
        "template": {
            "spec": {
                "containers": [{"name": "datakit", "env": [{"name": "A", "value": "1"}, {"name": "B"}]}],
                "tolerations": [{"operator": "Exists"}],
            }
        }
    },
}


def test_leaves_are_named_as_conflicts_name_them() -> None:
    assert {fields.text(path): value for path, value in fields.leaves(BODY).items()} == {
        ".metadata.annotations.x": "1",
        '.spec.template.spec.containers[name="datakit"].env[name="A"].value': "1",
        '.spec.template.spec.containers[name="datakit"].env[name="B"]': {},
        ".spec.template.spec.tolerations": [{"operator": "Exists"}],
    }
    assert fields.leaves({}) == {}
    assert fields.text(("data", "etcd.conf")) == ".data.etcd.conf"


def test_a_partial_object_is_made_of_its_leaves() -> None:
    names = {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "datakit", "uid": "u"}}
    assert fields.partial(names, fields.leaves(BODY)) == BODY
    assert names["metadata"] == {"name": "datakit", "uid": "u"}


def test_without_drops_items_that_are_left_empty() -> None:
    smaller = fields.without(BODY, [fields.text(ENV), ".metadata.annotations.x"])
    (container,) = smaller["spec"]["template"]["spec"]["containers"]
    assert container == {"name": "datakit", "env": [{"name": "B"}]}
    assert smaller["metadata"] == {"name": "datakit", "uid": "u"}


def test_look_and_put() -> None:
    obj = daemon_set()
    assert fields.look(obj, ENV) is MISSING
    fields.put(obj, ENV, "2")
    assert fields.look(obj, ENV) == "2"
    assert fields.look(obj, (*POD, "volumes", Item("name", "rootfs"), "hostPath", "path")) == "/"
    assert fields.look({"data": None}, ("data", "etcd.conf")) is MISSING


def test_owners_are_those_of_this_very_field() -> None:
    """`f:data: {}` is the map itself, without any of its keys (seen once another took all of them over)."""
    obj = {
        "metadata": {
            "managedFields": [
                {"manager": "a", "operation": "Update", "fieldsV1": {"f:data": {}}},
                {"manager": "b", "operation": "Apply", "fieldsV1": {"f:data": {"f:etcd.conf": {}}}},
                {"manager": "c", "operation": "Update", "subresource": "status", "fieldsV1": {"f:data": {}}},
            ]
        }
    }
    assert fields.owners(obj, ("data", "etcd.conf")) == [("b", "Apply")]
    assert fields.owners(obj, ("data",)) == [("a", "Update"), ("b", "Apply")]
