"""Undo on a machine that holds no receipt: what our field manager owns tells what to remove."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from tui.core import fields
from tui.core.ownership import FIELD_MANAGER, managers, owned
from tui.core.ports import CONFIG_MAP, DAEMON_SET, DEPLOYMENT, Kind, Object
from tui.core.receipts import WRITTEN, Receipt, Step
from tui.i18n import _


def without_receipt(
    daemon_set: Object, config_map: Object | None, receipt: Receipt, workloads: Sequence[Object] = ()
) -> tuple[Receipt, list[str]]:
    """A receipt made from what our field manager owns now, for a machine that holds none, and what undo cannot restore.

    `receipt` names the place, `workloads` are the mesh's Deployments. A field that belonged to somebody before us (its
    list item, or the mount of its key, is another's) is kept: its former value is not known here, and without a value
    DataKit would break. The receipt has no steps where nothing is ours.
    """
    notes: list[str] = []
    steps = []
    whole = [(CONFIG_MAP, config_map), (DAEMON_SET, daemon_set), *((DEPLOYMENT, item) for item in workloads)]
    for kind, live in whole:
        ours = owned(live) if live else None
        if live is None or ours is None:
            continue
        mine = fields.leaves(ours)
        kept = {path: mine[path] for path in _in_others_place(kind, live, mine, daemon_set)}
        notes += [
            _("{field} stays: it was there before us, and its former value is not known here.").format(
                field=fields.text(path)
            )
            for path in kept
        ]
        if len(kept) == len(mine):
            continue
        metadata = live["metadata"]
        steps.append(
            Step(
                api_version=kind.api_version,
                kind=kind.kind,
                plural=kind.plural,
                namespace=metadata["namespace"],
                name=metadata["name"],
                state=WRITTEN,
                created=kind == CONFIG_MAP and not managers(live),
                uid=metadata["uid"],
                ours_before=fields.partial({"apiVersion": kind.api_version, "kind": kind.kind}, kept) if kept else None,
            )
        )
    if steps:
        notes.append(_("Views are not touched: which ones were made is known only to the receipt."))
    return replace(receipt, steps=tuple(steps)), notes


def _in_others_place(
    kind: Kind, live: Object, mine: Iterable[fields.Path], daemon_set: Object
) -> Sequence[fields.Path]:
    """Our fields that stand in a place of another's: a list item that others own too, a key that others mount."""
    if kind == CONFIG_MAP:
        keys = _keys_others_mount(daemon_set, live["metadata"]["name"])
        return [path for path in mine if path[0] == "data" and path[1] in keys]
    found = []
    for path in mine:
        items = [at for at, part in enumerate(path) if isinstance(part, fields.Item)]
        # containers[…] is everybody's; what counts is an env entry, a mount or a volume inside the pod.
        if not items or isinstance(path[-1], fields.Item) or path[items[-1] - 1] == "containers":
            continue
        item = path[: items[-1] + 1]
        if any(who != FIELD_MANAGER for who, _how in fields.owners(live, item)) and not any(
            who != FIELD_MANAGER for who, _how in fields.owners(live, path)
        ):
            found.append(path)
    return found


def _keys_others_mount(daemon_set: Object, config_map: str) -> set[str]:
    pod = daemon_set["spec"]["template"]["spec"]
    volumes = {v["name"] for v in pod.get("volumes", []) if v.get("configMap", {}).get("name") == config_map}
    found = set()
    for container in pod["containers"]:
        for mount in container.get("volumeMounts", []):
            path = (
                "spec", "template", "spec", "containers", fields.Item("name", container["name"]),
                "volumeMounts", fields.Item("mountPath", mount["mountPath"]), "name",
            )  # fmt: skip
            theirs = any(who != FIELD_MANAGER for who, _how in fields.owners(daemon_set, path))
            if mount.get("name") in volumes and mount.get("subPath") and theirs:
                found.add(mount["subPath"])
    return found
