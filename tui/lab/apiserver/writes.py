"""Create, update, delete: an object's way from a decoded body into the store."""

from __future__ import annotations

import copy
import json
import re
import uuid
from collections.abc import Callable
from typing import Any

from tui.lab.apiserver import errors, managers, schema, strategies, validation
from tui.lab.apiserver.bodies import read_object, validation_mode
from tui.lab.apiserver.call import Call
from tui.lab.apiserver.defaults import apply_defaults
from tui.lab.apiserver.resources import Resource
from tui.lab.apiserver.store import Store
from tui.lab.apiserver.times import now

Obj = dict[str, Any]


def shelf_name(resource: Resource) -> str:
    """Where objects of a resource are kept; both views of events share one place."""
    group = "" if resource.group == "events.k8s.io" else resource.group
    return errors.qualified(resource.plural, group)


def target_of(resource: Resource, subresource: str = "") -> managers.Target:
    """What field managers need to know of an endpoint."""
    assert resource.shape is not None
    reset = strategies.reset_fields(resource.kind, subresource)
    return managers.Target(resource.shape, resource.api_version, subresource, reset)


def check_options(call: Call, kind: str, *, patch_type: str = "") -> None:
    """Refuse query parameters that make no sense, as `CreateOptions`, `UpdateOptions` or `PatchOptions`."""
    findings: list[errors.Invalid] = []
    manager = call.get("fieldManager")
    if patch_type == "apply" and not manager:
        findings.append(errors.required("fieldManager", "is required for apply patch"))
    if patch_type and patch_type != "apply" and call.has("force"):
        findings.append(errors.forbidden_field("force", "may not be specified for non-apply patch"))
    if len(manager.encode()) > 128:
        findings.append(errors.too_long("fieldManager", 128))
    for at, char in enumerate(manager):
        if not char.isprintable():
            text = f"invalid character U+{ord(char):04X} (at position {at})"
            findings.append(errors.invalid("fieldManager", manager, text))
            break
    asked = call.values("dryRun")
    if asked and set(asked) != {"All"}:
        findings.append(errors.unsupported("dryRun", asked, ["All"]))
    if findings:
        raise errors.unprocessable(kind, "meta.k8s.io", "", findings)
    validation_mode(call, kind)


def check_place(call: Call, meta: Obj, *, name: bool = True) -> None:
    """Hold name and namespace of a body against the path; a missing namespace is filled in. ApiError 400."""
    namespace = call.namespace if call.namespaced_path and call.resource != "namespaces" else ""
    if call.held is not None and not call.held.namespaced:
        meta.pop("namespace", None)  # the server does not mind one that is too much
    elif meta.get("namespace", "") != namespace:
        if meta.get("namespace"):
            text = "the namespace of the provided object does not match the namespace sent on the request"
            raise errors.bad_request(text)
        meta["namespace"] = namespace
    if name and not meta.get("name"):
        text = f"the name of the object ({call.name} based on URL) was undeterminable: name must be provided"
        raise errors.bad_request(text)
    if name and meta["name"] != call.name:
        text = f"the name of the object ({meta['name']}) does not match the name on the URL ({call.name})"
        raise errors.bad_request(text)


_SYSTEM_FIELDS = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink")


