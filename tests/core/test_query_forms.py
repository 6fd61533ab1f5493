"""Each query's form is known, and named with where it was seen."""

from __future__ import annotations

import pytest

from tui.core import views
from tui.core.query import PromQL
from tui.core.query_forms import FORMS, forms, unverified
from tui.core.view_schema import Panel

PANELS = {panel.key: panel for view in views.catalogue() for panel in view.panels}


@pytest.mark.parametrize("panel", PANELS.values(), ids=PANELS)
def test_every_query_has_its_forms(panel: Panel) -> None:
    keys = {form.key for form in forms(panel)}
    assert keys
    text = "\n".join(panel.queries())
    assert any(key.startswith("promql") for key in keys) == any(isinstance(one, PromQL) for one in panel.queries())
    for part, key in (
        (" or vector(0)", "promql-zero"),
        ("histogram_quantile", "promql-quantile"),
        ("time()", "promql-countdown"),
        (" > 0)", "promql-share"),
        ("O::", "object"),
        ("L::", "log"),
        (":rate]", "dql-rate"),
        (":last]", "dql-rollup"),
        ("re('", "dql-regex"),
        ('=~"#{', "promql-variable"),
    ):
        assert (part in text) == (key in keys or (key == "object" and "count-distinct" in keys)), part


def test_all_forms_are_used_and_those_seen_nowhere_are_these() -> None:
    used = {form.key for panel in PANELS.values() for form in forms(panel)}
    assert used == set(FORMS)
    assert {key for key, form in FORMS.items() if not form.verified} == {
        "eval-rollup",
        "promql-variable",
        "promql-part",
        "promql-share",
        "promql-countdown",
    }


@pytest.mark.parametrize(
    ("key", "found"),
    [
        ("D1", ["dql"]),
        ("D7", ["count-distinct"]),
        ("E3r", ["dql-lookback"]),
        ("E5d", ["dql", "eval"]),
        ("E14f", ["dql-regex", "dql-rate"]),
        ("K22", ["dql-rollup", "eval-rollup"]),
        ("K25", ["promql-variable", "promql", "promql-formula"]),
        ("K30", ["log"]),
        ("M2", ["promql-variable", "promql-share"]),
        ("M3", ["promql-variable", "promql-part"]),
        ("M7", ["promql-variable", "promql", "promql-zero", "promql-formula"]),
        ("W4", ["promql-variable", "promql-rate", "promql-formula"]),
        ("W3", ["promql-variable", "promql-quantile"]),
    ],
)
def test_forms(key: str, found: list[str]) -> None:
    assert [form.key for form in forms(PANELS[key])] == found
    assert [form.key for form in unverified(PANELS[key])] == [one for one in found if not FORMS[one].verified]
