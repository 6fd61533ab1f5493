"""Whether two templates show the same: what of a template counts, and where two differ, panel by panel.

A template that comes back from the studio has more in it than was sent (uuids, defaults of newer versions), so
only what a person sees or changes is compared: titles, places, kinds, queries, units, and variables.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import unified_diff
from typing import Any

Shown = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Difference:
    """One panel ("group › title") or variable ("#{code}") that is not as it would be made. `verb` is "added",
    "removed" or "changed" and tells what happened to it in the studio; `diff` is from ours to what is there.
    """

    verb: str
    what: str
    diff: tuple[str, ...] = ()


def shown(template: Mapping[str, Any]) -> Shown:
    """What of a template counts, by the name of each part; the dashboard's own title does not, it is a person's to
    choose. Takes whatever the studio sends: parts that are not as expected are left out.
    """
    main = _dict(template.get("main"))
    found: Shown = {}
    for variable in _list(main.get("vars")):
        definition = _dict(variable.get("definition"))
        _put(
            found,
            f"#{{{variable.get('code')}}}",
            {
                "name": variable.get("name"),
                "type": variable.get("type"),
                "query": definition.get("value"),
                "default": _dict(definition.get("defaultVal")).get("value"),
                "multiple": bool(variable.get("multiple")),
                "all": bool(variable.get("includeStar")),
            },
        )
    for chart in _list(main.get("charts")):
        group, place = _dict(chart.get("group")).get("name"), _dict(chart.get("pos"))
        settings = _dict(_dict(chart.get("extend")).get("settings"))
        _put(
            found,
            " › ".join(str(part) for part in (group, chart.get("name")) if part),
            {
                "chart": chart.get("type"),
                "place": [_number(place.get(key)) for key in ("x", "y", "w", "h")],
                "note": settings.get("titleDesc") or "",
                "units": [unit.get("units") for unit in _list(settings.get("units"))],
                "queries": [
                    f"{query.get('qtype')}: {_dict(query.get('query')).get('q')}"
                    for query in _list(chart.get("queries"))
                ],
            },
        )
    return found


def fingerprint(template: Mapping[str, Any]) -> str:
    """16 hexadecimal digits that are the same for templates that show the same."""
    text = json.dumps(shown(template), sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def differences(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> tuple[Difference, ...]:
    """What was changed in the studio, seen from the template that would be made; in the order of ours."""
    made, there = shown(ours), shown(theirs)
    found = []
    for name in [*made, *(name for name in there if name not in made)]:
        if name not in there:
            found.append(Difference("removed", name))
        elif name not in made:
            found.append(Difference("added", name, tuple(f"+{line}" for line in _lines(there[name]))))
        elif made[name] != there[name]:
            diff = unified_diff(_lines(made[name]), _lines(there[name]), lineterm="", n=0)
            found.append(
                Difference("changed", name, tuple(line for line in diff if line[:2] not in ("--", "++", "@@")))
            )
    return tuple(found)


def toward_ours(difference: Difference) -> Difference:
    """The same difference as what putting ours in the place of theirs would do: `verb` and `diff` from theirs to
    ours.
    """
    signs = {"-": "+", "+": "-"}
    turned = [signs.get(line[:1], line[:1]) + line[1:] for line in difference.diff]
    verb = {"added": "removed", "removed": "added"}.get(difference.verb, difference.verb)
    return Difference(verb, difference.what, tuple(sorted(turned, key=lambda line: line[:1] != "-")))


def _put(found: Shown, name: str, part: dict[str, Any]) -> None:
    """Under its name; a second of the same name, as a copied panel has, under a number too."""
    unique, number = name, 2
    while unique in found:
        unique, number = f"{name} ({number})", number + 1
    found[unique] = part


def _lines(part: Mapping[str, Any]) -> list[str]:
    """A part as lines of text, each of its queries on one."""
    lines = []
    for key, value in part.items():
        if key == "queries":
            lines += [f"query: {query}" for query in value]
        else:
            lines.append(f"{key}: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}")
    return lines


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None
