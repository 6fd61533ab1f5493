"""The small parts: quantities, selectors, patches, times."""

from __future__ import annotations

import asyncio
import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tui.lab.apiserver import bodies, labels, resources, schema
from tui.lab.apiserver.call import read_call
from tui.lab.apiserver.cells import duration
from tui.lab.apiserver.errors import ApiError
from tui.lab.apiserver.fieldset import FieldSet, from_json, path
from tui.lab.apiserver.goyaml import dump
from tui.lab.apiserver.jsonpatch import PatchFailedError, json_patch, merge_patch
from tui.lab.apiserver.quantities import canonical_quantity
from tui.lab.apiserver.reads import make_token, read_token
from tui.lab.apiserver.selectors import parse_fields
from tui.lab.apiserver.smp import strategic_merge
from tui.lab.apiserver.store import Store
from tui.lab.apiserver.watch import Watch


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("2000m", "2"), ("0.5", "500m"), ("4096Mi", "4Gi"), ("1.5Gi", "1536Mi"), ("1500", "1500"), ("100k", "100k"),
        ("1e3", "1e3"), ("0", "0"), (5, "5"), ("128974848", "128974848"), ("0.1", "100m"), ("1000", "1k"),
    ],
)  # fmt: skip
def test_quantities(written: str | int, canonical: str) -> None:
    assert canonical_quantity(written) == canonical
    assert canonical_quantity(canonical) == canonical


def test_a_text_that_is_no_quantity() -> None:
    with pytest.raises(ValueError, match="quantities must match"):
        canonical_quantity("two")


@pytest.mark.parametrize(
    ("selector", "found", "expected"),
    [
        ("a=1", {"a": "1"}, True), ("a==1,b", {"a": "1"}, False), ("a!=1", {}, True), ("!a", {}, True),
        ("a in (1, 2)", {"a": "2"}, True), ("a notin (1,2)", {"a": "3"}, True), ("a notin (1)", {}, True),
        ("a>1", {"a": "2"}, True), ("a<1", {"a": "2"}, False), ("", {}, True), ("a=", {"a": ""}, True),
        ("x.io/y in (z)", {"x.io/y": "z"}, True),
    ],
)  # fmt: skip
def test_label_selectors(selector: str, found: dict[str, str], expected: bool) -> None:
    assert labels.parse(selector)(found) is expected


@pytest.mark.parametrize(
    ("selector", "problem"),
    [
        ("a=b=c", "found '=', expected: ',' or 'end of string'"),
        ("a,", "found '', expected: identifier after ','"),
        ("=a", "found '=', expected: !, identifier, or 'end of string'"),
        ("a in b", "unable to parse requirement: found 'b' expected: '('"),
    ],
)
def test_label_selectors_that_cannot_be_read(selector: str, problem: str) -> None:
    with pytest.raises(ApiError) as refused:
        labels.parse(selector)
    assert refused.value.message == problem


def test_field_selectors() -> None:
    matches, exact = parse_fields("metadata.name=a,status.phase!=Running", "Pod")
    assert exact == {"metadata.name": "a"}
    assert matches({"metadata": {"name": "a"}, "status": {"phase": "Pending"}})
    assert not matches({"metadata": {"name": "a"}, "status": {"phase": "Running"}})
    with pytest.raises(ApiError, match="field label not supported"):
        parse_fields("spec.image=x", "Pod")


@settings(deadline=None)
@given(st.integers(1, 10**9), st.text(max_size=30).filter(lambda text: ".." not in text.split("/")))
def test_continue_tokens_are_read_back(revision: int, start: str) -> None:
    assert read_token(make_token(revision, f"/{start}")) == (f"/{start}", revision)


def test_json_patch_liberties() -> None:
    document: Any = {"a": {"b": 1}, "l": [1, 2]}
    operations = [
        {"op": "replace", "path": "/a/new", "value": 2},
        {"op": "test", "path": "/a/missing", "value": None},
        {"op": "add", "path": "/l/-", "value": 3},
        {"op": "remove", "path": "/l/0"},
        {"op": "move", "from": "/a/b", "path": "/a~1b"},
    ]
    assert json_patch(document, operations) == {"a": {"new": 2}, "l": [2, 3], "a/b": 1}
    for bad in ({"op": "remove", "path": "/x"}, {"op": "test", "path": "/a", "value": 1}, {"op": "x", "path": ""}):
        with pytest.raises(PatchFailedError):
            json_patch({"a": 2}, [bad])


def test_merge_patch_removes_by_null_and_replaces_lists() -> None:
    assert merge_patch({"a": {"b": 1, "c": 2}, "l": [1]}, {"a": {"b": None}, "l": [2]}) == {"a": {"c": 2}, "l": [2]}


def test_strategic_merge_by_key() -> None:
    shape = schema.type_of("PodSpec")
    live = {"containers": [{"name": "a", "env": [{"name": "X", "value": "1"}, {"name": "Y", "value": "2"}]}]}
    change = {
        "containers": [{"name": "a", "env": [{"name": "X", "$patch": "delete"}, {"name": "Z", "value": "3"}]}],
        "tolerations": [{"operator": "Exists"}],
    }
    merged = strategic_merge(shape, live, change)
    assert {each["name"]: each["value"] for each in merged["containers"][0]["env"]} == {"Y": "2", "Z": "3"}
    assert merged["tolerations"] == [{"operator": "Exists"}]


