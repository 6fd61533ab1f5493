"""The steps of the wizard in the tutorial's order and numbering, their truthful states, and the model of one run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from tui.i18n import N_

if TYPE_CHECKING:  # the wizard's first frame needs the steps, and nothing of what they work on
    from tui.core.answers import Answers
    from tui.core.checks.model import Report
    from tui.core.plan import Plan
    from tui.core.ports import Backend, Cluster, Context, Dashboard, Studio, Workspace
    from tui.core.receipts import Receipt, Store
    from tui.core.survey import DataKit, Survey
    from tui.core.view_sync import Standing


class StepState(Enum):
    """How far a step is: its mark, the mark's ASCII twin, and its word (a msgid)."""

    IDLE = ("·", ".", N_("not yet"))
    READY = ("○", "o", N_("ready"))
    RUNNING = ("▸", ">", N_("running"))
    DONE = ("√", "v", N_("done"))
    CHANGED = ("±", "~", N_("changed"))
    FAILED = ("×", "x", N_("failed"))
    SKIPPED = ("–", "-", N_("skipped"))

    @property
    def glyph(self) -> str:
        """The mark of one cell."""
        return self.value[0]

    @property
    def ascii(self) -> str:
        """The mark for terminals without UTF-8."""
        return self.value[1]

    @property
    def word(self) -> str:
        """The state in a word (a msgid)."""
        return self.value[2]


@dataclass(frozen=True)
class Step:
    """One step: its key, the tutorial's number ("" before and after it), and its title (a msgid)."""

    key: str
    number: str
    title: str

    @property
    def is_view(self) -> bool:
        """Whether the step creates a monitoring view."""
        return self.key in VIEW_STEPS


VIEW_STEPS = (
    "docker",
    "kubernetes",
    "etcd",
    "istio-mesh",
    "istio-control-plane",
    "istio-service",
    "istio-workload",
)

STEPS: tuple[Step, ...] = (
    Step("cluster", "", N_("Cluster")),
    Step("workspace", "", N_("Workspace")),
    Step("etcd-conf", "1.3.1", N_("etcd.conf")),
    Step("certificates", "1.3.2", N_("Certificates")),
    Step("datakit", "", N_("DataKit settings")),
    Step("istio", "", N_("Istio")),
    Step("review", "", N_("Review and apply")),
    Step("docker", "1.1", N_("Docker view")),
    Step("kubernetes", "1.2", N_("Kubernetes view")),
    Step("etcd", "1.3.3", N_("ETCD view")),
    Step("istio-mesh", "2.1", N_("Istio Mesh")),
    Step("istio-control-plane", "2.2", N_("Istio Control Plane")),
    Step("istio-service", "2.3", N_("Istio Service")),
    Step("istio-workload", "2.4", N_("Istio Workload")),
    Step("verify", "", N_("Verify")),
    Step("done", "", N_("Done")),
)


@dataclass(frozen=True)
class LabInfo:
    """The practice lab that a demo runs on: where its files are and how much faster its time runs."""

    folder: Path
    time_scale: float
    etcd: str


@dataclass
class Session:
    """The one model of a run: screens show it and are rebuilt from it, never the other way round.

    `visited` are the steps whose screen was gone through; `failed` those whose last action failed; `skipped` those that
    the person skipped.
    """

    state_dir: Path
    backend: Backend | None = None
    lab: LabInfo | None = None
    contexts: list[Context] = field(default_factory=list)
    cluster: Cluster | None = None
    datakits: list[DataKit] = field(default_factory=list)
    survey: Survey | None = None
    answers: Answers = field(init=False)
    studio: Studio | None = None
    workspace: Workspace | None = None
    plan: Plan | None = None
    receipt: Receipt | None = None
    report: Report | None = None
    standings: dict[str, Standing] = field(default_factory=dict)
    visited: set[str] = field(default_factory=set)
    skipped: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)
    running: str = ""

    def __getattr__(self, name: str) -> Answers:
        """The answers, until there are any: empty ones, made when first asked for."""
        if name != "answers":
            raise AttributeError(name)
        from tui.core.answers import Answers

        self.answers = Answers()
        return self.answers

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps of this run: that of Istio's collection only where a mesh was found."""
        mesh = self.survey is not None and bool(self.survey.mesh)
        return tuple(step for step in STEPS if step.key != "istio" or mesh)

    @property
    def store(self) -> Store:
        """Where receipts are kept."""
        from tui.core.receipts import Store

        return Store(self.state_dir)

    def state(self, key: str) -> StepState:
        """The state of a step, computed from what is there and never stored."""
        if self.running == key:
            return StepState.RUNNING
        if key in self.failed:
            return StepState.FAILED
        if key in self.skipped:
            return StepState.SKIPPED
        if key in VIEW_STEPS:
            return self._view_state(key)
        done = {
            "cluster": self.survey is not None,
            "workspace": self.workspace is not None,
            "etcd-conf": "etcd-conf" in self.visited and self.survey is not None,
            "certificates": "certificates" in self.visited and self.survey is not None,
            "datakit": "datakit" in self.visited and self.survey is not None,
            "istio": "istio" in self.visited and self.survey is not None,
            "review": self.receipt is not None and self.receipt.complete,
            "verify": self.report is not None,
            "done": "done" in self.visited,
        }[key]
        if key == "verify" and self.report is not None and not self.report.ok:
            return StepState.FAILED
        if key == "review" and done and self.applied_is_stale:
            return StepState.CHANGED
        if done:
            return StepState.DONE
        return StepState.READY if self._reachable(key) else StepState.IDLE

    def _view_state(self, key: str) -> StepState:
        standing = self.standings.get(key)
        if standing is not None and standing.dashboard is not None:
            return StepState.DONE if standing.state == "same" else StepState.CHANGED
        return StepState.READY if self.workspace is not None else StepState.IDLE

    @property
    def views(self) -> dict[str, Dashboard]:
        """The dashboards that are there, by the key of their view, as far as that was seen."""
        return {key: one.dashboard for key, one in self.standings.items() if one.dashboard is not None}

    def saw(self, standings: Iterable[Standing]) -> None:
        """Note how these views stand in the workspace."""
        self.standings.update({standing.wanted.key: standing for standing in standings})

    @property
    def applied_is_stale(self) -> bool:
        """Whether the answers give another conf, or choose otherwise, than the plan that was applied."""
        from tui.core.desired import conf_text

        if self.plan is None or self.survey is None:
            return False
        return (
            conf_text(self.answers, self.survey) != self.plan.conf
            or self.answers.certificates != self.plan.answers.certificates
            or self.answers.datakit != self.plan.answers.datakit
            or self.answers.istio != self.plan.answers.istio
        )

    def _reachable(self, key: str) -> bool:
        if key == "cluster":
            return True
        if key in ("workspace", "etcd-conf", "certificates", "datakit", "istio", "verify", "done"):
            return self.survey is not None
        return self.survey is not None and "certificates" in self.visited
