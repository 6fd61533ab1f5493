"""The preview equals the recordings wherever one target tells the whole story, and says what it left out and why."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tui.core.prom import lineprotocol
from tui.core.prom.collector import Scrape
from tui.core.prom.conf import load
from tui.core.prom.explain import OUTCOMES, explain, sentence
from tui.core.prom.exposition import parse
from tui.core.prom.preview import Preview, preview
from tui.core.prom.preview_report import to_json, to_line_protocol, to_text

CASES_FILE = Path(__file__).parents[2] / "data" / "prom" / "cases.jsonl"
CASES = [
    case
    for case in map(json.loads, CASES_FILE.read_text(encoding="utf-8").splitlines())
    if not case.get("more") and not case.get("refused") and "do not exist" not in case["note"]
]


def previewed(conf: str, body: bytes, *, url: str = "", status: int = 200, now_ms: int = 0, **agent: Any) -> Preview:
    return preview(
        conf,
        lambda _url: Scrape(body, status),
        url=url,
        host_tags=agent.get("host_tags", {}),
        election_tags=agent.get("election_tags", {}),
        env=agent.get("env", {}),
        now_ms=now_ms,
    )


def test_enough_cases_have_one_target() -> None:
    assert len(CASES) >= 177


@pytest.mark.parametrize("given_url", [True, False], ids=["url", "first"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_recordings(case: dict[str, Any], given_url: bool) -> None:
    made = previewed(
        case["conf"],
        case["exposition"].encode(),
        url=case["url"] if given_url else "",
        status=case.get("http_status", 200),
        now_ms=case.get("now_ms", 0),
        host_tags=case["host_tags"],
        election_tags=case["election_tags"],
        env=case.get("env", {}),
    )
    record = json.loads(json.dumps(to_json(made), allow_nan=False))
    assert list(record)[:5] == ["schema", "loaded", "up", "points", "findings"]
    assert (record["schema"], record["loaded"], record["up"]) == (
        "datakit-wizard/preview/v1",
        case["loaded"],
        case["up"],
    )
    found = Counter(json.dumps(point, sort_keys=True, ensure_ascii=False) for point in record["points"])
    assert found == Counter(json.dumps(point, sort_keys=True, ensure_ascii=False) for point in case["points"])
    assert sum(one.points for one in made.families) == len(made.points)
    assert to_text(made)
    sendable = [one for one in made.points if one.fields and all(value == value for value in one.fields.values())]
    assert len(lineprotocol.decode(to_line_protocol(made))) == len(sendable)


CONF = """
[[inputs.prom]]
  urls = ["http://10.0.0.1:1/m", "http://10.0.0.2:1/m"]
  metric_types = ["counter", "gauge", "info"]
  metric_name_filter_ignore = ["^b"]
  measurements = [{prefix = "a_", name = "A"}]
"""
BODY = b"""# TYPE a_x gauge
a_x 1
a_x{y="z"} 2
# TYPE b_x counter
b_x 1
# TYPE c_x histogram
c_x_bucket{le="+Inf"} 1
c_x_sum 1
c_x_count 1
# TYPE d_x gauge
d_x NaN
# TYPE e_info info
e_info{v="1"} 1
# TYPE f_x gauge
f_x{x="1"} 1
# TYPE g gauge
g_x 1
g 1
"""


def test_every_family_is_accounted_for() -> None:
    (settings,) = load(CONF, {}).inputs
    outcomes = explain(settings, parse(BODY, settings.stream_size))
    assert [(one.family, one.outcome, one.series, one.points) for one in outcomes] == [
        ("a_x", "kept", 2, 2),
        ("b_x", "metric_name_filter_ignore", 1, 0),
        ("c_x", "metric_types", 3, 0),
        ("d_x", "no_number", 1, 0),
        ("e_info", "info", 1, 0),
        ("f_x", "lost", 1, 1),
        ("g", "kept", 1, 1),
        ("g_x", "metric_types", 1, 0),
    ]
    kept = next(one for one in outcomes if one.family == "a_x")
    assert (kept.name.measurement, kept.fields, sentence(kept)) == ("A", ("x",), "name by rule a_")
    assert {one.outcome for one in outcomes} <= set(OUTCOMES)
    assert all(sentence(one) for one in outcomes)


def test_only_the_target_asked_for_is_scraped() -> None:
    asked = []

    def fetch(url: str) -> Scrape:
        asked.append(url)
        return Scrape(b"a_b 1\n")

    conf = '[[inputs.prom]]\nurls = ["http://a/", "http://b/", "http://b/"]\n[[inputs.prom]]\nurls = ["http://c/"]'
    for url, hosts in (("", ["a"]), ("http://b/", ["b", "b"]), ("http://c/", ["c"]), ("http://d/", ["d", "d"])):
        made = preview(conf, fetch, url=url, host_tags={}, election_tags={}, env={}, now_ms=0)
        assert [point.tags["host"] for point in made.points] == hosts
    assert asked == ["http://a/", "http://b/", "http://c/", "http://d/"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"<!DOCTYPE html>\n<html></html>\n", "web page"),
        (b"\x1f\x8b\x08\x00\n", "gzip"),
        (b'{"status": "error"}\n', "JSON"),
        (b"\x7fELF\x00\n", "binary"),
        (b"a_b 1\na_b", "cut off"),
        (b"a_b 1\r\n", "CR LF"),
        (b"a_b 1 \n", "blank at the end"),
    ],
)
def test_what_is_no_exposition_is_named(body: bytes, words: str) -> None:
    made = previewed(CONF, body)
    assert (made.loaded, made.up, made.points) == (True, 0, [])
    (finding,) = (one for one in made.findings if one.code.startswith("scrape/"))
    assert (finding.code, finding.severity) == ("scrape/error", "error")
    assert words in finding.message + finding.remedy
    assert words in to_text(made)


def codes(made: Preview) -> list[str]:
    return [one.code for one in made.findings]


def test_findings_of_conf_and_status() -> None:
    said = codes(previewed(CONF, BODY))
    assert said == ["conf/no-cluster-tag", "conf/value-lost"]
    assert codes(previewed(CONF, BODY, status=500)) == [*said, "scrape/status"]
    assert [(one.code, one.line) for one in previewed('a = "', BODY).findings] == [("conf/load", 1)]
    assert [(one.code, one.line) for one in previewed("a = 1", BODY).findings] == [("conf/empty", 1)]
    (typed,) = (one for one in previewed(CONF + "interval = 1.5\n", BODY).findings if one.code == "conf/load")
    assert typed.line == CONF.count("\n") + 1
    assert codes(previewed(CONF, BODY, url="10.0.0.1:1/m")) == said
    broken = CONF.replace('"http://10.0.0.2:1/m"', '"10.0.0.2:1/m"')
    made = previewed(broken, BODY)
    assert (codes(made)[0], "conf/bad-url" in codes(made), made.points, made.up) == ("conf/init", True, [], None)


def test_a_nan_is_written_as_a_string() -> None:
    made = previewed("[[inputs.prom]]\nurls = ['http://h/']", b"# TYPE a_b summary\na_b_sum NaN\n")
    assert to_json(made)["points"][0]["fields"] == {"b_count": 0.0, "b_sum": "NaN"}
