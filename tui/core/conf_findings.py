"""What is wrong with an etcd.conf, found while a person types it: by line and key, with the remedy.

DataKit 1.84.1 drops what it cannot read without a word that reaches the person, so this says it first. Whether a text
is TOML is decided by the dialect that DataKit reads; what only that dialect takes is a warning.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

from tui.core import durations
from tui.core.conf_places import ERROR, INFO, WARNING, Finding, View
from tui.core.conf_traps import ETCD_TRAPS, TRAPS
from tui.core.etcd_edits import Block, blocks
from tui.core.prom import toml
from tui.core.prom.conf import ETCD_KEYS, KEYS
from tui.core.toml_text import Entry, Header, position, scan, secrets
from tui.i18n import N_, _

_ALWAYS = (ERROR, WARNING, INFO)

# What a key holds: the type's name here decides how a value is judged. Other keys hold a string.
_FILTERS = ("metric_types", "metric_name_filter", "metric_name_filter_ignore")
_STRINGS = ("urls", *_FILTERS, "tags_ignore", "ca_certs", "ca_certs_base64")
_SWITCHES = ("disable_instance_tag", "disable_host_tag", "disable_info_tag", "keep_exist_metric_name")
_BOOLEANS = ("election", "tls_open", "insecure_skip_verify", "ignore_req_err", "honor_timestamps", *_SWITCHES)
_LOOSE_TABLES = ("tags", "auth", "http_headers", "ignore_tag_kv_match")  # another shape is ignored, not refused
KINDS = {
    **dict.fromkeys(KEYS, "string"),
    **dict.fromkeys(_STRINGS, "strings"),
    **dict.fromkeys(_BOOLEANS, "boolean"),
    **dict.fromkeys(("interval", "timeout"), "duration"),
    **dict.fromkeys(("stream_size", "max_file_size"), "integer"),
    **dict.fromkeys(("tags_rename", "as_logging"), "table"),
    **dict.fromkeys(_LOOSE_TABLES, "loose table"),
    "measurements": "tables",
}
_TABLES = (*_LOOSE_TABLES, "tags_rename", "as_logging", "measurements")
_INNER = {
    "tags_rename": {"overwrite_exist_tags": "boolean", "mapping": "loose table"},
    "as_logging": {"enable": "boolean", "service": "string"},
    "measurements": {"prefix": "string", "name": "string", "pattern": "string"},
}
_WANTED = {
    "string": N_('a string in quotes, such as "etcd"'),
    "strings": N_('a list of strings, such as ["etcd"]'),
    "boolean": N_("true or false, without quotes"),
    "integer": N_("a whole number, without quotes"),
    "duration": N_('a duration, such as "60s"'),
    "table": N_("a table"),
    "loose table": N_("a table"),
    "tables": N_("tables with double brackets, [[inputs.prom.measurements]]"),
}


def findings(text: str) -> list[Finding]:
    """Everything to say of `text`, in the order of its lines. Fast enough for every key press."""
    body = text.removeprefix("\ufeff")
    shift = len(text) - len(body)
    try:
        root = toml.parse(body)
    except toml.TomlError as error:
        return [_not_toml(body, error)]
    found = [*_no_strict_toml(body), *_secrets(body)]
    views = [*_views(body, root, "prom"), *_views(body, root, "etcd")]
    prom = [view for view in views if view.name == "prom"]
    if not views:
        found.append(_no_block(body, root))
    elif len(prom) > 1:
        found.append(_several(body, blocks(body), len(prom)))
    for view in views:
        _keys(view)
        for trap in TRAPS if view.name == "prom" else ETCD_TRAPS:
            trap(view)
        found += view.found
    found += _outside(body, {view.name for view in views})
    if shift:
        found = [_shifted(item) if item.line == 1 else item for item in found]
    return sorted(found, key=lambda item: (item.line, item.column, _ALWAYS.index(item.severity), item.code))


def _shifted(item: Finding) -> Finding:
    """The byte-order mark takes the first column."""
    return Finding(1, item.column + 1, item.key, item.severity, item.message, item.remedy, item.code)


def _views(text: str, root: dict[str, Any], name: str) -> list[View]:
    """The blocks of one kind of input, with their places where each is written as a table of its own."""
    section = root.get("inputs")
    found = section.get(name) if isinstance(section, dict) else None
    values = [found] if isinstance(found, dict) else list(found) if isinstance(found, toml.TableArray) else []
    written = blocks(text, name)
    places: list[Block | None] = [*written] if len(written) == len(values) else [None] * len(values)
    return [View(text, value, block, name=name) for value, block in zip(values, places, strict=True)]


_PLACE = re.compile(r" \(at line (\d+), column (\d+)\)$")


def _not_toml(text: str, error: toml.TomlError) -> Finding:
    """The first error, with the column if Python's reader stumbles over the same line."""
    column, line_text = 1, (text.split("\n")[error.line - 1 : error.line] or [""])[0]
    try:
        if len(line_text) < 10_000:  # its time grows with the square
            tomllib.loads(text)
    except (ValueError, RecursionError) as strict:  # it also fails on what Python finds too long or too deep
        place = _PLACE.search(str(strict))
        if place and int(place[1]) == error.line:
            column = int(place[2])
    key = re.match(r"\s*([A-Za-z0-9_-]+)\s*=", line_text)
    remedy = _("Mend this place: DataKit would ignore the whole file.")
    if re.search("[“”‘’＂]", line_text):
        remedy = _("Use straight quotes, \" or '. DataKit would ignore the whole file.")
    elif "\\" in line_text:
        remedy = _(
            "Write regular expressions in single quotes: there \\ stays \\. DataKit would ignore the whole file."
        )
    message = _("This is no TOML: {message}").format(message=error.message)
    return Finding(error.line, column, key[1] if key else "", ERROR, message, remedy, "not-toml")


