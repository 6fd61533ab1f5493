"""A run of the checks as Markdown, for a change ticket or a chat that renders it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tui.core.checks.model import Course, Report, Result
from tui.core.reports import MARKS, WORDS, arrival, details, outcome, verdict_line
from tui.i18n import _

_SPECIAL = re.compile(r"([\\`*_\[\]<>|#])")


def as_markdown(report: Report, *, now_s: float) -> str:
    """The report: the verdict, a table of every check for each context, what is not well in full, what arrived."""
    lines = [f"# {_('Verification')}", "", _plain(verdict_line(report))]
    for context in dict.fromkeys(report.contexts):
        results = [r for r in report.results if r.context == context]
        lines += ["", f"## {_plain(context)}", ""]
        lines += [f"| | {_('check')} | {_('title')} | {_('found')} |", "|---|---|---|---|"]
        lines += [
            f"| {MARKS[r.status]} {_(WORDS[r.status])} | `{r.id}` | {_plain(r.title)} | {_plain(outcome(r))} |"
            for r in results
        ]
        for result in results:
            if result.status in ("fail", "warn") or (result.status == "skip" and result.remedy):
                lines += _section(result)
        lines += _arrived([course for course in report.courses if course.context == context], now_s)
    return "\n".join(lines) + "\n"


def _arrived(courses: Sequence[Course], now_s: float) -> list[str]:
    if not courses:
        return []
    lines = ["", f"### {_('What arrived')}", "", f"| {_('metric')} | | {_('newest')} | |", "|---|---|---|---|"]
    for course in courses:
        told = _plain(" · ".join(arrival(course, now_s)))
        value = f"{course.points[-1][1]:.6g}"
        lines.append(f"| `{course.measurement}.{course.field}` | {_plain(course.member)} | {value} | {told} |")
    return lines


def _section(result: Result) -> list[str]:
    lines = ["", f"### {MARKS[result.status]} {_plain(result.title)} (`{result.id}`)", "", _plain(outcome(result)), ""]
    lines += [f"- {_plain(line)}" for line in details(result)]
    if result.command:
        fence = "`" * max(3, max((len(run) for run in re.findall("`+", result.command)), default=0) + 1)
        lines += ["", f"{fence}sh", result.command, fence]
    return lines


def _plain(text: str) -> str:
    """`text` on one line, with nothing in it that Markdown would take for its own."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))
