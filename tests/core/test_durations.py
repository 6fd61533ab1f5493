"""Durations by Go's rules; the expectations are those of Go's own tests of time.ParseDuration."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.core.durations import about, exact, parse, parse_ns

SECOND, MINUTE, HOUR = 1_000_000_000, 60_000_000_000, 3_600_000_000_000


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("0", 0),
        ("5s", 5 * SECOND),
        ("30s", 30 * SECOND),
        ("1478s", 1478 * SECOND),
        ("-5s", -5 * SECOND),
        ("+5s", 5 * SECOND),
        ("-0", 0),
        ("+0", 0),
        ("5.0s", 5 * SECOND),
        ("5.6s", 5_600_000_000),
        ("5.s", 5 * SECOND),
        (".5s", 500_000_000),
        ("1.0040s", 1_004_000_000),
        ("100.00100s", 100_001_000_000),
        ("10ns", 10),
        ("11us", 11_000),
        ("12µs", 12_000),  # micro sign
        ("12μs", 12_000),  # Greek letter
        ("13ms", 13_000_000),
        ("14s", 14 * SECOND),
        ("15m", 15 * MINUTE),
        ("16h", 16 * HOUR),
        ("3h30m", 3 * HOUR + 30 * MINUTE),
        ("10.5s4m", 4 * MINUTE + 10_500_000_000),
        ("-2m3.4s", -(2 * MINUTE + 3_400_000_000)),
        ("1h2m3s4ms5us6ns", HOUR + 2 * MINUTE + 3 * SECOND + 4_005_006),
        ("39h9m14.425s", 39 * HOUR + 9 * MINUTE + 14_425_000_000),
        ("52763797000ns", 52_763_797_000),
        ("0.3333333333333333333h", 20 * MINUTE),
        ("0.100000000000000000000h", 6 * MINUTE),
        ("0.830103483285477580700h", 49 * MINUTE + 48 * SECOND + 372_539_827),
        ("9007199254740993ns", (1 << 53) + 1),
        ("9223372036854775807ns", (1 << 63) - 1),
        ("-9223372036854775808ns", -(1 << 63)),
    ],
)
def test_what_go_reads(text: str, nanoseconds: int) -> None:
    assert parse_ns(text) == nanoseconds
    assert parse(text) == pytest.approx(nanoseconds / SECOND)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "3",
        "-",
        "s",
        ".",
        "-.",
        ".s",
        "+.s",
        "1d",
        "abc",
        "60",
        " 5s",
        "5s ",
        "5 s",
        "--5s",
        "1e3s",
        "٣s",
        "3000000h",
        "9223372036854775808ns",
        "9223372036854ms775us808ns",
        "-9223372036854775809ns",
    ],
)
def test_what_go_refuses(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_ns(text)


@given(st.integers(0, 10**15))
def test_written_and_read_again(microseconds: int) -> None:
    assert parse(exact(microseconds / 1e6)) == pytest.approx(microseconds / 1e6, rel=1e-12)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (60, "1m"),
        (90, "1m30s"),
        (1.5, "1.5s"),
        (0.5, "500ms"),
        (3600, "1h"),
        (3661, "1h1m1s"),
        (5400, "1h30m"),
        (-2, "-2s"),
        (1e-6, "1us"),
        (61.25, "1m1.25s"),
        (1e-12, "0s"),
    ],
)
def test_exact(seconds: float, text: str) -> None:
    assert exact(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "less than a second"),
        (40, "about 40 s"),
        (1140, "about 19 min"),
        (5370, "about 90 min"),
        (9000, "about 2.5 h"),
        (7200, "about 2 h"),
        (172_800, "about 2 days"),
    ],
)
def test_about(seconds: float, text: str) -> None:
    assert about(seconds) == text
