"""What makes two templates differ to a person, and what does not."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.core import views
from tui.core.view_drift import differences, fingerprint, shown


def template(key: str = "docker", language: str = "en") -> dict[str, Any]:
    return views.build(views.view(key), name="x", language=language)


def as_exported(template: dict[str, Any]) -> dict[str, Any]:
    """As the studio sends it back: under another title, with uuids, groups as texts, and numbers as it likes."""
    there = deepcopy(template)
    there.update(title="y", identifier="z", icon="", createdAt=1)
    there["main"]["groups"] = [group["name"] for group in there["main"]["groups"]]
    for number, chart in enumerate(there["main"]["charts"]):
        chart.update(uuid=f"chrt_{number}", chartGroupUUID="", prevGroupName=None)
        chart["pos"] = {key: float(value) for key, value in chart["pos"].items()} | {"i": str(number)}
        chart["extend"]["settings"]["openCompare"] = False
    return there


@pytest.mark.parametrize("key", views.KEYS)
def test_what_comes_back_is_the_same(key: str) -> None:
    made = template(key)
    there = as_exported(made)
    assert differences(made, there) == ()
    assert fingerprint(made) == fingerprint(there)
    view = views.view(key)
    assert len(shown(made)) == len(view.panels) + len(view.variables)  # none hides another
    assert fingerprint(made) != fingerprint(template(key, "zh"))


def test_each_change_is_told_by_panel() -> None:
    made = template()
    there = as_exported(made)
    charts = there["main"]["charts"]
    charts[0]["queries"][0]["query"]["q"] = "M::`cpu`:(avg(`usage`))"
    charts[1]["pos"]["x"] = 3
    charts[2]["name"] = "My memory"
    charts.append(deepcopy(charts[0]))
    there["main"]["vars"][0]["definition"]["defaultVal"]["value"] = "prod"
    found = {(one.verb, one.what): one.diff for one in differences(made, there)}
    assert list(found) == [
        ("changed", "#{cluster_name_k8s}"),
        ("changed", "Usage › CPU usage"),
        ("changed", "Usage › Memory usage"),
        ("removed", "Usage › Memory used"),
        ("added", "Usage › My memory"),
        ("added", "Usage › CPU usage (2)"),
    ]
    assert found["changed", "#{cluster_name_k8s}"] == ("-default: __all__", "+default: prod")
    before, after = found["changed", "Usage › CPU usage"]
    assert before.startswith("-query: dql: M::`docker_containers`:(avg(`cpu_usage`)")
    assert after == "+query: dql: M::`cpu`:(avg(`usage`))"
    assert found["changed", "Usage › Memory usage"] == (
        "-place: [8.0, 0.0, 8.0, 10.0]", "+place: [3.0, 0.0, 8.0, 10.0]",
    )  # fmt: skip
    assert fingerprint(made) != fingerprint(there)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(JSON, st.sampled_from(["vars", "charts", "groups"]), JSON)
def test_whatever_the_studio_sends_is_compared(main: Any, key: str, part: Any) -> None:
    for there in ({"main": main}, {"main": {key: part}}, {"main": {key: [part]}}, {}):
        found = differences(template(), json.loads(json.dumps(there)))
        assert {one.verb for one in found} <= {"removed", "added"}
        assert sum(one.verb == "removed" for one in found) == len(shown(template()))
