"""Asking many at once."""

from __future__ import annotations

import threading

import pytest

from tui.core.errors import WizardError
from tui.core.parallel import each


def test_answers_come_in_the_order_of_the_questions() -> None:
    assert each(range(50), lambda n: n * 2) == [n * 2 for n in range(50)]
    assert each([], lambda n: n) == []


def test_no_more_at_once_than_allowed_and_that_many_are() -> None:
    barrier = threading.Barrier(3)
    running, most, lock = 0, 0, threading.Lock()

    def ask(_item: int) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        barrier.wait(10)
        with lock:
            running -= 1

    each(range(9), ask, at_once=3)
    assert most == 3


def test_an_error_stands_in_the_place_of_its_answer() -> None:
    def ask(item: int) -> int:
        if item == 1:
            raise WizardError("no")
        return item

    zero, one, two = each(range(3), ask)
    assert (zero, two) == (0, 2)
    assert isinstance(one, WizardError)


def test_what_nobody_expected_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        each([0], lambda n: 1 // n)
