"""The bodies that server-side apply sends."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import pytest

from tests.core.objects import Object, daemon_set
from tui.core.desired import bodies
from tui.core.errors import RefusedError
from tui.core.etcd_conf import KEY as CONF_KEY
from tui.core.etcd_conf import PATH as CONF_PATH
from tui.core.fields import leaves
from tui.core.manifests import (
    HASH_ANNOTATION,
    CertificateMount,
    ConfFile,
    Desired,
    check_config_map,
    conf_hash,
    config_map_body,
    daemon_set_body,
    ours,
)
from tui.core.survey import DataKit, Survey
from tui.core.topology import discover


def datakit(obj: Object) -> DataKit:
    container = obj["spec"]["template"]["spec"]["containers"][0]
    env = {e["name"]: e["value"] for e in container["env"] if "value" in e}
    return DataKit("datakit", "datakit", "datakit", container["image"], obj, env, frozenset({"NODE"}))


def pod(body: Object) -> Object:
    spec: Object = body["spec"]["template"]["spec"]
    return spec


def confs(text: str) -> tuple[ConfFile, ...]:
    return (ConfFile(CONF_KEY, CONF_PATH, text),)


MOUNT = CertificateMount("etcd-certificates", "/pki", {"hostPath": {"path": "/pki"}})


def test_the_config_map_holds_our_key_alone_and_the_uid_of_the_live_one() -> None:
    body = config_map_body("datakit", confs("text"), {"metadata": {"uid": "u"}, "data": {"container.conf": "x"}})
    assert body["data"] == {CONF_KEY: "text"}
    assert body["metadata"]["uid"] == "u"
    assert "uid" not in config_map_body("datakit", confs("text"), None)["metadata"]


def test_an_immutable_config_map_and_a_full_one_are_refused_in_words() -> None:
    live = {"metadata": {"namespace": "datakit"}, "immutable": True, "data": {}}
    with pytest.raises(RefusedError, match="immutable"):
        check_config_map(confs("x"), live)
    full = {"metadata": {"namespace": "datakit"}, "data": {"big": "x" * 1_048_570}}
    with pytest.raises(RefusedError, match="1048576"):
        check_config_map(confs("1234567"), full)
    check_config_map(confs("123456"), full)


def test_the_vendors_volume_is_used_and_not_claimed() -> None:
    body = daemon_set_body(datakit(daemon_set()), Desired(confs("conf")))
    assert "volumes" not in pod(body)
    assert pod(body)["containers"] == [
        {
            "name": "datakit",
            "volumeMounts": [
                {"mountPath": CONF_PATH, "name": "datakit-conf", "subPath": CONF_KEY, "readOnly": True},
            ],
        }
    ]
    assert body["spec"]["template"]["metadata"]["annotations"] == {HASH_ANNOTATION: conf_hash(confs("conf"))}
    assert body["metadata"]["uid"] == "ds-uid"


def test_a_missing_volume_is_added_under_a_free_name() -> None:
    obj = daemon_set()
    pod(obj)["volumes"] = [{"name": "datakit-conf", "emptyDir": {}}]
    body = daemon_set_body(datakit(obj), Desired(confs("conf")))
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
                    "f:template": {"f:spec": {"f:volumes": {'k:{"name":"etcd-certificates"}': {".": {}, "f:name": {}}}}}
                }
            },
        }
    )
    body = daemon_set_body(datakit(obj), Desired(confs("conf"), mount=MOUNT))
    assert pod(body)["volumes"] == [{"name": "etcd-certificates", "hostPath": {"path": "/pki"}}]


def test_a_volume_name_with_another_source_is_refused() -> None:
    obj = daemon_set()
    pod(obj)["volumes"].append({"name": "etcd-certificates", "emptyDir": {}})
    with pytest.raises(RefusedError, match="etcd-certificates"):
        daemon_set_body(datakit(obj), Desired(confs("conf"), mount=MOUNT))


def test_certificates_are_mounted_read_only_unless_to_the_letter() -> None:
    body = daemon_set_body(datakit(daemon_set()), Desired(confs("conf"), mount=MOUNT))
    assert pod(body)["containers"][0]["volumeMounts"][1] == {
        "mountPath": "/pki",
        "name": "etcd-certificates",
        "readOnly": True,
    }
    letter = CertificateMount("dir-etcd", "/pki", {"hostPath": {"path": "/pki"}}, read_only=False)
    body = daemon_set_body(datakit(daemon_set()), Desired(confs("conf"), mount=letter))
    assert "readOnly" not in pod(body)["containers"][0]["volumeMounts"][1]


def test_env_that_cannot_be_applied_is_refused() -> None:
    obj = daemon_set()
    with pytest.raises(RefusedError, match="valueFrom"):
        daemon_set_body(datakit(obj), Desired(confs("conf"), {"NODE": "x"}))
    pod(obj)["containers"][0]["env"] += [{"name": "TWICE", "value": "1"}, {"name": "TWICE", "value": "2"}]
    with pytest.raises(RefusedError, match="twice"):
        daemon_set_body(datakit(obj), Desired(confs("conf"), {"TWICE": "x"}))
    body = daemon_set_body(datakit(obj), Desired(confs("conf"), {"NEW": "x"}))
    assert pod(body)["containers"][0]["env"] == [{"name": "NEW", "value": "x"}]


PILOT = ConfFile("prom_istiod.conf", "/usr/local/datakit/conf.d/prom/prom_istiod.conf", "of istiod")


def test_several_confs_share_one_volume_and_each_has_its_mount() -> None:
    wanted = Desired((*confs("conf"), PILOT), {"B": "2", "A": "1"}, MOUNT)
    assert config_map_body("datakit", wanted.confs, None)["data"] == {CONF_KEY: "conf", PILOT.key: PILOT.text}
    container = pod(daemon_set_body(datakit(daemon_set()), wanted))["containers"][0]
    assert [(m["mountPath"], m["name"], m.get("subPath")) for m in container["volumeMounts"]] == [
        (CONF_PATH, "datakit-conf", CONF_KEY),
        (PILOT.path, "datakit-conf", PILOT.key),
        ("/pki", "etcd-certificates", None),
    ]
    assert container["env"] == [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]


def test_the_hash_covers_every_conf_and_of_one_alone_is_that_of_its_text() -> None:
    assert conf_hash(confs("conf")) == hashlib.sha256(b"conf").hexdigest()
    both = conf_hash((*confs("conf"), PILOT))
    assert both == conf_hash((PILOT, *confs("conf"))) != conf_hash(confs("conf"))
    assert both != conf_hash((*confs("conf"), replace(PILOT, text="other")))
    assert both != conf_hash((*confs("conf"), replace(PILOT, key="other.conf")))


def test_env_alone_needs_no_mount_and_nothing_wanted_claims_nothing() -> None:
    body = daemon_set_body(datakit(daemon_set()), Desired(env={"NEW": "x"}))
    assert body["spec"]["template"] == {
        "spec": {"containers": [{"name": "datakit", "env": [{"name": "NEW", "value": "x"}]}]}
    }
    assert "spec" not in daemon_set_body(datakit(daemon_set()), Desired())
    assert "data" not in config_map_body("datakit", (), None)


def test_values_are_written_as_the_server_keeps_them() -> None:
    """Server-side apply compares texts: an empty string, or what the server would leave out, conflicts with its owner
    and would be written anew each time."""
    wanted = Desired((*confs("conf"), PILOT), {"NEW": "x"}, MOUNT)
    for body in (daemon_set_body(datakit(daemon_set()), wanted), config_map_body("datakit", wanted.confs, None)):
        for path, value in leaves(body).items():
            assert value not in ("", None, {}, []), path


def applied(wanted: Desired) -> tuple[DataKit, Object]:
    """DataKit and its ConfigMap after an apply of what is wanted, as far as `ours` looks."""
    obj = daemon_set()
    body = daemon_set_body(datakit(obj), wanted)
    container = pod(obj)["containers"][0]
    container["volumeMounts"] += pod(body)["containers"][0]["volumeMounts"]
    container["env"] += pod(body)["containers"][0].get("env", [])
    pod(obj)["volumes"] += pod(body).get("volumes", [])
    config_map = config_map_body("datakit", wanted.confs, None)
    for made, partial in ((obj, body), (config_map, config_map)):
        owner = {"manager": "datakit-wizard", "operation": "Apply", "fieldsV1": _fields(partial)}
        made["metadata"].setdefault("managedFields", []).append(owner)
    config_map["metadata"]["uid"] = "cm-uid"
    return datakit(obj), config_map


def _fields(body: Object) -> Object:
    """FieldsV1 of a partial object."""
    made: Object = {}
    for path in leaves(body):
        here = made
        for step in path:
            name = f"f:{step}" if isinstance(step, str) else f"k:{json.dumps({step.key: step.value})}"
            here = here.setdefault(name, {".": {}, f"f:{step.key}": {}} if not isinstance(step, str) else {})
    return made


def test_what_is_ours_is_what_was_wanted() -> None:
    wanted = Desired((*confs("conf"), PILOT), {"NEW": "x"}, MOUNT)
    assert ours(*applied(wanted)) == wanted
    assert ours(datakit(daemon_set()), None) == Desired()


def test_a_key_comes_before_its_mount_and_goes_after_it() -> None:
    found, config_map = applied(Desired((*confs("conf"), PILOT)))
    look = survey_of(found, config_map)
    kinds = [kind.kind for kind, _body, _live in bodies(Desired((*confs("conf"), PILOT)), look)]
    assert kinds == ["ConfigMap", "DaemonSet"]
    kinds = [kind.kind for kind, _body, _live in bodies(Desired(confs("conf")), look)]
    assert kinds == ["DaemonSet", "ConfigMap"]
    assert [kind.kind for kind, _body, _live in bodies(Desired(), look)] == ["DaemonSet", "ConfigMap"]
    untouched = survey_of(datakit(daemon_set()), None)
    assert bodies(Desired(), untouched) == ()
    assert [kind.kind for kind, _body, _live in bodies(Desired(env={"NEW": "x"}), untouched)] == ["DaemonSet"]


def survey_of(found: DataKit, config_map: Object | None) -> Survey:
    return Survey("lab", "https://k", "me", "uid", "v1", found, discover([], []), config_map, (), "lab")
