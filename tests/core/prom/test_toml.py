"""The TOML dialect of BurntSushi/toml 1.2.1."""

from __future__ import annotations

import json
import math
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.core.prom import toml

CASES_FILE = Path(__file__).parents[2] / "data" / "prom" / "cases.jsonl"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("# nothing\r\n\r\n", {}),
        ('a = "x"', {"a": "x"}),
        ("a = 'C:\\d'", {"a": "C:\\d"}),
        ('a = "\\u0041\\U0001F600\\t\\"\\\\"', {"a": 'A\U0001f600\t"\\'}),
        ("a = 0x1F\nb = 0o17\nc = 0b11\nd = -1_000\ne = +0", {"a": 31, "b": 15, "c": 3, "d": -1000, "e": 0}),
        (
            "a = 1.5\nb = 1e3\nc = -0.5E-1\nd = inf\ne = -inf",
            {"a": 1.5, "b": 1e3, "c": -0.05, "d": math.inf, "e": -math.inf},
        ),
        ("a = true # yes\nb = false", {"a": True, "b": False}),
        ("a = [1, 'x', [true,],\n # no\n]", {"a": [1, "x", [True]]}),
        ("a = {b = 1, c.d = 2}", {"a": {"b": 1, "c": {"d": 2}}}),
        ("a.b.c = 1\na.b.d = 2", {"a": {"b": {"c": 1, "d": 2}}}),
        ('"a.b" = 1\n\'c d\'."" = 2', {"a.b": 1, "c d": {"": 2}}),
        ("[a]\nb = 1\n[a.c]\nd = 2", {"a": {"b": 1, "c": {"d": 2}}}),
        ("[a.c]\nd = 2\n[a]\nb = 1", {"a": {"b": 1, "c": {"d": 2}}}),
        ("[[a]]\nb = 1\n[[a]]\n[a.c]\nd = 2", {"a": [{"b": 1}, {"c": {"d": 2}}]}),
        ('a = """\nx\n  y"""', {"a": "x\n  y"}),
        ('a = """x \\\n   y"""', {"a": "x y"}),
        ('a = """x""" # c', {"a": "x"}),
        ('a = """""x"""""', {"a": '""x""'}),
        ("a = '''\n'x'\\n'''", {"a": "'x'\\n"}),
        (
            "a = 2024-05-01\nb = 07:30:00\nc = 2024-05-01T07:30:00.5Z",
            {"a": "2024-05-01", "b": "07:30:00", "c": "2024-05-01T07:30:00.5Z"},
        ),
        # What 1.2.1 takes and TOML 1.0 does not
        ('a = ["x"]\na = ["y", "z"]', {"a": ["y", "z"]}),
        ('a = "x"\na = ["y"]', {"a": ["y"]}),
        ('a = ["x"]\na = "y"', {"a": "y"}),
        ("a = [1]\n[a]\nb = 2", {"a": {"b": 2}}),
        ("t.x = 1\n[t]\ny = 2", {"t": {"x": 1, "y": 2}}),
        ("a = [{b.c = 1}]", {"a": [{"c": 1}]}),
        ('a = """x \\\n y\nz"""', {"a": "x yz"}),
    ],
)
def test_reads(text: str, expected: dict[str, Any]) -> None:
    assert toml.parse(text) == expected


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a", 1),
        ("a =", 1),
        ("= 1", 1),
        ("a = 1 b = 2", 1),
        ('a = "x', 1),
        ('a = "\\d"', 1),
        ('a = "\\ud800"', 1),
        ("a = 'x\ny'", 1),
        ('a = """x', 1),
        ('a = """x""""""', 1),
        ("\n\na = “x”", 3),
        ("a = x", 1),
        ("a = True", 1),
        ("a = 01", 1),
        ("a = 1__0", 1),
        ("a = 1.", 1),
        ("a = .5", 1),
        ("a = 1e", 1),
        ("a = +0x1", 1),
        ("a = 9223372036854775808", 1),
        ("a = 1e999", 1),
        ("a = 2024-13-01", 1),
        ("a = [1 2]", 1),
        ("a = [,]", 1),
        ("a = [1", 1),
        ("a = {b = 1,}", 1),
        ("a = {b = 1\n}", 1),
        ("a = 1\na = 2", 2),
        ("[a]\n[a]", 2),
        ("[a]\n[[a]]", 2),
        ("[[a]]\n[a]", 2),
        ("a = 1\n[a.b]", 2),
        ("a = 1\na.b = 2", 2),
        ("[]", 1),
        ("[a", 1),
        ("[[a]", 1),
        ("[a]]", 1),
        ("é = 1", 1),
        ("a = 1\rb = 2", 1),
        ("a = '\x01'", 1),
        ("a = '\ufffd'", 1),
    ],
)
def test_refuses(text: str, line: int) -> None:
    with pytest.raises(toml.TomlError) as caught:
        toml.parse(text)
    assert caught.value.line == line


def test_tells_tables_from_lists_and_strings_from_dates() -> None:
    read = toml.parse("a = [{x = 1}]\nd = 2024-05-01\ns = '2024-05-01'\n[[b]]\nx = 1")
    assert not isinstance(read["a"], toml.TableArray)
    assert isinstance(read["b"], toml.TableArray)
    assert isinstance(read["d"], toml.Moment)
    assert not isinstance(read["s"], toml.Moment)


@pytest.mark.parametrize("conf", sorted({json.loads(line)["conf"] for line in CASES_FILE.open(encoding="utf-8")}))
def test_agrees_with_tomllib_where_that_reads_a_conf(conf: str) -> None:
    try:
        expected = tomllib.loads(conf.removeprefix("\ufeff"))
    except tomllib.TOMLDecodeError:
        return
    assert toml.parse(conf.removeprefix("\ufeff")) == expected


KEYS = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffd"), max_size=5)
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\ufffd"), max_size=10)
SCALARS = st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | TEXTS
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3), max_leaves=6)


def written(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return (
            json.dumps(value).replace("\x7f", "\\u007f")
            if all(ord(char) < 0x10000 for char in value)
            else ('"' + "".join(f"\\U{ord(char):08x}" for char in value) + '"')
        )
    if isinstance(value, list):
        return "[" + ", ".join(map(written, value)) + "]"
    if isinstance(value, float):
        text = repr(value)
        return text.replace("e", ".0e") if "e" in text and "." not in text else text
    return str(value)


@given(st.dictionaries(KEYS, VALUES | st.dictionaries(KEYS, VALUES, max_size=3), max_size=4))
def test_reads_what_a_writer_wrote(tables: dict[str, Any]) -> None:
    plain = {key: value for key, value in tables.items() if not isinstance(value, dict)}
    lines = [f"{written(key)} = {written(value)}" for key, value in plain.items()]
    for name, table in tables.items():
        if isinstance(table, dict):
            lines.append(f"[{written(name)}]")
            lines += [f"{written(key)} = {written(value)}" for key, value in table.items()]
    text = "\n".join(lines)
    assert toml.parse(text) == tables
    assert tomllib.loads(text) == tables


@given(st.text(alphabet="ab=.[]{}\"'\\#,\n\r \t0123456789-+_eTx", max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        toml.parse(text)
    except toml.TomlError as error:
        line = error.line
    else:
        line = 1
    assert 1 <= line <= text.count("\n") + 1
