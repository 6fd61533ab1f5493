"""TOML as DataKit reads it: the dialect of BurntSushi/toml 1.2.1.

It differs from TOML 1.0, which `tomllib` reads, in both directions: an array may redefine a key or be redefined, a
dotted key and a table header of the same name are merged, U+FFFD is refused. What a file means to DataKit is decided
here, by the parser's own rules.
"""

from __future__ import annotations

import re
from typing import Any

from tui.i18n import _

Table = dict[str, Any]
Path = tuple[str, ...]


class TomlError(ValueError):
    """The text is not TOML to DataKit. `line` counts from 1."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(_("line {line}: {message}").format(line=line, message=message))
        self.message = message
        self.line = line


class TableArray(list[Table]):
    """What `[[name]]` makes; a list written with brackets is a plain list. DataKit tells them apart."""


class Moment(str):
    """A date or time, kept as its text: no setting of the collector takes one."""

    __slots__ = ()


MAX_DEPTH = 100  # of values within values, and of parts in a name: DataKit has no limit, we have a stack
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffd]|\r(?!\n)")
_BLANK = re.compile(r"[ \t]*")
_SPACE = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_BASIC = re.compile(r'[^"\\\r\n]*(?:\\[^\r\n][^"\\\r\n]*)*')
_LITERAL = re.compile(r"[^'\r\n]*")
_WORD = re.compile(r"[^\W\d_]+")
_MOMENT = re.compile(r"[0-9]+[-:][-0-9:Tt .Zz+]*")
_BASED = re.compile(r"0(?:x[0-9a-fA-F_]+|o[0-7_]+|b[01_]+)")
_NUMBER = re.compile(r"[+-]?(?:inf|nan|[0-9][0-9_]*(?:[.eE][-+0-9_.eE]*)?)")
_DATE_TIME = re.compile(
    r"\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])"
    r"(?:[Tt ](?:[01]?\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d+)?(?:[Zz]|[+-](?:[01]\d|2[0-4]):[0-5]\d)?)?"
    r"|(?:[01]?\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d+)?",
    re.ASCII,
)
_ESCAPES = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", '"': '"', "\\": "\\"}
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))", re.DOTALL)


def parse(text: str) -> Table:
    """The tables of `text`. Values are str, bool, int, float, Moment, list, dict and TableArray. Raises TomlError."""
    return _Parser(text).document()


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.pos = 0
        self.root: Table = {}
        self.context: Path = ()
        self.key = ""
        self.depth = 0
        self.implicit: set[Path] = set()  # tables that only a longer name has made so far
        self.arrays: set[Path] = set()  # keys whose latest value is a bracketed list: these alone may be redefined

    def document(self) -> Table:
        bad = _FORBIDDEN.search(self.text)
        if bad:
            self.pos = bad.start()
            raise self.error(_("the character {char} is not allowed").format(char=ascii(bad[0])))
        while True:
            self.pos = self.end_of(_SPACE)
            if self.pos == len(self.text):
                return self.root
            if self.text[self.pos] == "[":
                self.header()
            else:
                self.assignment(self.context)
            self.pos = self.end_of(_BLANK)
            if self.pos < len(self.text) and self.text[self.pos] not in "#\r\n":
                raise self.unexpected(_("the end of the line"))

    def error(self, message: str) -> TomlError:
        return TomlError(message, self.text.count("\n", 0, self.pos) + 1)

    def end_of(self, pattern: re.Pattern[str]) -> int:
        match = pattern.match(self.text, self.pos)
        return match.end() if match else self.pos

    def peek(self) -> str:
        return self.text[self.pos : self.pos + 1]

    def unexpected(self, wanted: str) -> TomlError:
        found = ascii(self.peek()) if self.peek() else _("the end of the file")
        return self.error(_("expected {wanted}, found {found}").format(wanted=wanted, found=found))

    # Names

    def name(self, closing: str) -> Path:
        """A dotted name up to and including `closing`."""
        parts: list[str] = []
        while True:
            self.pos = self.end_of(_BLANK)
            char = self.peek()
            if char in ('"', "'") and char:
                parts.append(self.line_string())
            else:
                match = _BARE.match(self.text, self.pos)
                if not match:
                    raise self.unexpected(_("a name"))
                parts.append(match[0])
                self.pos = match.end()
            self.pos = self.end_of(_BLANK)
            char = self.peek()
            if char not in (".", closing) or not char:
                raise self.unexpected(f"'.' / {closing!r}")
            self.pos += 1
            if char == closing:
                return tuple(parts)
            if len(parts) >= MAX_DEPTH:
                raise self.error(_("a name has more than {n} parts").format(n=MAX_DEPTH))

    def header(self) -> None:
        array = self.text.startswith("[[", self.pos)
        self.pos += 2 if array else 1
        path = self.name("]")
        if array:
            if self.peek() != "]":
                raise self.unexpected("']]'")
            self.pos += 1
        self.enter(path, array)
        self.arrays.discard(self.context)

    def assignment(self, outer: Path) -> tuple[str, Any]:
        """`name = value` below the table `outer`: the last part of the name, and the value."""
        path = self.name("=")
        self.key = path[-1]
        for part in path[:-1]:
            self.implicit.add((*self.context, part))
            self.enter((*self.context, part), array=False)
        self.pos = self.end_of(_BLANK)
        value = self.value(in_array=False)
        self.set(path[-1], value)
        where = (*self.context, path[-1])
        if isinstance(value, list):
            self.arrays.add(where)
        else:
            self.arrays.discard(where)
        self.context = outer
        return path[-1], value

    # What a name means

    def table(self, path: Path) -> Table:
        """The table at `path`; of an array of tables its last."""
        table = self.root
        for i, part in enumerate(path):
            found = table.get(part)
            if isinstance(found, TableArray):
                table = found[-1]
            elif isinstance(found, dict):
                table = found
            else:
                raise self.twice(path[: i + 1])
        return table

    def enter(self, path: Path, array: bool) -> None:
        """Make `path` the current table, or add a table to the array there, creating what is missing on the way."""
        table = self.root
        for i, part in enumerate(path[:-1]):
            if part not in table:
                self.implicit.add(path[: i + 1])
                table[part] = {}
            table = self.table(path[: i + 1])
        if array:
            tables = table.setdefault(path[-1], TableArray())
            if not isinstance(tables, TableArray):
                raise self.twice(path)
            tables.append({})
        else:
            self.context = path[:-1]
            self.set(path[-1], {})
        self.context = path

    def set(self, key: str, value: object) -> None:
        table = self.table(self.context)
        path = (*self.context, key)
        if key in table:
            if path in self.arrays:
                self.implicit.discard(path)
            elif path in self.implicit:
                self.implicit.discard(path)
                return
            else:
                raise self.twice(path)
        table[key] = value

    def twice(self, path: Path) -> TomlError:
        return self.error(_("{key} is already defined").format(key=".".join(path)))

    # Values

    def value(self, in_array: bool) -> Any:
        char = self.peek()
        if char in ("[", "{") and char:
            self.depth += 1
            if self.depth > MAX_DEPTH:
                raise self.error(_("values are nested more than {n} deep").format(n=MAX_DEPTH))
            nested: Any = self.array() if char == "[" else self.inline_table(in_array)
            self.depth -= 1
            return nested
        if char in ('"', "'") and char:
            if self.text.startswith(char * 3, self.pos):
                return self.long_string(char)
            return self.line_string()
        for pattern, convert in ((_MOMENT, self.moment), (_BASED, self.based), (_NUMBER, self.number)):
            match = pattern.match(self.text, self.pos)
            if match:
                value = convert(match[0])
                self.pos = match.end()
                return value
        match = _WORD.match(self.text, self.pos)
        if match and match[0] in ("true", "false"):  # what else it says is not repeated: it may be a secret
            self.pos = match.end()
            return match[0] == "true"
        raise self.unexpected(_("a value (text in quotes, a number, true or false)"))

    def array(self) -> list[Any]:
        # A key counts as an array from its opening bracket on, which is why an array may follow any other value.
        self.arrays.add((*self.context, self.key))
        self.pos += 1
        values: list[Any] = []
        while True:
            self.pos = self.end_of(_SPACE)
            if self.peek() == "]":
                break
            values.append(self.value(in_array=True))
            self.pos = self.end_of(_SPACE)
            if self.peek() not in (",", "]") or not self.peek():
                raise self.unexpected("',' / ']'")
            if self.peek() == ",":
                self.pos += 1
        self.pos += 1
        return values

    def inline_table(self, in_array: bool) -> Table:
        table: Table = {}
        outer, outer_key = self.context, self.key
        path = (*outer, outer_key)
        self.implicit.add(path)
        self.enter(path, in_array)
        self.key = ""
        self.pos += 1
        self.pos = self.end_of(_BLANK)
        while self.peek() != "}":
            # Of a dotted name only the last part is kept here, as in 1.2.1. Outside of arrays what `enter` made holds.
            key, value = self.assignment(path)
            table[key] = value
            self.pos = self.end_of(_BLANK)
            if self.peek() == "}":
                break
            if self.peek() != ",":
                raise self.unexpected("',' / '}'")
            self.pos += 1
            self.pos = self.end_of(_BLANK)
            if self.peek() == "}":
                raise self.unexpected(_("a name"))
        self.pos += 1
        self.context, self.key = outer, outer_key
        return table

    def line_string(self) -> str:
        """A string on one line, basic or literal."""
        quote = self.peek()
        match = (_BASIC if quote == '"' else _LITERAL).match(self.text, self.pos + 1)
        assert match is not None
        end = match.end()
        if self.text[end : end + 1] != quote:
            raise self.error(_("a string without its closing {quote}").format(quote=quote))
        value = self.unescape(match[0]) if quote == '"' else match[0]
        self.pos = end + 1
        return value

    def long_string(self, quote: str) -> str:
        """A string in three quotes. Up to two more may stand before the closing ones."""
        start = at = self.pos + 3
        while True:
            at = self.text.find(quote, at)
            if at < 0:
                raise self.error(_("a string without its closing {quote}").format(quote=quote * 3))
            escaped = at
            while quote == '"' and escaped > start and self.text[escaped - 1] == "\\":
                escaped -= 1
            if (at - escaped) % 2:
                at += 1
                continue
            run = len(self.text[at : at + 7]) - len(self.text[at : at + 7].lstrip(quote))
            if run >= 3:
                break
            at += run
        if run > 5:
            raise self.error(_("too many quotes"))
        content = self.text[start : at + run - 3]
        if quote == '"':
            content = self.join_lines(content)
        content = content[1:] if content[:1] == "\n" else content.removeprefix("\r\n")
        value = self.unescape(content) if quote == '"' else content
        self.pos = at + run
        return value

    def join_lines(self, text: str) -> str:
        """Take out the line ends that a backslash escapes, with the blanks around them."""
        lines = text.split("\n")
        joining = False  # stays on until the next line that ends with a backslash: so does the parser of 1.2.1
        for i in range(len(lines)):
            line = lines[i].rstrip(" \t\r")
            if not line.endswith("\\"):
                lines[i] = lines[i].rstrip("\r")
                if not joining and i != len(lines) - 1:
                    lines[i] += "\n"
                continue
            odd = (len(line) - len(line.rstrip("\\"))) % 2 == 1
            if joining:
                line = line.lstrip(" \t\r")
            joining = odd
            if not odd:
                lines[i] += "\n"
            elif i == len(lines) - 1:
                raise self.error(_("a backslash at the end of a string"))
            else:
                lines[i] = line[:-1]
                lines[i + 1] = lines[i + 1].lstrip(" \t\r")
        return "".join(lines)

    def unescape(self, text: str) -> str:
        def one(match: re.Match[str]) -> str:
            short, long, char = match.groups()
            if char is not None:
                if char not in _ESCAPES:
                    raise self.error(_("no escape in TOML: \\{char} (write \\\\ for a backslash)").format(char=char))
                return _ESCAPES[char]
            code = int(short or long, 16)
            if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
                raise self.error(_("no character: {escape}").format(escape=match[0]))
            return chr(code)

        return _ESCAPE.sub(one, text) if "\\" in text else text

    # Numbers and times

    def moment(self, text: str) -> Moment:
        if not _DATE_TIME.fullmatch(text.strip()):
            raise self.error(_("no date or time: {text}").format(text=text.strip()))
        return Moment(text.strip())

    def based(self, text: str) -> int:
        if not _well_grouped(text):
            raise self.error(_("no number: {text}").format(text=text[:40]))
        return self.fitting(int(text, 0), text)

    def number(self, text: str) -> int | float:
        digits = text.lstrip("+-")
        if digits in ("inf", "nan"):
            return float(text)
        parts = [part for part in re.split("[.eE]", text) if part]
        if (
            not all(_well_grouped(part) for part in parts)
            or re.match("[+-]?0[0-9_]", parts[0])
            or re.search(r"\.(?![0-9])", text)
        ):
            raise self.error(_("no number: {text}").format(text=text[:40]))
        if digits.replace("_", "").isdigit():
            return self.fitting(int(text) if len(text) < 99 else 1 << 64, text)  # Python limits the digits
        try:
            value = float(text.replace("_", ""))
        except ValueError:
            raise self.error(_("no number: {text}").format(text=text[:40])) from None
        if value in (float("inf"), float("-inf")):
            raise self.error(_("{text} is out of range").format(text=text[:40]))
        return value

    def fitting(self, value: int, text: str) -> int:
        if not -(1 << 63) <= value < 1 << 63:
            raise self.error(_("{text} is out of range").format(text=text[:40]))
        return value


def _well_grouped(digits: str) -> bool:
    """Whether every underscore stands between digits, as Go's parser counts them."""
    after_digit = False
    for char in digits:
        if char == "_" and not after_digit:
            return False
        after_digit = char in "0123456789abcdefABCDEF"
    return after_digit
