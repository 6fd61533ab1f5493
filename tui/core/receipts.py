"""Receipts: the journal of what was changed, written before each request, and what undo plays backwards.

One file per apply, mode 0600, under `<state>/receipts/<cluster uid>/<namespace>/`. A receipt holds no secret: a value
that holds one is struck out and named in `withheld`, and undo says that it cannot bring that value back.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from tui.core import fields
from tui.core.errors import RefusedError, UsageError
from tui.core.ports import Object
from tui.core.redaction import holds_secret, strike_secrets, struck
from tui.i18n import _

SCHEMA = "datakit-wizard/receipt/v1"

PENDING = "pending"  # journalled, the request may or may not have gone out
WRITTEN = "written"
UNKNOWN = "unknown"  # sent, the answer never came
FAILED = "failed"
UNDOING = "undoing"  # undo has begun, and its outcome is not journalled
UNDONE = "undone"
SAME = "same"  # nothing differed, nothing was sent


WAITING, ROLLED_OUT = "waiting", "done"  # a DaemonSet's rollout, as far as it was watched
HELD = "held"  # one node has it, the others wait for the word to go on

__all__ = ["Overwrite", "PodStep", "Receipt", "Step", "Store", "ViewStep", "load", "strike_secrets"]


@dataclass(frozen=True)
class Overwrite:
    """A field that was forced: its path as the API server writes it, and whose value it was.

    `old` is None where the value held a secret (`withheld`): then it cannot be restored.
    """

    path: str
    manager: str
    operation: str
    old: Any = None
    withheld: bool = False


@dataclass(frozen=True)
class Step:
    """One object that an apply writes.

    `ours_before` is what our field manager owned before (None: nothing); its values at the paths in `withheld` held
    secrets and are struck out. `wrote` holds a digest of each field that we wrote, by path; it tells another wizard's
    apply from ours. `rollout` is "", "waiting", "held" or "done".
    """

    api_version: str
    kind: str
    plural: str
    namespace: str
    name: str
    state: str = PENDING
    created: bool = False
    uid: str = ""
    version_before: str = ""
    version_after: str = ""
    generation_after: int = 0
    diff: str = ""
    ours_before: Object | None = None
    withheld: tuple[str, ...] = ()
    forced: tuple[Overwrite, ...] = ()
    wrote: Mapping[str, str] = field(default_factory=dict)
    rollout: str = ""
    owners: tuple[str, ...] = ()
    message: str = ""

    @property
    def title(self) -> str:
        """Kind and name, as kubectl would write them."""
        return f"{self.kind} {self.namespace}/{self.name}"

    @property
    def open(self) -> bool:
        """Whether a request of it may have changed something that is not undone."""
        return self.state in (WRITTEN, PENDING, UNKNOWN, UNDOING)


@dataclass(frozen=True)
class ViewStep:
    """One dashboard that an apply makes, or (`created` False) replaces.

    `wrote` is the fingerprint of the template that was written (`view_drift.fingerprint`); it tells what a person
    changed since. `former` is the template that was replaced, None where there was none, or where it held a secret
    (`withheld`); `former_desc` its description.
    """

    key: str
    uuid: str
    name: str
    state: str = PENDING
    message: str = ""
    created: bool = True
    wrote: str = ""
    former: Object | None = None
    former_desc: str = ""
    withheld: bool = False

    @property
    def open(self) -> bool:
        """Whether a request of it may have changed something that is not undone."""
        return self.state in (WRITTEN, PENDING, UNKNOWN, UNDOING)


@dataclass(frozen=True)
class PodStep:
    """One DataKit pod that an apply deletes so that a new one comes: the node, and the pod's name and uid.

    `before` is the uid of the pod that was there before the first apply of this receipt. `template` says that it gets
    a changed pod template, not a changed conf alone: undoing that is the rollout's work.
    `message` tells what was seen of the new pod.
    """

    node: str
    name: str
    uid: str
    before: str
    state: str = PENDING
    template: bool = False
    message: str = ""


@dataclass(frozen=True)
class Receipt:
    """What one apply did, in order; `path` is where it is kept and is not part of the file."""

    id: str
    started: str
    context: str
    server: str
    cluster_uid: str
    namespace: str
    daemonset: str
    user: str
    endpoint: str = ""
    finished: str = ""
    undone: str = ""
    steps: tuple[Step, ...] = ()
    pods: tuple[PodStep, ...] = ()
    views: tuple[ViewStep, ...] = ()
    path: Path | None = field(default=None, compare=False)

    @property
    def states(self) -> list[str]:
        """The state of every step, pod and view, in order."""
        steps: tuple[Step | PodStep | ViewStep, ...] = (*self.steps, *self.pods, *self.views)
        return [step.state for step in steps]

    @property
    def complete(self) -> bool:
        """Whether everything that was meant to be done is done, rollouts included."""
        done = all(state in (WRITTEN, SAME) for state in self.states)
        return done and not any(step.rollout in (WAITING, HELD) for step in self.steps)

    @property
    def held(self) -> bool:
        """Whether one node has the change and the others wait for the word to go on."""
        return any(step.rollout == HELD for step in self.steps)

    @property
    def changed_anything(self) -> bool:
        """Whether a request may have changed something that is not undone yet."""
        return any(state in (WRITTEN, PENDING, UNKNOWN, UNDOING) for state in self.states)

    def step_of(self, kind: str, namespace: str, name: str) -> Step | None:
        """The step of this object, None where the receipt has none."""
        return next((s for s in self.steps if (s.kind, s.namespace, s.name) == (kind, namespace, name)), None)

    def with_step(self, step: Step) -> Receipt:
        """This receipt with the step of the same object replaced, or added at the end."""
        return replace(self, steps=_put(self.steps, step, lambda s: (s.kind, s.namespace, s.name)))

    def with_pod(self, pod: PodStep) -> Receipt:
        """This receipt with the pod of the same node replaced, or added at the end."""
        return replace(self, pods=_put(self.pods, pod, lambda p: p.node))

    def with_view(self, view: ViewStep) -> Receipt:
        """This receipt with the step of the same dashboard replaced, or added at the end."""
        return replace(self, views=_put(self.views, view, lambda v: v.uuid))

    def view_of(self, uuid: str) -> ViewStep | None:
        """The step of this dashboard, None where the receipt has none."""
        return next((view for view in self.views if view.uuid == uuid), None)


def _put(items: tuple[Any, ...], new: Any, key: Any) -> tuple[Any, ...]:
    if any(key(item) == key(new) for item in items):
        return tuple(new if key(item) == key(new) else item for item in items)
    return (*items, new)


def keepable(body: Object | None) -> tuple[Object | None, tuple[str, ...]]:
    """What a receipt may keep of our earlier fields: the body, and the paths of the values that were struck out."""
    if body is None:
        return None, ()
    withheld = tuple(fields.text(path) for path, value in fields.leaves(body).items() if _secret(path, value))
    return (struck(body) if withheld else body), withheld


def overwrite(path: fields.Path, value: Any, manager: str, operation: str) -> Overwrite:
    """The journal's record of a forced field; a value that holds a secret is left out."""
    if _secret(path, value):
        return Overwrite(fields.text(path), manager, operation, withheld=True)
    return Overwrite(fields.text(path), manager, operation, value)


