"""The catalogue of the seven monitoring views, and what each needs.

A view's file `assets/views/*.toml` is read when first asked for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Set
from dataclasses import dataclass
from functools import cache

from tui.core.errors import UsageError
from tui.core.view_file import SchemaError, parse
from tui.core.view_schema import Group, Line, Panel, Text, Variable, View, translation
from tui.core.view_template import MAX_NAME, build
from tui.i18n import _, assets

__all__ = [
    "KEYS",
    "MAX_NAME",
    "Fill",
    "Group",
    "Line",
    "Panel",
    "SchemaError",
    "Text",
    "Variable",
    "View",
    "build",
    "catalogue",
    "dashboard_uuid",
    "fillable",
    "translation",
    "view",
]

KEYS = (
    "docker",
    "kubernetes",
    "etcd",
    "istio-mesh",
    "istio-control-plane",
    "istio-service",
    "istio-workload",
)  # in the tutorial's order


@dataclass(frozen=True)
class Fill:
    """Whether what is collected can fill a panel, and which (measurement, field) pairs it lacks."""

    panel: Panel
    missing: tuple[tuple[str, str], ...]

    @property
    def ok(self) -> bool:
        """Nothing is missing."""
        return not self.missing


def catalogue() -> list[View]:
    """The seven views in the tutorial's order."""
    return [view(key) for key in KEYS]


def view(key: str) -> View:
    """One view. Raises UsageError for a key that is none of the seven."""
    if key not in KEYS:
        raise UsageError(
            _("There is no view {key}.").format(key=key),
            remedy=_("The views are: {keys}").format(keys=", ".join(KEYS)),
        )
    return _read(key)


@cache
def _read(key: str) -> View:
    return parse((assets() / "views" / f"{key}.toml").read_text(encoding="utf-8"))


def fillable(view: View, fields: Mapping[str, Set[str]]) -> list[Fill]:
    """Which panels can be filled, given the fields by source that a conf lets through or that have arrived
    (`collector` with `up` too; objects and logs as "O::class" and "L::source").
    """
    return [Fill(panel, tuple(need for need in panel.needs if not _there(need, fields))) for panel in view.panels]


def _there(need: tuple[str, str], fields: Mapping[str, Set[str]]) -> bool:
    source, field = need
    return source in fields if field == "*" else field in fields.get(source, ())


def dashboard_uuid(workspace_uuid: str, view_key: str, cluster_name: str) -> str:
    """The uuid of our dashboard for this view and cluster: always the same, so that creating it twice makes one."""
    name = f"{workspace_uuid}:{view_key}:{cluster_name}"
    return f"dsbd_custom_{hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()}"
