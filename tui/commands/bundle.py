"""bundle: one redacted archive for a ticket. The cluster and the studio are only read."""

from __future__ import annotations

import argparse
import io
import os
import re
import tarfile
import time
from pathlib import Path

from tui.commands.connection import connect, say, store, studio, studio_settings
from tui.commands.local import info_text
from tui.commands.verify import facts_of, with_plots
from tui.core import checks
from tui.core.bundle import files
from tui.core.errors import Exit, UsageError, WizardError
from tui.core.survey import cluster_uid
from tui.i18n import _


def bundle(options: argparse.Namespace) -> int:
    """Run the checks once, write everything into an archive that only its owner can read, and print its path."""
    connection = connect(options)
    found = studio_settings(options)
    facts = facts_of(options, connection, studio(connection.backend, found))
    report = with_plots(facts, checks.run(facts, wait_s=0.0))
    now_s = time.time()
    try:
        receipts = store().all(cluster_uid(facts.cluster), facts.datakit.namespace)
    except WizardError:  # the report tells why the cluster says nothing
        receipts = []
    made = files(
        facts,
        report,
        about=info_text(options),
        receipts=receipts,
        secrets=[found.key] if found.key else [],
        now_s=now_s,
    )
    stamp = time.strftime("%Y%m%dT%H%M%S", time.localtime(now_s))
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", connection.context.name)
    path = Path(options.file or f"datakit-wizard-{name}-{stamp}.tar.gz")
    _write(path, made, now_s)
    for line in made.get("missing.txt", "").splitlines():
        say(_("left out: {what}").format(what=line))
    print(path)
    return Exit.OK


def _write(path: Path, made: dict[str, str], now_s: float) -> None:
    """A new archive of its owner's alone; a file that is there already is left as it is."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as out, tarfile.open(fileobj=out, mode="w:gz") as archive:
            root = path.name.partition(".")[0]
            for name, text in made.items():
                content = text.encode()
                entry = tarfile.TarInfo(f"{root}/{name}")
                entry.size, entry.mtime, entry.mode = len(content), int(now_s), 0o600
                archive.addfile(entry, io.BytesIO(content))
    except OSError as error:
        raise UsageError(
            _("The bundle cannot be written."),
            object=str(path),
            why=error.strerror or type(error).__name__,
            remedy=_("Name a new file in a folder that you may write to."),
        ) from None
