"""Why one panel is empty, as text and as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from tui.core.checks.model import Result
from tui.core.checks.panel import Why
from tui.core.reports import ASCII_MARKS, MARKS, details, line, outcome
from tui.core.view_schema import translation
from tui.i18n import _, language

SCHEMA = "datakit-wizard/why/v1"


def title(why: Why) -> str:
    """The panel as a person knows it: view, key and title."""
    return f"{why.view.title(language())} › {why.panel.key} {translation(why.panel.title, language())}"


def verdict(why: Why) -> str:
    """Whether the panel fills, in words."""
    if why.filled and why.own is not None:
        return outcome(why.own)
    if why.own is None or why.own.status == "skip":
        return _("whether it fills could not be looked at")
    return _("it is empty")


def as_text(why: Why, *, ascii_only: bool = False) -> str:
    """For people: whether the panel fills; if not, the first broken hop with cause and remedy, and the command."""
    marks = ASCII_MARKS if ascii_only else MARKS
    if why.filled and why.own is not None:
        return f"{marks['pass']} {title(why)}: {verdict(why)}\n"
    mark = marks["skip" if why.own is None or why.own.status == "skip" else "fail"]
    lines = [f"{mark} {title(why)}: {verdict(why)}"]
    hop = why.hop
    if hop is not None:
        lines.append(f"{line(hop, ascii_only=ascii_only)}  [{hop.id}]")
        lines += [f"    {detail}" for detail in details(hop)]
        if hop.command:
            lines += [_("This mends it:"), *(f"  {one}" for one in hop.command.splitlines())]
        if why.own is not None and why.own is not hop and why.own.status == "fail":
            lines.append(f"{line(why.own, ascii_only=ascii_only)}  [{why.own.id}]")
    return "\n".join(lines) + "\n"


def as_json(why: Why) -> str:
    """For machines (schema datakit-wizard/why/v1): `hop` is the first broken one, null where the panel fills."""
    document = {
        "schema": SCHEMA,
        "context": why.report.contexts[0],
        "view": why.view.key,
        "panel": {"key": why.panel.key, "title": translation(why.panel.title, language())},
        "filled": why.filled,
        "hop": None if why.hop is None else _result(why.hop),
        "checks": [_result(one) for one in why.report.results],
    }
    return json.dumps(document, ensure_ascii=False, indent=1) + "\n"


def _result(result: Result) -> dict[str, Any]:
    found = asdict(result)
    found["causes"] = list(result.causes)
    del found["blocked_by"]  # told in skipped_because
    return found