def test_retained_keys() -> None:
    shape = schema.type_of("PodSpec")
    live = {"volumes": [{"name": "v", "hostPath": {"path": "/x"}}]}
    change = {"volumes": [{"name": "v", "$retainKeys": ["name", "emptyDir"], "emptyDir": {}}]}
    assert strategic_merge(shape, live, change) == {"volumes": [{"name": "v", "emptyDir": {}}]}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"data": {"a": 1}}, "json: cannot unmarshal number into Go struct field ConfigMap.data of type string"),
        ({"data": "x"}, "json: cannot unmarshal string into Go struct field ConfigMap.data of type map[string]string"),
        (
            {"metadata": {"labels": 1}},
            "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type map[string]string",
        ),
    ],
)  # fmt: skip
def test_wrong_types_in_gos_words(value: dict[str, Any], message: str) -> None:
    with pytest.raises(schema.TypeMismatchError) as refused:
        schema.decode(schema.type_of("ConfigMap"), value)
    assert str(refused.value) == message


def test_decoding_drops_zero_values_and_keeps_pointers() -> None:
    mount = schema.decode(schema.type_of("VolumeMount"), {"name": "n", "mountPath": "/x", "readOnly": False, "x": 1})
    assert mount == {"name": "n", "mountPath": "/x"}
    context = schema.decode(schema.type_of("SecurityContext"), {"privileged": False})
    assert context == {"privileged": False}


def test_duplicate_fields_are_told_by_their_paths() -> None:
    duplicates: list[str] = []
    assert bodies.load_json('{"a": {"b": 1, "b": 2}, "l": [{"c": 1, "c": 1}]}', duplicates) == {
        "a": {"b": 2},
        "l": [{"c": 1}],
    }
    assert duplicates == ["a.b", "l[0].c"]


def test_yaml_as_the_server_writes_it() -> None:
    written = dump({"b": "1", "a": "x\ny\n", "t": "2026-01-01T00:00:00Z", "l": [{"k": True}], "e": {}})
    assert written == 'a: |\n  x\n  y\nb: "1"\ne: {}\nl:\n- k: true\nt: "2026-01-01T00:00:00Z"\n'


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (5, "5s"),
        (119, "119s"),
        (120, "2m"),
        (125, "2m5s"),
        (600, "10m"),
        (3 * 3600, "3h"),
        (86400 * 3, "3d"),
        (-1, "0s"),
    ],
)
def test_durations(seconds: int, shown: str) -> None:
    assert duration(seconds) == shown


@pytest.mark.parametrize(
    ("method", "path", "query", "expected"),
    [
        ("GET", "/api/v1/namespaces", "", ("list", "", "namespaces", "", "")),
        ("GET", "/api/v1/namespaces/x", "", ("get", "x", "namespaces", "x", "")),
        ("PUT", "/api/v1/namespaces/x/status", "", ("update", "x", "namespaces", "x", "status")),
        ("GET", "/api/v1/namespaces/x/pods", "watch=1", ("watch", "x", "pods", "", "")),
        ("GET", "/api/v1/namespaces/x/pods/p/log", "", ("get", "x", "pods", "p", "log")),
        ("GET", "/apis/apps/v1/daemonsets", "fieldSelector=metadata.name=d", ("list", "", "daemonsets", "d", "")),
        ("DELETE", "/api/v1/namespaces/x/pods", "", ("deletecollection", "x", "pods", "", "")),
        ("GET", "/version", "", ("get", "", "", "", "")),
    ],
)
def test_requests_taken_apart(method: str, path: str, query: str, expected: tuple[str, ...]) -> None:
    call = read_call(method, path, query, {})
    assert (call.verb, call.namespace, call.resource, call.name, call.subresource) == expected


def test_field_sets_are_written_as_they_are_now() -> None:
    fields = FieldSet()
    fields.insert(path("spec", "paused"))
    assert fields.to_json() == {"f:spec": {"f:paused": {}}}
    fields.insert(path("spec", "replicas"))
    fields.insert((("f", "spec"), ("k", (("containerPort", 80), ("protocol", 'T"CP')))))
    written = {"f:spec": {"f:paused": {}, "f:replicas": {}, 'k:{"containerPort":80,"protocol":"T\\"CP"}': {}}}
    assert fields.to_json() == written
    assert from_json(written).to_json() == written


def test_what_was_decoded_before_is_taken_over() -> None:
    pod = schema.type_of("Pod")
    old = schema.decode(pod, {"metadata": {"name": "a"}, "spec": {"containers": [{"name": "c", "image": "i"}]}})
    before = copy.deepcopy(old)
    unknown: list[str] = []
    patched = {**old, "status": {"phase": "Running", "nothing": 1}}
    found = schema.decode(pod, patched, unknown, {"spec": old["spec"]})
    assert unknown == ["status.nothing"]
    assert found["spec"] is old["spec"]
    assert found == {**old, "status": {**old["status"], "phase": "Running"}}
    assert list(found) == list(schema.decode(pod, {**old, "status": {"phase": "Running"}}))
    assert old == before


async def test_a_watch_ends_although_news_comes_while_it_is_cancelled() -> None:
    store, maps = Store(), resources.of_kind("v1", "ConfigMap")
    assert maps is not None
    seen: list[str] = []

    async def follow(watch: Watch) -> None:
        async for event in watch.events():
            seen.append(event["object"]["metadata"]["name"])

    call = read_call("GET", "/api/v1/configmaps", "watch=1", {})
    task = asyncio.create_task(follow(Watch(store, call, maps, asyncio.Event())))
    store.put("configmaps", {"metadata": {"name": "first", "namespace": "a"}})
    while not seen:
        await asyncio.sleep(0)
    store.put("configmaps", {"metadata": {"name": "second", "namespace": "a"}})
    task.cancel()
    done, _pending = await asyncio.wait({task}, timeout=5)
    assert done
    assert task.cancelled()
