"""Where each form of query was seen: in a dashboard that the studio made, in the vendor's documents, or nowhere.

A form that was seen nowhere is our own composition of parts that were, and is said to be unverified until a
studio has answered it.
"""

from __future__ import annotations

from dataclasses import dataclass

from tui.core.query import Query
from tui.core.view_schema import Panel

_TEMPLATES = "GuanceCloud/terraform-guance-dashboard, modules/{}/manifest.json"
_DQL = "guance-docs, dql/define.md"


@dataclass(frozen=True)
class Form:
    """One form of query. `seen` names where, "" nowhere."""

    key: str
    example: str
    seen: str = ""

    @property
    def verified(self) -> bool:
        """Whether it was seen anywhere."""
        return bool(self.seen)


FORMS = {
    form.key: form
    for form in (
        Form("dql", "M::`m`:(avg(`f`)) { `t` = '#{v}' } BY `t`", _TEMPLATES.format("docker")),
        Form("dql-regex", "{ `t` = re('5.*') }", _TEMPLATES.format("istio_mesh")),
        Form("dql-lookback", "M::`m`:(spread(`f`)) [1d]", _DQL),
        Form("dql-rate", "M::`m`:(sum(`f`)) [::5m:rate]", f"{_DQL}; dql/rollup-func.md"),
        Form("dql-rollup", "M::`m`:(sum(`f`)) [::auto:last]", f"{_DQL}; dql/rollup-func.md"),
        Form("object", "O::`class`:(last(`f`)) BY `t`", _TEMPLATES.format("kubernetes")),
        Form("count-distinct", "O::`class`:(count_distinct(`t`))", _TEMPLATES.format("kubernetes_events")),
        Form("log", "L::`source`:(count(`*`)) BY `t`", _TEMPLATES.format("kubernetes_events")),
        Form("eval", 'eval(A-B, A="M::…", B="M::…")', _TEMPLATES.format("istio_mesh")),
        Form("eval-rollup", 'eval(A/1000, A="M::… [::auto:last]")'),
        Form("promql", 'sum by (t) (m:f{t="x"})', "guance-docs, dql/promql.md"),
        Form("promql-rate", "sum by (t) (rate(m:f[5m]))", "guance-docs, dql/promql.md"),
        Form("promql-variable", 'm:f{t=~"#{v}"}, where all may be chosen'),
        Form(
            "promql-quantile",
            "histogram_quantile(0.99, sum by (le) (rate(m:f_bucket[5m])))",
            "guance-docs, dql/metricsql.md",
        ),
        Form("promql-part", "sum(rate(m:f{…}[5m])) or sum(rate(m:f[5m])) * 0"),
        Form("promql-share", "(… or … * 0) / (… > 0)"),
        Form("promql-zero", "max(m:f) or vector(0)", "istio/istio, manifests/addons/dashboards"),
        Form("promql-countdown", "min(m:f) - time()"),
        Form("promql-formula", "(max(m:f)) - (max(m:g))", "guance-docs, dql/metricsql.md"),
    )
}


def forms(panel: Panel) -> tuple[Form, ...]:
    """The forms of a panel's queries, each once."""
    queries = [line.query for line in panel.lines]
    in_promql = any(query.in_promql for query in queries) if panel.formula else None
    keys = [key for query in queries for key in _of(query, query.in_promql if in_promql is None else in_promql)]
    if panel.formula and in_promql:
        keys.append("promql-formula")
    elif panel.formula:
        keys.append("eval-rollup" if any(query.rollup for query in queries) else "eval")
    return tuple(FORMS[key] for key in dict.fromkeys(keys))


def unverified(panel: Panel) -> tuple[Form, ...]:
    """The forms of a panel's queries that were seen nowhere."""
    return tuple(form for form in forms(panel) if not form.verified)


def _of(query: Query, in_promql: bool) -> list[str]:
    if in_promql:
        return _promql(query)
    if query.function == "count_distinct":
        return ["count-distinct"]
    if query.namespace != "M":
        return ["object" if query.namespace == "O" else "log"]
    found = ["dql-regex"] if any("~" in condition.op for condition in query.where) else []
    if query.lookback:
        found.append("dql-lookback")
    if query.rollup:
        found.append("dql-rate" if query.rollup in ("rate", "irate") else "dql-rollup")
    return found or ["dql"]


def _promql(query: Query) -> list[str]:
    found = ["promql-variable"] if any(c.variable and not c.default for c in query.where) else []
    if query.part:
        found.append("promql-share" if query.share else "promql-part")
    if query.quantile is not None:
        found.append("promql-quantile")
    if query.zero:
        found.append("promql-zero")
    if query.countdown:
        found.append("promql-countdown")
    if set(found) <= {"promql-variable"}:
        found.append("promql-rate" if query.rollup in ("rate", "irate") else "promql")
    return found
