"""What the terminal can do, decided once before Textual is imported (it reads its knobs at import).

This module imports nothing but the standard library, so that the command line can refuse a terminal without paying for
the terminal interface.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from typing import TextIO

from tui.i18n import _

MIN_COLUMNS = 80
MIN_ROWS = 24


@dataclass(frozen=True)
class Look:
    """How the screens are drawn: `ansi` = the terminal's own sixteen colours, `ascii` = no glyph beyond ASCII."""

    ansi: bool
    ascii: bool


def prepare_environment(environ: MutableMapping[str, str], *, color: str = "auto") -> Look:
    """Set Textual's knobs in `environ` and decide the look; call it before anything imports textual.

    `color` is "auto", "always" or "never" ("never" is the same as NO_COLOR).
    """
    if color == "never":
        environ["NO_COLOR"] = "1"
    elif color == "always":
        environ.pop("NO_COLOR", None)
    environ["TEXTUAL_ANIMATIONS"] = "none"
    environ["TEXTUAL_SMOOTH_SCROLL"] = "0"
    environ.setdefault("TEXTUAL_FPS", "30")
    environ.pop("TEXTUAL_PRESS", None)
    return Look(ansi=not _truecolor(environ), ascii=not utf8(environ) or environ.get("TERM") == "linux")


def refusal(environ: Mapping[str, str], stdin: TextIO | None = None, stdout: TextIO | None = None) -> str:
    """Why the wizard cannot run in this terminal, as one line; "" when it can."""
    stdin, stdout = stdin or sys.stdin, stdout or sys.stdout
    advice = _("the commands check, plan and apply need none")
    if not (stdin.isatty() and stdout.isatty()):
        return _("datakit-wizard: the wizard needs a terminal; {advice}").format(advice=advice)
    term = environ.get("TERM", "")
    if term in ("", "dumb", "unknown"):
        return _("datakit-wizard: the wizard cannot draw on TERM={term}; {advice}").format(
            term=term or '""', advice=advice
        )
    try:
        columns, rows = os.get_terminal_size(stdout.fileno())
    except (OSError, ValueError):
        return ""
    if not columns or not rows:
        return _("datakit-wizard: this terminal says that its size is {columns}×{rows}; {advice}").format(
            columns=columns, rows=rows, advice=advice
        )
    return ""


def _truecolor(environ: Mapping[str, str]) -> bool:
    """Truecolor only where the terminal says so and no slow line or wish for plainness speaks against it."""
    if "NO_COLOR" in environ or any(name in environ for name in ("SSH_CONNECTION", "SSH_TTY", "SSH_CLIENT")):
        return False
    if environ.get("TEXTUAL_COLOR_SYSTEM", "auto") not in ("auto", "truecolor"):
        return False
    return environ.get("COLORTERM", "").lower() in ("truecolor", "24bit")


# What our texts use beyond ASCII, and what stands for it where the locale is not UTF-8.
_ASCII_SIGNS = str.maketrans(
    {"–": "-", "…": "...", "→": "->", "×": "x", "√": "ok", "‼": "!", "≤": "<=", "≥": ">=", "·": "-"}
    | dict.fromkeys("“”„", '"')
    | dict.fromkeys("‘’", "'")
)


def in_ascii(text: str) -> str:
    """`text` with ASCII signs for the typographic ones, and a question mark for what has none."""
    return "".join(char if char.isascii() else "?" for char in text.translate(_ASCII_SIGNS))


def utf8(environ: Mapping[str, str]) -> bool:
    """Whether the locale says UTF-8; a terminal of another locale gets ASCII signs alone."""
    locale = next((environ[name] for name in ("LC_ALL", "LC_CTYPE", "LANG") if environ.get(name)), "C")
    return locale.partition(".")[2].partition("@")[0].lower().replace("-", "") == "utf8"
