"""Every rendering of a run says the same: each check with its state, and what is not well with all that was found."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import jsonschema
import pytest
from core.test_reports import BROKEN, result

from tui.core import reports
from tui.core.checks import Course, Expiry, Report
from tui.core.checks.arrivals import Arrival
from tui.core.prom import exposition
from tui.core.report_html import as_html
from tui.core.report_markdown import as_markdown
from tui.core.report_openmetrics import STATUSES, as_openmetrics
from tui.i18n import assets

NOW_S = 1_800_000_000.0
HOSTILE = '<script>alert("x")</script> | `tick` *star* [link](http://example.org) & "quote"'

WHOLE = Report(
    (
        *BROKEN.results,
        result("studio/key", "fail", found=HOSTILE, object=HOSTILE, command="echo '<b>' ```x```", causes=(HOSTILE,)),
    ),
    ("lab",),
    expiries=(Expiry("lab", "cp-1", "/pki/ca.crt", NOW_S + 10.5 * 86400),),
    courses=(
        Course("lab", "etcd", "server_has_leader", "cp-1:2381", ((NOW_S * 1000 - 60_000, 1.0), (NOW_S * 1000, 1.0))),
        Course(
            "lab", "etcd", "proposals_total", "cp-1:2381", ((NOW_S * 1000 - 60_000, 1.0), (NOW_S * 1000 - 5_000, 12.0))
        ),
    ),
)


class Page(HTMLParser):
    """The rows of the tables, the texts, the tags, and every address that a page names."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: dict[str, list[str]] = {}
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.text = ""
        self._row = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("href", "src", "action", "data")]
        if tag == "tr":
            self._row = dict(attrs).get("id") or ""
        if tag == "td" and self._row:
            self.rows.setdefault(self._row, []).append("")

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._row and self.rows.get(self._row):
            self.rows[self._row][-1] += data


def of_json(report: Report) -> dict[str, tuple[str, str]]:
    checks = json.loads(reports.as_json(report))["checks"]
    return {c["id"]: (c["status"], c["skipped_because"] if c["status"] == "skip" else c["found"]) for c in checks}


def test_markdown_has_every_check_with_its_state_and_finding() -> None:
    rows = re.findall(r"^\| (\S+) (\w+) \| `([^`]+)` \| .* \| (.*) \|$", as_markdown(WHOLE, now_s=NOW_S), re.MULTILINE)
    words = {word: status for status, word in reports.WORDS.items()}
    found = {id: (words[word], re.sub(r"\\(.)", r"\1", text)) for _mark, word, id, text in rows}
    assert found == of_json(WHOLE)


def test_markdown_takes_nothing_of_what_was_found_for_its_own() -> None:
    text = as_markdown(WHOLE, now_s=NOW_S)
    assert "<script>" not in text.replace("\\<script\\>", "")
    assert "````sh\necho '<b>' ```x```\n````" in text


def test_html_has_every_check_with_its_state_and_finding() -> None:
    page = Page(as_html(WHOLE, now_s=NOW_S))
    words = {f"{reports.MARKS[status]} {word}": status for status, word in reports.WORDS.items()}
    found = {key.removeprefix("lab-etcd-"): (words[row[0]], row[2]) for key, row in page.rows.items()}
    wanted = of_json(WHOLE)
    assert found.keys() == wanted.keys()
    for id, (status, text) in found.items():
        assert status == wanted[id][0]
        assert text.startswith(wanted[id][1])
    assert "nobody wrote one" in found["conf/key"][1]
    assert "do it" in found["conf/key"][1]


def test_html_loads_nothing_runs_nothing_and_holds_its_plots() -> None:
    text = as_html(WHOLE, now_s=NOW_S)
    page = Page(text)
    assert page.addresses == []
    assert not {"script", "link", "img", "iframe", "form"} & set(page.tags)
    assert "url(" not in text
    assert "default-src 'none'" in text
    assert page.tags.count("polyline") == len(WHOLE.courses)
    assert HOSTILE in page.text
    assert "etcd.proposals_total" in page.text
    assert "/pki/ca.crt" in page.text
    assert "10 days left" in page.text


