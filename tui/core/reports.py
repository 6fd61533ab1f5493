"""Renderings: of one run of the checks (text, JSON, JUnit), of a plan, and of a receipt."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from xml.etree import ElementTree

from tui.core.changes import SAME
from tui.core.checks.model import INFO, REQUIRED, Course, Report, Result
from tui.core.plan import Plan, ViewChange
from tui.core.plan_groups import groups, overview
from tui.core.receipts import PodStep, Receipt
from tui.core.rights import grants
from tui.core.view_writes import ViewUndo
from tui.i18n import N_, _, ngettext

SCHEMA = "datakit-wizard/check/v1"

# Words that stand beside each state; the marks are shapes, and have an ASCII twin for terminals without UTF-8.
WORDS = {
    "pass": N_("passed"),
    "warn": N_("warning"),
    "fail": N_("failed"),
    "skip": N_("skipped"),
    "pending": N_("waiting"),
}
MARKS = {"pass": "√", "warn": "‼", "fail": "×", "skip": "–", "pending": "…"}
ASCII_MARKS = {"pass": "ok", "warn": "!", "fail": "x", "skip": "-", "pending": "."}

VERDICTS = {
    "pass": N_("All required checks passed."),
    "fail": N_("A required check failed."),
    "inconclusive": N_("Inconclusive: a required check could not be made."),
}


def as_json(report: Report, *, now_s: float | None = None) -> str:
    """The report as JSON (schema datakit-wizard/check/v1): one object, on one line per top-level key's value."""
    now_s = time.time() if now_s is None else now_s
    checks = []
    for result in report.results:
        check = asdict(result)
        check["causes"] = list(result.causes)
        del check["blocked_by"]  # told in skipped_because
        checks.append(check)
    document = {
        "schema": SCHEMA,
        "verdict": report.verdict,
        "ok": report.ok,
        "contexts": list(report.contexts),
        "checks": checks,
        "metrics": [_metric(course, now_s) for course in report.courses],
    }
    return json.dumps(document, ensure_ascii=False, indent=1) + "\n"


def _metric(course: Course, now_s: float) -> dict[str, object]:
    """The proof that one metric arrives: scraped, fed, first seen; its age, rate, next time, and its last values."""
    arrival = course.arrival
    return {
        "context": course.context,
        "measurement": course.measurement,
        "field": course.field,
        "member": course.member,
        "scraped": stamp(course.newest_s),
        "fed": None if course.fed_s is None else stamp(course.fed_s),
        "first_seen": None if arrival is None else stamp(arrival.seen_s),
        "delay_s": None if arrival is None else round(arrival.delay_s, 3),
        "witnessed": arrival is not None and arrival.witnessed,
        "age_s": round(max(now_s - course.newest_s, 0.0), 3),
        "per_second": course.per_second,
        "next_due": stamp(course.due_s),
        "points": [[time_ms, value] for time_ms, value in course.points],
    }


def stamp(unix_s: float) -> str:
    """A moment as ISO 8601 in UTC, to the millisecond."""
    return datetime.fromtimestamp(unix_s, UTC).isoformat(timespec="milliseconds")


def details(result: Result) -> list[str]:
    """Object, what was looked at, causes and remedy of a result, a line each; the command is left out."""
    lines = [_("object: {object}").format(object=result.object)] if result.object else []
    lines += [_("looked at: {what}").format(what=result.looked_at)] if result.looked_at else []
    lines += [_("cause: {cause}").format(cause=cause) for cause in result.causes]
    lines += [_("what to do: {remedy}").format(remedy=result.remedy)] if result.remedy else []
    return lines


def _details(result: Result) -> list[str]:
    return [*details(result), *(f"  {line}" for line in result.command.splitlines())]


def outcome(result: Result) -> str:
    """What came out, in words: what was found, or why it was skipped."""
    return result.skipped_because if result.status == "skip" else result.found


def arrival(course: Course, now_s: float) -> list[str]:
    """How what arrived is doing: its age, how long it took, how fast it grows, its points, when the next is due."""
    age = max(now_s - course.newest_s, 0.0)
    told = [_("{age} s old").format(age=f"{age:.0f}")]
    if course.arrival is not None:
        known, most = _("there {s} s after the scrape"), _("there {s} s after the scrape or sooner")
        told.append((known if course.arrival.witnessed else most).format(s=f"{course.arrival.delay_s:.1f}"))
    if course.per_second is not None:
        told.append(_("{rate} a second").format(rate=f"{course.per_second:.4g}"))
    count = len(course.points)
    told.append(ngettext("{n} point", "{n} points", count).format(n=count))
    told.append(_("next at {time}").format(time=time.strftime("%H:%M:%S", time.localtime(course.due_s))))
    return told