def _no_strict_toml(text: str) -> Iterable[Finding]:
    """What DataKit's dialect takes and TOML itself does not, such as a list given twice: the last one holds."""
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = _PLACE.search(str(error))
        lines = text.count("\n") + 1
        line, column = (min(int(place[1]), lines), int(place[2])) if place else (lines, 1)
        key, first = "", 0
        seen: dict[tuple[object, tuple[str, ...]], int] = {}
        for item in scan(text):
            if isinstance(item, Entry):
                same = (item.header, item.path)
                if same in seen:
                    key, first = ".".join(item.path), position(text, seen[same])[0]
                    line, column = position(text, item.start)
                    break
                seen[same] = item.start
        if key:
            message = _("{key} is given twice, first in line {line}; for DataKit the last one holds.")
            message = message.format(key=key, line=first)
        else:
            message = _("DataKit reads this, but it is no TOML: {error}").format(error=_PLACE.sub("", str(error)))
        yield Finding(line, column, key, WARNING, message, _("Write it once and plainly."), "not-strict-toml")


def _secrets(text: str) -> Iterable[Finding]:
    for key, line in secrets(text):
        message = _("{key} holds a secret: everyone who may read the ConfigMap can read it.").format(key=key)
        remedy = _("Use token_file, or ${NAME} from an env entry that takes it from a Secret.")
        yield Finding(line, 1, key, WARNING, message, remedy, "secret")


def _no_block(text: str, root: dict[str, Any]) -> Finding:
    """Nothing that the prom input would read; what looks like it was meant is named."""
    line, key, remedy = 1, "", _("Begin with the line [[inputs.prom]].")
    names = {f"{a}.{b}" for a, inner in root.items() if isinstance(inner, dict) for b in inner}
    near = get_close_matches("inputs.prom", list(names), 1, 0.8)
    if near:
        key = near[0]
        line = position(text, max(text.find(key), 0))[0]
        remedy = _("Write [[inputs.prom]] in place of [[{name}]].").format(name=key)
    message = _("There is no block [[inputs.prom]]: nothing would be collected.")
    return Finding(line, 1, key, ERROR, message, remedy, "no-block")


def _several(text: str, written: list[Block], count: int) -> Finding:
    line = position(text, written[1].header.start)[0] if len(written) > 1 else 1
    message = _("There are {n} blocks [[inputs.prom]]; each is collected by itself.").format(n=count)
    return Finding(line, 1, "", INFO, message, _("The wizard edits the first one."), "several-blocks")


def _outside(text: str, inputs: set[str]) -> Iterable[Finding]:
    """Settings and tables that stand where no input reads them."""
    for item in scan(text):
        if isinstance(item, Entry) and item.header is None and item.path[0].lower() in KEYS:
            key = item.path[0]
            message = _("{key} stands outside [[inputs.prom]] and is ignored.").format(key=key)
            remedy = _("Move it below that line.") if inputs else _("Put the line [[inputs.prom]] above it.")
        elif isinstance(item, Header) and item.path[0] == "inputs" and item.path[-1].lower() in _TABLES:
            if len(item.path) > 2 and item.path[1] in {"prom", *inputs}:
                continue
            key = ".".join(item.path)
            message = _("[{key}] belongs to no block [[inputs.prom]] and is ignored.").format(key=key)
            remedy = _("Write inputs.prom.{name}.").format(name=item.path[-1])
        else:
            continue
        line, column = position(text, item.start)
        yield Finding(line, column, key, WARNING, message, remedy, "outside")


def _keys(view: View) -> None:
    """Each key of a block: known, of the right type, and in the right table. Then keys are in lower case."""
    known = KINDS if view.name == "prom" else ETCD_KEYS
    values, view.values = view.values, {key.lower(): item for key, item in view.values.items() if key.lower() in known}
    for name, value in values.items():
        key = name.lower()
        if key not in known and key in KINDS:
            message = _("{key} means nothing to [[inputs.etcd]]; it is ignored without a word.").format(key=name)
            view.add("unknown-key", WARNING, name, message, _("Use [[inputs.prom]], or take it out."))
            continue
        if key not in known:
            _unknown(view, name, known)
            continue
        _typed(view, name, KINDS[key], value)
        if key in _INNER:
            _inner(view, name, value)
        if key in _LOOSE_TABLES and isinstance(value, dict):
            _misplaced(view, name, value)
    if "disable_host_tag" in view.values:
        view.add("no-effect", INFO, "disable_host_tag", _("disable_host_tag has no effect in DataKit 1.84.1."))


