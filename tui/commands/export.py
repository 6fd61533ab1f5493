"""export: the change as files, for clusters that Helm or a GitOps tool manages; and the nightly check."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from tui.commands.connection import connect, datakit, say, studio_settings
from tui.commands.setup import read_answers
from tui.core import export_check
from tui.core.errors import Exit, UsageError
from tui.core.export import files
from tui.core.owners import owner_notes
from tui.core.survey import host_cluster_name, survey
from tui.i18n import _


def export(options: argparse.Namespace) -> int:
    """Write manifests, kustomization, Helm values and dashboards, or the nightly check; the cluster is only read."""
    nightly = len(options.target) == 2 and options.target[0] == "check"
    if len(options.target) != 1 and not nightly:
        raise UsageError(_("export takes a folder, or `check` and a folder."), object=" ".join(options.target))
    if nightly == bool(options.filename):
        raise UsageError(
            _("export check takes no answers file.") if nightly else _("export needs the answers: -f answers.toml.")
        )
    _write(Path(options.target[-1]), _nightly(options) if nightly else _change(options))
    return Exit.OK


def _change(options: argparse.Namespace) -> dict[str, str]:
    given = read_answers(options.filename)
    connection = connect(options, given.cluster.context)
    look = survey(connection.cluster, datakit(options, connection, given))
    for note in owner_notes(look.datakit.object):
        say(note)
    return files(given, look)


def _nightly(options: argparse.Namespace) -> dict[str, str]:
    found = datakit(options, connect(options))
    image = options.image or f"datakit-wizard:{version('datakit-wizard')}"
    endpoint = studio_settings(options).endpoint
    return export_check.files(found.namespace, host_cluster_name(found.env), image=image, endpoint=endpoint)


def _write(folder: Path, made: Mapping[str, str]) -> None:
    try:
        for name, text in made.items():
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
