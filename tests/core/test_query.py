"""From data to DQL and PromQL, and what may not go into either."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.core.errors import UsageError
from tui.core.query import (
    Condition,
    PromQL,
    Query,
    cluster_name,
    expression,
    identifier,
    literal,
    newest,
    tag_values,
)

CLUSTER = Condition("cluster_name_k8s", "cluster_name_k8s", variable=True)


@pytest.mark.parametrize(
    ("query", "text"),
    [
        (Query("etcd", "up"), "M::`etcd`:(`up`)"),
        (Query("etcd", "up", "last", by=("instance",)), "M::`etcd`:(last(`up`)) BY `instance`"),
        (Query("kubelet_pod", "age", "last", namespace="O"), "O::`kubelet_pod`:(last(`age`))"),
        (Query("kubelet_pod", "name", "count_distinct", namespace="O"), "O::`kubelet_pod`:(count_distinct(`name`))"),
        (Query("events", "*", "count", by=("reason",), namespace="L"), "L::`events`:(count(`*`)) BY `reason`"),
        (
            Query("etcd", "up", "min", where=(Condition("job", "etcd"), Condition("zone", "a", "!="))),
            "M::`etcd`:(min(`up`)) { `job` = 'etcd' and `zone` != 'a' }",
        ),
        (Query("m", "f", "sum", rollup="rate", window="5m"), "M::`m`:(sum(`f`)) [::5m:rate]"),
        (Query("m", "f", "sum", rollup="last", window="auto"), "M::`m`:(sum(`f`)) [::auto:last]"),
        (Query("m", "f", "spread", lookback="1d"), "M::`m`:(spread(`f`)) [1d]"),
        (Query("m", "f", "max", lookback="1h", rollup="rate", window="5m"), "M::`m`:(max(`f`)) [1h::5m:rate]"),
        (Query("m", "f", "avg", alias="总大小"), "M::`m`:(avg(`f`) AS `总大小`)"),
        (Query("m", "f", "sum", (Condition("code", "5.*", "=~"),)), "M::`m`:(sum(`f`)) { `code` = re('5.*') }"),
        (Query("m", "f", "sum", (Condition("code", "5.*", "!~"),)), "M::`m`:(sum(`f`)) { `code` != re('5.*') }"),
        (
            Query("etcd", "up", "min", (CLUSTER,)),
            "M::`etcd`:(min(`up`)) { `cluster_name_k8s` = '#{cluster_name_k8s}' }",
        ),
    ],
)
def test_dql(query: Query, text: str) -> None:
    assert query.dql() == text
    assert query.text() == text
    assert not isinstance(query.text(), PromQL)


@pytest.mark.parametrize(
    ("query", "text"),
    [
        (Query("etcd", "up"), "etcd:up"),
        (
            Query("etcd", "up", "min", (CLUSTER,), ("instance",)),
            'min by (instance) (etcd:up{cluster_name_k8s=~"#{cluster_name_k8s}"})',
        ),
        (Query("m", "f", "sum", rollup="rate", window="5m"), "sum(rate(m:f[5m]))"),
        (Query("m", "f", "max", zero=True), "max(m:f) or vector(0)"),
        (Query("m", "f", "min", countdown=True), "min(m:f) - time()"),
        (Query("m", "f", "sum", prom=True), "sum(m:f)"),
        (
            Query("m", "f", "sum", by=("a",), rollup="rate", window="5m", part=(Condition("code", "5..", "=~"),)),
            'sum by (a) (rate(m:f{code=~"5.."}[5m])) or sum by (a) (rate(m:f[5m])) * 0',
        ),
        (
            Query("m", "f", "sum", (Condition("b", "x"),), part=(Condition("code", "5..", "!~"),), share=True),
            '(sum(m:f{b="x",code!~"5.."}) or sum(m:f{b="x"}) * 0) / (sum(m:f{b="x"}) > 0)',
        ),
        (
            Query("m", "f", by=("instance",), quantile=0.99, rollup="rate", window="5m"),
            "histogram_quantile(0.99, sum by (instance, le) (rate(m:f_bucket[5m])))",
        ),
    ],
)
def test_promql(query: Query, text: str) -> None:
    assert query.promql() == text


def test_a_quantile_is_promql_and_nothing_else() -> None:
    query = Query("m", "f", quantile=0.5, rollup="rate", window="5m")
    assert isinstance(query.text(), PromQL)
    with pytest.raises(UsageError):
        query.dql()


def test_bound_variables_become_values_or_fall_away() -> None:
    query = Query("etcd", "up", "min", (CLUSTER, Condition("instance", "instance", variable=True)))
    assert query.bound({"cluster_name_k8s": "lab"}).dql() == "M::`etcd`:(min(`up`)) { `cluster_name_k8s` = 'lab' }"
    assert query.bound({}).dql() == "M::`etcd`:(min(`up`))"


def test_expression() -> None:
    a, b = Query("etcd", "a", "avg"), Query("etcd", "b", "avg")
    assert expression("A-B", {"A": a, "B": b}) == 'eval(A-B, A="M::`etcd`:(avg(`a`))", B="M::`etcd`:(avg(`b`))")'
    assert expression("A/B*100", {"A": a, "B": b}, alias="r").startswith("eval(A/B*100, alias='r', A=")
    for formula in ("A-C", "A", "A-B, C=1", "exec(A-B)"):
        with pytest.raises(UsageError):
            expression(formula, {"A": a, "B": b})


def test_an_expression_is_promql_as_soon_as_one_of_its_queries_is() -> None:
    a, b = Query("m", "a", "max", prom=True), Query("m", "b", "max")
    text = expression("A/1000-B", {"A": a, "B": replace(b, zero=True)})
    assert text == "(max(m:a))/1000-(max(m:b) or vector(0))"
    assert isinstance(text, PromQL)
    assert expression("A/1000-B", {"A": a, "B": b}) == "(max(m:a))/1000-(max(m:b))"


def test_a_variable_with_a_default_is_never_all() -> None:
    reporter = Query("m", "f", "sum", (Condition("reporter", "qrep", variable=True, default="source"),))
    assert reporter.bound({}).dql() == "M::`m`:(sum(`f`)) { `reporter` = 'source' }"
    assert reporter.bound({"qrep": "destination"}).dql() == "M::`m`:(sum(`f`)) { `reporter` = 'destination' }"


@pytest.mark.parametrize(
    "wrong",
    [
        {"namespace": "X"},
        {"namespace": "O", "rollup": "rate", "window": "5m"},
        {"namespace": "O", "quantile": 0.5},
        {"namespace": "L", "prom": True},
        {"field": "*"},
        {"field": "*", "function": "count"},
        {"field": "f", "function": "count", "namespace": "L"},
        {"share": True},
    ],
)
def test_queries_that_cannot_be(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Query(**{"measurement": "m", "field": "f", "function": "sum", **wrong})
    with pytest.raises(UsageError):
        Query("kubelet_pod", "age", "last", namespace="O").promql()


def test_helpers() -> None:
    assert newest("etcd", "up", (Condition("job", "etcd"),), ("host",)) == (
        "M::`etcd`:(`up`) { `job` = 'etcd' } BY `host` ORDER BY time DESC LIMIT 1"
    )
    assert tag_values("etcd", "instance", where=(CLUSTER,)) == (
        "show_tag_value(from=['etcd'], keyin=['instance']){`cluster_name_k8s` = '#{cluster_name_k8s}'}[10m]"
    )


@pytest.mark.parametrize("name", ["lab", "k8s-istio", "prod_1.eu", "A" * 128])
def test_cluster_names(name: str) -> None:
    assert cluster_name(name) == name


@pytest.mark.parametrize("name", ["", "a b", "a'b", "生产", "a\n", "x" * 129, "a}", "#{x}", "a`b"])
def test_cluster_names_that_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="letters, digits"):
        cluster_name(name)


@pytest.mark.parametrize("value", ["a'b", 'a"b', "a\\", "a`b", "a\nb", "#{instance}", "a\x00"])
def test_values_that_could_break_out_are_refused(value: str) -> None:
    with pytest.raises(UsageError):
        literal(value)
    for op in ("=", "!=", "=~"):
        with pytest.raises(UsageError):
            Condition("tag", value, op).dql()
        with pytest.raises(UsageError):
            Condition("tag", value, op).promql()


@pytest.mark.parametrize("name", ["", "a`b", "a\\b", "a\nb", "#{x}"])
def test_names_that_could_break_out_are_refused(name: str) -> None:
    for build in (
        lambda: identifier(name),
        lambda: Query(name, "f").dql(),
        lambda: Query("m", name).dql(),
        lambda: Query("m", "f", by=(name,)).dql(),
        lambda: Condition(name, "v").dql(),
        lambda: Query("m", "f", by=(name,)).dql(),
    ):
        with pytest.raises(UsageError):
            build()


def test_wrong_parts_are_refused() -> None:
    with pytest.raises(UsageError):
        Query("m", "f", "exec")
    with pytest.raises(UsageError):
        Query("m", "f", "sum", rollup="exec", window="5m")
    with pytest.raises(UsageError):
        Query("m", "f", quantile=99)
    for duration in ("", "5", "m", "5m]", "-5m", "5 m"):
        with pytest.raises(UsageError):
            Query("m", "f", "sum", rollup="rate", window=duration).dql()


@given(st.text(max_size=40))
def test_whatever_the_value_it_stays_inside_its_quotes(value: str) -> None:
    try:
        text = literal(value)
    except UsageError:
        return
    assert text == f"'{value}'"
    assert not set(value) & set("'\"`\\\n")
