"""The bodies that server-side apply sends."""

from __future__ import annotations

import pytest

from tests.core.objects import Object, daemon_set
from tui.core.errors import RefusedError
from tui.core.manifests import (
    CONF_KEY,
    CONF_PATH,
    HASH_ANNOTATION,
    CertificateMount,
    check_config_map,
    conf_hash,
    config_map_body,
    daemon_set_body,
)
from tui.core.survey import DataKit


def datakit(obj: Object) -> DataKit:
    container = obj["spec"]["template"]["spec"]["containers"][0]
    env = {e["name"]: e["value"] for e in container["env"] if "value" in e}
    return DataKit("datakit", "datakit", "datakit", container["image"], obj, env, frozenset({"NODE"}))


def pod(body: Object) -> Object:
    spec: Object = body["spec"]["template"]["spec"]
    return spec


MOUNT = CertificateMount("etcd-certificates", "/pki", {"hostPath": {"path": "/pki"}})


def test_the_config_map_holds_our_key_alone_and_the_uid_of_the_live_one() -> None:
    body = config_map_body("datakit", "text", {"metadata": {"uid": "u"}, "data": {"container.conf": "x"}})
    assert body["data"] == {CONF_KEY: "text"}
    assert body["metadata"]["uid"] == "u"
    assert "uid" not in config_map_body("datakit", "text", None)["metadata"]


def test_an_immutable_config_map_and_a_full_one_are_refused_in_words() -> None:
    live = {"metadata": {"namespace": "datakit"}, "immutable": True, "data": {}}
    with pytest.raises(RefusedError, match="immutable"):
        check_config_map("x", live)
    full = {"metadata": {"namespace": "datakit"}, "data": {"big": "x" * 1_048_570}}
    with pytest.raises(RefusedError, match="1048576"):
        check_config_map("1234567", full)
    check_config_map("123456", full)


def test_the_vendors_volume_is_used_and_not_claimed() -> None:
    body = daemon_set_body(datakit(daemon_set()), "conf")
    assert "volumes" not in pod(body)
    assert pod(body)["containers"] == [
        {
            "name": "datakit",
            "volumeMounts": [
                {"mountPath": CONF_PATH, "name": "datakit-conf", "subPath": CONF_KEY, "readOnly": True},
            ],
        }
    ]
    assert body["spec"]["template"]["metadata"]["annotations"] == {HASH_ANNOTATION: conf_hash("conf")}
    assert body["metadata"]["uid"] == "ds-uid"


def test_a_missing_volume_is_added_under_a_free_name() -> None:
    obj = daemon_set()
    pod(obj)["volumes"] = [{"name": "datakit-conf", "emptyDir": {}}]
    body = daemon_set_body(datakit(obj), "conf")
    assert pod(body)["volumes"] == [{"name": "datakit-conf-2", "configMap": {"name": "datakit-conf"}}]
    assert pod(body)["containers"][0]["volumeMounts"][0]["name"] == "datakit-conf-2"


def test_a_volume_that_we_added_before_stays_in_the_body() -> None:
    obj = daemon_set()
    pod(obj)["volumes"].append({"name": "etcd-certificates", "hostPath": {"path": "/pki", "type": ""}})
    obj["metadata"]["managedFields"].append(
        {
            "manager": "datakit-wizard",
            "operation": "Apply",
            "fieldsV1": {
                "f:spec": {
                    "f:template": {
                        "f:spec": {"f:volumes": {'k:{"name":"etcd-certificates"}': {".": {}, "f:name": {}}}}
                    }
                }
            },
        }
    )
    body = daemon_set_body(datakit(obj), "conf", mount=MOUNT)
    assert pod(body)["volumes"] == [{"name": "etcd-certificates", "hostPath": {"path": "/pki"}}]


def test_a_volume_name_with_another_source_is_refused() -> None:
    obj = daemon_set()
    pod(obj)["volumes"].append({"name": "etcd-certificates", "emptyDir": {}})
    with pytest.raises(RefusedError, match="etcd-certificates"):
        daemon_set_body(datakit(obj), "conf", mount=MOUNT)


def test_certificates_are_mounted_read_only_unless_to_the_letter() -> None:
    body = daemon_set_body(datakit(daemon_set()), "conf", mount=MOUNT)
    assert pod(body)["containers"][0]["volumeMounts"][1] == {
        "mountPath": "/pki",
        "name": "etcd-certificates",
        "readOnly": True,
    }
    letter = CertificateMount("dir-etcd", "/pki", {"hostPath": {"path": "/pki"}}, read_only=False)
    body = daemon_set_body(datakit(daemon_set()), "conf", mount=letter)
    assert "readOnly" not in pod(body)["containers"][0]["volumeMounts"][1]


def test_env_that_cannot_be_applied_is_refused() -> None:
    obj = daemon_set()
    with pytest.raises(RefusedError, match="valueFrom"):
        daemon_set_body(datakit(obj), "conf", env={"NODE": "x"})
    pod(obj)["containers"][0]["env"] += [{"name": "TWICE", "value": "1"}, {"name": "TWICE", "value": "2"}]
    with pytest.raises(RefusedError, match="twice"):
        daemon_set_body(datakit(obj), "conf", env={"TWICE": "x"})
    body = daemon_set_body(datakit(obj), "conf", env={"NEW": "x"})
    assert pod(body)["containers"][0]["env"] == [{"name": "NEW", "value": "x"}]
