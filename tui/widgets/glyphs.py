"""The few signs that the screens use, in two sets; which one is decided once, at start."""

from __future__ import annotations

from rich.cells import cell_len, set_cell_size

UNICODE = {
    "ok": "√",
    "warn": "‼",
    "fail": "×",
    "skip": "–",
    "pending": "·",
    "chosen": "●",
    "open": "○",
    "pointer": "▸",
    "rule": "─",
    "bar": "│",
    "more": "…",
    "dot": "·",
    "dash": "–",
    "arrow": "→",
    "enter": "⏎",
    "mask": "•",
    "levels": "▁▂▃▄▅▆▇█",
    "times": "×",
}
ASCII = {
    "ok": "ok",
    "warn": "!",
    "fail": "x",
    "skip": "-",
    "pending": ".",
    "chosen": "(*)",
    "open": "( )",
    "pointer": ">",
    "rule": "-",
    "bar": "|",
    "more": "..",
    "dot": "-",
    "dash": "-",
    "arrow": "->",
    "enter": "Enter",
    "mask": "*",
    "levels": "_.-=+*%#",
    "times": "x",
}

_set = UNICODE
_muted = "$text-muted"


def use_ascii(ascii_only: bool) -> None:
    """Draw with ASCII alone from now on, or with the usual signs."""
    global _set
    _set = ASCII if ascii_only else UNICODE


def is_ascii() -> bool:
    """Whether the ASCII set is in use."""
    return _set is ASCII


def glyph(name: str) -> str:
    """The sign of this name in the set in use."""
    return _set[name]


def use_ansi(ansi: bool) -> None:
    """Draw with the terminal's own colours from now on: there, what is of less weight is dim and keeps its colour."""
    global _muted
    _muted = "dim" if ansi else "$text-muted"


def is_ansi() -> bool:
    """Whether the terminal's own colours are in use."""
    return _muted == "dim"


def muted() -> str:
    """The style of what is of less weight."""
    return _muted


def plain(text: str) -> str:
    """`text` with our own typographic signs replaced where the ASCII set is in use."""
    if _set is UNICODE:
        return text
    for name in ("dot", "dash", "arrow", "times", "more", "ok", "warn"):
        text = text.replace(UNICODE[name], ASCII[name])
    return text.replace("“", '"').replace("”", '"').replace("’", "'").replace("≥", ">=").replace("≤", "<=")


def fit(text: str, width: int) -> str:
    """`text` in exactly `width` cells: padded, or cut with an ellipsis. Two-column characters count as two."""
    if width <= 0:
        return ""
    if cell_len(text) <= width:
        return set_cell_size(text, width)
    more = glyph("more")
    return set_cell_size(set_cell_size(text, max(width - cell_len(more), 0)).rstrip() + more, width)
