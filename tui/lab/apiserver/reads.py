"""GET and LIST: one object, and pages of many."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable
from typing import Any

from tui.lab.apiserver import errors, labels, selectors
from tui.lab.apiserver.call import Call
from tui.lab.apiserver.gojson import json_problem
from tui.lab.apiserver.resources import Resource
from tui.lab.apiserver.store import Store
from tui.lab.apiserver.writes import shelf_name

Obj = dict[str, Any]


def number(call: Call, name: str) -> int:
    """A numeric parameter, 0 where it is absent; ApiError 400."""
    text = call.get(name)
    if not text:
        return 0
    try:
        return int(text)
    except ValueError as error:
        raise errors.bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax') from error


def check_revision(store: Store, text: str) -> int:
    """A `resourceVersion` parameter as a number; ApiError 500 where it is none, 504 where it is in the future."""
    if not text:
        return 0
    if not text.isdigit():
        raise errors.internal(
            f'resourceVersion: Invalid value: "{text}": strconv.ParseUint: parsing "{text}": invalid syntax'
        )
    if int(text) > store.revision:
        message = f"Timeout: Too large resource version: {text}, current: {store.revision}"
        cause = {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
        details = {"causes": [cause], "retryAfterSeconds": 1}
        raise errors.ApiError(504, message, "Timeout", details, retry_after=1)
    return int(text)


def check_list_options(call: Call) -> None:
    """Refuse parameters of LIST and WATCH that do not go together."""
    findings = []
    watching, match = call.verb == "watch", call.get("resourceVersionMatch")
    initial = call.has("sendInitialEvents")
    version = call.get("resourceVersion")
    if watching:
        if initial and match != "NotOlderThan":
            text = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
            findings.append(errors.forbidden_field("resourceVersionMatch", text))
            if match:
                findings.append(errors.unsupported("resourceVersionMatch", match, ["NotOlderThan"]))
        elif call.get("continue"):
            text = "resourceVersionMatch is forbidden when continue is provided"
            findings.append(errors.forbidden_field("resourceVersionMatch", text))
        elif match and not initial:
            text = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
            findings.append(errors.forbidden_field("resourceVersionMatch", text))
    else:
        together = match and call.get("continue")
        if match and not version:
            text = "resourceVersionMatch is forbidden unless resourceVersion is provided"
            findings.append(errors.forbidden_field("resourceVersionMatch", text))
        if together:
            text = "resourceVersionMatch is forbidden when continue is provided"
            findings.append(errors.forbidden_field("resourceVersionMatch", text))
        if match and match not in ("Exact", "NotOlderThan"):
            findings.append(errors.unsupported("resourceVersionMatch", match, ["Exact", "NotOlderThan", ""]))
        elif match == "Exact" and version == "0" and not findings:
            text = 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'
            findings.append(errors.forbidden_field("resourceVersionMatch", text))
        if initial:
            findings.append(errors.forbidden_field("sendInitialEvents", "sendInitialEvents is forbidden for list"))
    if findings:
        raise errors.unprocessable("ListOptions", "meta.k8s.io", "", findings)


def selection(call: Call, resource: Resource) -> Callable[[Obj], bool]:
    """The predicate of a request's label and field selectors."""
    by_labels = labels.parse(call.get("labelSelector"))
    by_fields, _ = selectors.parse_fields(call.get("fieldSelector"), resource.kind)
    return lambda obj: by_labels(obj["metadata"].get("labels", {})) and by_fields(obj)


def list_objects(store: Store, call: Call, resource: Resource) -> tuple[list[Obj], Obj]:
    """One page of a list, and the list's metadata."""
    number(call, "timeoutSeconds")
    limit = number(call, "limit")
    check_list_options(call)
    version = call.get("resourceVersion")
    if version and not version.isdigit():
        problem = f'strconv.ParseUint: parsing "{version}": invalid syntax'
        text = f'resourceVersion: Invalid value: "{version}": {problem}'
        raise errors.bad_request(f"invalid resource version: {text}")
    if version == "0":
        limit = 0  # any version will do, and what is at hand is told whole
    chosen = selection(call, resource)
    selected = bool(call.get("labelSelector") or call.get("fieldSelector"))
    token = call.get("continue")
    after, revision = "", store.revision
    if token:
        if call.get("resourceVersion") not in ("", "0"):
            raise errors.bad_request("specifying resource version is not allowed when using continue")
        after, revision = read_token(token)
        if revision < 0:  # from an expired list: the rest as it is now
            revision = store.revision
    else:
        asked = check_revision(store, call.get("resourceVersion"))
        match = call.get("resourceVersionMatch")
        if asked and (match == "Exact" or (not match and limit > 0)):
            revision = asked
    if resource.shape is None:
        return [], {"resourceVersion": str(revision)}
    if revision < max(store.compacted, store.shelf(shelf_name(resource)).dropped):
        raise _expired(token, after)
    items = _snapshot(store, shelf_name(resource), call.namespace, revision)
    rest = [(place, obj) for place, obj in items if place >= after and chosen(obj)]
    meta: Obj = {"resourceVersion": str(revision)}
    # Whether there is more is said of all objects, chosen or not: the last page may turn out empty.
    one = bool(call.name)  # a list of what a field selector names has no further pages
    if not one and limit > 0 and len(rest) >= limit and items[-1][0] > (last := rest[limit - 1][0]):
        meta["continue"] = make_token(revision, f"{last}\x00")
        if not selected:
            meta["remainingItemCount"] = len(rest) - limit
        rest = rest[:limit]
    return [view(resource, obj) for _, obj in rest], meta


