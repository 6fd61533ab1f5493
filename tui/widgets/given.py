"""What was given at the start, by flags, environment or the lab: it is offered on the screens, not asked again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tui.core.answers import Answers
    from tui.core.receipts import Receipt


class Secret:
    """A text that never shows: not in repr, not in a traceback's locals, not in a screenshot."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The text itself, for the one call that needs it."""
        return self._value

    def __bool__(self) -> bool:
        return bool(self._value)

    def __repr__(self) -> str:
        return "Secret(***)"


@dataclass
class Given:
    """The presets of a run. `key_source` says where the API key comes from ("GUANCE_ACCESS_TOKEN").

    `resume_step` and `resume_saved` are where and when a person left off, with `answers` as they were then; `resume` is
    whether they want to go on from there, `resumed` whether those answers were taken up. `practice`: a practice lab is
    started; `unopened`: what the wizard works on could not be opened; `unfinished`: the receipt of what was broken off
    last time, None for none. `receipt_before` is the
    id of the newest receipt before this run's first apply ("" for none), None while nothing was applied. `command` is
    the line that starts the wizard again.
    """

    context: str = ""
    namespace: str = ""
    endpoint: str = ""
    console: str = ""
    key: Secret = field(default_factory=lambda: Secret(""))
    key_source: str = ""
    answers: Answers | None = None
    resume_step: str = ""
    resume_saved: str = ""
    resume: bool = True
    resumed: bool = False
    practice: bool = False
    unopened: bool = False
    unfinished: Receipt | None = None
    receipt_before: str | None = None
    command: str = "datakit-wizard"
