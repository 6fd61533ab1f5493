"""The difference between two states of an object, as a person and a retry compare it."""

from __future__ import annotations

import difflib
from typing import Any

from tui.core.ports import Object
from tui.core.redaction import strike_secrets, struck
from tui.i18n import _

_NOISE = ("managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "selfLink")
_NOISE_ANNOTATIONS = (
    "deprecated.daemonset.template.generation",
    "deployment.kubernetes.io/revision",
    "kubectl.kubernetes.io/last-applied-configuration",
)


def normalised(obj: Object) -> Object:
    """The object without what every write changes: server-set metadata, status, and kubectl's annotations."""
    metadata: dict[str, Any] = {k: v for k, v in obj.get("metadata", {}).items() if k not in _NOISE}
    annotations = {k: v for k, v in (metadata.pop("annotations", None) or {}).items() if k not in _NOISE_ANNOTATIONS}
    if annotations:
        metadata["annotations"] = annotations
    return {**{k: v for k, v in obj.items() if k != "status"}, "metadata": metadata}


def differs(live: Object | None, after: Object | None) -> bool:
    """Whether anything that counts differs between the two."""
    return (normalised(live) if live else None) != (normalised(after) if after else None)


def object_diff(live: Object | None, after: Object | None, name: str) -> str:
    """A unified diff of the two objects as YAML, secrets struck out; "" where nothing differs.

    Texts of a ConfigMap that are equal on both sides belong to others: only their size is shown.
    """
    if not differs(live, after):
        return ""
    before, then = (normalised(side) if side else {} for side in (live, after))
    _hide_equal_texts(before, then)
    old, new = (yaml_lines(side) if side else [] for side in (before, then))
    lines = list(difflib.unified_diff(old, new, f"live {name}", f"planned {name}", lineterm="", n=3))
    # Where only struck-out values differ, both sides read alike.
    return "\n".join(lines or [f"--- live {name}", f"+++ planned {name}", _("(values that are not shown differ)")])


def _hide_equal_texts(before: Object, then: Object) -> None:
    for field in ("data", "binaryData", "stringData"):
        old, new = before.get(field), then.get(field)
        if not isinstance(old, dict):
            continue
        other = new if isinstance(new, dict) else {}
        hidden = {
            key: _("({n} characters, unchanged)").format(n=len(str(text)))
            for key, text in old.items()
            if other.get(key) == text
        }
        before[field] = {**old, **hidden}
        if isinstance(new, dict):
            then[field] = {**new, **hidden}


def yaml_lines(obj: Object) -> list[str]:
    """The object as YAML, texts of several lines as blocks, secrets struck out."""
    return strike_secrets(as_yaml(struck(obj))).splitlines()


def as_yaml(obj: Object) -> str:
    """The object as YAML as it is, secrets included: texts of several lines as blocks, keys sorted."""
    import yaml

    # libyaml is ten times as fast, and plans may hold hundreds of objects.
    dumper_type: Any = type("Dumper", (getattr(yaml, "CSafeDumper", yaml.SafeDumper),), {})

    def text(dumper: yaml.SafeDumper, value: str) -> yaml.Node:
        style = "|" if "\n" in value else None
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)

    dumper_type.add_representer(str, text)
    dumped: str = yaml.dump(
        obj, Dumper=dumper_type, sort_keys=True, default_flow_style=False, allow_unicode=True, width=4096
    )
    return dumped
