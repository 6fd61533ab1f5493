"""The command line: parses, chooses the language, and hands over to the wizard or to one command.

stdout carries data, stderr the narration. Nothing heavy is imported before a command needs it.
"""

from __future__ import annotations

import codecs
import io
import os
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from tui import i18n, terminal
from tui.arguments import parser
from tui.core.errors import Exit, UsageError, WizardError
from tui.i18n import LANGUAGES, _


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status (see `tui.core.errors.Exit`)."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    i18n.use_language(_asked_language(arguments) or i18n.language_of(os.environ))
    _check_installation()
    # Whoever asks for Chinese gets it, in UTF-8, whatever the locale says.
    if i18n.language() == "en" and not terminal.utf8(os.environ):
        _narrate_in_ascii()
    options = parser(arguments).parse_args(arguments)
    try:
        from tui import commands

        return int(commands.run(options))
    except WizardError as error:
        _complain(error)
        return int(error.status)
    except KeyboardInterrupt:
        return int(Exit.INTERRUPTED)
    except BrokenPipeError:
        # The reader of stdout went away (`| head`): nothing is left to say, and Python must not try at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return int(Exit.OK)


def _narrate_in_ascii() -> None:
    """Write ASCII signs alone on stderr. stdout carries data, which is never touched."""

    def stand_in(error: UnicodeError) -> tuple[str, int]:
        assert isinstance(error, UnicodeEncodeError)
        return terminal.in_ascii(error.object[error.start : error.end]), error.end

    codecs.register_error("ascii-signs", stand_in)
    if isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr.reconfigure(encoding="ascii", errors="ascii-signs")


def _asked_language(arguments: Sequence[str]) -> str:
    """The value of --lang, looked up before parsing so that the parser's own texts follow it."""
    for index, argument in enumerate(arguments):
        if argument == "--lang" and index + 1 < len(arguments):
            return arguments[index + 1] if arguments[index + 1] in LANGUAGES else ""
        if argument.startswith("--lang="):
            value = argument.removeprefix("--lang=")
            return value if value in LANGUAGES else ""
    # Machines read English unless they ask otherwise.
    for_machines = {
        f"{flag}{form}" for flag in ("-o", "-o ", "--output=", "--output ") for form in ("json", "junit", "yaml")
    }
    pairs = (f"{one} {two}" for one, two in pairwise(arguments))
    return "en" if for_machines & {*arguments, *pairs} else ""


def _check_installation() -> None:
    """Refuse to start where another distribution's `screens` or `tui` shadows ours: both must lie side by side."""
    import importlib.util

    spec = importlib.util.find_spec("screens")
    ours = Path(__file__).resolve().parent.parent
    place = Path(spec.origin).resolve().parent.parent if spec and spec.origin else None
    if place != ours:
        error = UsageError(
            _("Another package called `screens` is in the way."),
            object=str(place),
            remedy=_("Install datakit-wizard isolated: uv tool install, or pipx install."),
        )
        _complain(error)
        raise SystemExit(int(Exit.USAGE))


def _complain(error: WizardError) -> None:
    labels = (
        ("", error.what),
        (_("on"), error.object),
        (_("why"), error.why),
        (_("what to do"), error.remedy),
        ("", error.command),
    )
    lines: list[str] = []
    for label, text in labels:
        for number, line in enumerate(text.splitlines()):
            lead = f"  {label}: " if label and not number else "    "
            lines.append(lead + line if lines else line)
    print("datakit-wizard: " + "\n".join(lines), file=sys.stderr)


if __name__ == "__main__":
    raise SystemExit(main())