def _unknown(view: View, name: str, known: Iterable[str], below: str = "") -> None:
    path = f"{below}.{name}" if below else name
    if below and name.lower() in KINDS:
        message = _("{key} stands below the table {table}, where it means nothing.").format(key=name, table=below)
        view.add("misplaced", WARNING, path, message, _("Move it up, above the first table of the block."))
        return
    near = get_close_matches(name.lower(), list(known), 1, 0.7)
    message = _("{key} is no setting of DataKit; it is ignored without a word.").format(key=path)
    remedy = _("Did you mean {near}?").format(near=near[0]) if near else _("Take it out, or look up the right name.")
    view.add("unknown-key", WARNING, path, message, remedy)


def _inner(view: View, name: str, value: Any) -> None:
    """The keys inside of tags_rename, as_logging and the measurement rules."""
    tables = value if isinstance(value, list) else [value]
    known = _INNER[name.lower()]
    for number, table in enumerate(tables):
        for key, item in table.items() if isinstance(table, dict) else ():
            before = len(view.found)
            if key.lower() not in known:
                _unknown(view, key, known, below=name)
            else:
                _typed(view, f"{name}.{key}", known[key.lower()], item)
            if isinstance(value, list):  # the path alone would lead to the first rule
                offset = view.rule_offset(number, key)
                moved = view.found[before:]
                del view.found[before:]
                for one in moved:
                    view.add_at(offset, one.code, one.severity, one.key, one.message, one.remedy)


def _misplaced(view: View, table: str, values: dict[str, Any]) -> None:
    """Settings of the block written below one of its tables. A wrong type there drops the whole block."""
    for name, value in values.items():
        path = f"{table}.{name}"
        strings = isinstance(value, list) and all(isinstance(item, str) for item in value)
        fits = strings if table.lower() == "ignore_tag_kv_match" else isinstance(value, str)
        if name.lower() in KINDS and name.lower() != "source":
            if fits:
                message = _("{key} stands below [inputs.{input}.{table}]: it is taken for an entry of that table.")
                severity = WARNING
            else:
                message = _("{key} stands below [inputs.{input}.{table}]: DataKit drops the whole block.")
                severity = ERROR
            remedy = _("Move it up, above the first table of the block.")
            view.add("misplaced", severity, path, message.format(key=name, table=table, input=view.name), remedy)
        elif not fits:
            kind = "strings" if table.lower() == "ignore_tag_kv_match" else "string"
            _wrong(view, path, kind, value)
        elif table.lower() == "tags" and name.lower() == "source":
            message = _("source below [inputs.prom.tags] is a tag, not the alias of the input.")
            view.add("misplaced", INFO, path, message, _("Move it up if the alias is meant."))


def _typed(view: View, name: str, kind: str, value: Any) -> None:
    """Whether a value has the type of its key; where not, the block is dropped (or a table is ignored)."""
    text = isinstance(value, str) and not isinstance(value, toml.Moment)
    if kind == "duration" and text:
        try:
            durations.parse_ns(value)
        except ValueError as error:
            message = _("{error}: DataKit drops the whole block.").format(error=_capital(str(error)))
            view.add("wrong-type", ERROR, name, message, _("Write a duration, such as 60s or 1m30s."))
        return
    whole = isinstance(value, int) and not isinstance(value, bool)
    fits = {
        "string": text,
        "strings": isinstance(value, list) and not isinstance(value, toml.TableArray),
        "boolean": isinstance(value, bool),
        "integer": whole,
        "duration": whole,
        "table": isinstance(value, dict),
        "loose table": isinstance(value, dict),
        "tables": isinstance(value, list) and all(isinstance(item, dict) for item in value),
    }[kind]
    if not fits:
        _wrong(view, name, kind, value)
    elif kind == "strings":
        wrong = (n for n, item in enumerate(value) if not isinstance(item, str) or isinstance(item, toml.Moment))
        for number in wrong:
            _wrong(view, name, "string", value[number], item=number)


def _wrong(view: View, name: str, kind: str, value: Any, *, item: int | None = None) -> None:
    if kind == "loose table":
        message = _("{key} is no table; DataKit ignores it without a word.").format(key=name)
        view.add("ignored", WARNING, name, message, _("Write [inputs.prom.{key}].").format(key=name))
        return
    kinds = {str: _("a string"), bool: _("a boolean"), int: _("an integer"), float: _("a number"), list: _("a list")}
    kinds |= {dict: _("a table"), toml.TableArray: _("tables with double brackets"), toml.Moment: _("a date or time")}
    message = _("{key} is {found}: DataKit drops the whole block.").format(key=name, found=kinds[type(value)])
    view.add("wrong-type", ERROR, name, message, _("Write {wanted}.").format(wanted=_(_WANTED[kind])), item=item)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
