"""Copying over SSH: OSC 52, passed through tmux and screen, and never more than terminals take."""

from __future__ import annotations

import base64
from collections.abc import Mapping

# What terminals accept at most in one sequence, in encoded bytes (the limit of hterm and of k9s).
LIMIT = 74_994


def sequence(text: str, environ: Mapping[str, str]) -> str | None:
    """The escape sequence that puts `text` on the clipboard; None where it is too long to arrive whole."""
    encoded = base64.b64encode(text.encode("utf-8")).decode("ascii")
    if len(encoded) > LIMIT:
        return None
    plain = f"\x1b]52;c;{encoded}\x07"
    if environ.get("TMUX"):
        return "\x1bPtmux;" + plain.replace("\x1b", "\x1b\x1b") + "\x1b\\"
    if environ.get("TERM", "").startswith("screen"):
        # screen takes at most 768 bytes in one passed-through string
        pieces = [plain[start : start + 700] for start in range(0, len(plain), 700)]
        return "".join(f"\x1bP{piece}\x1b\\" for piece in pieces)
    return plain
