"""Receipts: the journal of what was changed, written before each request, and what undo plays backwards.

One file per apply, mode 0600, under `<state>/receipts/<cluster uid>/<namespace>/`. A receipt holds no secret: conf
texts are kept with the values of tokens and passwords struck out, for they are only shown, never applied again; what
undo applies again are our own earlier fields, which the cluster itself holds.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from tui.core.errors import UsageError
from tui.core.ports import Object
from tui.i18n import _

SCHEMA = "datakit-wizard/receipt/v1"

PENDING = "pending"  # journalled, the request may or may not have gone out
WRITTEN = "written"
UNKNOWN = "unknown"  # sent, the answer never came
FAILED = "failed"
UNDONE = "undone"
SAME = "same"  # nothing differed, nothing was sent


@dataclass(frozen=True)
class Step:
    """One object that an apply writes. `ours_before` is what our field manager owned before (None: nothing)."""

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
    owners: tuple[str, ...] = ()
    message: str = ""


@dataclass(frozen=True)
class ViewStep:
    """One dashboard that an apply creates."""

    key: str
    uuid: str
    name: str
    state: str = PENDING
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
    views: tuple[ViewStep, ...] = ()
    path: Path | None = field(default=None, compare=False)

    @property
    def states(self) -> list[str]:
        """The state of every step and view, in order."""
        return [*(step.state for step in self.steps), *(view.state for view in self.views)]

    @property
    def complete(self) -> bool:
        """Whether everything that was meant to be done is done."""
        return all(state in (WRITTEN, SAME) for state in self.states)

    @property
    def changed_anything(self) -> bool:
        """Whether a request may have changed something that is not undone yet."""
        return any(state in (WRITTEN, PENDING, UNKNOWN) for state in self.states)

    def with_step(self, step: Step) -> Receipt:
        """This receipt with the step of the same object replaced, or added at the end."""
        return replace(self, steps=_put(self.steps, step, lambda s: (s.kind, s.namespace, s.name)))

    def with_view(self, view: ViewStep) -> Receipt:
        """This receipt with the view of the same key replaced, or added at the end."""
        return replace(self, views=_put(self.views, view, lambda v: v.key))


def _put(items: tuple[Any, ...], new: Any, key: Any) -> tuple[Any, ...]:
    if any(key(item) == key(new) for item in items):
        return tuple(new if key(item) == key(new) else item for item in items)
    return (*items, new)


_SECRET_VALUE = re.compile(r"(?im)^([ +-]*[\w.]*(?:token|password|secret|_base64)\s*=\s*)(?!\s*$).+$")


def strike_secrets(text: str) -> str:
    """`text` with the values of TOML keys that may hold a secret struck out, and tokens in URLs."""
    text = _SECRET_VALUE.sub(r'\1"***"', text)
    return re.sub(r"(?i)(token=)[^&\s\"']+", r"\1***", text)


class Store:
    """The folder of receipts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, receipt: Receipt) -> Receipt:
        """Put the receipt on disk, whole or not at all, and return it with its path."""
        path = receipt.path or (
            self.folder / "receipts" / _safe(receipt.cluster_uid) / _safe(receipt.namespace) / f"{receipt.id}.json"
        )
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        content = {"schema": SCHEMA, **asdict(receipt)}
        del content["path"]
        partial = path.with_suffix(f".{os.getpid()}.tmp")
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as out:
            json.dump(content, out, indent=1, ensure_ascii=False)
            out.flush()
            os.fsync(out.fileno())
        partial.replace(path)
        return replace(receipt, path=path)

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


def _safe(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "_", name) or "_"


def load(path: Path) -> Receipt:
    """Read a receipt. Raises UsageError where the file is missing or is no receipt of ours."""
    try:
        content: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if content.get("schema") != SCHEMA:
            raise ValueError(f"schema {content.get('schema')!r}")
        known = {key: value for key, value in content.items() if key not in ("schema", "steps", "views")}
        steps = tuple(Step(**{**step, "owners": tuple(step["owners"])}) for step in content["steps"])
        views = tuple(ViewStep(**view) for view in content["views"])
        return Receipt(**known, steps=steps, views=views, path=path)
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
