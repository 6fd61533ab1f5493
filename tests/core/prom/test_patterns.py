"""Name filters: what Go 1.19's regexp takes and what it refuses, after its documentation and sources."""

from __future__ import annotations

import time

import pytest

from tui.core.prom.patterns import compile_filter, matchers

TAKEN = [
    "", "etcd", "^etcd_", "a|b", "a*?", "a+?", "a??", "a{2}", "a{2,}", "a{2,3}?", "a{,2}", "a{", "a}", "]", "()*",
    "(|a)*", "^*", r"\bx\B", r"\A\z", r"\Qa*\E+", r"\Q", r"\Q\C\E", r"\\C", r"[\\C]", "(?i)x", "(?s-i:x)", "(?U)x*",
    "(?m)^x$", "(?:x)", "(?)", "(?P<n_1>x)", "(?P<n>a)(?P<n>b)", "[(?<]", r"\(?<x", r"\Q(?<\E", "[]a]", "[^]a]",
    "[a-]", "[-a]", "[a-z-9]", r"[\d\-z]", "[[:word:]]", "[[:^alpha:]]", r"\pL", r"\p{Greek}", r"\p{^Greek}", r"\PN",
    r"\p{Any}", r"\p{Khitan_Small_Script}", r"[\p{Lu}]", r"\\p{Kawi}", r"\x41", r"\x{1F600}", r"\012", r"\12",
    r"\a\f\t\n\r\v", r"\_", r"\-", r"\.", "x{1000}", "((a{10}){10}){10}", "(?:" * 1200 + ")" * 1200, "(?i)(?s)x",
    "(?i)(?-i)(?U)x*?", "(?i:(?s:x))", "(?im-sU:x)", "||", "a||b", "(?:|a|)", r"\pN", r"[\pN_]", r"\p{^L}", r"\P{^L}",
    r"\Q\E", r"a\Q*\E*", "\\Qa\\", "x{0}", "x{0,0}", "x{0,1000}", "(x{1000})*", "(x{31}){32}", "a{,}", "a{1", "a{1,",
    "a{-1}", "{", r"\x{0010FFFF}", r"\377", r"[\x00-\x{10FFFF}]", "[[:^word:]x]", "[:alpha:]", "[a[:digit:]b]",
    "[[:alpha:]-z]", "[+--]", r"[^\n]", "(?P<_>x)", r"\x00", "(?P<n>(?P<m>x))", "[[:alpha]", r"[\d-a-]", r"\<",
]  # fmt: skip
REFUSED = [
    "*etcd*", "+", "?", "a**", "a*+", "a++", "a{2}{3}", "a{1001}", "a{2,1}", "(a{100}){100}", "a|*", "(?i)*", "(a",
    "a)", "[a", "[]", "[z-a]", r"[a-\d]", "[[:foo:]]", "\\", r"\C", r"a\C", r"[a]\C", r"\Qa\E\C", r"\Z", r"\G", r"\K",
    r"\R", r"\X", r"\h", r"\E", r"\1", r"\8", r"\k<n>", r"\é", "(?=x)", "(?!x)", "(?<=x)", "(?<!x)", "(?>x)", "(?#x)",
    "(?P=n)", "(?P>n)", "(?P<n", "(?P<>x)", "(?P<a-b>x)", "(?P<é>x)", "(?<n>x)", "(?x)a", "(?-)", "(?i-)", r"\p{Foo}",
    r"\p{greek}", r"\p{Letter}", r"\p{Kawi}", r"\P{^Toto}", "(?i)(?s", "(?i)(?s)**", "(?i)(?s)*", "(?i-s-m)", "(?iz)",
    "(?i:x", "a|)", "(|", "a{2}*", "a{2}{3}?", "a*?*", "a???", "a{0}{2}", "x{1001,}", "x{0,1001}", "(x{32}){32}",
    "((x{2}){501})", "(?:(x{11}){10}){10}", "^**", r"\b+*", "(?P<1", "(?P=", "[[:word:", "[[:Alpha:]]",
    "[a-[:digit:]]", "[b-a]", r"[a-\pL]", r"[\b]", r"[\A]", r"\y", r"\e", r"\cA", r"\N", r"\p{LC}", r"\p{Cn}",
    r"\p{ASCII}", r"\p{any}", r"\pl", r"\p{", r"\x{41", r"\x{-1}", r"\x{D8001234}", r"\9", r"\u0041", r"\Qa\E\E",
    r"(?'n'x)", "(?R)", "(?|x)", "(?1)", "(?P<n>x", r"[\p{Vithkuqi}]", r"\p", r"\x", r"\x4", r"\x{}", r"\x{110000}",
    r"[\Q]\E]", "(" * 1000 + ")" * 1000, "a|{2}b",
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
