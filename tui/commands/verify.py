"""check: verify without a screen. It writes nothing."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import time
from dataclasses import replace
from pathlib import Path

from tui import terminal
from tui.commands.connection import Connection, connect, contexts, say, studio, studio_settings
from tui.commands.setup import read_answers
from tui.core import checks, reports
from tui.core.checks import Facts, Report, Result, drift
from tui.core.errors import Exit, UsageError, WizardError
from tui.core.parallel import each
from tui.core.ports import Studio
from tui.core.receipts import load
from tui.core.report_html import as_html
from tui.core.report_markdown import as_markdown
from tui.core.report_openmetrics import as_openmetrics
from tui.i18n import _, language

PLOTTED = ("html", "markdown", "json", "openmetrics")  # the forms that tell how what arrived went


def check(options: argparse.Namespace) -> int:
    """Run the checks on one or more contexts and print the report."""
    names = _names(options)
    found = studio_settings(options)
    also = _drift(options, names)
    progress = _progress if sys.stderr.isatty() and options.output == "text" and len(names) == 1 else None

    def one(name: str) -> Report:
        connection = connect(argparse.Namespace(**{**vars(options), "context": [name] if name else None}))
        facts = facts_of(options, connection, studio(connection.backend, found), every_node=options.every_node)
        report = checks.run(facts, wait_s=options.wait, on_result=progress, also=also)
        return with_plots(facts, report) if options.output in PLOTTED else report

    run_reports = []
    for answer in each(names, one):
        if isinstance(answer, WizardError):
            raise answer
        run_reports.append(answer)
    if progress:
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)
    report = Report.joined(run_reports)
    sys.stdout.write(_render(report, options))
    return _status(report)


def _drift(options: argparse.Namespace, names: list[str]) -> tuple[checks.Check, ...]:
    """The checks against an answers file or a receipt, where one was given."""
    if not options.filename and not options.receipt:
        return ()
    if options.filename and options.receipt:
        raise UsageError(_("-f and --receipt exclude each other."))
    if len(names) > 1:
        raise UsageError(_("Answers and receipts are of one cluster; choose one with --context."))
    if options.receipt:
        return drift.against_receipt(load(Path(options.receipt)))
    answers = read_answers(options.filename)
    return drift.against_answers(answers, f"datakit-wizard apply -f {shlex.quote(options.filename)}")


def facts_of(
    options: argparse.Namespace, connection: Connection, client: Studio | None, *, every_node: bool = False
) -> Facts:
    """What the checks look at, in one context."""
    return Facts(
        connection.backend,
        connection.cluster.reader(),
        namespace=options.namespace or "",
        studio=client,
        every_node=every_node,
        no_studio=_("No API key was given, so nobody looked into the studio.") if client is None else "",
    )


def with_plots(facts: Facts, report: Report) -> Report:
    """The report with the course of what arrived, and with when certificates end; without where nobody can say."""
    try:
        courses = checks.courses(facts)
    except WizardError:  # the checks have told of it already
        courses = ()
    return replace(report, courses=courses, expiries=checks.expiries(facts))


def _status(report: Report) -> Exit:
    """0 for a proof; 3 where the first thing that failed is reaching the cluster or the workspace; else 1."""
    if report.ok:
        return Exit.OK
    first = report.first_failure
    return Exit.UNREACHABLE if first and first.id in checks.OUT_OF_REACH else Exit.DECIDED_AGAINST


def _names(options: argparse.Namespace) -> list[str]:
    if options.all_contexts:
        if options.context:
            raise UsageError(_("--context and --all-contexts exclude each other."))
        found = contexts(options)
        for context in found:
            if context.problem or context.login:
                told = context.problem or _("{plugin} wants to ask in the terminal").format(plugin=context.login)
                say(f"{context.name}: {told}")
        usable = [context.name for context in found if not context.problem and not context.login]
        if not usable:
            raise UsageError(_("No context of the kubeconfig can be used."))
        return usable
    return list(options.context or [""])


def _render(report: Report, options: argparse.Namespace) -> str:
    if options.output == "json":
        return reports.as_json(report)
    if options.output == "junit":
        return reports.as_junit(report)
    if options.output == "markdown":
        return as_markdown(report, now_s=time.time())
    if options.output == "html":
        return as_html(report, now_s=time.time())
    if options.output == "openmetrics":
        return as_openmetrics(report, now_s=time.time())
    ascii_only = language() == "en" and not terminal.utf8(os.environ)
    text = reports.as_text(report, short=options.short, ascii_only=ascii_only)
    return terminal.in_ascii(text) if ascii_only else text


def _progress(result: Result) -> None:
    """What is being waited for, on one line that the next one overwrites; only on a terminal."""
    width = max(20, os.get_terminal_size(sys.stderr.fileno()).columns - 1)
    text = reports.line(replace(result, title=f"{result.id}"))[:width]
    print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