class Writer:
    """Puts objects into the store by the API's rules."""

    def __init__(self, store: Store) -> None:
        self.store = store

    # -- create

    def create(self, call: Call, resource: Resource) -> Obj:
        """POST."""
        check_options(call, "CreateOptions")
        obj = read_object(call, resource, "CreateOptions")
        check_place(call, obj["metadata"], name=False)
        assert resource.shape is not None
        empty = schema.decode(resource.shape, {})
        versioned = obj["metadata"].get("resourceVersion", "0") != "0"
        for name in _SYSTEM_FIELDS:
            obj["metadata"].pop(name, None)
        obj = managers.update(target_of(resource), empty, obj, call.manager)
        return self.create_object(call, resource, obj, versioned=versioned)

    def create_object(
        self,
        call: Call,
        resource: Resource,
        obj: Obj,
        *,
        versioned: bool = False,
        may_create: Callable[[], None] = lambda: None,
    ) -> Obj:
        """Admit, validate and store a new object that has its managedFields already; it must not be `versioned`.

        `obj` is changed: it is nobody else's.

        `may_create` raises ApiError where the user may not; it is asked after the object was found valid.
        """
        obj = {**obj, "metadata": dict(obj["metadata"])}
        meta = obj["metadata"]
        for name in (*_SYSTEM_FIELDS, "resourceVersion"):
            meta.pop(name, None)
        if not meta.get("name") and meta.get("generateName"):
            meta["name"] = meta["generateName"][:58] + strategies.random_suffix()
            if resource.kind == "Namespace":
                apply_defaults(resource.kind, obj)
        strategies.admit_create(self.store, resource, obj)
        strategies.prepare_create(resource.kind, obj)
        meta["uid"], meta["creationTimestamp"] = str(uuid.uuid4()), now()
        strategies.select_pods(resource.kind, obj)
        strategies.check_role_kind(resource.kind, obj, None, call.user.groups)
        findings = validation.on_create(resource.kind, obj, namespaced=resource.namespaced)
        if findings:
            raise errors.unprocessable(resource.kind, resource.group, meta.get("name", ""), findings)
        may_create()
        call.warnings += strategies.warnings(resource.kind, obj, None)
        if versioned and not call.dry_run:
            raise errors.internal("resourceVersion should not be set on objects to be created")
        place = shelf_name(resource)
        there = self.store.get(place, meta.get("namespace", ""), meta["name"])
        if there is not None:
            deleting = bool(there["metadata"].get("deletionTimestamp"))
            raise errors.already_exists(resource.plural, resource.group, meta["name"], deleting=deleting)
        if call.dry_run:
            return obj
        return self.store.put(place, obj)

    def seed(self, resource: Resource, obj: Obj, status: Any) -> Obj:
        """Store a new object as it is, with the status it brings along."""
        meta = obj["metadata"]
        strategies.prepare_create(resource.kind, obj)
        if status and status != schema.decode(target_of(resource).shape, {}).get("status"):
            obj["status"] = status
        meta["uid"], meta["creationTimestamp"] = str(uuid.uuid4()), now()
        return self.store.put(shelf_name(resource), obj)

    # -- update

    def _get(self, call: Call, resource: Resource) -> Obj | None:
        return self.store.get(shelf_name(resource), call.namespace if resource.namespaced else "", call.name)

    def find(self, call: Call, resource: Resource) -> Obj:
        """The object that the path names; ApiError 404."""
        found = self._get(call, resource)
        if found is None:
            raise errors.not_found(resource.plural, resource.group, call.name)
        return found

    def replace(self, call: Call, resource: Resource, may_create: Callable[[], None]) -> tuple[Obj, int]:
        """PUT, of an object or of its status; 201 where it made the object, which `may_create` allows (ApiError)."""
        check_options(call, "UpdateOptions")
        obj = read_object(call, resource, "UpdateOptions")
        meta = obj["metadata"]
        check_place(call, meta)
        target = target_of(resource, call.subresource)
        missing = self._get(call, resource) is None
        if missing and not call.subresource and resource.kind in strategies.MADE_BY_PUT:
            obj = managers.update(target, schema.decode(target.shape, {}), obj, call.manager)
            return self.create_object(call, resource, obj, may_create=may_create), 201
        old = self.find(call, resource)
        if meta.get("uid") and meta["uid"] != old["metadata"]["uid"]:
            text = (
                f"StorageError: invalid object, Code: 4, Key: {_storage_key(call, resource)}, ResourceVersion: 0, "
                f"AdditionalErrorMsg: Precondition failed: UID in precondition: {meta['uid']}, "
                f"UID in object meta: {old['metadata']['uid']}"
            )
            raise errors.conflict(resource.plural, resource.group, call.name, text)
        return self.update_object(call, resource, managers.update(target, old, obj, call.manager), old), 200

    def bind(self, call: Call, resource: Resource) -> Obj:
        """POST of a pod's binding: the scheduler gives it a node. ApiError 409 where it has one."""
        try:
            node = json.loads(call.body)["target"]["name"]
        except (ValueError, KeyError, TypeError):
            raise errors.bad_request("the body of the request is no Binding") from None
        pod = copy.deepcopy(self.find(call, resource))
        if pod["metadata"].get("deletionTimestamp"):
            text = f"pod {call.name} is being deleted, cannot be assigned to a host"
            raise errors.conflict("pods/binding", "", call.name, text)
        if pod["spec"].get("nodeName"):
            text = f'pod {call.name} is already assigned to node "{pod["spec"]["nodeName"]}"'
            raise errors.conflict("pods/binding", "", call.name, text)
        pod["spec"]["nodeName"] = node
        others = [each for each in pod["status"].get("conditions", []) if each["type"] != "PodScheduled"]
        scheduled = {"type": "PodScheduled", "status": "True", "lastProbeTime": None, "lastTransitionTime": now()}
        pod["status"] = {**pod["status"], "conditions": [*others, scheduled]}
        if not call.dry_run:
            self.store.put(shelf_name(resource), pod)
        return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}

    def finalize(self, call: Call, resource: Resource) -> Obj:
        """PUT of a namespace's finalizers; without any, one that is being deleted is gone."""
        obj = read_object(call, resource, "UpdateOptions")
        check_place(call, obj["metadata"])
        old = self.find(call, resource)
        self._check_version(call, resource, obj, old)
        new = {**old, "spec": obj["spec"]}
        if new == old or call.dry_run:
            return new
        if old["metadata"].get("deletionTimestamp") and not new["spec"].get("finalizers"):
            self.store.remove(shelf_name(resource), "", call.name)
            return new
        return self.store.put(shelf_name(resource), new)

    def update_object(self, call: Call, resource: Resource, obj: Obj, old: Obj) -> Obj:
        """Validate and store a changed object that has its managedFields already; no change leaves the version."""
        self._check_version(call, resource, obj, old)
        obj = {**obj, "metadata": dict(obj["metadata"])}
        meta, before = obj["metadata"], old["metadata"]
        meta["resourceVersion"] = before["resourceVersion"]
        meta.setdefault("uid", before["uid"])
        for name in ("creationTimestamp", "deletionGracePeriodSeconds", "selfLink"):
            meta.pop(name, None)
            if name in before:
                meta[name] = before[name]
        if "deletionTimestamp" in before:
            meta.setdefault("deletionTimestamp", before["deletionTimestamp"])
        strategies.prepare_update(resource.kind, call.subresource, obj, old)
        strategies.check_role_kind(resource.kind, obj, old, call.user.groups)
        check = validation.on_update
        if call.subresource:
            findings = validation.on_status(resource.kind, obj, old)
        else:
            findings = check(resource.kind, obj, old, namespaced=resource.namespaced)
        if findings:
            raise errors.unprocessable(resource.kind, resource.group, call.name, findings)
        if not call.subresource:
            call.warnings += strategies.warnings(resource.kind, obj, old)
        if _same(obj, old):
            return old
        if call.dry_run:
            return obj
        place, namespace = shelf_name(resource), meta.get("namespace", "")
        if meta.get("deletionTimestamp") and not meta.get("finalizers") and resource.kind not in ("Pod", "Namespace"):
            self.store.remove(place, namespace, meta["name"])
            return obj
        return self.store.put(place, obj)

    def _check_version(self, call: Call, resource: Resource, obj: Obj, old: Obj) -> None:
        sent = obj["metadata"].get("resourceVersion", "")
        if sent and not sent.isdigit():
            raise errors.internal(f'strconv.ParseUint: parsing "{sent}": invalid syntax')
        if sent in ("", "0"):
            if resource.kind == "Lease":
                finding = errors.invalid("metadata.resourceVersion", 0, "must be specified for an update")
                raise errors.unprocessable(resource.kind, resource.group, call.name, [finding])
        elif sent != old["metadata"]["resourceVersion"]:
            raise errors.conflict(resource.plural, resource.group, call.name, errors.MODIFIED)

    # -- delete

    def delete(self, call: Call, resource: Resource, options: Obj) -> Obj:
        """DELETE of one object: a Status, or the object where it stays for a while."""
        old = self.find(call, resource)
        return self.delete_object(call, resource, old, options)

    def delete_object(self, call: Call, resource: Resource, old: Obj, options: Obj) -> Obj:
        """Delete by the options: preconditions, dry run, propagation, grace period."""
        meta = old["metadata"]
        strategies.check_delete(resource.kind, meta["name"])
        _check_preconditions(resource, old, options.get("preconditions") or {})
        dry = call.dry_run or "All" in (options.get("dryRun") or [])
        policy = call.get("propagationPolicy") or options.get("propagationPolicy") or ""
        marked = self._marked(call, resource, old, options, policy)
        place = shelf_name(resource)
        if marked is not None:
            same = _same(marked, old)
            return marked if dry or same else self.store.put(place, marked)
        gone = old if dry else self.store.remove(place, meta.get("namespace", ""), meta["name"])
        if resource.kind == "Pod":  # told as it went: at once
            ended = {"deletionTimestamp": now(), "deletionGracePeriodSeconds": 0}
            count = {} if meta.get("deletionTimestamp") else {"generation": meta.get("generation", 0) + 1}
            return {**gone, "metadata": {**gone["metadata"], **ended, **count}}
        if resource.kind in ("ServiceAccount", "Service"):
            return gone
        details = {"name": meta["name"], "group": resource.group, "kind": resource.plural, "uid": meta["uid"]}
        details = {key: value for key, value in details.items() if value}
        return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}

    def _marked(self, call: Call, resource: Resource, old: Obj, options: Obj, policy: str) -> Obj | None:
        """The object marked for deletion, None where it can go at once."""
        obj = copy.deepcopy(old)
        meta = obj["metadata"]
        finalizers = list(meta.get("finalizers", []))
        added = {"Foreground": "foregroundDeletion", "Orphan": "orphan"}.get(policy)
        if added and added not in finalizers:
            finalizers.append(added)
        grace = 0
        if resource.kind == "Pod":
            grace = _grace(call, options, old)
        if resource.kind == "Namespace":
            obj["status"] = {**obj["status"], "phase": "Terminating"}
            meta["deletionTimestamp"] = meta.get("deletionTimestamp") or now()
            return obj
        if finalizers:
            meta["finalizers"] = finalizers
        elif not grace:
            return None
        if not meta.get("deletionTimestamp"):
            meta["deletionTimestamp"] = _in_future(grace)
            if "generation" in meta:
                meta["generation"] += 1
        elif grace >= meta.get("deletionGracePeriodSeconds", 0):
            return obj  # a deletion can only be hurried
        meta["deletionGracePeriodSeconds"] = grace
        return obj


