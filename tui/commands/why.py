"""why: from one empty panel of a view to the first broken hop. It writes nothing."""

from __future__ import annotations

import argparse
import os
import sys

from tui import terminal
from tui.commands.connection import connect, studio, studio_settings
from tui.commands.verify import facts_of
from tui.core import checks, report_why, views
from tui.core.checks import panel as panels
from tui.core.errors import Exit
from tui.i18n import language


def why(options: argparse.Namespace) -> int:
    """Look along the way of one panel's data, and print where it stops."""
    view = views.view(options.view)
    panel = panels.find(view, options.panel)
    connection = connect(options)
    facts = facts_of(options, connection, studio(connection.backend, studio_settings(options)))
    report = checks.run(
        facts, wait_s=options.wait, checks=panels.checks_for(view, panel), also=(panels.check(view, panel),)
    )
    found = panels.judged(view, panel, report)
    if options.output == "json":
        sys.stdout.write(report_why.as_json(found))
    else:
        ascii_only = language() == "en" and not terminal.utf8(os.environ)
        text = report_why.as_text(found, ascii_only=ascii_only)
        sys.stdout.write(terminal.in_ascii(text) if ascii_only else text)
    if found.filled:
        return Exit.OK
    first = found.report.first_failure
    return Exit.UNREACHABLE if first and first.id in checks.OUT_OF_REACH else Exit.DECIDED_AGAINST
