"""The commands of the command line, one module a group: each is a thin front door over core and backend.

They return an exit status; stdout carries their data, stderr the narration.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

from tui.core.errors import Exit


def run(options: argparse.Namespace) -> int:
    """Run the command that was parsed; without one, the wizard."""
    if options.version:
        from importlib.metadata import version

        print(version("datakit-wizard"))
        return Exit.OK
    return _command(options.verb)(options)


def _command(verb: str | None) -> Callable[[argparse.Namespace], int]:
    if verb in ("answers", "plan", "apply", "undo"):
        from tui.commands import setup

        return {"answers": setup.answers, "plan": setup.plan, "apply": setup.apply, "undo": setup.undo}[verb]
    if verb == "export":
        from tui.commands import export

        return export.export
    if verb == "check":
        from tui.commands import verify

        return verify.check
    if verb == "why":
        from tui.commands import why

        return why.why
    if verb == "bundle":
        from tui.commands import bundle

        return bundle.bundle
    if verb == "views":
        from tui.commands import studio

        return studio.views
    if verb in ("preview", "info", "rbac"):
        from tui.commands import local

        return {"preview": local.preview, "info": local.info, "rbac": local.rbac}[verb]
    from tui.commands import wizard

    return {"lab": wizard.lab, "demo": wizard.demo}.get(verb or "", wizard.wizard)
