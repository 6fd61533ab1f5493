"""Names from outside in queries: each is read back as it was meant, or refused before there is a query."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.core import views
from tui.core.errors import UsageError
from tui.core.query import Condition, PromQL, Query, expression, tag_values
from tui.lab.studio import dql, promql

# Whatever a person, a cluster or an attacker may write, with what has a meaning in queries made likely.
OUTSIDE = st.text(st.one_of(st.characters(), st.sampled_from("'\"`\\{}[]()#:,|=~;\n or *")), max_size=20)
CLUSTER = Condition("cluster_name_k8s", "lab")


def conditions(statement: object) -> dict[str, tuple[str, tuple[str, ...]]]:
    assert isinstance(statement, dql.Statement | dql.Show)
    found = statement.filter
    parts = found.parts if isinstance(found, dql.Both) else (found,)
    assert not isinstance(found, dql.Both) or found.all
    assert all(isinstance(part, dql.Condition) for part in parts)
    return {part.tag: (part.op, part.values) for part in parts if isinstance(part, dql.Condition)}


@given(OUTSIDE, st.sampled_from(["=", "!="]))
def test_a_value_in_dql_stays_a_value(value: str, op: str) -> None:
    query = Query("m", "f", "sum", (CLUSTER, Condition("service", value, op)), ("a",), "rate", "5m")
    try:
        text = query.dql()
    except UsageError:
        return
    statement = dql.parse(text)
    assert conditions(statement) == {"cluster_name_k8s": ("=", ("lab",)), "service": (op, (value,))}
    assert isinstance(statement, dql.Statement)
    assert (statement.measurement, statement.by, statement.range.rollup) == ("m", ("a",), "rate")


@given(OUTSIDE)
def test_a_value_in_a_formula_stays_a_value(value: str) -> None:
    query = Query("m", "f", "avg", (CLUSTER, Condition("service", value)))
    try:
        text = expression("A-B", {"A": query, "B": Query("m", "g", "avg")}, alias=value)
    except UsageError:
        return
    parsed = dql.parse(text)
    assert isinstance(parsed, dql.Eval)
    assert (set(parsed.parts), parsed.alias) == ({"A", "B"}, value)
    assert conditions(parsed.parts["A"])["service"] == ("=", (value,))


@given(OUTSIDE)
def test_a_name_in_a_formula_stays_a_name(name: str) -> None:
    try:
        text = expression("A*2", {"A": Query("m", name, "avg", by=(name,))})
    except UsageError:
        return
    parsed = dql.parse(text)
    assert isinstance(parsed, dql.Eval)
    assert (parsed.parts["A"].select[0].field, parsed.parts["A"].by) == (name, (name,))


@given(OUTSIDE)
def test_a_value_in_promql_stays_a_value(value: str) -> None:
    service, part = Condition("service", value), Condition("code", "5..", "!~")
    query = Query("m", "f", "sum", (CLUSTER, service), ("a",), "rate", "5m", part=(part,), share=True)
    try:
        text = query.promql()
    except UsageError:
        return
    node = promql.parse(text)
    assert isinstance(node, promql.Binary)
    assert (node.op, selectors(node)) == (
        "/",
        [
            (("cluster_name_k8s", "=", "lab"), ("service", "=", value), ("code", "!~", "5..")),
            (("cluster_name_k8s", "=", "lab"), ("service", "=", value)),
            (("cluster_name_k8s", "=", "lab"), ("service", "=", value)),
        ],
    )


def selectors(node: promql.Node) -> list[tuple[tuple[str, str, str], ...]]:
    """The matchers of all selectors, from left to right."""
    if isinstance(node, promql.Selector):
        return [node.matchers]
    if isinstance(node, promql.Binary):
        return [*selectors(node.left), *selectors(node.right)]
    if isinstance(node, promql.Aggregate):
        return selectors(node.node)
    if isinstance(node, promql.Call):
        return [one for argument in node.arguments for one in selectors(argument)]
    return []


@given(OUTSIDE)
def test_names_in_promql_are_plain_or_refused(name: str) -> None:
    try:
        text = Query(name, name, "sum", (Condition(name, "x"),), (name,)).promql()
    except UsageError:
        return
    node = promql.parse(text)
    assert isinstance(node, promql.Aggregate)
    assert node.by == (name,)
    assert selectors(node) == [((name, "=", "x"),)]


@given(OUTSIDE)
def test_a_variables_query_stays_one(value: str) -> None:
    try:
        text = tag_values("istio_prom", "reporter", where=(CLUSTER, Condition("service", value)))
    except UsageError:
        return
    assert conditions(dql.parse(text))["service"] == ("=", (value,))


@given(OUTSIDE)
def test_whatever_is_chosen_in_a_view_its_queries_stay_what_they_are(value: str) -> None:
    """One panel for each way to say a query, over what a person picks or a cluster is called."""
    for view in views.catalogue():
        given = {variable.code: value for variable in view.variables}
        for panel in (view.panels[0], view.panels[-1]):
            plain = panel.queries({variable.code: "x" for variable in view.variables})
            try:
                texts = panel.queries(given)
            except UsageError:
                continue
            if not value:  # nothing chosen: all
                continue
            for text, same in zip(texts, plain, strict=True):
                read = promql.parse if isinstance(text, PromQL) else dql.parse
                assert repr(read(text)) == repr(read(same)).replace(repr("x"), repr(value))


@pytest.mark.parametrize(
    "value", ["lab' or `cluster_name_k8s` = 'other", 'lab"} or vector(1) #', "a\\", "#{namespace}", "a`b", "a\u2028b"]
)
def test_these_are_refused_and_said_to_be(value: str) -> None:
    for key in ("M1", "M2", "M5b"):
        panel = next(one for one in views.view("istio-mesh").panels if one.key == key)
        with pytest.raises(UsageError, match="cannot stand in a query"):
            panel.queries({"cluster_name_k8s": value, "namespace": value})
