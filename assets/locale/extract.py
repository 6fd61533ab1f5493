"""Keep the catalogues in step with the code: `python assets/locale/extract.py` adds new messages and drops unused ones.

It needs nothing beyond the standard library. Messages are found as `_("…")`, `N_("…")` and `ngettext("…", "…", n)` of
`tui.i18n`. What lacks a translation afterwards is listed, and the exit status is 1. `compile.py` makes the `.mo` files.
"""

from __future__ import annotations

import ast
import string
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ("tui", "screens")
FUNCTIONS = {"_": 1, "N_": 1, "ngettext": 2}
HEADER = """\
msgid ""
msgstr ""
"Project-Id-Version: datakit-wizard\\n"
"Language: {language}\\n"
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=UTF-8\\n"
"Content-Transfer-Encoding: 8bit\\n"
"Plural-Forms: {plurals}\\n"
"""
PLURALS = {"zh": "nplurals=1; plural=0;"}


@dataclass(frozen=True)
class Message:
    """One message of the code: its English text, that of its plural ("" where it has none), and the files it is in."""

    text: str
    plural: str
    places: tuple[str, ...]


class NotConstantError(Exception):
    """A message is put together before it is translated, so no catalogue can hold it."""


def messages(root: Path = ROOT) -> list[Message]:
    """Every message of the code, in the order of files and lines. Raises NotConstantError for an f-string."""
    found: dict[str, dict[str, None]] = {}
    plurals: dict[str, str] = {}
    for source in sorted(path for name in SOURCES for path in (root / name).rglob("*.py")):
        place = source.relative_to(root).as_posix()
        calls = [node for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
        for call in sorted(calls, key=lambda node: (node.lineno, node.col_offset)):
            name = call.func.id if isinstance(call.func, ast.Name) else ""
            arguments = call.args[: FUNCTIONS.get(name, 0)]
            if any(isinstance(argument, (ast.JoinedStr, ast.BinOp)) for argument in arguments):
                raise NotConstantError(f"{place}:{call.lineno}")
            texts = [a.value for a in arguments if isinstance(a, ast.Constant) and isinstance(a.value, str)]
            if texts and len(texts) == len(arguments):
                found.setdefault(texts[0], {})[place] = None
                plurals.update({texts[0]: texts[1]} if len(texts) > 1 else {})
    return [Message(text, plurals.get(text, ""), tuple(places)) for text, places in found.items()]


def read(path: Path) -> dict[str, str]:
    """The translations of a catalogue by message; "" where one is missing. The header is left out."""
    entries: dict[str, dict[str, str]] = {}
    current: dict[str, str] = {}
    keyword = ""
    for line in [*path.read_text(encoding="utf-8").splitlines(), 'msgid ""']:
        if not line or line.startswith("#"):
            continue
        if not line.startswith('"'):
            keyword, line = line.split(" ", 1)
            if keyword == "msgid":
                if "msgid" in current:
                    entries[current["msgid"]] = current
                current = {}
        current[keyword] = current.get(keyword, "") + ast.literal_eval(line)
    return {text: one.get("msgstr", one.get("msgstr[0]", "")) for text, one in entries.items() if text}


def render(language: str, wanted: list[Message], translations: dict[str, str]) -> str:
    """The text of a catalogue that holds exactly the wanted messages."""
    parts = [HEADER.format(language=language, plurals=PLURALS[language])]
    for message in wanted:
        lines = [f"#: {' '.join(message.places)}"]
        if fields(message.text):
            lines.append("#, python-brace-format")
        lines.append(f"msgid {_quoted(message.text)}")
        translation = _quoted(translations.get(message.text, ""))
        if message.plural:
            lines += [f"msgid_plural {_quoted(message.plural)}", f"msgstr[0] {translation}"]
        else:
            lines.append(f"msgstr {translation}")
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return f'"{escaped}"'


def fields(text: str) -> set[str]:
    """The placeholders of a message that is filled with `str.format`; empty where it is no format."""
    try:
        return {name for _literal, name, _spec, _conversion in string.Formatter().parse(text) if name is not None}
    except ValueError:
        return set()


def main() -> int:
    """Bring every catalogue up to date and list what it lacks."""
    wanted = messages()
    status = 0
    for path in sorted(Path(__file__).parent.glob("*/LC_MESSAGES/*.po")):
        translations = read(path)
        path.write_text(render(path.parts[-3], wanted, translations), encoding="utf-8")
        for message in wanted:
            if not translations.get(message.text):
                print(f"{path.parts[-3]}: {message.places[0]}: {message.text!r}")
                status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
