"""Places in a TOML text: the scan finds every key that tomllib reads, and where its value stands."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.core.etcd_presets import TUTORIAL
from tui.core.toml_text import Comment, Entry, Header, items, literal, position, scan, secrets

HARD = '''\
# top # not two
title = "a # b" # after
"quoted key" = 'c:\\x'
dotted . "in ner" = 1
[ a . "b.c" ] # header
x = [ # open
  "]", # ]
  ['#', """
]"""], {k = "}"},
]
y = """
[not.a.header]
z = 1 \\""" ""\\""""
y2 = \'\'\'
# no comment''\'\'\'
[[ t ]]
  d = 2024-01-01 10:00:00 # date
  i = { a = "}", b = [1, 2] }
'''


def entries(text: str) -> list[Entry]:
    return [item for item in scan(text) if isinstance(item, Entry)]


def test_hard_texts() -> None:
    tomllib.loads(HARD)
    values = {".".join(e.full_path): HARD[e.value_start : e.end] for e in entries(HARD)}
    assert list(values) == ["title", "quoted key", "dotted.in ner", "a.b.c.x", "a.b.c.y", "a.b.c.y2", "t.d", "t.i"]
    assert values["title"] == '"a # b"'
    assert values["dotted.in ner"] == "1"
    assert values["a.b.c.x"].startswith("[ # open")
    assert values["a.b.c.x"].endswith("},\n]")
    assert values["a.b.c.y2"] == "'''\n# no comment'''''"
    assert values["t.d"] == "2024-01-01 10:00:00"
    assert values["t.i"] == '{ a = "}", b = [1, 2] }'
    headers = [item for item in scan(HARD) if isinstance(item, Header)]
    assert [(h.path, h.array) for h in headers] == [(("a", "b.c"), False), (("t",), True)]
    comments = [item for item in scan(HARD) if isinstance(item, Comment)]
    assert [item.text for item in comments] == ["# top # not two"]


def test_each_value_alone_is_what_tomllib_reads() -> None:
    whole = tomllib.loads(TUTORIAL)["inputs"]["prom"][0]
    found = {e.path[-1]: tomllib.loads("v = " + TUTORIAL[e.value_start : e.end])["v"] for e in entries(TUTORIAL)}
    rule = whole.pop("measurements")[0]
    assert found == whole | rule


def test_elements_of_lists() -> None:
    entry = next(e for e in entries(HARD) if e.path == ("x",))
    assert [HARD[a:b] for a, b in items(HARD, entry)] == ['"]"', '[\'#\', """\n]"""]', '{k = "}"}']
    assert items("a = 1", entries("a = 1")[0]) == []
    assert items("a = []", entries("a = []")[0]) == []


def test_positions() -> None:
    text = "a = 1\r\nbb = 2"
    assert position(text, 0) == (1, 1)
    assert position(text, text.index("bb")) == (2, 1)
    assert position(text, len(text)) == (2, 7)


@given(st.text())
def test_any_text_is_scanned(text: str) -> None:
    offset = 0
    for item in scan(text):
        assert offset <= item.start <= item.end <= len(text)
        offset = item.end


scalars = st.text(max_size=20) | st.booleans() | st.integers(-(2**40), 2**40)
VALUES: st.SearchStrategy[Any] = scalars | st.lists(scalars, max_size=5)


@given(st.lists(st.tuples(st.from_regex(r"[A-Za-z0-9_-]{1,8}", fullmatch=True), VALUES), max_size=8))
def test_written_values_are_read_again_where_the_scan_finds_them(pairs: list[tuple[str, Any]]) -> None:
    text = "".join(f"# {n}\nk{n}_{name} = {literal(value)} # x\n" for n, (name, value) in enumerate(pairs))
    assert list(tomllib.loads(text).values()) == [value for _, value in pairs]
    found = entries(text)
    assert [tomllib.loads("v = " + text[e.value_start : e.end])["v"] for e in found] == [value for _, value in pairs]
    for entry, (_, value) in zip(found, pairs, strict=True):
        if isinstance(value, list):
            elements = [tomllib.loads("v = " + text[a:b])["v"] for a, b in items(text, entry)]
            assert elements == value


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ('token = "abc"', ["token"]),
        ('Token = "abc"', ["Token"]),
        ('cert_key_base64 = "LS0"', ["cert_key_base64"]),
        ('auth = {type = "bearer_token", token = "abc"}', ["token"]),
        ('http_headers = {Authorization = "Bearer abc"}', ["Authorization"]),
        ('"X-Api-Key" = "abc"', ["X-Api-Key"]),
        ('urls = ["http://user:pass@h/metrics"]', ["urls"]),
        ('url = "http://h/metrics?token=abc"', ["url"]),
        ('token = "${TOKEN}"', []),
        ('Authorization = "Bearer ${TOKEN}"', []),
        ('token = ""', []),
        ('token_file = "/tmp/token"', []),
        ('# token = "abc"', []),
        ('tls_key = "/pki/peer.key"', []),
        ('url = "http://h/metrics?token=${T}"', []),
    ],
)
def test_secrets(line: str, names: list[str]) -> None:
    assert secrets(f"\n{line}\n") == [(name, 2) for name in names]


def test_the_tutorial_holds_no_secret() -> None:
    assert secrets(TUTORIAL) == []
