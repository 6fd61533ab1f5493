"""Renderings of one run say the same."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import pytest

from tui.core import reports
from tui.core.checks import INFO, REQUIRED, WARNING, Report, Result


def result(id: str, status: str, severity: str = REQUIRED, **more: object) -> Result:
    base = Result(id, "lab", "etcd", id.split("/")[0], severity, status, f"Title of {id}")
    return Result(**{**base.__dict__, **more})  # type: ignore[arg-type]


BROKEN = Report(
    (
        result("cluster/reachable", "pass", found="v1"),
        result("cluster/rights", "warn", WARNING, found="may not exec", remedy="grant it"),
        result(
            "conf/key", "fail", found="no conf", causes=("nobody wrote one",), object="ConfigMap x", command="do it"
        ),
        result("conf/mounted", "skip", skipped_because="conf/key failed.", blocked_by="conf/key"),
        result("conf/fresh", "skip", skipped_because="conf/key failed.", blocked_by="conf/key"),
        result("etcd/cert-dates", "skip", INFO, skipped_because="plain HTTP"),
    ),
    ("lab",),
)


def test_text_is_quiet_when_well_and_exact_when_not() -> None:
    assert reports.as_text(BROKEN).splitlines() == [
        "‼ Title of cluster/rights: may not exec  [cluster/rights]",
        "    what to do: grant it",
        "√ cluster: 1 check passed",
        "× Title of conf/key: no conf  [conf/key]",
        "    object: ConfigMap x",
        "    cause: nobody wrote one",
        "      do it",
        "– conf: 2 checks not made, for conf/key",
        "– etcd: plain HTTP",
        "A required check failed. First broken hop: conf/key: no conf",
    ]


def test_short_is_what_is_not_well_and_ascii_has_no_other_glyphs() -> None:
    text = reports.as_text(BROKEN, short=True, ascii_only=True)
    assert text.isascii()
    assert text.splitlines() == [
        "! Title of cluster/rights: may not exec  [cluster/rights]",
        "x Title of conf/key: no conf  [conf/key]",
        "- conf: 2 checks not made, for conf/key",
        "A required check failed. First broken hop: conf/key: no conf",
    ]


def test_json_has_the_keys_that_programs_rely_on() -> None:
    document = json.loads(reports.as_json(BROKEN))
    assert (document["schema"], document["verdict"], document["ok"]) == ("datakit-wizard/check/v1", "fail", False)
    assert document["contexts"] == ["lab"]
    assert set(document["checks"][0]) == {
        "id",
        "context",
        "route",
        "category",
        "severity",
        "status",
        "title",
        "looked_at",
        "found",
        "causes",
        "object",
        "remedy",
        "command",
        "skipped_because",
        "first_seen",
        "elapsed_ms",
    }
    assert document["checks"][2]["causes"] == ["nobody wrote one"]


def test_junit_counts_what_json_counts() -> None:
    root = ElementTree.fromstring(reports.as_junit(BROKEN))
    cases = {case.get("name"): case for case in root.iter("testcase")}
    assert list(cases) == [r.id for r in BROKEN.results]
    assert [name for name, case in cases.items() if case.find("failure") is not None] == ["conf/key"]
    assert len([case for case in cases.values() if case.find("skipped") is not None]) == 3


@pytest.mark.parametrize(
    ("statuses", "verdict"),
    [
        (["pass", "pass"], "pass"),
        (["pass", "fail"], "fail"),
        (["skip", "fail"], "fail"),
        (["pass", "skip"], "inconclusive"),
        (["pass", "pending"], "inconclusive"),
    ],
)
def test_the_verdict(statuses: list[str], verdict: str) -> None:
    report = Report(tuple(result(f"a/{n}", status) for n, status in enumerate(statuses)), ("lab",))
    assert (report.verdict, report.ok) == (verdict, verdict == "pass")


def test_inconclusive_names_what_to_grant() -> None:
    report = Report((result("a/one", "skip", skipped_because="no exec", remedy="grant exec"),), ("lab",))
    assert reports.verdict_line(report).splitlines()[1:] == ["  no exec", "  grant exec"]
