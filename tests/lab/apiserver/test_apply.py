"""Server-side apply at its core: laws that hold for any objects, and the forms of its parts."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tui.lab.apiserver import bodies, managers, resources, schema
from tui.lab.apiserver.fieldset import from_json, path, text
from tui.lab.apiserver.writes import target_of

Obj = dict[str, Any]
CONFIG_MAP = resources.find("v1", "configmaps")
DAEMON_SET = resources.find("apps/v1", "daemonsets")
assert CONFIG_MAP is not None
assert DAEMON_SET is not None


def stored(obj: Obj, manager: str = "vendor") -> Obj:
    """The object as its creation by `manager` leaves it."""
    resource = resources.of_kind(obj["apiVersion"], obj["kind"])
    assert resource is not None
    decoded = bodies.decode_value(resource, obj, [])
    made = managers.update(target_of(resource), schema.decode(target_of(resource).shape, {}), decoded, manager)
    made["metadata"]["uid"] = "11111111-1111-1111-1111-111111111111"
    return made


def applied(live: Obj, config: Obj, manager: str = "us", *, force: bool = False) -> Obj:
    """The object after an apply."""
    resource = resources.of_kind(live["apiVersion"], live["kind"])
    assert resource is not None
    obj, changed = managers.apply(target_of(resource), live, config, manager, force=force)
    if not changed:
        return obj
    entries = obj["metadata"].get("managedFields")
    decoded = bodies.decode_value(resource, obj, [])
    if entries:
        decoded["metadata"]["managedFields"] = entries
    return decoded


def timeless(obj: Obj) -> Obj:
    """The object without the times of its owners, which the store does not take for a change either."""
    out = copy.deepcopy(obj)
    for entry in out["metadata"].get("managedFields", []):
        entry.pop("time", None)
    return out


def config_map(data: dict[str, str]) -> Obj:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "n"}, "data": data}


def daemon_set(env: dict[str, str], mounts: dict[str, str], volumes: list[str]) -> Obj:
    container: Obj = {
        "name": "agent",
        "env": [{"name": name, "value": value} for name, value in env.items()],
        "volumeMounts": [{"mountPath": where, "name": name} for where, name in mounts.items()],
    }
    spec = {
        "containers": [container],
        "volumes": [{"name": name, "hostPath": {"path": f"/{name}"}} for name in volumes],
    }
    meta = {"name": "d", "namespace": "n"}
    return {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": meta, "spec": {"template": {"spec": spec}}}


names = st.sampled_from(["a", "b", "c.conf", "d"])
data = st.dictionaries(names, st.sampled_from(["1", "2"]), max_size=4)
partial = st.builds(
    daemon_set,
    st.dictionaries(st.sampled_from(["E1", "E2", "E3"]), st.sampled_from(["x", "y"]), max_size=3),
    st.dictionaries(st.sampled_from(["/m1", "/m2"]), st.sampled_from(["v1", "v2"]), max_size=2),
    st.lists(st.sampled_from(["v1", "v2", "v3"]), unique=True, max_size=3),
)
pairs = st.one_of(
    st.tuples(data.map(config_map), data.map(config_map)),
    st.tuples(partial, partial),
)


@settings(deadline=None)
@given(pairs)
def test_applying_twice_changes_nothing_more(pair: tuple[Obj, Obj]) -> None:
    live, config = pair
    once = applied(stored(live), config, force=True)
    assert timeless(applied(once, config, force=True)) == timeless(once)


def in_one_order(value: Any) -> Any:
    """Lists sorted: an apply may turn the items that both sides name, and giving them up does not turn them back."""
    if isinstance(value, dict):
        return {key: in_one_order(item) for key, item in value.items()}
    return sorted(map(in_one_order, value), key=str) if isinstance(value, list) else value


@settings(deadline=None)
@given(pairs)
def test_what_was_only_added_goes_when_given_up(pair: tuple[Obj, Obj]) -> None:
    live, config = pair
    before = stored(live)
    try:
        after = applied(before, config)
    except managers.ApplyConflictsError:
        return  # nothing was done
    nothing = {key: config[key] for key in ("apiVersion", "kind", "metadata")}
    undone = applied(after, nothing)
    assert undone.get("data") == before.get("data")
    assert in_one_order(undone.get("spec")) == in_one_order(before.get("spec"))
    assert timeless(undone)["metadata"].get("managedFields") == timeless(before)["metadata"].get("managedFields")


def holds(found: Any, config: Any) -> bool:
    """Whether all that `config` says stands in `found`; empty lists and maps say nothing."""
    if isinstance(config, dict):
        return all(value in ({}, []) or holds(found.get(key), value) for key, value in config.items())
    if isinstance(config, list):
        by_key = {each.get("mountPath") or each["name"]: each for each in found}
        return all(holds(by_key[each.get("mountPath") or each["name"]], each) for each in config)
    return bool(found == config)


@settings(deadline=None)
@given(pairs)
def test_what_is_applied_is_there(pair: tuple[Obj, Obj]) -> None:
    live, config = pair
    after = applied(stored(live), config, force=True)
    assert holds(after, config)
    for entry in after["metadata"].get("managedFields", []):
        assert from_json(entry["fieldsV1"]).to_json() == entry["fieldsV1"]


@settings(deadline=None)
@given(pairs)
def test_an_apply_changes_neither_of_its_arguments(pair: tuple[Obj, Obj]) -> None:
    live, config = stored(pair[0]), pair[1]
    before = copy.deepcopy((live, config))
    applied(live, config, force=True)
    assert (live, config) == before


def test_a_forced_field_is_removed_when_dropped() -> None:
    live = stored(config_map({"a": "theirs"}))
    ours = applied(live, config_map({"a": "ours"}), force=True)
    assert [entry["fieldsV1"] for entry in ours["metadata"]["managedFields"]] == [
        {"f:data": {"f:a": {}}},
        {"f:data": {}},
    ]
    assert applied(ours, config_map({})).get("data") is None


def test_a_co_owned_field_stays() -> None:
    live = stored(config_map({"a": "1"}))
    both = applied(live, config_map({"a": "1"}))
    assert both["data"] == live["data"]
    entry = both["metadata"]["managedFields"][0]
    assert (entry["manager"], "time" in entry) == ("us", False)
    assert applied(both, config_map({}))["data"] == {"a": "1"}


def test_owners_before_the_first_apply() -> None:
    live = stored(config_map({"a": "1"}))
    live["metadata"]["managedFields"] = []
    with pytest.raises(managers.ApplyConflictsError) as refused:
        applied(live, config_map({"a": "2"}))
    expected = 'Apply failed with 1 conflict: conflict with "before-first-apply" using v1: .data.a'
    assert refused.value.message() == expected


def test_conflicts_with_several_managers() -> None:
    live = applied(stored(config_map({"a": "1", "b": "1"})), config_map({"a": "1"}), "other")
    with pytest.raises(managers.ApplyConflictsError) as refused:
        applied(live, config_map({"a": "2", "b": "2"}))
    assert refused.value.message() == (
        'Apply failed with 3 conflicts: conflicts with "other":\n- .data.a\n'
        'conflicts with "vendor" using v1:\n- .data.a\n- .data.b'
    )


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"dta": {}}, ".dta: field not declared in schema"),
        ({"data": {"a": 1}}, ".data.a: expected string, got &value.valueUnstructured{Value:1}"),
        ({"data": []}, ".data: expected map, got &{[]}"),
        ({"immutable": "yes"}, ".immutable: expected boolean, got &{yes}"),
    ],
)
def test_bodies_that_do_not_fit(change: Obj, problem: str) -> None:
    with pytest.raises(managers.BadApplyError) as refused:
        applied(stored(config_map({})), {**config_map({}), **change})
    assert str(refused.value) == problem


def test_new_items_go_behind_and_shared_ones_take_the_config_order() -> None:
    live = stored(daemon_set({"A": "1", "B": "1", "C": "1"}, {}, []))
    after = applied(live, daemon_set({"C": "1", "X": "1", "A": "1"}, {}, []))
    env = after["spec"]["template"]["spec"]["containers"][0]["env"]
    assert [each["name"] for each in env] == ["B", "C", "X", "A"]


def test_paths_as_messages_write_them() -> None:
    where = (*path("spec", "ports"), ("k", (("containerPort", 9529), ("protocol", "TCP"))), ("f", "name"))
    assert text(where) == '.spec.ports[containerPort=9529,protocol="TCP"].name'