def _grace(call: Call, options: Obj, pod: Obj) -> int:
    asked = call.get("gracePeriodSeconds")
    wanted = int(asked) if asked.isdigit() else options.get("gracePeriodSeconds")
    if not pod["spec"].get("nodeName") or pod["status"].get("phase") in ("Succeeded", "Failed"):
        return 0
    return int(pod["spec"]["terminationGracePeriodSeconds"] if wanted is None else wanted)


def _in_future(seconds: int) -> str:
    from datetime import UTC, datetime, timedelta

    return (datetime.now(UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def _check_preconditions(resource: Resource, old: Obj, wanted: Obj) -> None:
    meta = old["metadata"]
    refuse: Callable[[str], errors.ApiError] = lambda why: strategies.invalid_delete_precondition(  # noqa: E731
        resource.kind, meta["name"], why
    )
    if wanted.get("uid") and wanted["uid"] != meta["uid"]:
        raise refuse(
            f"the UID in the precondition ({wanted['uid']}) does not match the UID in record ({meta['uid']}). "
            "The object might have been deleted and then recreated"
        )
    if wanted.get("resourceVersion") and wanted["resourceVersion"] != meta["resourceVersion"]:
        raise refuse(
            f"the ResourceVersion in the precondition ({wanted['resourceVersion']}) does not match the ResourceVersion "
            f"in record ({meta['resourceVersion']}). The object might have been modified"
        )


def _storage_key(call: Call, resource: Resource) -> str:
    place = {"nodes": "minions", "services": "services/specs"}.get(resource.plural, resource.plural)
    return "/registry/" + "/".join(part for part in (place, call.namespace, call.name) if part)


def _same(obj: Obj, old: Obj) -> bool:
    """Whether nothing but the times of managedFields differs."""
    return _unmanaged(obj) == _unmanaged(old) and _timeless(obj) == _timeless(old)


def _unmanaged(obj: Obj) -> Obj:
    return {**obj, "metadata": {key: value for key, value in obj["metadata"].items() if key != "managedFields"}}


def _timeless(obj: Obj) -> list[Obj]:
    found = obj["metadata"].get("managedFields", [])
    entries = [{key: value for key, value in entry.items() if key != "time"} for entry in found]
    return sorted(entries, key=lambda entry: re.sub(r"\s", "", str(entry)))