def _expired(token: str, after: str) -> errors.ApiError:
    """410 for a page of a list that cannot be told any more; a token to go on with comes along."""
    if not token:
        return errors.ApiError(410, "The resourceVersion for the provided list is too old.", "Expired")
    text = (
        "The provided continue parameter is too old to display a consistent list result. You can start a new list "
        "without the continue parameter, or use the continue token in this response to retrieve the remainder of "
        "the results. Continuing with the provided token results in an inconsistent list - objects that were created, "
        "modified, or deleted between the time the first chunk was returned and now may show up in the list."
    )
    error = errors.ApiError(410, text, "Expired")
    error.body["metadata"] = {"continue": make_token(-1, after)}
    return error


def _snapshot(store: Store, place: str, namespace: str, revision: int) -> list[tuple[str, Obj]]:
    """The objects as they were at a revision, by key."""
    objects: dict[tuple[str, str], Obj] = dict(store.items(place, namespace))
    if revision < store.revision:
        for change in reversed(store.since(place, revision)):
            if namespace and change.key[0] != namespace:
                continue
            if change.before is None:
                objects.pop(change.key, None)
            else:
                objects[change.key] = change.before
    parts = 1 if namespace else 0
    return sorted(("/" + "/".join(part for part in key[parts:] if part), obj) for key, obj in objects.items())


def make_token(revision: int, start: str) -> str:
    """A continue token: the list goes on with the key `start`, below the list's own, as it was at a revision."""
    body = {"v": "meta.k8s.io/v1", "rv": revision, "start": start}
    text = json.dumps(body, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_token(token: str) -> tuple[str, int]:
    """Where a continue token goes on, and at which revision; ApiError 400."""
    invalid = "invalid continue token: continue key is not valid: "
    for at, char in enumerate(token):
        if not (char.isascii() and (char.isalnum() or char in "-_")):
            raise errors.bad_request(f"{invalid}illegal base64 data at input byte {at}")
    try:
        text = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode("utf-8", "replace")
        body = json.loads(text)
        start, revision, version = str(body["start"]), int(body["rv"]), str(body["v"])
    except binascii.Error as error:
        at = len(token) // 4 * 4
        raise errors.bad_request(f"{invalid}illegal base64 data at input byte {at}") from error
    except (KeyError, TypeError) as error:
        raise errors.bad_request(f"{invalid}{error}") from error
    except ValueError as error:
        raise errors.bad_request(invalid + json_problem(text)) from error
    if version != "meta.k8s.io/v1":
        raise errors.bad_request(f"{invalid}server does not recognize this encoded version {version}")
    start = start if start.startswith("/") else f"/{start}"
    if ".." in start.split("/"):
        raise errors.bad_request(f"{invalid}{start.removeprefix('/')}")
    return start, revision


def get_object(store: Store, call: Call, resource: Resource) -> Obj:
    """One object; ApiError 404."""
    check_revision(store, call.get("resourceVersion"))
    if resource.shape is None:
        raise errors.not_found(resource.plural, resource.group, call.name)
    found = store.get(shelf_name(resource), call.namespace if resource.namespaced else "", call.name)
    if found is None:
        raise errors.not_found(resource.plural, resource.group, call.name)
    return view(resource, found)


def view(resource: Resource, obj: Obj) -> Obj:
    """A stored object as this version of its group shows it (events have two)."""
    if resource.group != "events.k8s.io":
        return obj
    renamed = {
        "involvedObject": "regarding", "message": "note", "source": "deprecatedSource", "count": "deprecatedCount",
        "firstTimestamp": "deprecatedFirstTimestamp", "lastTimestamp": "deprecatedLastTimestamp",
        "reportingComponent": "reportingController",
    }  # fmt: skip
    out = {renamed.get(key, key): value for key, value in obj.items()}
    out = {key: value for key, value in out.items() if value or not key.startswith("reporting")}
    return {**out, "apiVersion": resource.api_version}
