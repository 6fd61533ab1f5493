"""What an etcd.conf makes of one scrape, before anything is changed: equal, point for point, to DataKit 1.84.1."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any

from tui.core.prom import lineprotocol, urls
from tui.core.prom.collector import Point, Scrape, Target, collect, final_up
from tui.core.prom.conf import Loaded, PromInput, load
from tui.core.prom.explain import FamilyOutcome, explain, sentence
from tui.i18n import _, ngettext

SCHEMA = "datakit-wizard/preview/v1"


@dataclass(frozen=True)
class Remark:
    """Something to say of the scrape or the conf. `code` is stable and never translated; `line` from 1, 0 for none."""

    code: str
    severity: str  # "error", "warning", "info"
    message: str
    line: int = 0
    remedy: str = ""


@dataclass
class Preview:
    """The outcome of a preview. `up` as DataKit reports it: 1, 0, or None where it reports nothing.

    `families` has the families of each scrape in order: several scrapes give several entries for one.
    """

    loaded: bool
    error: str
    up: int | None
    points: list[Point]
    findings: list[Remark] = field(default_factory=list)
    families: list[FamilyOutcome] = field(default_factory=list)


def preview(
    conf_text: str,
    fetch: Callable[[str], Scrape],
    *,
    url: str = "",
    host_tags: Mapping[str, str],
    election_tags: Mapping[str, str],
    env: Mapping[str, str],
    now_ms: int,
) -> Preview:
    """One round of every input of the conf against one target.

    `url` is the address that the scrape is taken to come from; "" means the first one in the conf. An input that lists
    it scrapes it as often as it does, an input that does not is left out; where none lists it, all inputs scrape it in
    place of their own. `fetch` is asked for this address alone. `env` and the global tags are the agent's.
    """
    loaded = load(conf_text, env)
    findings = list(_of_conf(loaded))
    points: list[Point] = []
    families: list[FamilyOutcome] = []
    targets: list[Target] = []
    scrapes: dict[str, Scrape] = {}

    def fetch_once(address: str) -> Scrape:
        if address not in scrapes:
            scrapes[address] = fetch(address) if _can_be_read(address) else _no_such_file(address)
        return scrapes[address]

    for one in _aimed(loaded.inputs, url):
        done = collect(one, fetch_once, host_tags=host_tags, election_tags=election_tags, now_ms=now_ms)
        points += done.points
        targets += done.targets
        for target in done.targets:
            if target.exposition:
                families += explain(one, target.exposition)
    findings += _of_scrapes(targets, scrapes)
    return Preview(bool(loaded.inputs), loaded.error, final_up(targets), points, findings, families)


def to_json(made: Preview) -> dict[str, Any]:
    """The preview by the schema datakit-wizard/preview/v1: strict JSON, a NaN written as the string "NaN"."""
    return {
        "schema": SCHEMA,
        "loaded": made.loaded,
        "up": made.up,
        "points": [_json_point(point) for point in made.points],
        "findings": [
            {"code": one.code, "severity": one.severity, "line": one.line, "message": one.message, "remedy": one.remedy}
            for one in made.findings
        ],
    }


def to_line_protocol(made: Preview) -> str:
    """The points as line protocol; what that cannot hold (NaN, points without fields) is left out."""
    return lineprotocol.encode(made.points)


def to_text(made: Preview) -> str:
    """The preview for people: what is kept and what it will be called, then what is dropped and why."""
    return "\n".join(_text(made)) + "\n"


def _aimed(inputs: tuple[PromInput, ...], url: str) -> list[PromInput]:
    """The inputs, with no other targets than `url`."""
    if not url:
        url = next((one.urls[0] for one in inputs if one.urls), "")
    if not url:
        return []
    listing = [replace(one, urls=(url,) * one.urls.count(url)) for one in inputs if url in one.urls]
    if listing:
        return listing
    try:
        urls.parse(url)
    except ValueError as error:
        return [replace(one, urls=(url,), problem=str(error)) for one in inputs]
    return [replace(one, urls=(url,)) for one in inputs]


def _can_be_read(address: str) -> bool:
    """What has no http(s) scheme is opened as a file. A relative path is looked for where DataKit runs: not there."""
    return urls.parse(address).scheme in ("http", "https") or address.startswith("/")


def _no_such_file(address: str) -> Scrape:
    return Scrape(
        None,
        error=_("{url} has no http:// and is opened as a file, which is not there").format(url=urls.shown(address)),
    )


def _of_conf(loaded: Loaded) -> Iterator[Remark]:
    if loaded.error:
        yield Remark("conf/load", "error", loaded.error, loaded.line)
    elif not loaded.inputs:
        yield Remark("conf/empty", "error", _("no [[inputs.prom]] in the conf: DataKit ignores the file"))
    for one in loaded.inputs:
        if one.problem:
            yield Remark(
                "conf/init",
                "error",
                _("the input {source} never starts, and nothing says so: {problem}").format(
                    source=one.source, problem=one.problem
                ),
            )


def _of_scrapes(targets: list[Target], scrapes: Mapping[str, Scrape]) -> Iterator[Remark]:
    for target in {target.url: target for target in targets}.values():
        scrape = scrapes.get(target.url)
        if scrape and scrape.status != HTTPStatus.OK:
            message = _("HTTP status {status}: DataKit does not look at it and reads the body")
            yield Remark("scrape/status", "warning", message.format(status=scrape.status))
        if target.error:
            line = target.exposition.line if target.exposition else 0
            yield Remark("scrape/error", "error", f"{urls.shown(target.url)}: {target.error}", line, _guess(scrape))


def _guess(scrape: Scrape | None) -> str:
    """What a body that is no exposition seems to be."""
    start = (scrape.body or b"")[:512].lstrip() if scrape else b""
    if start.startswith(b"\x1f\x8b"):
        return _("This is gzip: unpack it first.")
    if start[:1] == b"<" or b"<html" in start.lower():
        return _("This is a web page: look at the URL, and at what answers there (a login, a proxy).")
    if start[:1] in (b"{", b"["):
        return _("This is JSON, not the Prometheus text format.")
    if b"\0" in start:
        return _("This is binary data, not the Prometheus text format.")
    return ""


def _json_point(point: Point) -> dict[str, Any]:
    fields = {
        key: "NaN" if isinstance(value, float) and math.isnan(value) else value for key, value in point.fields.items()
    }
    record: dict[str, Any] = {"measurement": point.measurement, "tags": point.tags, "fields": fields}
    if point.time_ms is not None:
        record["time_ms"] = point.time_ms
    if point.category != "metric":
        record["category"] = point.category
    return record


def _text(made: Preview) -> Iterator[str]:
    for one in made.findings:
        place = _("line {line}: ").format(line=one.line) if one.line and not one.message.startswith("line") else ""
        yield f"{one.severity}: {place}{one.message}" + (f" {one.remedy}" if one.remedy else "")
    if not made.loaded:
        yield _("DataKit would load no input from this conf.")
        return
    kept = [one for one in made.families if one.kept]
    series, all_series = sum(one.series for one in kept), sum(one.series for one in made.families)
    yield _("up: {up}").format(up=_("nothing is reported") if made.up is None else made.up)
    count = len(made.points)
    summary = ngettext(
        "{kept} of {all} series kept, {n} point a round", "{kept} of {all} series kept, {n} points a round", count
    )
    yield summary.format(kept=series, all=all_series, n=count)
    for point in made.points:
        tags = ", ".join(f"{key}={value}" for key, value in sorted(point.tags.items()))
        values = "  ".join(f"{key}={value}" for key, value in point.fields.items()) or _("(no value)")
        yield f"  {point.measurement}  {values}  {tags}"
    dropped = Counter(sentence(one) for one in made.families if not one.kept)
    if dropped:
        yield _("Not kept:")
    for why, count in dropped.most_common():
        names = [one.family for one in made.families if not one.kept and sentence(one) == why]
        more = f", … (+{count - 6})" if count > 6 else ""
        yield f"  {why}: {', '.join(names[:6])}{more}"
