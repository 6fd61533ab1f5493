"""Everything that would change, who owns it, what it costs; then, after Enter, the change itself, node by node."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content

from screens import review_text
from tui.core import actions, canary, survey
from tui.core.by_hand import commands
from tui.core.changes import changed
from tui.core.checks.facts import Facts
from tui.core.durations import about
from tui.core.errors import CancelledError, WizardError
from tui.core.forcing import unforced
from tui.core.plan import Plan, make_plan
from tui.core.plan_groups import Group, groups
from tui.core.ports import DAEMON_SET
from tui.core.receipts import WAITING, Receipt, unfinished
from tui.core.rollout import RolloutOptions, going_on
from tui.i18n import N_, _, ngettext
from tui.widgets import background
from tui.widgets.choices import Choices
from tui.widgets.diff_view import DiffView
from tui.widgets.glyphs import fit, glyph, muted
from tui.widgets.prose import Prose
from tui.widgets.rollout_log import RolloutLog
from tui.widgets.step_screen import StepScreen, assemble


class ReviewScreen(StepScreen):
    """The plan as a dry run on the server, and apply. Nothing was written before; from here on everything is noted."""

    STEP = "review"
    HELP = N_(
        "## Review and apply\n\n"
        "- The **diff** is the server's own: every object was sent as a dry run, under the name `datakit-wizard`.\n"
        "- Only our fields are written: one key of the ConfigMap, mounts, and an annotation with the conf's hash that"
        " makes the pods restart. The neighbours in `datakit-conf` stay.\n"
        "- A field that somebody else **owns** is not taken from them unless you say so for that field (**f**); the"
        " plan says whose it is, and what follows.\n"
        "- Before each request the **receipt** is written; `datakit-wizard undo` plays it backwards.\n"
        "- **One node first** (`1`): one etcd node gets the change, its series are looked at, and the others wait for"
        " your word. Meanwhile the DaemonSet's update strategy is `OnDelete`; it is given back as it was.\n"
        "- **Etcd's nodes alone** (`2`): where only the text of etcd.conf changes, the other nodes keep their pods.\n"
        "- `d` stops **watching** a rollout; it goes on in the cluster, and Enter watches it again.\n\n"
        "Stopping is safe at any point: what is done stays done, and applying again does nothing twice."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("x", "stop", N_("Stop"), id="stop", tooltip=N_("Stop before the next change")),
        Binding("d", "detach", N_("Detach"), id="detach", tooltip=N_("Stop watching; the rollout goes on")),
        Binding("u", "undo", N_("Take back"), id="undo", tooltip=N_("Take back what one node got")),
        Binding("f", "force", N_("Take a field"), id="force", tooltip=N_("Take a field in the way from its owner")),
        Binding(
            "p",
            "prove",
            N_("Try it"),
            show=False,
            id="prove",
            tooltip=N_("Let DataKit run the conf first; nothing is sent"),
        ),
        Binding("r", "again", N_("Look again"), id="again", tooltip=N_("Make the plan anew")),
        Binding("1", "first", N_("One node first"), id="first", tooltip=N_("Or all nodes, one after another")),
        Binding("2", "few", N_("etcd's nodes"), id="few", tooltip=N_("Restart the pods of etcd's nodes alone, or all")),
    ]

    def content(self) -> ComposeResult:
        yield Prose(id="summary")
        with VerticalScroll(id="changes-list", can_focus=False):
            yield Choices(follow=True, id="changes")
        yield DiffView(id="diff")
        yield RolloutLog(id="progress")

    @property
    def _progress(self) -> RolloutLog:
        return self.query_one("#progress", RolloutLog)

    def entered(self) -> None:
        self.plan: Plan | None = None
        self._groups: list[Group] = []
        self._forced: tuple[str, ...] = ()
        self._applying = False
        self._stopped = False
        self._detached = False
        self._options = RolloutOptions()
        self._left: Receipt | None = None
        self._clock = self.set_interval(1.0, self._show_progress, pause=True)
        self._show()
        self.run(self._plan)

    # -- planning

    async def _plan(self) -> None:
        session = self.session
        cluster, found, answers, studio = session.cluster, session.survey, session.answers, session.studio
        if cluster is None or found is None:
            return
        self.working.start(_("Asking the API server what would change"))

        def look() -> tuple[survey.Survey, Plan]:
            # Somebody may have changed something since the cluster was chosen.
            now = survey.survey(cluster, self._datakit_now())
            self._left = unfinished(self.session.store, now.uid, now.datakit.namespace)
            wanted = going_on(self._options, self._left)
            return now, make_plan(
                cluster, now, answers, studio, forced=self._forced, rollout=wanted, workspace=session.workspace
            )

        session.survey, plan = await background.in_thread(look)
        self.plan = plan
        if session.plan is None or session.receipt is None or changed(plan.changes):
            session.plan = plan
        session.saw(view.standing for view in plan.views if view.standing is not None)
        session.failed.discard(self.STEP)
        self.working.finish()
        self._show()
        self.refresh_frame()

    def _datakit_now(self) -> survey.DataKit:
        cluster, found = self.session.cluster, self.session.survey
        assert cluster is not None
        assert found is not None
        there = survey.find_datakit(cluster, found.datakit.namespace)
        return next((datakit for datakit in there if datakit.name == found.datakit.name), found.datakit)

    def action_force(self) -> None:
        """Ask for the first field in the way whether it may be taken; each is asked for by itself."""
        plan = self.plan
        if plan is None or self._applying or not (left := unforced(plan)):
            return
        from tui.widgets.force_page import ForcePage

        def answered(taken: bool | None) -> None:
            if taken:
                self._forced = (*self._forced, left[0].field)
                self.run(self._plan)

        self.app.push_screen(ForcePage(left[0]), answered)

    def action_prove(self) -> None:
        """Let the real agent run the conf before anything is written."""
        plan, cluster = self.plan, self.session.cluster
        if plan is None or cluster is None or not plan.conf or self._applying:
            return
        from screens.proof import ProofPage

        self.app.push_screen(ProofPage(self.backend, cluster, plan))

    def action_again(self) -> None:
        if not self._applying:
            self.run(self._plan)

    def action_first(self) -> None:
        """One node first, or all of them: the plan is made anew."""
        self._options = replace(self._options, one_node_first=not self._options.one_node_first)
        self.run(self._plan)

    def action_few(self) -> None:
        """Etcd's nodes alone, or all of them: the plan is made anew."""
        self._options = replace(self._options, only_etcd_nodes=not self._options.only_etcd_nodes)
        self.run(self._plan)

    # -- showing

    def _show(self) -> None:
        plan = self.plan
        picker, diff = self.query_one("#changes", Choices), self.query_one("#diff", DiffView)
        self._groups = [] if plan is None else groups(plan.changes)
        rows = [] if plan is None else [review_text.row(plan, str(at), one) for at, one in enumerate(self._groups)]
        at = picker.cursor
        picker.show(rows, str(at))
        shown = not self._applying and not self._done and not self._waits
        planning = plan is not None and shown and bool(changed(plan.changes))
        picker.display = bool(rows) and shown
        diff.display = planning
        self.body.set_class(planning, "-whole")
        if planning and plan is not None:
            self._show_diff()
        self.query_one("#summary", Prose).update(self._summary())
        self._show_progress()

    def on_choices_changed(self, event: Choices.Changed) -> None:
        event.stop()
        self._show_diff()
        self.show_go_on()

    def _show_diff(self) -> None:
        chosen = self.query_one("#changes", Choices).chosen
        if self.plan is None or chosen is None:
            return
        self.query_one("#diff", DiffView).show(review_text.diff(self.plan, self._groups[int(chosen.key)].changes[0]))

    def _summary(self) -> Content:
        if self._applying or (self._done and self.session.receipt is not None):
            return assemble("")
        return review_text.summary(self.plan, self._options, waits=self._waits, watched=self._watched)

    @property
    def _done(self) -> bool:
        """Whether what these answers want has been applied in this run."""
        receipt, plan = self.session.receipt, self.plan
        return receipt is not None and receipt.complete and (plan is None or not changed(plan.changes))

    @property
    def _receipt(self) -> Receipt | None:
        """What was written: in this run, or in an earlier one that was broken off."""
        return self.session.receipt or self._left

    @property
    def _held(self) -> bool:
        """Whether one node has the change, and the others wait for the word."""
        return self._receipt is not None and self._receipt.held

    @property
    def _waits(self) -> bool:
        """Whether nothing is left to do but to go on with the other nodes, or to take it back."""
        return self._held and self.plan is not None and self._goes_on(self.plan)

    @property
    def _watched(self) -> bool:
        """Whether a rollout is yet to be seen to its end."""
        return self._receipt is not None and any(step.rollout == WAITING for step in self._receipt.steps)

    # -- applying

    def go_on_text(self) -> tuple[str, bool]:
        plan = getattr(self, "plan", None)
        if getattr(self, "_applying", False):
            return _("Being applied; d stops watching, x stops before the next change"), False
        if plan is None:
            return (_("Look again"), True) if not self.working.busy else (_("The plan is being made"), False)
        if self._done:
            return _("Go on to the views"), True
        if plan.blockers():
            return _("Go on without applying"), True
        todo = changed(plan.changes)
        if self._waits:
            return _("Go on with the other nodes"), True
        if self._watched and not todo:
            return _("Watch the rollout again"), True
        if todo:
            return ngettext("Apply {n} change to {where}", "Apply {n} changes to {where}", len(todo)).format(
                n=len(todo), where=f"{plan.survey.context}, {plan.survey.datakit.namespace}"
            ), True
        if self.session.receipt is not None and not self.session.receipt.complete and not plan.left_out:
            return _("Finish what was begun"), True
        return _("Go on to the views"), True

    def action_go_on(self) -> None:
        if not self.go_on.ready or self._applying:
            return
        plan = self.plan
        if plan is None:
            if not self.working.busy:
                self.run(self._plan)
        elif self._done:
            self.post_message(self.Leave("next"))
        elif plan.blockers():
            self.post_message(self.Leave("skip"))
        elif plan.left_out and not changed(plan.changes):
            self.post_message(self.Leave("next"))  # what is left out was told; nothing else is to be written
        else:
            self.run(self._apply)

    @staticmethod
    def _goes_on(plan: Plan) -> bool:
        """Whether applying the plan lets a held rollout go, and changes nothing else."""
        return all(change.kind == DAEMON_SET for change in changed(plan.changes)) and not plan.rollout.held

    def action_detach(self) -> None:
        self._stopped = self._detached = True
        self.working.update(_("The rollout goes on in the cluster; this stops watching it"))

    def action_undo(self) -> None:
        """Take back what one node got; the page shows first what that would do."""
        from screens.undo import UndoPage

        receipt = self._receipt
        if receipt is not None:
            self.app.push_screen(UndoPage(self.session, self.given, receipt), self._taken_back)

    def _taken_back(self, undone: bool | None) -> None:
        if undone:
            self.session.receipt = self._left = None
            self._options = RolloutOptions()
            self._progress.clear()
        self.run(self._plan)

    def action_stop(self) -> None:
        self._stopped = True
        self.working.update(_("Stopping before the next change"))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        applying = getattr(self, "_applying", False)
        if action in ("stop", "detach"):
            return applying
        plan = getattr(self, "plan", None)
        if action == "undo":
            return not applying and self._held
        if action in ("first", "few"):
            if plan is None or applying or self._held or self.working.busy:
                return False
            return bool(plan.rollout.restarts if action == "first" else plan.rollout.may_be_few)
        if action == "prove":
            return not applying and plan is not None and bool(plan.conf)
        if action == "force":
            return not applying and plan is not None and bool(unforced(plan))
        if applying and action in ("back", "again"):
            return False
        return super().check_action(action, parameters)

    def on_step_rail_opened(self, event: object) -> None:
        if self._applying:
            self.notify(_("First let this finish, or stop it with x."))
            return
        super().on_step_rail_opened(event)  # type: ignore[arg-type]

    async def _apply(self) -> None:
        session, plan = self.session, self.plan
        cluster = session.cluster
        if plan is None or cluster is None:
            return
        found = session.store.newest(plan.survey.uid, plan.survey.datakit.namespace)
        self.given.receipt_before = found.id if found is not None else ""
        self._begin(_("Applying"))
        store = session.store
        on_event = background.to_loop(self._event)
        others = self._waits
        stopped = lambda: self._stopped or background.stopping()  # noqa: E731
        facts = Facts(
            self.backend,
            cluster.reader(),
            namespace=plan.survey.datakit.namespace,
            daemonset=plan.survey.datakit.name,
            studio=session.studio,
        )
        try:
            receipt = await background.in_thread(
                lambda: actions.apply(
                    cluster,
                    plan,
                    session.studio,
                    store,
                    on_event=on_event,
                    cancelled=stopped,
                    views=False,
                    look=lambda node: canary.wait_series(facts, node, cancelled=stopped),
                    go_on=canary.always if others else canary.never,
                ),
                writes=True,
            )
        except WizardError as error:
            if not (self._detached and isinstance(error, CancelledError)):
                session.failed.add(self.STEP)
                raise
            receipt = None
        finally:
            self._end()
        if receipt is None:
            await self._let_it_roll()
            return
        if receipt.path is not None or session.receipt is None:
            session.receipt = receipt
        session.plan = plan
        session.failed.discard(self.STEP)
        if receipt.held:
            self._options = RolloutOptions()  # what is left to do is to go on
            await self._plan()
            self.working.finish("warn", _("One node has it; the others wait for your word."))
            self.refresh_frame()
            return
        seconds = about(self._progress.elapsed_s)
        self.working.finish("ok", _("Applied in {time}.").format(time=seconds) if receipt.path else "")
        # What was applied is what is there now: the plan that is left has nothing to do.
        self.plan = None
        self._show()
        self.post_message(self.Saved())
        if receipt.path is None:
            self.post_message(self.Leave("next"))
            return
        await self._plan()
        self.working.finish("ok", _("Applied in {time}.").format(time=seconds))
        self.refresh_frame()

    def _begin(self, text: str) -> None:
        """Something is about to be written: from here on keys stop it, and nothing else is done."""
        self._applying, self._stopped, self._detached = True, False, False
        self._progress.begin()
        self.session.running = self.STEP
        self._show()
        self.working.start(text)
        self._clock.resume()
        self.refresh_frame()

    def _end(self) -> None:
        self.session.running = ""
        self._applying = False
        self._progress.end()
        self._clock.pause()

    async def _let_it_roll(self) -> None:
        """The person stopped watching: what was written is in the receipt, and the rollout goes on."""
        self._take_newest()
        self.session.failed.discard(self.STEP)
        await self._plan()
        self.working.finish("warn", _("Not watched any more; the rollout goes on."))
        self.post_message(self.Saved())
        self.refresh_frame()

    def failed(self, error: WizardError) -> None:
        self._take_newest()
        self.plan = None
        self._show()

    def _take_newest(self) -> None:
        """Take the receipt of what was just broken off as the one of this run."""
        found = self.session.survey
        if found is not None and self.given.receipt_before is not None:
            # What was written before it failed is in a receipt all the same.
            newest = self.session.store.newest(found.uid, found.datakit.namespace)
            if newest is not None and newest.id != self.given.receipt_before:
                self.session.receipt = newest

    def _event(self, event: actions.Event) -> None:
        """Something happened: shown at once, a rollout's counts in place."""
        if self.is_mounted:
            self._progress.add(event)
            self.working.update(event.text)
            self._show_progress()

    def _show_progress(self) -> None:
        receipt = None if self._applying else self._receipt
        head: list[str | tuple[str, str] | Content] = []
        tail: list[str | tuple[str, str] | Content] = []
        if receipt is not None and self._held:
            for pod in receipt.pods:
                head += [fit(pod.node, 20), (pod.message or _("waits"), muted()), "\n"]
            head.append("\n")
        elif receipt is not None and self._done:
            head += [(glyph("ok") + " ", "$success"), (_("Applied."), "bold"), "\n\n"]
            if receipt.path is not None:
                tail += ["\n", (_("Receipt") + "  ", muted()), str(receipt.path), "\n"]
                tail += [(_("Undo") + "     ", muted()), "datakit-wizard undo"]
        self._progress.show(head, tail)

    def commands(self) -> list[tuple[str, str, str]]:
        plan = getattr(self, "plan", None) or self.session.plan
        if plan is None:
            return []
        return [(shown.title, shown.command, shown.clicks) for shown in commands(plan)]
