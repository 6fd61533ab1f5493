"""Holding a rollout back: a DaemonSet has no pause, so its updateStrategy is OnDelete for as long as one is wanted.

The field is applied with everything else that we own of the object. It is given back as any forced field is: its old
value under its old manager where that one updates, released where nobody owned it or its owner applies.
"""

from __future__ import annotations

import copy

from tui.core import fields
from tui.core.errors import StaleError
from tui.core.ownership import FIELD_MANAGER
from tui.core.ports import DAEMON_SET, Cluster, Object
from tui.core.receipts import Overwrite

PATH: fields.Path = ("spec", "updateStrategy", "type")
FIELD = fields.text(PATH)
ON_DELETE = "OnDelete"
_RETRIES = 3


def strategy(daemon_set: Object) -> str:
    """The type of the update strategy; the API server's default is RollingUpdate."""
    return str((daemon_set["spec"].get("updateStrategy") or {}).get("type") or "RollingUpdate")


def is_ours(daemon_set: Object) -> bool:
    """Whether it is we who hold the rollout, and nobody else who wants OnDelete."""
    return strategy(daemon_set) == ON_DELETE and fields.owners(daemon_set, PATH) == [(FIELD_MANAGER, "Apply")]


def holding(body: Object) -> Object:
    """The body with the hold in it."""
    made = copy.deepcopy(body)
    fields.put(made, PATH, ON_DELETE)
    return made


def holds(body: Object) -> bool:
    """Whether applying the body holds the rollout."""
    return bool(fields.look(body, PATH) == ON_DELETE)


def let_go(body: Object) -> Object:
    """The body without the hold."""
    made = copy.deepcopy(body)
    made.get("spec", {}).pop("updateStrategy", None)
    return made


def give_back(cluster: Cluster, live: Object, forced: tuple[Overwrite, ...]) -> Object:
    """Write the strategy back under its old manager, where it was forced over one that updates; the object after that.

    From here on the controller rolls. Raises StaleError where somebody keeps writing, or took the field meanwhile.
    """
    old = next((each for each in forced if each.path == FIELD and each.operation == "Update"), None)
    namespace, name = live["metadata"]["namespace"], live["metadata"]["name"]
    for attempt in range(_RETRIES + 1):
        if old is None or not is_ours(live):
            return live
        held = {key: live["metadata"][key] for key in ("uid", "resourceVersion")}
        body = fields.partial({"metadata": held}, [(PATH, old.old)])
        try:
            return cluster.patch(DAEMON_SET, namespace, name, body, manager=old.manager, dry_run=False).object
        except StaleError:
            if attempt == _RETRIES:
                raise
            live = cluster.get(DAEMON_SET, namespace, name)
    raise AssertionError
