"""Undo what was broken off: what it would do, object by object, and after an explicit key the undo itself."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from tui.core import actions
from tui.core.errors import UsageError, WizardError
from tui.core.ports import Cluster, Studio
from tui.core.receipts import Receipt
from tui.core.reports import receipt_text
from tui.core.steps import Session
from tui.core.undo import Undo, plan_undo, refuse_without_rights, undo
from tui.i18n import N_, _
from tui.widgets import background
from tui.widgets.error_page import ErrorPage
from tui.widgets.given import Given
from tui.widgets.glyphs import glyph
from tui.widgets.page import Page
from tui.widgets.prose import Prose
from tui.widgets.step_screen import assemble
from tui.widgets.working import Working


class UndoPage(Page[bool]):
    """Answers whether the receipt is undone now. Nothing is written before `u`."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("u", "undo", N_("Undo"), tooltip=N_("Take back what the receipt says was done")),
    ]

    def __init__(self, session: Session, given: Given, receipt: Receipt) -> None:
        super().__init__()
        self.session = session
        self.given = given
        self.receipt = receipt
        self.cluster: Cluster | None = None
        self.steps: list[Undo] = []
        self.undone = False

    def content(self) -> ComposeResult:
        yield Prose(id="undo-text", classes="wide")
        yield Working(id="working")

    @property
    def working(self) -> Working:
        """The line that says what is being waited for."""
        return self.query_one("#working", Working)

    def on_mount(self) -> None:
        self._show()
        self.run_worker(self._guarded(self._look()), exit_on_error=True)

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except WizardError as error:
            self.working.finish("fail", error.what)
            self.app.push_screen(ErrorPage(error, self.session.state_dir))
        self.refresh_bindings()

    async def _look(self) -> None:
        backend, store, receipt = self.session.backend, self.session.store, self.receipt
        if backend is None:
            raise UsageError(_("The wizard is not ready yet."), remedy=_("Try again in a moment."))
        self.working.start(_("Asking the API server what undo would change"))

        def look() -> tuple[Cluster, list[Undo]]:
            cluster = backend.clusters().connect(receipt.context)
            return cluster, plan_undo(cluster, receipt, store)

        cluster, self.steps = await background.in_thread(look)
        self._show()
        await background.in_thread(lambda: refuse_without_rights(cluster, receipt, self.steps))
        self.cluster = cluster
        self.working.finish()

    async def _undo(self) -> None:
        cluster, receipt, store, studio = self.cluster, self.receipt, self.session.store, self._studio()
        if cluster is None:
            return
        self.working.start(_("Undoing"))
        on_event = background.to_loop(self._event)
        self.receipt = await background.in_thread(
            lambda: undo(cluster, receipt, studio, store, on_event=on_event, cancelled=background.stopping), writes=True
        )
        self.undone = True
        self.steps = []
        self.working.finish("ok", _("Undone."))
        self._show()

    def _studio(self) -> Studio | None:
        """The studio that the receipt's views are in, None where there are none or no key was given."""
        endpoint, key, backend = self.receipt.endpoint or self.given.endpoint, self.given.key, self.session.backend
        if not (self.receipt.views and endpoint and key and backend is not None):
            return None
        return backend.studio(endpoint, key.reveal(), self.given.console)

    def _event(self, event: actions.Event) -> None:
        if self.is_mounted:
            self.working.update(f"{event.step}: {event.text}")

    def _show(self) -> None:
        parts: list[str | tuple[str, str]] = [(_("Undo"), "bold"), "\n", receipt_text(self.receipt)]
        for step in self.steps:
            parts += ["\n", (step.step.title, "bold"), "\n", step.diff or _("no change"), "\n"]
            for note in step.notes:
                parts += [(glyph("warn") + " ", "$warning"), note, "\n"]
        if self.steps:
            parts += ["\n", _("u undoes this. Esc leaves everything as it is.")]
        self.query_one("#undo-text", Prose).update(assemble(*parts))

    def action_undo(self) -> None:
        self.run_worker(self._guarded(self._undo()), exit_on_error=True)

    def action_close(self) -> None:
        if not background.writing():
            self.dismiss(self.undone)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "undo":
            open_still = self.cluster is not None and not self.undone and self.receipt.changed_anything
            return open_still and not self.working.busy
        return super().check_action(action, parameters)
