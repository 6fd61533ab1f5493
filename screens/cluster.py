"""Choose the cluster, find the DataKit that runs there, and see what may be done."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content

from tui.core.answers import Answers
from tui.core.errors import WizardError
from tui.core.ports import POD, Cluster, Context
from tui.core.proposal import propose
from tui.core.rights import grants
from tui.core.survey import DataKit, Survey, find_datakit, survey
from tui.i18n import N_, _, ngettext
from tui.widgets.background import in_thread
from tui.widgets.choices import Choice, Choices
from tui.widgets.glyphs import glyph, muted
from tui.widgets.prose import Prose
from tui.widgets.step_screen import StepScreen, assemble, facts


class ClusterScreen(StepScreen):
    """Contexts, then the DaemonSets that run DataKit, then what was found; each when the one before is answered."""

    STEP = "cluster"
    PURPOSE = N_("Contexts come from your kubeconfig. Looking changes nothing.")
    HELP = N_(
        "## Cluster and namespace\n\n"
        "- **Contexts** are those of the kubeconfig (`--kubeconfig`, `$KUBECONFIG`, `~/.kube/config`).\n"
        "- DataKit is found by its container, in every namespace that you may list; `--namespace` narrows it.\n"
        "- **Rights** are those of your roles here; the review asks for each by itself. With reading alone you can"
        " verify, but not apply.\n\n"
        "A credential plugin that has to ask (`interactiveMode: Always`) gets the terminal for its question, and the"
        " wizard comes back after it. Any other plugin runs without a terminal: log in first (`kubectl get nodes`)."
    )

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("t", "tags", N_("Tags"), id="tags", tooltip=N_("Which cluster's name each kind of data carries")),
    ]

    def content(self) -> ComposeResult:
        yield Choices(follow=True, id="contexts")
        with Vertical(id="found"):
            yield Choices(follow=True, id="datakits")
            yield Prose(id="facts")
            yield Prose(id="rights")

    def entered(self) -> None:
        self.query_one("#found").display = False
        self.query_one("#datakits").display = False
        if self.session.contexts:
            self._show_contexts()
            self._show_found()
        else:
            self.run(self._read)

    def action_tags(self) -> None:
        """The table of the tag on which the views filter."""
        from tui.widgets.tag_page import TagPage

        if self.session.survey is not None:
            self.app.push_screen(TagPage(self.session.survey.datakit.env, self.session.answers.cluster.name))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "tags":
            return self.session.survey is not None and self.connected
        return super().check_action(action, parameters)

    # -- contexts

    async def _read(self) -> None:
        self.working.start(_("Reading the kubeconfig"))
        backend = self.backend
        self.session.contexts = await in_thread(lambda: backend.clusters().contexts())
        self.working.finish()
        self._show_contexts()
        self.refresh_frame()

    def _show_contexts(self) -> None:
        cluster = self.session.cluster
        wanted = cluster.context if cluster is not None else self.given.context
        usable = [context for context in self.session.contexts if not context.problem]
        if not any(context.name == wanted for context in usable):
            wanted = next((c.name for c in usable if c.current), usable[0].name if usable else "")
        rows = [
            Choice(c.name, c.name, c.server.removeprefix("https://") + f"  {c.user}", c.problem)
            for c in self.session.contexts
        ]
        self.query_one("#contexts", Choices).show(rows, wanted)

    @property
    def wanted(self) -> Context | None:
        """The context under the cursor."""
        chosen = self.query_one("#contexts", Choices).chosen
        return next((c for c in self.session.contexts if chosen is not None and c.name == chosen.key), None)

    @property
    def connected(self) -> bool:
        """Whether the model holds what was found in the context under the cursor."""
        wanted, cluster = self.wanted, self.session.cluster
        return wanted is not None and cluster is not None and cluster.context == wanted.name

    # -- what Enter does

    def go_on_text(self) -> tuple[str, bool]:
        wanted = self.wanted
        if not self.session.contexts:
            return _("Read the kubeconfig again"), True
        if wanted is None or wanted.problem:
            return _("This context cannot be used"), False
        if wanted.login:
            return _("Log in with {plugin}, which takes the terminal").format(plugin=wanted.login), True
        if not self.connected:
            return _("Look at {context}").format(context=wanted.name), True
        if self.session.survey is None:
            chosen = self._chosen_datakit()
            if chosen is None:
                return _("Look again"), True
            return _("Use {namespace}/{name}").format(namespace=chosen.namespace, name=chosen.name), True
        return _("Go on to the workspace"), True

    def action_go_on(self) -> None:
        if not self.go_on.ready or self.working.busy:
            return
        if not self.session.contexts:
            self.run(self._read)
        elif self.wanted is not None and self.wanted.login:
            self._log_in(self.wanted)
        elif not self.connected:
            self.run(self._connect)
        elif self.session.survey is None or self._other_datakit():
            self.run(self._survey_chosen)
        else:
            self.post_message(self.Leave("next"))

    def on_choices_changed(self, event: Choices.Changed) -> None:
        if event.choices.id == "contexts":
            self.query_one("#found").display = self.connected
        self.refresh_frame()

    def _log_in(self, wanted: Context) -> None:
        """Give the terminal to the credential plugin, and take it back when it is done."""
        clusters = self.backend.clusters()
        failure: WizardError | None = None
        with self.app.suspend():  # it resumes only where the block ends without an exception
            print(_("{plugin} for {context}; ^C gives up.").format(plugin=wanted.login, context=wanted.name))
            try:
                clusters.log_in(wanted.name)
            except WizardError as error:
                failure = error
        if failure is not None:
            self.working.finish("fail", failure.what)
            self.post_message(self.Failed(failure))
            return
        self.session.contexts = clusters.contexts()
        self.given.context = wanted.name
        self._show_contexts()
        self.refresh_frame()
        self.run(self._connect)

    # -- looking

    async def _connect(self) -> None:
        wanted = self.wanted
        if wanted is None:
            return
        backend, namespace = self.backend, self.given.namespace
        self._forget()
        self.working.start(_("Connecting to {context}").format(context=wanted.name))
        self.refresh_frame()

        def look() -> tuple[Cluster, list[DataKit]]:
            cluster = backend.clusters().connect(wanted.name)
            return cluster, find_datakit(cluster, namespace)

        self.session.cluster, self.session.datakits = await in_thread(look)
        if len(self.session.datakits) == 1:
            await self._survey(self.session.datakits[0])
        else:
            self.working.finish("ok", _("Several DaemonSets run DataKit here: choose one."))
            self._show_found()
            self.query_one("#datakits").focus()
            self.refresh_frame()

    async def _survey_chosen(self) -> None:
        chosen = self._chosen_datakit()
        if chosen is None:
            await self._connect()
        else:
            await self._survey(chosen)

    async def _survey(self, datakit: DataKit) -> None:
        cluster = self.session.cluster
        if cluster is None:
            return
        self.working.start(_("Looking at nodes, etcd, the conf and your rights"))
        found = await in_thread(lambda: survey(cluster, datakit, reviews=False))
        self.session.survey = found
        answers = self.given.answers if self.given.resume else None
        self.given.resumed = answers is not None
        if answers is None or (answers.cluster.context, answers.cluster.namespace) != (
            found.context,
            datakit.namespace,
        ):
            self.given.resumed = False
            answers = propose(found, endpoint=self.given.endpoint, console=self.given.console)
        self.session.answers = answers
        if self.given.resumed:
            self.session.receipt = self.session.store.newest(found.uid, datakit.namespace)
        self.working.finish(
            "ok",
            _("Kubernetes {version}, DataKit found in {namespace}.").format(
                version=found.version, namespace=datakit.namespace
            ),
        )
        self._show_found()
        self.go_on.focus()
        self.post_message(self.Saved())
        self.refresh_frame()

    def _forget(self) -> None:
        """Another cluster: what was known of the last one is no longer true."""
        session = self.session
        session.cluster = session.survey = None
        session.plan = session.report = session.receipt = None
        session.answers = Answers()
        session.datakits = []
        session.standings = {}
        session.visited -= {"etcd-conf", "certificates", "datakit", "review", "verify"}
        session.failed.clear()
        self._show_found()

    def failed(self, error: WizardError) -> None:
        self._show_found()

    # -- showing

    def _chosen_datakit(self) -> DataKit | None:
        chosen = self.query_one("#datakits", Choices).chosen
        found = self.session.datakits
        if chosen is None:
            return found[0] if len(found) == 1 else None
        return next((d for d in found if f"{d.namespace}/{d.name}" == chosen.key), None)

    def _other_datakit(self) -> bool:
        chosen, current = self._chosen_datakit(), self.session.survey
        if chosen is None or current is None:
            return False
        return (chosen.namespace, chosen.name) != (current.datakit.namespace, current.datakit.name)

    def _show_found(self) -> None:
        several = len(self.session.datakits) > 1
        datakits = self.query_one("#datakits", Choices)
        datakits.display = several
        if several:
            current = self.session.survey
            chosen = f"{current.datakit.namespace}/{current.datakit.name}" if current is not None else ""
            rows = [
                Choice(f"{d.namespace}/{d.name}", f"{d.namespace}/{d.name}", d.image) for d in self.session.datakits
            ]
            datakits.show(rows, chosen)
        found = self.session.survey
        self.query_one("#found").display = several or found is not None
        self.query_one("#facts", Prose).update(found_facts(found) if found is not None else "")
        self.query_one("#rights", Prose).update(rights(found) if found is not None else "")

    def commands(self) -> list[tuple[str, str, str]]:
        wanted = self.wanted
        name = wanted.name if wanted is not None else "$CONTEXT"
        found = self.session.survey
        asked = (*found.rights, *found.optional) if found is not None else ()
        missing = [access for access, granted in asked if not granted]
        grant = (
            _("Grant what is missing"),
            "\n".join(grants(missing, found.user if found is not None else "")),
            _("Rancher: Cluster → Cluster Members shows your roles."),
        )
        return [
            (
                _("Find DataKit"),
                f"kubectl --context {name} get daemonsets -A\nkubectl --context {name} get nodes\n"
                f"kubectl --context {name} -n kube-system get pods -l component=etcd",
                _("Rancher: browse clusters → {name} → Workloads → DaemonSets → namespace datakit.").format(name=name),
            ),
            (
                _("Ask for your rights"),
                f"kubectl --context {name} -n datakit auth can-i patch configmaps\n"
                f"kubectl --context {name} -n datakit auth can-i patch daemonsets.apps\n"
                f"kubectl --context {name} -n datakit auth can-i create pods --subresource=exec",
                _("Rancher: Cluster → Cluster Members shows your roles."),
            ),
            *([grant] if missing else []),
        ]


def found_facts(found: Survey) -> Content:
    """What was found, in two columns."""
    datakit, topology = found.datakit, found.topology
    image = datakit.image.rpartition("/")[2].removeprefix("datakit:")
    ready = sum(1 for pod in datakit.pods if pod.ready)
    pods = _("{ready}/{all} pods ready").format(ready=ready, all=len(datakit.pods)) if datakit.pods else ""
    etcd = ngettext("{n} member", "{n} members", len(topology.members)).format(n=len(topology.members))
    where = ", ".join(topology.etcd_nodes)
    conf = (found.conf or {}).get("data", {})
    keys = (
        ngettext("{n} key", "{n} keys", len(conf)).format(n=len(conf)) if found.conf is not None else _("not there yet")
    )
    if "etcd.conf" in conf:
        keys += ", " + _("etcd.conf among them")
    return facts(
        [
            (_("Cluster"), f"{topology.title} {found.version}" + (f" · {found.user}" if found.user else "")),
            (_("DataKit"), f"{datakit.namespace}/{datakit.name} {image}" + (f" · {pods}" if pods else "")),
            (_("etcd"), etcd + (f" · {where}" if where else "")),
            (_("Conf"), f"datakit-conf · {keys}"),
            (_("Name"), found.cluster_name or _("none yet: cluster_name_k8s is not set")),
        ]
    )


def rights(found: Survey) -> Content:
    """Folded to a line when all is granted; else each missing right and what follows."""
    missing = [access for access, granted in found.rights if not granted]
    parts: list[str | tuple[str, str] | Content] = []
    if not missing:
        n = len(found.rights)
        parts += [
            (glyph("ok") + " ", "$success"),
            _("All {n} rights that this needs are granted.").format(n=n),
        ]
    for access in missing:
        parts += [(glyph("fail") + " ", "$error"), _("You may not {access}.").format(access=access), "\n"]
    if any(access.verb == "patch" for access in missing):
        parts.append(_("Nothing can be applied with these rights; looking, planning and verifying go on."))
    elif missing:
        parts.append(_("What is read through the DataKit pods stays unproven: certificates, scrapes, election."))
    lacking = [access for access, granted in found.optional if not granted]
    for access in lacking:
        if access.kind == POD:
            text = _("You may not {access}: one node first, and etcd's nodes alone, cannot be had.")
        elif found.conf is None:
            text = _("You may not {access}: undo will have to leave the object there, empty.")
        else:
            continue
        parts += ["\n", (glyph("warn") + " ", "$warning"), text.format(access=access)]
    if missing or lacking:
        parts += ["\n", (_("c shows the lines that grant what is missing."), muted())]
    for note in found.notes:
        parts += ["\n" if parts else "", (glyph("warn") + " ", "$warning"), note]
    return assemble(*parts)