def test_openmetrics_is_what_the_collector_reads() -> None:
    text = as_openmetrics(WHOLE, now_s=NOW_S)
    assert text.endswith("# EOF\n")
    read = exposition.parse(text.encode(), 0)
    assert not read.error
    families = {name: family.series for batch in read.batches for name, family in batch.items()}
    statuses = {series.labels["id"]: series.value for series in families["datakit_wizard_check_status"]}
    assert statuses == {id: STATUSES[status] for id, (status, _text) in of_json(WHOLE).items()}
    [verdict] = families["datakit_wizard_verdict"]
    assert verdict.value == 2
    [ends] = families["datakit_wizard_certificate_not_after_seconds"]
    assert ends.value == NOW_S + 10.5 * 86400
    assert ends.labels == {"context": "lab", "node": "cp-1", "path": "/pki/ca.crt"}


def test_junit_and_text_tell_of_the_same_checks() -> None:
    root = ElementTree.fromstring(reports.as_junit(WHOLE))
    assert {case.get("name") for case in root.iter("testcase")} == set(of_json(WHOLE))
    text = reports.as_text(WHOLE)
    assert all(f"[{id}]" in text for id, (status, _found) in of_json(WHOLE).items() if status in ("fail", "warn"))


@pytest.mark.parametrize("report", [WHOLE, BROKEN, Report((), ())])
def test_json_is_as_its_schema_says(report: Report) -> None:
    schema = json.loads((Path(assets()) / "schemas" / "check-v1.json").read_text())
    jsonschema.validate(json.loads(reports.as_json(report)), schema)


def test_json_has_the_proof_of_each_metric_and_the_other_forms_its_delay() -> None:
    seen = Arrival(NOW_S - 5.0, NOW_S - 2.0, witnessed=True)
    report = replace(WHOLE, courses=(WHOLE.courses[0], replace(WHOLE.courses[1], arrival=seen, fed_s=NOW_S - 4.0)))
    gauge, counter = json.loads(reports.as_json(report, now_s=NOW_S))["metrics"]
    assert (gauge["fed"], gauge["first_seen"], gauge["delay_s"], gauge["per_second"]) == (None, None, None, None)
    assert counter["scraped"] < counter["fed"] < counter["first_seen"] < counter["next_due"]
    assert (counter["delay_s"], counter["witnessed"], counter["age_s"]) == (3.0, True, 5.0)
    assert counter["per_second"] == pytest.approx(11 / 55)
    assert counter["points"] == [[NOW_S * 1000 - 60_000, 1.0], [NOW_S * 1000 - 5_000, 12.0]]
    told = "there 3.0 s after the scrape"
    assert told in as_markdown(report, now_s=NOW_S)
    assert told in as_html(report, now_s=NOW_S)
    late = replace(report.courses[1], arrival=replace(seen, witnessed=False))
    assert "or sooner" in " ".join(reports.arrival(late, NOW_S))


def test_what_arrived_has_its_age_its_rate_and_when_the_next_is_due() -> None:
    counter, gauge = WHOLE.courses[1], WHOLE.courses[0]
    assert counter.per_second == pytest.approx(11 / 55)
    assert gauge.per_second is None
    assert replace(counter, points=((1.0, 5.0), (2.0, 1.0))).per_second is None, "it began again"
    assert counter.due_s == NOW_S - 5 + 60
    told = reports.arrival(counter, NOW_S)
    assert told[:3] == ["5 s old", "0.2 a second", "2 points"]
    for text in (as_html(WHOLE, now_s=NOW_S), as_markdown(WHOLE, now_s=NOW_S)):
        assert "12" in text
        assert " · ".join(told) in text
