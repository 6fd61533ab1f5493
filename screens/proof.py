"""The conf tried by the real agent of a node that runs etcd, before anything is changed: its series beside ours."""

from __future__ import annotations

from textual.app import ComposeResult

from tui.core import proof
from tui.core.errors import WizardError
from tui.core.plan import Plan
from tui.core.ports import Backend, Cluster
from tui.i18n import _
from tui.widgets.background import in_thread
from tui.widgets.glyphs import glyph
from tui.widgets.page import Page
from tui.widgets.prose import Prose
from tui.widgets.step_screen import assemble
from tui.widgets.working import Working


class ProofPage(Page[None]):
    """Runs it once when it opens; nothing is written but a file in the container's /tmp, which goes at once."""

    def __init__(self, backend: Backend, cluster: Cluster, plan: Plan) -> None:
        super().__init__()
        self.backend = backend
        self.cluster = cluster
        self.plan = plan

    def content(self) -> ComposeResult:
        yield Prose(assemble((_("The conf, tried by DataKit itself"), "bold")))
        yield Prose(id="proof", classes="wide")
        yield Working(id="working")

    def on_mount(self) -> None:
        self.run_worker(self._prove(), exit_on_error=True)

    async def _prove(self) -> None:
        working, told = self.query_one("#working", Working), self.query_one("#proof", Prose)
        seconds = max(proof.LEAST_S, proof.SECONDS / self.cluster.time_scale)
        working.start(_("DataKit runs the conf for {n:.0f} s; nothing is sent").format(n=seconds))
        backend, cluster, plan = self.backend, self.cluster, self.plan
        try:
            found = await in_thread(lambda: proof.prove(backend, cluster, plan.survey, plan.conf))
        except WizardError as error:
            working.finish("fail", error.what)
            told.update(assemble("\n", "\n".join(error.lines())))
            return
        working.finish()
        sign = (glyph("ok") + " ", "$success") if found.equal else (glyph("warn") + " ", "$warning")
        told.update(assemble("\n", sign, "\n".join(proof.told(found))))
