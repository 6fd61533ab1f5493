"""DataKit's own settings that views 1.1 and 1.2 need: what it has today, what each leads to, and which to set."""

from __future__ import annotations

from dataclasses import replace

from textual.app import ComposeResult
from textual.content import Content

from tui.core import views
from tui.core.answers import DATAKIT_SETTINGS
from tui.core.datakit_settings import INPUTS_ENV, Found, look, panels_of
from tui.core.desired import cluster_name_env
from tui.core.errors import WizardError
from tui.core.survey import Survey, exec_rights
from tui.i18n import N_, _, language, ngettext
from tui.widgets.background import in_thread
from tui.widgets.choices import Choice, Choices
from tui.widgets.glyphs import glyph, muted
from tui.widgets.prose import Prose
from tui.widgets.step_screen import StepScreen, assemble
from tui.widgets.toggles import Toggles


class DataKitScreen(StepScreen):
    """Shows each setting with what DataKit has today, and takes those that the person chooses into the plan."""

    STEP = "datakit"
    HELP = N_(
        "## DataKit settings\n\n"
        "The views Docker and Kubernetes show what DataKit collects by itself, as far as it is told to. Each setting is"
        " an entry of the DaemonSet's environment.\n\n"
        "- **Space** turns a setting on or off; those that are there already cannot be turned.\n"
        "- What is missing and belongs to nobody is proposed. An entry that somebody **manages** is only offered:"
        " choose it, and the review names the field and its owner, and nothing is taken without your word.\n"
        "- `container.conf` in the ConfigMap may set the same; the environment wins over it.\n"
        "- All of it is one change with etcd.conf: the pods restart once."
    )

    def content(self) -> ComposeResult:
        yield Prose(id="said")
        yield Toggles(id="settings")
        yield Prose(id="about")
        yield Prose(id="agent")

    def entered(self) -> None:
        self.running: frozenset[str] = frozenset()
        self._show()
        self.run(self._ask_agent)

    @property
    def _survey(self) -> Survey:
        survey = self.session.survey
        assert survey is not None  # the flow lets nobody in before the cluster is chosen
        return survey

    def _found(self) -> list[Found]:
        answers = self.session.answers
        return look(self._survey, answers.cluster.name, socket=answers.datakit.runtime_socket, running=self.running)

    def _comes_anyway(self, found: Found) -> bool:
        """Whether the plan brings it whatever is chosen here: the name that etcd.conf needs."""
        if found.setting.key != "cluster-name" or found.on:
            return False
        plain = replace(self.session.answers, datakit=replace(self.session.answers.datakit, settings=()))
        try:
            return bool(cluster_name_env(plain, self._survey))
        except WizardError:
            return False

    # -- looking

    async def _ask_agent(self) -> None:
        """What a running DataKit says it runs, where that may be asked."""
        survey, cluster, backend = self._survey, self.session.cluster, self.backend
        pod = next((pod for pod in survey.datakit.pods if pod.ready), None)
        if cluster is None or pod is None:
            return
        if not all(survey.may(access) for access in exec_rights(survey.datakit)):
            text = _("You may not run commands in the pods, so only the manifest is looked at.")
            self.query_one("#agent", Prose).update(assemble((text, muted())))
            return
        self.working.start(_("Asking DataKit on {node}").format(node=pod.node))

        def ask() -> frozenset[str]:
            agent = backend.agent(cluster, survey.datakit.namespace, pod.name, pod.node, survey.datakit.container)
            return frozenset(agent.inputs().instances)

        try:
            self.running = await in_thread(ask)
        except WizardError as error:
            self.query_one("#agent", Prose).update(assemble((glyph("warn") + " ", "$warning"), error.what))
        else:
            if self.running:
                count = ngettext("{n} input runs on {node}:", "{n} inputs run on {node}:", len(self.running))
                told = count.format(n=len(self.running), node=pod.node) + " " + ", ".join(sorted(self.running))
                self.query_one("#agent", Prose).update(assemble((told, muted())))
        self.working.finish()
        self._show()
        self.refresh_frame()

    # -- showing

    def _show(self) -> None:
        found = self._found()
        chosen = self.session.answers.datakit.settings
        rows, on, fixed = [], set(), set()
        for one in found:
            key = one.setting.key
            if one.on or self._comes_anyway(one):
                fixed.add(key)
                on.add(key)
            elif key in chosen:
                on.add(key)
            problem = ""
            if one.owners and not one.on:
                problem = _("{today}; managed by {owner}").format(today=one.today, owner=", ".join(one.owners))
            rows.append(Choice(key, _(one.setting.title), one.today, problem=problem))
        start = next((one.setting.key for one in found if one.setting.key not in fixed), "")
        self.query_one("#settings", Toggles).offer(rows, on, fixed, start=start)
        self.query_one("#said", Prose).update(self._said(found))
        self._show_about()

    def _said(self, found: list[Found]) -> Content:
        missing = [one for one in found if not one.on and panels_of(one.setting)]
        if not missing:
            return assemble((glyph("ok") + " ", "$success"), _("DataKit has all that the views 1.1 and 1.2 need."))
        return assemble(_("What the views 1.1 and 1.2 need of DataKit, and what it has today:"))

    def _show_about(self) -> None:
        """What the setting under the cursor leads to."""
        under = self.query_one("#settings", Toggles).under_cursor
        one = next((one for one in self._found() if under is not None and one.setting.key == under.key), None)
        if one is None:
            return
        parts: list[str | tuple[str, str] | Content] = [_(one.setting.leads_to), "\n"]
        for key, count in panels_of(one.setting).items():
            title = views.view(key).title(language())
            text = ngettext("{title}: {n} panel needs it", "{title}: {n} panels need it", count)
            parts += [(text.format(title=title, n=count), muted()), "\n"]
        if one.ours:
            parts += [_("An earlier apply set it; `undo` takes it back."), "\n"]
        elif self._comes_anyway(one):
            parts += [_("It comes with etcd.conf."), "\n"]
        elif one.owners:
            owner = ", ".join(one.owners)
            text = _("{env} is managed by {owner}: the review asks before it is taken, or export the change.")
            parts += [(glyph("warn") + " ", "$warning"), text.format(env=", ".join(one.entries), owner=owner), "\n"]
        for name in one.entries:
            value = _("with {inputs}").format(inputs=", ".join(one.inputs)) if name == INPUTS_ENV else one.env[name]
            parts += [(f"{name} = {value}", muted()), "\n"]
        self.query_one("#about", Prose).update(assemble(*parts))

    # -- choosing

    def on_choices_moved(self, event: Choices.Moved) -> None:
        self._show_about()
        super().on_choices_moved(event)

    def on_toggles_toggled(self, event: Toggles.Toggled) -> None:
        event.stop()
        answers, toggles = self.session.answers, event.toggles
        before = toggles.fixed & set(answers.datakit.settings)  # of an earlier apply: still what repeats this
        chosen = tuple(key for key in DATAKIT_SETTINGS if key in (toggles.on - toggles.fixed) | before)
        self.session.answers = replace(answers, datakit=replace(answers.datakit, settings=chosen))
        self.post_message(self.Saved())
        self._show_about()
        self.refresh_frame()

    # -- Enter

    def go_on_text(self) -> tuple[str, bool]:
        wanted = {one.setting.key for one in self._found() if not one.on}
        chosen = len(wanted & set(self.session.answers.datakit.settings))
        if self._survey.mesh:
            text = ngettext("Go on to Istio with {n} setting", "Go on to Istio with {n} settings", chosen)
            return (text.format(n=chosen) if chosen else _("Go on to Istio")), True
        if chosen:
            text = ngettext("Go on to the review with {n} setting", "Go on to the review with {n} settings", chosen)
            return text.format(n=chosen), True
        return _("Go on to the review"), True

    def commands(self) -> list[tuple[str, str, str]]:
        survey = self._survey
        namespace, name, container = survey.datakit.namespace, survey.datakit.name, survey.datakit.container
        chosen = self.session.answers.datakit.settings
        entries = [f"{k}={v}" for one in self._found() if one.setting.key in chosen for k, v in one.env.items()]
        if not entries:
            return []
        return [
            (
                _("Set the environment"),
                f"kubectl --context {survey.context} -n {namespace} set env daemonset/{name} -c {container} \\\n  "
                + " ".join(entries),
                _("Rancher: Workloads → DaemonSets → namespace {namespace} → {name} → Edit YAML.").format(
                    namespace=namespace, name=name
                ),
            )
        ]