def line(result: Result, *, ascii_only: bool = False) -> str:
    """One result in one line: mark, title, what was found."""
    mark = (ASCII_MARKS if ascii_only else MARKS)[result.status]
    what = outcome(result)
    return f"{mark} {result.title}" + (f": {what}" if what else "")


def as_text(report: Report, *, short: bool = False, ascii_only: bool = False) -> str:
    """The report for people: a category that is well in one line, everything else with cause and remedy.

    `short` gives only what is not well, one line each, and the verdict, to paste into a chat.
    """
    lines: list[str] = []
    for context in report.contexts:
        results = [r for r in report.results if r.context == context]
        if len(report.contexts) > 1:
            lines.append(context)
        for category in categories(results):
            lines += _category(category, [r for r in results if r.category == category], short, ascii_only)
    lines.append(verdict_line(report))
    return "\n".join(lines) + "\n"


def categories(results: Sequence[Result]) -> list[str]:
    """The categories in the order in which they are told: the first thing that is not well comes first of its kind.

    A category has checks of several routes; where all is well in it, it stands where its first one does.
    """
    place: dict[str, int] = {}
    for index, result in enumerate(results):
        if result.status in ("fail", "warn") and result.severity != INFO:
            place.setdefault(result.category, index)
    first = {result.category: index for index, result in reversed(list(enumerate(results)))}
    return sorted(first, key=lambda category: place.get(category, first[category]))


def _category(category: str, results: Sequence[Result], short: bool, ascii_only: bool) -> list[str]:
    """What is not well in full; the rest counted: what passed, and what another check kept from being made."""
    marks = ASCII_MARKS if ascii_only else MARKS
    passed = [r for r in results if r.status == "pass"]
    blocked = [r for r in results if r.status == "skip" and r.blocked_by]
    told = [r for r in results if r not in passed and r not in blocked and not _needless(r)]
    lines = []
    for result in told:
        lines.append(f"{line(result, ascii_only=ascii_only)}  [{result.id}]")
        lines += [] if short else [f"    {detail}" for detail in _details(result)]
    if passed and not short:
        count = ngettext("{n} check passed", "{n} checks passed", len(passed)).format(n=len(passed))
        lines.append(f"{marks['pass']} {category}: {count}")
    for root in dict.fromkeys(r.blocked_by for r in blocked):
        n = sum(r.blocked_by == root for r in blocked)
        count = ngettext("{n} check not made, for {id}", "{n} checks not made, for {id}", n).format(n=n, id=root)
        lines.append(f"{marks['skip']} {category}: {count}")
    if not lines and not short:
        lines.append(f"{marks['skip']} {category}: {results[0].skipped_because}")
    return lines


def _needless(result: Result) -> bool:
    """Whether a check was skipped because there is nothing of its kind to look at."""
    return result.status == "skip" and result.severity == INFO


def verdict_line(report: Report) -> str:
    """The verdict in one sentence, naming the first broken hop or what was skipped."""
    sentence = _(VERDICTS[report.verdict])
    first = report.first_failure
    if first:
        return f"{sentence} {_('First broken hop')}: {first.id}: {first.found}"
    if report.verdict == "inconclusive":
        required = [r for r in report.results if r.severity == REQUIRED and not r.blocked_by]
        skipped = [r for r in required if r.status in ("skip", "pending")]
        reasons = dict.fromkeys(r.skipped_because or r.found for r in skipped)
        remedies = dict.fromkeys(r.remedy for r in skipped if r.remedy)
        return "\n".join([sentence, *(f"  {r}" for r in reasons), *(f"  {r}" for r in remedies)])
    return sentence


