"""export: the change as files, for clusters that Helm or a GitOps tool manages."""

from __future__ import annotations

import argparse
from pathlib import Path

from tui.commands.connection import connect, datakit, say
from tui.commands.setup import read_answers
from tui.core.errors import Exit, UsageError
from tui.core.export import files
from tui.core.owners import owner_notes
from tui.core.survey import survey
from tui.i18n import _


def export(options: argparse.Namespace) -> int:
    """Write manifests, kustomization, Helm values and dashboards, and print their paths; the cluster is only read."""
    given = read_answers(options.filename)
    connection = connect(options, given.cluster.context)
    look = survey(connection.cluster, datakit(options, connection, given))
    for note in owner_notes(look.datakit.object):
        say(note)
    folder = Path(options.directory)
    try:
        for name, text in files(given, look).items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            print(path)
    except OSError as error:
        raise UsageError(
            _("The export cannot be written."),
            object=error.filename or str(folder),
            why=error.strerror or type(error).__name__,
            remedy=_("Choose a folder that you may write to."),
        ) from None
    return Exit.OK
