"""The mesh: what is there, which preset collects it at what cost, and which workloads get an annotation."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content

from tui.core import istio_cost
from tui.core.answers import ISTIO_PRESETS
from tui.core.diff import yaml_lines
from tui.core.istio_conf import annotation
from tui.core.istio_cost import Cost, Scrapes
from tui.core.istio_targets import (
    BY_ANNOTATION,
    BY_DISCOVERY,
    body,
    by_conf,
    collected_elsewhere,
    foreign,
    obstacle,
)
from tui.core.mesh import WORKLOAD, Target
from tui.core.ownership import FIELD_MANAGER
from tui.core.ports import Agent
from tui.core.survey import AgentPod, Survey, exec_rights
from tui.i18n import N_, _, ngettext
from tui.widgets.background import in_thread
from tui.widgets.choices import Choice, Choices
from tui.widgets.glyphs import glyph, muted
from tui.widgets.prose import Prose
from tui.widgets.step_screen import StepScreen, assemble
from tui.widgets.toggles import Toggles


class IstioScreen(StepScreen):
    """Shows the mesh, and takes the preset and the workloads that the person picks into the plan."""

    STEP = "istio"
    HELP = N_(
        "## Istio\n\n"
        "The four Istio views need istiod, the gateways and the sidecars collected; the tutorial sets up sidecars"
        " alone, with annotations that do not parse and filters that drop every histogram.\n\n"
        "- A **preset** says how much of it: `lean` keeps latency, `tutorial` does not, `full` keeps everything.\n"
        "- **Space** picks a workload. Its pod template gets an annotation, so its pods **restart**; nothing is picked"
        " for you. **a** picks all that can be, or none.\n"
        "- An annotation of somebody else's is replaced only where you pick its row; `undo` gives it back.\n"
        "- istiod or a gateway of one replica is scraped by a conf of DataKit's; with more a Service would lead to any"
        " of them, and the counters would seem to jump.\n"
        "- **w** changes the way: the input kubernetesprometheus touches no workload, and takes all series of all"
        " sidecars of their namespaces.\n\n"
        "DataKit takes annotations up every five minutes; the last step counts that down."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "all", N_("All/none"), id="all", tooltip=N_("Pick every workload that can be, or none")),
        Binding("w", "way", N_("Way"), id="way", tooltip=N_("Annotations, or the input kubernetesprometheus")),
    ]

    def content(self) -> ComposeResult:
        yield Prose(id="said")
        yield Choices(id="presets")
        yield Prose(id="panels")
        with VerticalScroll(id="workloads-list", can_focus=False):
            yield Toggles(id="workloads")
        yield Prose(id="about")

    def entered(self) -> None:
        self.scrapes = Scrapes()
        self.body.add_class("-whole")
        self._show()
        self.run(self._scrape)

    @property
    def _survey(self) -> Survey:
        survey = self.session.survey
        assert survey is not None  # the flow lets nobody in before the cluster is chosen
        return survey

    @property
    def _discovery(self) -> bool:
        return self.session.answers.istio.sidecars == BY_DISCOVERY

    # -- looking

    async def _scrape(self) -> None:
        """Scrape one sidecar and one istiod, so that the cost is that of this cluster."""
        survey, cluster, backend = self._survey, self.session.cluster, self.backend
        if cluster is None or not all(survey.may(access) for access in exec_rights(survey.datakit)):
            return
        self.working.start(_("Scraping a sidecar and istiod, to count their series"))

        def near(pod: AgentPod) -> Agent:
            return backend.agent(cluster, survey.datakit.namespace, pod.name, pod.node, survey.datakit.container)

        self.scrapes = await in_thread(lambda: istio_cost.scrapes(survey, near))
        self.working.finish()
        self._show()
        self.refresh_frame()

    # -- showing

    def _show(self) -> None:
        survey, given = self._survey, self.session.answers.istio
        self.query_one("#said", Prose).update(self._said())
        presets = [Choice(name, name, self._costs(name)) for name in ISTIO_PRESETS]
        self.query_one("#presets", Choices).show(presets, given.preset)
        rows, fixed = [], set()
        for target in survey.mesh.targets:
            note, problem, can = self._row(target)
            if not can:
                fixed.add(target.key)
            label = target.key if target.object is not None else f"{target.kind} {target.key}"
            rows.append(Choice(target.key, label, note, problem=problem))
        on = set(given.workloads) - fixed
        self.query_one("#workloads", Toggles).offer(rows, on, fixed)
        self.query_one("#workloads").display = given.preset != "none"
        self._show_about()

    def _said(self) -> Content:
        mesh = self._survey.mesh
        parts: list[str | tuple[str, str] | Content] = [
            _("Istio {version}: istiod ×{control}, gateways ×{gateways}, sidecars ×{n}").format(
                version=mesh.version or "?",
                control=sum(one.replicas for one in mesh.control),
                gateways=len(mesh.gateways),
                n=mesh.sidecars,
            )
        ]
        if mesh.ambient:
            text = _("In ambient mode, which is not covered here: {names}.").format(names=", ".join(mesh.ambient))
            parts += ["\n", (glyph("warn") + " ", "$warning"), text]
        if mesh.monitors:
            text = _("For Prometheus, not for DataKit: {names}.").format(names=", ".join(mesh.monitors))
            parts += ["\n", (text, muted())]
        for note in mesh.notes:
            parts += ["\n", (glyph("warn") + " ", "$warning"), note]
        return assemble(*parts)

    def _cost(self, preset: str) -> Cost:
        given, mesh = self.session.answers.istio, self._survey.mesh
        picked = given.workloads or tuple(one.key for one in mesh.workloads if one.ready)
        return istio_cost.cost(preset, mesh, picked, self.scrapes, discovery=self._discovery)

    def _costs(self, preset: str) -> str:
        """What a preset costs and fills, in a few words."""
        if preset == "none":
            return _("nothing is collected")
        cost = self._cost(preset)
        filled = istio_cost.fills("full" if self._discovery else preset)
        return _("{filled}/{all} panels, {n} a sidecar, {whole} in all").format(
            n=cost.proxy,
            whole=cost.whole,
            filled=sum(len(one.filled) for one in filled),
            all=sum(len(one.filled) + len(one.empty) for one in filled),
        )

    def _row(self, target: Target) -> tuple[str, str, bool]:
        """What stands behind a row: its note, why it cannot be picked, and whether it can."""
        if by_conf(target, self._survey.datakit):
            return _("by a conf of DataKit's: it does not restart"), "", False
        if self._discovery and target.role == WORKLOAD:
            return _("found by its namespace: it does not restart"), "", True
        if target.annotation is not None and target.annotation.ours:
            return _("collected, by our annotation"), "", True
        if problem := self._short(target):
            return "", problem, False
        pods = max(target.pods, target.replicas)
        if target.annotation is not None:
            return ngettext("{n} pod; replaces theirs", "{n} pods; replaces theirs", pods).format(n=pods), "", True
        return ngettext("{n} pod restarts", "{n} pods restart", pods).format(n=pods), "", True

    @staticmethod
    def _short(target: Target) -> str:
        """Why a row cannot be picked, in so few words that its name stays whole; "" where it can."""
        if obstacle(target, "", replace=True) is None:
            return ""
        if target.object is None:
            return _("no Deployment")
        if target.role == WORKLOAD and not target.ready:
            return _("no ready sidecar")
        if target.paused:
            return _("paused")
        if collected_elsewhere(target):
            return _("collected already")
        return _("its budget is used up")

    def _show_about(self) -> None:
        """What the preset fills, and all that there is to say of the row under the cursor."""
        given = self.session.answers.istio
        shown: list[str | tuple[str, str] | Content] = []
        if given.preset != "none":
            lines = []
            for one in istio_cost.fills("full" if self._discovery else given.preset):
                lines.append(f"{_(SHORT_VIEWS[one.key])} {len(one.filled)}/{len(one.filled) + len(one.empty)}")
            measured = _("counted on this cluster") if self.scrapes.bodies else _("known figures, not this cluster's")
            shown += [(f"{' · '.join(lines)}  ({measured})", muted())]
            if self._discovery:
                shown += ["\n", (glyph("warn") + " ", "$warning"), _("By kubernetesprometheus: nothing is filtered.")]
        self.query_one("#panels", Prose).update(assemble(*shown))
        target = self._under
        about: list[str | tuple[str, str] | Content] = []
        if target is not None and given.preset != "none":
            about += [(f"{target.title}: ", "bold"), self._detail(target)]
        self.query_one("#about", Prose).update(assemble(*about))

    def _detail(self, target: Target) -> str:
        parts = []
        if target.annotation is not None and not target.annotation.ours:
            parts.append(_("Now: {what}").format(what=foreign(target)))
        why = None if by_conf(target, self._survey.datakit) else obstacle(target, "", replace=True)
        if why:
            parts += [part for part in why if part]
        elif target.role == WORKLOAD:
            parts.append(_("{ready} of {n} pods have a ready sidecar.").format(ready=target.ready, n=target.pods))
        elif by_conf(target, self._survey.datakit):
            parts.append(_("One replica behind a Service: DataKit scrapes it there."))
        else:
            parts.append(_("Each of its pods is scraped by the DataKit on its node."))
        if target.budget is not None:
            parts.append(
                _("PodDisruptionBudget {name}: {n} pods may be missing.").format(
                    name=target.budget.name, n=target.budget.allowed
                )
            )
        return " ".join(parts)

    @property
    def _under(self) -> Target | None:
        row = self.query_one("#workloads", Toggles).under_cursor
        return next((one for one in self._survey.mesh.targets if row is not None and one.key == row.key), None)

    # -- choosing

    def on_choices_moved(self, event: Choices.Moved) -> None:
        self._show_about()
        super().on_choices_moved(event)

    def on_choices_changed(self, event: Choices.Changed) -> None:
        event.stop()
        chosen = event.choices.chosen
        if chosen is not None:
            self._answer(preset=chosen.key)

    def on_toggles_toggled(self, event: Toggles.Toggled) -> None:
        event.stop()
        self._pick(event.toggles.on - event.toggles.fixed)

    def action_all(self) -> None:
        """Pick every row that can be, or none where all are picked."""
        toggles = self.query_one("#workloads", Toggles)
        can = {row.key for row in toggles.rows} - toggles.fixed
        self._pick(set() if can <= toggles.on else can)

    def _pick(self, keys: set[str]) -> None:
        targets = [one for one in self._survey.mesh.targets if one.key in keys]
        replaced = tuple(one.key for one in targets if one.annotation is not None and not one.annotation.ours)
        self._answer(workloads=tuple(one.key for one in targets), replace=replaced)

    def action_way(self) -> None:
        """The other way to collect sidecars."""
        self._answer(sidecars=BY_ANNOTATION if self._discovery else BY_DISCOVERY)

    def _answer(self, **changes: object) -> None:
        answers = self.session.answers
        self.session.answers = replace(answers, istio=replace(answers.istio, **changes))  # type: ignore[arg-type]
        self.post_message(self.Saved())
        self._show()
        self.refresh_frame()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action in ("all", "way"):
            return self.session.answers.istio.preset != "none"
        return super().check_action(action, parameters)

    # -- Enter

    def go_on_text(self) -> tuple[str, bool]:
        given = self.session.answers.istio
        if given.preset == "none":
            return _("Go on to the review without Istio"), True
        restarting = [
            one
            for one in self._survey.mesh.targets
            if one.key in given.workloads and not (self._discovery and one.role == WORKLOAD)
        ]
        if not given.workloads:
            return _("Go on to the review, with nothing picked"), True
        text = ngettext(
            "Go on to the review; {n} workload restarts", "Go on to the review; {n} workloads restart", len(restarting)
        )
        return text.format(n=len(restarting)), True

    def commands(self) -> list[tuple[str, str, str]]:
        answers, survey = self.session.answers, self._survey
        target = self._under
        if target is None or target.object is None or answers.istio.preset == "none":
            return []
        text = annotation(target, answers.istio.preset, answers.cluster.name or survey.cluster_name)
        made = body(target, text)
        made["metadata"].pop("uid")
        lines = "\n".join(yaml_lines(made))
        return [
            (
                target.title,
                f"kubectl --context {survey.context} apply --server-side --field-manager={FIELD_MANAGER} "
                f"--dry-run=server \\\n  -f - <<'EOF'\n{lines}\nEOF",
                _("Rancher: Workloads → Deployments → namespace {namespace} → {name} → Edit YAML.").format(
                    namespace=target.namespace, name=target.name
                ),
            )
        ]


SHORT_VIEWS = {
    "istio-mesh": N_("Mesh"),
    "istio-control-plane": N_("Control plane"),
    "istio-service": N_("Service"),
    "istio-workload": N_("Workload"),
}
