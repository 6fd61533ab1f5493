"""What a metric will be called: measurement and field from its name, by the rules of DataKit 1.84.1."""

from __future__ import annotations

from dataclasses import dataclass

from tui.core.prom.decode import Rule
from tui.core.prom.settings import PromInput


@dataclass(frozen=True)
class Name:
    """The new name of a family; histograms and summaries append `_bucket`, `_sum`, `_count` to the field.

    `how` is one of: "rule" (then `rule` is the one that matched), "measurement_name", "split" (at the first
    underscore), "whole" (no underscore to split at), "unknown" (nothing but underscores and one letter).
    """

    measurement: str
    field: str
    how: str
    rule: Rule | None = None


def name_of(settings: PromInput, metric: str) -> Name:
    """The name that `metric`, a family's name, gets."""
    for rule in settings.measurements:
        if rule.prefix and metric.startswith(rule.prefix):
            measurement = rule.name or rule.prefix.rstrip("_") or "prom"
            return Name(settings.measurement_prefix + measurement, metric[len(rule.prefix) :], "rule", rule)
    if settings.measurement_name:
        return Name(settings.measurement_prefix + settings.measurement_name, metric, "measurement_name")
    measurement, field, how = _split(metric, settings.keep_exist_metric_name)
    return Name(settings.measurement_prefix + measurement, field, how)


def _split(metric: str, keep: bool) -> tuple[str, str, str]:
    stripped = metric.lstrip("_")
    if len(stripped) <= 1:
        return "unknown", "unknown", "unknown"
    head, underscore, tail = stripped.partition("_")
    if not underscore or not tail:
        return head, head, "whole"
    return head, stripped if keep else tail, "split"
