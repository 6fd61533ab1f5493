"""Blocking calls off the event loop, in daemon threads of our own.

Textual's thread workers cannot be left behind at exit; a call to a dead cluster would hold the process. A daemon thread
does not, and its result simply finds nobody waiting.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_writers: set[threading.Thread] = set()
_stopping = threading.Event()


async def in_thread(call: Callable[[], T], *, writes: bool = False) -> T:
    """The result of the blocking `call`, run in its own daemon thread.

    A call that `writes` is waited for by `settle` when the app leaves. Cancelling the task does not stop the thread:
    pass the call a `cancelled` of its own.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def deliver(setter: Callable[[], None]) -> None:
        # The loop may be gone: the app has left while the call was under way.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(lambda: None if future.done() else setter())

    def run() -> None:
        try:
            result = call()
        except BaseException as error:  # noqa: BLE001 - handed to whoever awaits, whatever it is
            failure = error
            deliver(lambda: future.set_exception(failure))
        else:
            deliver(lambda: future.set_result(result))
        finally:
            _writers.discard(threading.current_thread())

    thread = threading.Thread(target=run, daemon=True, name="wizard-call")
    if writes:
        _writers.add(thread)
    thread.start()
    return await future


def to_loop(callback: Callable[P, object]) -> Callable[P, None]:
    """`callback` wrapped so that a thread may call it: it runs soon, on the loop that is running now."""
    loop = asyncio.get_running_loop()
    context = contextvars.copy_context()

    def call(*args: P.args, **kwargs: P.kwargs) -> None:
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(lambda: callback(*args, **kwargs), context=context)

    return call


def stopping() -> bool:
    """Whether the app is leaving: what a long call's `cancelled` asks besides its own reason."""
    return _stopping.is_set()


def writing() -> bool:
    """Whether a call that writes is under way."""
    return bool(_writers)


def reset() -> None:
    """Begin a run: nothing is stopping."""
    _stopping.clear()


def settle(seconds: float = 1.0) -> bool:
    """Tell running calls to stop and wait for those that write; False when one is still writing after `seconds`."""
    _stopping.set()
    deadline = time.monotonic() + seconds
    for thread in list(_writers):
        thread.join(max(0.0, deadline - time.monotonic()))
    return not any(thread.is_alive() for thread in _writers)
