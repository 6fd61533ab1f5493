"""The same question to many, a few at a time, in daemon threads: leaving waits for no answer that does not come."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from contextvars import copy_context
from queue import Empty, SimpleQueue
from typing import TypeVar

from tui.core.errors import WizardError

A = TypeVar("A")
B = TypeVar("B")

AT_ONCE = 5  # requests to one API server


def each(items: Iterable[A], ask: Callable[[A], B], at_once: int = AT_ONCE) -> list[B | WizardError]:
    """`ask` of every item, answers in the items' order; a WizardError stands in the place of its answer.

    Any other exception is raised here, once all have answered.
    """
    todo = list(items)
    answers: dict[int, B | WizardError] = {}
    surprises: list[BaseException] = []
    waiting: SimpleQueue[tuple[int, A]] = SimpleQueue()
    for numbered in enumerate(todo):
        waiting.put(numbered)

    def work() -> None:
        while not waiting.empty():
            try:
                number, item = waiting.get_nowait()
            except Empty:  # emptied by another thread since
                return
            try:
                answers[number] = ask(item)
            except WizardError as error:
                answers[number] = error
            except BaseException as error:  # noqa: BLE001 - raised again below
                surprises.append(error)
                return

    threads = [
        threading.Thread(target=copy_context().run, args=(work,), daemon=True, name="ask")
        for _number in range(min(at_once, len(todo)))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if surprises:
        raise surprises[0]
    return [answers[number] for number in range(len(todo))]
