"""What Go's JSON decoder says of a text that is no JSON."""

from __future__ import annotations

import json


def json_problem(text: str) -> str:
    """What Go's decoder says of a text that is no JSON."""
    stripped = text.lstrip()
    if not stripped:
        return "unexpected end of JSON input"
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        if error.pos >= len(text.rstrip()):
            return "unexpected end of JSON input"
        char = text[error.pos]
        if error.msg.startswith("Extra data"):
            return f"invalid character {_rune(char)} after top-level value"
        if error.msg.startswith("Expecting property name"):
            return f"invalid character {_rune(char)} looking for beginning of object key string"
        if error.msg.startswith("Expecting ':'"):
            return f"invalid character {_rune(char)} after object key"
        if error.msg.startswith("Expecting ','"):
            return f"invalid character {_rune(char)} after object key:value pair"
        return f"invalid character {_rune(char)} looking for beginning of value"
    return ""


def _rune(char: str) -> str:
    return "'\\''" if char == "'" else f"'{char}'" if char.isprintable() else f"'\\x{ord(char):02x}'"
