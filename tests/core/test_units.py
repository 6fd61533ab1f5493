"""Numbers and axes as a person reads them."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.core.units import axis, number, shown, time_axis
from tui.core.view_schema import UNITS


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (1_572_864, "bytes", "1.5 MiB"),
        (0, "bytes", "0 B"),
        (2048, "bytes/s", "2 KiB/s"),
        (12.345, "percent", "12.3%"),
        (0.25, "fraction", "25%"),
        (0.99996, "fraction", "99.99%"),  # one failure in many is a failure
        (1, "fraction", "100%"),
        (250, "millicores", "250m"),
        (2500, "millicores", "2.5 cores"),
        (0.25, "cores", "0.25 cores"),
        (0.0023, "seconds", "2.3 ms"),
        (273_000, "seconds", "3.16 d"),
        (1500, "milliseconds", "1.5 s"),
        (0, "milliseconds", "0 ms"),
        (364, "days", "364 d"),
        (12_345, "count", "12,345"),
        (1_234_567, "count", "1.23M"),
        (3.456, "requests/s", "3.46 req/s"),
        (-3, "none", "-3"),
    ],
)
def test_a_value_with_its_unit(value: float, unit: str, text: str) -> None:
    assert shown(value, unit) == text


def test_every_unit_of_the_catalogue_is_known() -> None:
    assert all(shown(1.5, unit) for unit in UNITS)


def test_numbers_have_three_digits_that_count() -> None:
    assert [number(value) for value in (0.001234, 1.5, 12.34, 123.4, 12345.6)] == [
        "0.00123", "1.5", "12.3", "123", "12,346"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("low", "high", "unit", "texts", "word"),
    [
        (0, 1, "count", ["0", "1"], ""),
        (3, 3, "count", ["0", "1", "2", "3"], ""),
        (0, 0, "bytes", ["0.0", "0.5", "1.0"], "B"),
        (5e6, 9e7, "bytes", ["0", "50", "100"], "MiB"),
        (0.99, 1, "fraction", ["99.0", "99.5", "100.0"], "%"),
        (0.001, 0.0035, "seconds", ["0", "1", "2", "3", "4"], "ms"),
        (1_234_500, 1_234_560, "count", ["1,234,500", "1,234,520", "1,234,540", "1,234,560"], ""),
        (-5, 5, "count", ["-5", "0", "5"], ""),
    ],
)
def test_an_axis_has_round_marks(low: float, high: float, unit: str, texts: list[str], word: str) -> None:
    found = axis(low, high, unit, 5)
    assert [text for _value, text in found.marks] == texts
    assert found.word == word


@given(
    st.floats(-1e15, 1e15), st.floats(0, 1e15), st.sampled_from(sorted(UNITS)), st.integers(2, 12)
)  # fmt: skip
def test_an_axis_holds_its_values_with_few_marks_that_differ(low: float, span: float, unit: str, most: int) -> None:
    found = axis(low, low + span, unit, most)
    slack = (found.high - found.low) * 1e-6 + 1e-9 * abs(low)
    assert found.low <= low + slack
    assert found.high >= low + span - slack
    assert 2 <= len(found.marks) <= max(most, 3)
    assert found.low < found.high


@pytest.fixture
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("utc")
@pytest.mark.parametrize(
    ("seconds", "texts"),
    [
        (20, ["08:53:20", "08:53:25", "08:53:30", "08:53:35", "08:53:40"]),
        (900, ["08:55", "09:00", "09:05"]),
        (6 * 3600, ["10:00", "12:00", "14:00"]),
        (4 * 86400, ["10-10", "10-11", "10-12", "10-13"]),
    ],
)
def test_a_time_axis_has_round_times(seconds: int, texts: list[str]) -> None:
    start = 1_760_000_000_000.0  # 2025-10-09 08:53:20 UTC
    assert [text for _at, text in time_axis(start, start + seconds * 1000, 5).marks] == texts
