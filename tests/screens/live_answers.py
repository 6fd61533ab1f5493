"""What a studio would answer to the catalogue's own queries: the same numbers for the same query, at any time.

Tags, and how large a value of a unit is, look like those of a small cluster; everything else follows from the query's
text.
"""

from __future__ import annotations

import itertools
import math
import random
import re
from collections.abc import Sequence
from functools import cache

from tui.core import views
from tui.core.ports import Answer, Ask, Series
from tui.core.query import PromQL

TAGS: dict[str, tuple[str, ...]] = {
    "cluster_name_k8s": ("lab", "staging"),
    "namespace": ("kube-system", "prod"),
    "host": ("cp-1", "worker-1"),
    "node_name": ("cp-1", "worker-1"),
    "node": ("cp-1", "worker-1"),
    "internal_ip": ("172.16.0.10",),
    "container_name": ("coredns", "productpage", "reviews"),
    "container_id": ("0b1c2d3e4f",),
    "image": ("registry.example/bookinfo/reviews:1.20",),
    "state": ("running",),
    "status": ("Running",),
    "pod_name": ("productpage-v1-6b74-x2x1z", "reviews-v2-77c9-9qkzp"),
    "phase": ("Running", "Pending"),
    "instance": ("cp-1:2381", "cp-2:2381", "cp-3:2381"),
    "destination_service": ("productpage.prod.svc.cluster.local", "reviews.prod.svc.cluster.local"),
    "destination_workload": ("productpage-v1", "reviews-v2"),
    "destination_workload_namespace": ("prod",),
    "destination_version": ("v1", "v2"),
    "source_workload": ("istio-ingressgateway", "productpage-v1"),
    "source_workload_namespace": ("istio-system",),
    "response_code": ("200", "503"),
    "reporter": ("destination", "source"),
    "component": ("pilot", "proxy"),
    "tag": ("1.24.2",),
}
# Values of a unit lie about here, and stray by that part of it.
SIZES: dict[str, tuple[float, float]] = {
    "none": (1.0, 0.2),
    "count": (12.0, 0.0),
    "times": (3.0, 0.0),
    "bytes": (180e6, 0.2),
    "bytes/s": (48e3, 0.4),
    "percent": (24.0, 0.4),
    "fraction": (0.985, 0.01),
    "cores": (0.8, 0.3),
    "millicores": (340.0, 0.3),
    "milliseconds": (18.0, 0.4),
    "seconds": (0.004, 0.4),
    "days": (364.0, 0.0),
    "requests/s": (6.5, 0.4),
    "operations/s": (32.0, 0.3),
}
OWN = {"server_has_leader": 1.0, "up": 1.0, "age": 273_000.0}
MOST = 4  # series of a query
POINTS = 16


@cache
def units() -> dict[str, str]:
    """The unit of each field, as the first panel that shows it has it."""
    found: dict[str, str] = {}
    for view in views.catalogue():
        for panel in view.panels:
            for line in panel.lines:
                found.setdefault(line.query.field, line.unit or panel.unit)
    return found


def answer(ask: Ask, end_ms: int) -> Answer:
    """What one query is answered."""
    text = ask.text
    if text.startswith("show_tag_value"):
        tag = re.search(r"keyin=\['(\w+)'\]", text)
        assert tag is not None
        return Answer(
            tuple(Series({"key": tag[1], "value": value}, (), ()) for value in TAGS.get(tag[1], ("one", "two")))
        )
    if text.startswith("show_field_key"):
        return Answer(tuple(Series({"fieldKey": name, "fieldType": "float"}, (), ()) for name in sorted(fields(text))))
    if text.startswith("show_tag_key"):
        return Answer((Series({"tagKey": "instance"}, (), ()),))
    by = re.search(r"BY (.+)$", text) or re.search(r"by \(([^)]*)\)", text)
    tags = [tag.strip("` ") for tag in by[1].split(",")] if by and by[1] else []
    tags = [tag for tag in tags if tag != "le"]
    combinations = itertools.product(*(TAGS.get(tag, (tag,)) for tag in tags))
    return Answer(
        tuple(series(ask, dict(zip(tags, one, strict=True)), end_ms) for one in itertools.islice(combinations, MOST))
    )


def fields(text: str) -> set[str]:
    """The fields that the catalogue wants of the measurement in a `show_field_key`."""
    name = re.search(r"from=\['(\w+)'\]", text)
    assert name is not None
    return {
        line.query.stored
        for view in views.catalogue()
        for panel in view.panels
        for line in panel.lines
        if line.query.source == name[1]
    }


def series(ask: Ask, tags: dict[str, str], end_ms: int) -> Series:
    """One series: a wave of its own, a counter that rises, or one value."""
    field = (
        re.search(r"\(`(\w+|\*)`\)", ask.text) or re.search(r"\w+:(\w+?)(?:_bucket)?[{\[)]", ask.text) or [""] * 2
    )[1]
    if field.endswith("version"):
        return Series(tags, ("time", "value"), ((None, None),), {"value": "v1.36.2"})
    share = " > 0)" in ask.text or ("allocatable" in ask.text and ask.text[0] == "(")
    unit = "fraction" if share else units().get(field, "count")
    size, stray = (OWN[field], 0.0) if field in OWN else SIZES[unit]
    size /= 1000 if "A/1000" in ask.text else 1
    quantile = re.match(r"histogram_quantile\(([\d.]+)", ask.text)
    size *= float(quantile[1]) ** 3 if quantile else 1.0
    same = re.sub(r"quantile\([\d.]+", "", ask.text)  # quantiles of one course keep their order
    chance = random.Random(f"{same} {sorted(tags.items())}")
    spread = stray or (0.0 if field in OWN else 0.7)
    level = size * chance.uniform(1 - spread, 1 + spread)
    phase = chance.uniform(0, 6)
    counter = field.endswith("_total") and "rate" not in ask.text and not isinstance(ask.text, PromQL)

    def value(at: int) -> float:
        if counter:
            return math.floor(120_000 + size * 31 * at + phase * 900)
        if unit == "fraction":
            return min(level + 0.004 * math.sin(at / 3 + phase), 1.0)
        made = level * (1 + stray / 2 * math.sin(at / 3 + phase))
        return math.floor(made) if not stray else made

    if not ask.interval_s:
        return Series(tags, ("time", "value"), ((None, value(POINTS - 1)),))
    step = ask.interval_s * 1000
    end_ms = -(-end_ms // 1000) * 1000 - step  # the beginning of the last interval
    rows = tuple((float(end_ms - step * (POINTS - 1 - at)), value(at)) for at in range(POINTS))
    return Series(tags, ("time", "value"), rows)


def answers(asks: Sequence[Ask], end_ms: int) -> list[Answer]:
    """What a request with these queries is answered."""
    return [answer(ask, end_ms) for ask in asks]
