"""Name filters: what Go 1.19's regexp takes and what it refuses, after its documentation and sources."""

from __future__ import annotations

import time

import pytest

from tui.core.prom.patterns import compile_filter, matchers

TAKEN = [
    "", "etcd", "^etcd_", "a|b", "a*?", "a+?", "a??", "a{2}", "a{2,}", "a{2,3}?", "a{,2}", "a{", "a}", "]",
    "()*", "(|a)*", "^*", r"\bx\B", r"\A\z", r"\Qa*\E+", r"\Q", r"\Q\C\E", r"\\C", r"[\\C]", "(?i)x",
    "(?s-i:x)", "(?U)x*", "(?m)^x$", "(?:x)", "(?)", "(?P<n_1>x)", "(?P<n>a)(?P<n>b)", "[(?<]", r"\(?<x",
    r"\Q(?<\E", "[]a]", "[^]a]", "[a-]", "[-a]", "[a-z-9]", r"[\d\-z]", "[[:word:]]", "[[:^alpha:]]", r"\pL",
    r"\p{Greek}", r"\p{^Greek}", r"\PN", r"\p{Any}", r"\p{Khitan_Small_Script}", r"[\p{Lu}]", r"\\p{Kawi}",
    r"\x41", r"\x{1F600}", r"\012", r"\12", r"\a\f\t\n\r\v", r"\_", r"\-", r"\.", "x{1000}",
    "((a{10}){10}){10}", "(?:" * 1200 + ")" * 1200,
]  # fmt: skip
REFUSED = [
    "*etcd*", "+", "?", "a**", "a*+", "a++", "a{2}{3}", "a{1001}", "a{2,1}", "(a{100}){100}", "a|*", "(?i)*",
    "(a", "a)", "[a", "[]", "[z-a]", r"[a-\d]", "[[:foo:]]", "\\", r"\C", r"a\C", r"[a]\C", r"\Qa\E\C", r"\Z",
    r"\G", r"\K", r"\R", r"\X", r"\h", r"\E", r"\1", r"\8", r"\k<n>", r"\é", "(?=x)", "(?!x)", "(?<=x)",
    "(?<!x)", "(?>x)", "(?#x)", "(?P=n)", "(?P>n)", "(?P<n", "(?P<>x)", "(?P<a-b>x)", "(?P<é>x)", "(?<n>x)",
    "(?x)a", "(?-)", "(?i-)", r"\p{Foo}", r"\p{greek}", r"\p{Letter}", r"\p{Kawi}", r"\P{^Toto}",
    r"[\p{Vithkuqi}]", r"\p", r"\x", r"\x4", r"\x{}", r"\x{110000}", r"[\Q]\E]", "(" * 1000 + ")" * 1000,
]  # fmt: skip


@pytest.mark.parametrize("pattern", TAKEN)
def test_taken(pattern: str) -> None:
    assert compile_filter(pattern) is not None


@pytest.mark.parametrize("pattern", REFUSED)
def test_refused(pattern: str) -> None:
    assert compile_filter(pattern) is None


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("leader", "etcd_server_has_leader", True),
        ("^leader", "etcd_server_has_leader", False),
        ("leader$", "etcd_server_has_leader", True),
        ("leader$", "leader\n", False),
        ("(?i)LEADER", "has_leader", True),
        (r"\Q.\E", "ab", False),
        ("a{,2}", "aa", False),
        ("a{,2}", "a{,2}", True),
        ("go_g*s", "go_s", True),
        (r"^\w+$", "größe", False),
        (r"^.$", "é", True),
        (r"\bx\b", "a x b", True),
    ],
)
def test_finds(pattern: str, text: str, found: bool) -> None:
    matches = compile_filter(pattern)
    assert matches is not None
    assert bool(matches(text)) is found


def test_bad_entries_are_left_out() -> None:
    assert len(matchers(("*etcd*", "etcd", "(?=x)"))) == 1
    assert matchers(("*etcd*",)) == ()


def test_no_pattern_takes_exponential_time() -> None:
    started = time.process_time()
    matches = compile_filter("(a*)*(a*)*(a|a|a?)*$b")
    assert matches is not None
    assert not matches("a" * 50_000)
    assert time.process_time() - started < 5