def as_junit(report: Report) -> str:
    """The report as JUnit XML: a suite for each context and category, a case for each check."""
    root = ElementTree.Element("testsuites", name="datakit-wizard check")
    for context in report.contexts:
        results = [r for r in report.results if r.context == context]
        for category in dict.fromkeys(r.category for r in results):
            cases = [r for r in results if r.category == category]
            suite = ElementTree.SubElement(
                root,
                "testsuite",
                name=f"{context}.{category}",
                tests=str(len(cases)),
                failures=str(sum(r.status == "fail" for r in cases)),
                skipped=str(sum(r.status == "skip" for r in cases)),
                time=f"{sum(r.elapsed_ms for r in cases) / 1000:.3f}",
            )
            for result in cases:
                _junit_case(suite, result)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _junit_case(suite: ElementTree.Element, result: Result) -> None:
    case = ElementTree.SubElement(
        suite,
        "testcase",
        name=result.id,
        classname=f"{result.context}.{result.category}",
        time=f"{result.elapsed_ms / 1000:.3f}",
    )
    details = "\n".join([result.found, *_details(result)])
    if result.status == "fail":
        ElementTree.SubElement(case, "failure", message=result.found).text = details
    elif result.status == "skip":
        ElementTree.SubElement(case, "skipped", message=result.skipped_because)
    else:
        ElementTree.SubElement(case, "system-out").text = details


def plan_text(plan: Plan) -> str:
    """The plan for people: each object with its diff, the owners in the way, the views, the rights and the cost.

    Workloads of the mesh are gathered, with the diff of the first. Many changes end with a list of them all, so that
    the last screenful holds it.
    """
    lines: list[str] = []
    gathered = groups(plan.changes)
    for group in gathered:
        change = group.changes[0]
        lines.append(group.line())
        if len(group.changes) > 1 and change.diff:
            lines.append("  " + _("the first of them, {title}; the others alike:").format(title=change.title))
        lines += [f"  {text}" for text in change.diff.splitlines()]
        for conflict in change.conflicts:
            if conflict.field in plan.forced or change.accepted:
                told = _("forced: {field}, managed by {manager}")
            else:
                told = _("conflict: {field} is managed by {manager}")
            lines.append("  " + told.format(field=conflict.field, manager=conflict.manager))
            lines.append("    " + change.explained(conflict))
            if conflict.field not in plan.forced and not change.accepted:
                lines.append("    " + _("take it with: {flag}").format(flag=f"--force-field '{conflict.field}'"))
        if change.verb != SAME:
            lines += ["  " + _("also managed by: {owners}").format(owners=", ".join(change.owners))] * bool(
                change.owners
            )
        lines += ["  " + _("warning: {text}").format(text=text) for text in change.warnings]
    for view in plan.views:
        lines += view_lines(view, overwrite=view.key in plan.overwrite)
    missing = [access for access, granted in plan.rights if not granted]
    lines += [_("Missing right: {access}").format(access=access) for access in missing]
    lines += [f"  {text}" for text in grants(missing, plan.survey.user)]
    lines += [
        _("deleted by this tool: pod {name} on {node}").format(name=pod.name, node=pod.node)
        for pod in plan.rollout.pods
    ]
    lines += [_("Left out: {what}").format(what=one) for one in plan.left_out]
    lines += list(plan.notes)
    if any(change.alone for change in plan.changes):
        lines += ["", _("In all:"), *(f"  {text}" for text in overview(plan))]
    lines.append(plan.cost)
    if plan.rollout.may_be_few and not plan.rollout.pods:
        lines.append(_("Only the text of etcd.conf changes: with --only-etcd-nodes the other nodes keep their pods."))
    return "\n".join(lines) + "\n"


def view_lines(view: ViewChange, *, overwrite: bool = False) -> list[str]:
    """A view for people: what is to be done about it, and where that changes what is there, panel by panel."""
    words = {
        "create": _("create"),
        "same": _("there already"),
        "update": _("update: this tool made it in another version, language or spelling"),
        "changed": _("changed by somebody since; it is left as it is"),
        "not compared": _("not compared (no API key)"),
    }
    verb = _("overwrite, although somebody changed it since") if overwrite else words[view.verb]
    lines = [_("View {name}: {verb}").format(name=view.name, verb=verb)]
    for one in view.differences:
        lines.append(f"  {DIFFERENCE_MARKS[one.verb]} {one.what}")
        lines += [f"      {line}" for line in one.diff]
    if view.verb == "changed" and not overwrite:
        lines.append("  " + _("overwrite it with: {flag}").format(flag=f"--overwrite-view {view.key}"))
    return lines


