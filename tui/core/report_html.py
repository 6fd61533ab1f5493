"""A run of the checks as one HTML file for a change ticket: it asks nobody for anything, and holds its plots itself."""

from __future__ import annotations

import time
from collections.abc import Sequence
from html import escape
from itertools import groupby

from tui.core.checks.model import Course, Expiry, Report, Result
from tui.core.reports import MARKS, WORDS, arrival, details, outcome, verdict_line
from tui.i18n import _, assets, language, ngettext

# A browser is told the same: nothing is loaded, no script runs, no form is sent.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'"
_WIDTH, _HEIGHT = 320.0, 80.0


def as_html(report: Report, *, now_s: float) -> str:
    """The whole report as a page: verdict, every check with its details, the plots, and when certificates end."""
    stamp = time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(now_s))
    title = _("Verification: {contexts}").format(contexts=", ".join(dict.fromkeys(report.contexts)))
    parts = [
        "<!DOCTYPE html>",
        f'<html lang="{"zh-CN" if language() == "zh" else "en"}"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        '<meta name="viewport" content="width=device-width,initial-scale=1">',
        f"<title>{escape(title)}</title><style>{_style()}</style></head><body>",
        f"<h1>{escape(title)}</h1>",
        f'<p class="verdict {report.verdict}">{escape(verdict_line(report))}</p>',
        f'<p class="dim">{escape(stamp)}</p>',
    ]
    for context in dict.fromkeys(report.contexts):
        parts.append(f"<h2>{escape(context)}</h2>")
        parts += _checks([r for r in report.results if r.context == context])
        parts += _plots([course for course in report.courses if course.context == context], now_s)
        parts += _certificates([expiry for expiry in report.expiries if expiry.context == context], now_s)
    parts.append("</body></html>")
    return "\n".join(parts) + "\n"


def _style() -> str:
    return (assets() / "report.css").read_text(encoding="utf-8")


def _checks(results: Sequence[Result]) -> list[str]:
    lines = []
    for route, of_route in groupby(results, lambda r: r.route):
        head = "".join(f"<th>{escape(text)}</th>" for text in (_("state"), _("check"), _("found")))
        lines.append(f"<h3>{escape(route)}</h3><table><thead><tr>{head}</tr></thead><tbody>")
        lines += [_row(result) for result in of_route]
        lines.append("</tbody></table>")
    return lines


def _row(result: Result) -> str:
    state = f"{MARKS[result.status]} {_(WORDS[result.status])}"
    told = escape(outcome(result))
    if result.status != "pass":
        more = "".join(f"<li>{escape(line)}</li>" for line in details(result))
        told += f"<ul>{more}</ul>" if more else ""
        told += f"<pre>{escape(result.command)}</pre>" if result.command else ""
    return (
        f'<tr id="{escape(f"{result.context}-{result.route}-{result.id}", quote=True)}">'
        f'<td class="state {result.status}">{escape(state)}</td>'
        f"<td>{escape(result.title)}<br><code>{escape(result.id)}</code></td><td>{told}</td></tr>"
    )


def _plots(courses: Sequence[Course], now_s: float) -> list[str]:
    if not courses:
        return []
    figures = [_figure(course, now_s) for course in courses]
    return [f"<h3>{escape(_('What arrived'))}</h3>", '<div class="plots">', *figures, "</div>"]


def _figure(course: Course, now_s: float) -> str:
    """A course as a line of its own scale; a single point is drawn as a dot."""
    times, values = [t for t, _v in course.points], [v for _t, v in course.points]
    low, high = min(values), max(values)
    width, height = (max(times) - min(times)) or 1.0, (high - low) or 1.0
    places = [
        (
            (t - min(times)) / width * (_WIDTH - 8) + 4,
            _HEIGHT - 4 - ((v - low) / height if high > low else 0.5) * (_HEIGHT - 8),
        )
        for t, v in course.points
    ]
    drawn = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    x, y = places[-1]
    name = f"{course.measurement}.{course.field}"
    told = [f"{values[-1]:.6g}", *arrival(course, now_s)]
    return (
        f'<figure><svg viewBox="0 0 {_WIDTH:g} {_HEIGHT:g}" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(name, quote=True)}"><polyline points="{drawn}"/>'
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="currentColor"/></svg>'
        f"<figcaption><strong>{escape(name)}</strong> {escape(course.member)}<br>"
        f"{escape(' · '.join(told))}</figcaption></figure>"
    )


def _certificates(expiries: Sequence[Expiry], now_s: float) -> list[str]:
    if not expiries:
        return []
    rows = []
    for expiry in expiries:
        days = int((expiry.not_after_s - now_s) // 86400)
        day = time.strftime("%Y-%m-%d", time.gmtime(expiry.not_after_s))
        left = ngettext("{n} day left", "{n} days left", days).format(n=days)
        rows.append(
            f"<tr><td>{escape(expiry.node)}</td><td><code>{escape(expiry.path)}</code></td>"
            f"<td>{day}</td><td>{escape(left)}</td></tr>"
        )
    return [f"<h3>{escape(_('Certificates'))}</h3><table><tbody>", *rows, "</tbody></table>"]