def _secret(path: fields.Path, value: Any) -> bool:
    """Whether the value may hold a secret; an env entry is judged with its name, which is in the path."""
    name = next((step.value for step in reversed(path) if isinstance(step, fields.Item)), "")
    return holds_secret(value) or holds_secret({"name": name, "value": value})


def digests(body: Object | None) -> dict[str, str]:
    """A digest of each field of a partial object, by path."""
    return {
        fields.text(path): hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
        for path, value in fields.leaves(body or {}).items()
        if not isinstance(path[-1], fields.Item)
    }


class Store:
    """The folder of receipts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, receipt: Receipt) -> Receipt:
        """Put the receipt on disk, whole or not at all, and return it with its path."""
        path = receipt.path or (
            self.folder / "receipts" / _safe(receipt.cluster_uid) / _safe(receipt.namespace) / f"{receipt.id}.json"
        )
        content = {"schema": SCHEMA, **asdict(receipt)}
        del content["path"]
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            partial = path.with_suffix(f".{os.getpid()}.tmp")
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as out:
                json.dump(content, out, indent=1, ensure_ascii=False)
                out.flush()
                os.fsync(out.fileno())
            partial.replace(path)
            folder = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)  # the name as well, so that a machine that loses power knows it
            finally:
                os.close(folder)
        except OSError as error:
            raise RefusedError(
                _("The receipt cannot be written, and nothing is changed without one."),
                object=str(path),
                why=error.strerror or type(error).__name__,
                remedy=_("Make room there, or set XDG_STATE_HOME to a folder of yours."),
            ) from None
        return replace(receipt, path=path)

    @contextmanager
    def locked(self, cluster_uid: str, namespace: str) -> Iterator[None]:
        """Keep other processes of this machine from changing the same cluster and namespace meanwhile.

        Raises RefusedError where one is at work. The lock ends with the process, however that ends.
        """
        import fcntl

        folder = self.folder / "receipts" / _safe(cluster_uid) / _safe(namespace)
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise RefusedError(
                _("The receipt cannot be written, and nothing is changed without one."),
                object=str(folder),
                why=error.strerror or type(error).__name__,
                remedy=_("Make room there, or set XDG_STATE_HOME to a folder of yours."),
            ) from None
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise RefusedError(
                    _("Another datakit-wizard on this machine is changing this cluster right now."),
                    object=str(folder),
                    remedy=_("Wait until it is done, then run this again."),
                ) from None
            yield
        finally:
            os.close(lock)

    def all(self, cluster_uid: str, namespace: str) -> list[Receipt]:
        """The receipts of one cluster and namespace, newest first; files that are no receipts are left out."""
        folder = self.folder / "receipts" / _safe(cluster_uid) / _safe(namespace)
        found = []
        for path in sorted(folder.glob("*.json"), reverse=True):
            try:
                found.append(load(path))
            except UsageError:
                continue
        return found

    def newest(self, cluster_uid: str, namespace: str) -> Receipt | None:
        """The newest receipt that still has something to undo, or None."""
        pending = (r for r in self.all(cluster_uid, namespace) if not r.undone and r.changed_anything)
        return next(pending, None)

    def later(self, receipt: Receipt) -> Receipt | None:
        """A newer receipt, not undone, that changed one of the same objects or dashboards: that one has to be undone
        first, for it may hold what was there in between.
        """
        objects = {(step.kind, step.namespace, step.name) for step in receipt.steps}
        dashboards = {view.uuid for view in receipt.views if view.open}
        for other in self.all(receipt.cluster_uid, receipt.namespace):
            if other.id <= receipt.id or other.undone:
                continue
            if any(step.open and (step.kind, step.namespace, step.name) in objects for step in other.steps):
                return other
            if any(view.open and view.uuid in dashboards for view in other.views):
                return other
        return None


def unfinished(store: Store, cluster_uid: str, namespace: str) -> Receipt | None:
    """The newest apply or undo that was broken off (killed, refused halfway, rollout not watched to its end), or None.

    The next apply goes on with its receipt, and undo takes it back.
    """
    for receipt in store.all(cluster_uid, namespace):
        if not receipt.steps or receipt.undone or not receipt.changed_anything:
            continue
        # An older one that was broken off counts no more once a later apply is whole.
        return None if receipt.complete else receipt
    return None


def unfinished_anywhere(store: Store) -> Receipt | None:
    """The newest unfinished receipt of all clusters and namespaces that this machine has receipts of, or None."""
    places = [place for place in store.folder.glob("receipts/*/*") if place.is_dir()]
    found = [left for place in places if (left := unfinished(store, place.parent.name, place.name))]
    return max(found, key=lambda receipt: receipt.id, default=None)


def _safe(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "_", name) or "_"


def _step(content: Mapping[str, Any]) -> Step:
    forced = tuple(Overwrite(**one) for one in content.get("forced", ()))
    lists = {key: tuple(content.get(key, ())) for key in ("owners", "withheld")}
    return Step(**{**content, **lists, "forced": forced})


def load(path: Path) -> Receipt:
    """Read a receipt. Raises UsageError where the file is missing or is no receipt of ours."""
    try:
        content: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if content.get("schema") != SCHEMA:
            raise ValueError(f"schema {content.get('schema')!r}")
        known = {key: value for key, value in content.items() if key not in ("schema", "steps", "pods", "views")}
        steps = tuple(_step(step) for step in content["steps"])
        pods = tuple(PodStep(**pod) for pod in content.get("pods", ()))
        views = tuple(ViewStep(**view) for view in content["views"])
        return Receipt(**known, steps=steps, pods=pods, views=views, path=path)
    except OSError as error:
        raise UsageError(
            _("The receipt cannot be read."),
            object=str(path),
            why=error.strerror or type(error).__name__,
            remedy=_("Give the path that apply printed."),
        ) from None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UsageError(
            _("The file is no receipt of this tool."),
            object=str(path),
            why=str(error),
            remedy=_("Give the path that apply printed."),
        ) from None