def view_undo_lines(item: ViewUndo, *, overwrite: bool = False) -> list[str]:
    """What undo does about a view, for people; where a person changed it since, what."""
    verb = _("undone, although somebody changed it since") if overwrite and item.by_person else item.text
    lines = [_("View {name}: {verb}").format(name=item.step.name, verb=verb)]
    lines += [f"  {DIFFERENCE_MARKS[one.verb]} {one.what}" for one in item.changed]
    if item.by_person and not overwrite:
        lines.append("  " + _("undo it all the same with: {flag}").format(flag=f"--overwrite-view {item.step.key}"))
    return lines


# What writing a view does to a panel or variable: the signs of a diff.
DIFFERENCE_MARKS = {"added": "+", "removed": "-", "changed": "~"}


def plan_document(plan: Plan) -> dict[str, object]:
    """The plan as plain data (schema datakit-wizard/plan/v1), for JSON and YAML."""
    return {
        "schema": "datakit-wizard/plan/v1",
        "context": plan.survey.context,
        "namespace": plan.survey.datakit.namespace,
        "has_changes": plan.has_changes,
        "changes": [
            {
                "kind": change.kind.kind,
                "namespace": change.namespace,
                "name": change.name,
                "verb": change.verb,
                "diff": change.diff,
                "conflicts": [
                    {
                        "field": c.field,
                        "manager": c.manager,
                        "forced": c.field in plan.forced or change.accepted,
                        "next_sync": change.explained(c),
                    }
                    for c in change.conflicts
                ],
                "owners": list(change.owners),
                "warnings": list(change.warnings),
                "pods": change.pods,
            }
            for change in plan.changes
        ],
        "views": [
            {
                "key": view.key,
                "name": view.name,
                "verb": view.verb,
                "uuid": view.uuid,
                "overwrite": view.key in plan.overwrite,
                "differences": [
                    {"verb": one.verb, "what": one.what, "diff": list(one.diff)} for one in view.differences
                ],
            }
            for view in plan.views
        ],
        "rollout": {
            "restarts": plan.rollout.restarts,
            "first": plan.rollout.first,
            "held": plan.rollout.held,
            "deleted_pods": [{"node": pod.node, "pod": pod.name} for pod in plan.rollout.pods],
        },
        "rights": [{"access": str(access), "granted": granted} for access, granted in plan.rights],
        "blockers": plan.blockers(),
        "left_out": [{"object": one.title, "why": one.why, "remedy": one.remedy} for one in plan.left_out],
        "cost": plan.cost,
        "notes": list(plan.notes),
    }


def receipt_text(receipt: Receipt) -> str:
    """What a receipt says was done, one line an object."""
    lines = [f"{step.kind} {step.namespace}/{step.name}: {_(STATES[step.state])}" for step in receipt.steps]
    lines += [_pod_line(pod) for pod in receipt.pods]
    if receipt.held:
        lines.append(_("The rollout is held: one node has the change, the others wait for the word to go on."))
    elif any(step.rollout == "waiting" for step in receipt.steps):
        lines.append(_("The rollout was not watched to its end."))
    for view in receipt.views:
        told = _(STATES[view.state]) + (f" ({view.message})" if view.message else "")
        lines.append(_("View {name}: {verb}").format(name=view.name, verb=told))
    if not lines:
        lines = [_("Nothing differed: nothing was written.")]
    if receipt.path:
        lines.append(_("Receipt: {path}").format(path=receipt.path))
    return "\n".join(lines) + "\n"


def _pod_line(pod: PodStep) -> str:
    """What became of a pod that we delete so that a new one comes; the right to `delete pods` was asked for it."""
    told = {"written": N_("restarted (pod {name} was deleted)"), "undone": N_("back to what it had")}
    text = _(told.get(pod.state, N_("to be restarted (pod {name})"))).format(name=pod.name)
    line = _("DataKit on {node}: {what}").format(node=pod.node, what=text)
    return f"{line}; {pod.message}" if pod.message else line


STATES = {
    "pending": N_("begun, outcome unknown"),
    "written": N_("written"),
    "unknown": N_("outcome unknown"),
    "failed": N_("failed"),
    "undoing": N_("undo begun, outcome unknown"),
    "undone": N_("undone"),
    "same": N_("unchanged"),
}
