"""What the running DataKit 1.84.1 made of each case: conf and expositions in, points and up points out."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tui.core.prom import collector, conf

CASES_FILE = Path(__file__).parents[2] / "data" / "prom" / "cases.jsonl"
CASES = [json.loads(line) for line in CASES_FILE.read_text(encoding="utf-8").splitlines()]
NOW_MS = 1_760_000_000_000

NOT_YET: frozenset[str] = frozenset()
"""Names of cases that are known to fail. Strict: one that passes fails the suite until it is taken out."""


def test_the_corpus_is_whole() -> None:
    assert len(CASES) >= 183
    assert len({case["name"] for case in CASES}) == len(CASES)
    assert {case["name"] for case in CASES} >= NOT_YET


def canonical(point: collector.Point) -> str:
    fields = {key: "NaN" if value != value else value for key, value in point.fields.items()}
    record: dict[str, Any] = {"measurement": point.measurement, "tags": point.tags, "fields": fields}
    if point.time_ms is not None:
        record["time_ms"] = point.time_ms
    if point.category != "metric":
        record["category"] = point.category
    return json.dumps(record, sort_keys=True, ensure_ascii=False)


def fetcher(case: dict[str, Any]) -> Any:
    """The targets of a case. `files` are the paths that exist."""
    answers = {case["url"]: case, **case.get("more", {})}
    files = case.get("files", {})

    def fetch(url: str) -> collector.Scrape:
        if not url.lower().startswith(("http:", "https:")):
            return collector.Scrape(files[url].encode() if url in files else None, error="no such file")
        answer = answers[url]
        if answer.get("refused"):
            return collector.Scrape(None, error="connection refused")
        return collector.Scrape(answer["exposition"].encode(), answer.get("http_status", 200))

    return fetch


def init_ok(settings: conf.PromInput, note: str) -> bool:
    """Files named in a conf exist unless the note of the case says that they do not."""
    return not settings.problem and not any(path.rsplit(".", 1)[0] in note for path in settings.files())


def parameters() -> list[Any]:
    return [
        pytest.param(case, id=case["name"], marks=pytest.mark.xfail(strict=True) if case["name"] in NOT_YET else ())
        for case in CASES
    ]


@pytest.mark.parametrize("case", parameters())
def test_case(case: dict[str, Any]) -> None:
    loaded = conf.load(case["conf"], case.get("env", {}))
    assert bool(loaded.inputs) == case["loaded"]
    if case.get("load_error"):
        assert loaded.error
        assert loaded.line > 0
    assert [
        {
            "source": one.source,
            "urls": list(one.urls),
            "interval_s": one.interval_s,
            "election": one.election,
            "stream_size": one.stream_size,
            "init_ok": init_ok(one, case["note"]),
        }
        for one in loaded.inputs
    ] == case["instances"]

    rounds = [
        collector.collect(
            one,
            fetcher(case),
            host_tags=case["host_tags"],
            election_tags=case["election_tags"],
            now_ms=case.get("now_ms", NOW_MS),
        )
        for one in loaded.inputs
        if init_ok(one, case["note"])
    ]
    expected = Counter(json.dumps(point, sort_keys=True, ensure_ascii=False) for point in case["points"])
    assert Counter(canonical(point) for one in rounds for point in one.points) == expected

    sequences: dict[str, list[Any]] = {}
    for up in (up for one in rounds for up in one.ups):
        assert (up.measurement, up.time_ms, list(up.fields)) == ("collector", None, ["up"])
        sequences.setdefault(json.dumps(up.tags, sort_keys=True, ensure_ascii=False), []).append(up.fields["up"])
    assert sequences == {
        json.dumps(one["tags"], sort_keys=True, ensure_ascii=False): one["seq"] for one in case["up_points"]
    }
    assert collector.final_up(target for one in rounds for target in one.targets) == case["up"]
