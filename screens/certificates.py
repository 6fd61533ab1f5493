"""The certificates for etcd: whether any are needed, where they come from, and what each node really has."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, replace

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input

from tui.core.desired import certificate_mount, conf_text
from tui.core.durations import about
from tui.core.errors import WizardError
from tui.core.etcd_conf import ROOTFS, client_files
from tui.core.ports import CertificateFile, NodeCertificates
from tui.core.prom.conf import PromInput, load
from tui.core.proposal import has_rootfs
from tui.core.survey import AgentPod, Survey, exec_rights
from tui.i18n import N_, _, ngettext
from tui.widgets.background import in_thread
from tui.widgets.choices import Choice, Choices
from tui.widgets.field import Field
from tui.widgets.glyphs import fit, glyph, muted
from tui.widgets.prose import Prose
from tui.widgets.step_screen import StepScreen, assemble, facts

DAY_S = 86_400
SOON_S = 30 * DAY_S
MOST_OTHERS = 20  # nodes without etcd that are looked at


@dataclass(frozen=True)
class Files:
    """The client's files as the conf names them, and as they can be looked at before anything is changed."""

    ca: str
    cert: str
    key: str
    url: str
    visible: bool
    prefix: str = ""


class CertificatesScreen(StepScreen):
    """Says that none are needed, or asks where they come from and looks at them on every node."""

    STEP = "certificates"
    HELP = N_(
        "## Certificates\n\n"
        "etcd's client port answers only to a client certificate. DataKit reads three files: the CA, the"
        " certificate and its key.\n\n"
        "- **rootfs**: DataKit's own manifest mounts the node's root at /rootfs; nothing needs to be added.\n"
        "- **hostPath**: the directory of each node is mounted, as in the tutorial.\n"
        "- **Secret**: an existing Secret in DataKit's namespace, the same files on every node. Only its name is used"
        " here; no key is ever read.\n\n"
        "Where a file is missing DataKit's input does not start at all: no point, not even `up = 0`, and no error."
    )

    def content(self) -> ComposeResult:
        yield Prose(id="need")
        yield Prose(id="nodes", classes="wide")
        yield Prose(id="flags", classes="wide")
        with Vertical(id="ask"):
            yield Choices(id="source")
            with Vertical(id="path-part", classes="labelled"):
                yield Prose(_("Directory on the nodes"), classes="muted")
                yield Field(id="path")
            with Vertical(id="secret-part", classes="labelled"):
                yield Prose(_("Name of the Secret in DataKit's namespace"), classes="muted")
                yield Field(id="secret")
            yield Prose(id="mount")

    def entered(self) -> None:
        self.trouble: WizardError | None = None
        self.nodes: dict[str, NodeCertificates | str] = {}
        certificates = self.session.answers.certificates
        survey = self._survey
        rows = []
        if has_rootfs(survey.datakit.object):
            rows.append(Choice("rootfs", "rootfs", _("the mount that DataKit has; nothing is added")))
        rows.append(Choice("hostpath", "hostPath", _("the nodes' directory is mounted, read-only")))
        rows.append(Choice("secret", "Secret", _("an existing one, the same on every node")))
        self.query_one("#source", Choices).show(rows, certificates.source)
        with self.prevent(Input.Changed):
            self.query_one("#path", Field).value = certificates.path or survey.topology.certificate_directory
            self.query_one("#secret", Field).value = certificates.secret
        self._settle()

    @property
    def _survey(self) -> Survey:
        survey = self.session.survey
        assert survey is not None  # the flow lets nobody in before the cluster is chosen
        return survey

    # -- what the conf needs

    def _input(self) -> PromInput | None:
        """The first input of the conf that names files; None where none does. Raises UsageError of the conf."""
        survey = self._survey
        env = {**survey.datakit.env, "ENV_K8S_NODE_NAME": "node"}
        inputs = load(conf_text(self.session.answers, survey), env).inputs
        return next((found for found in inputs if found.files()), None)

    @property
    def _needed(self) -> bool:
        if self.trouble is not None:
            return True
        try:
            return self._input() is not None
        except WizardError:
            return True

    def _files(self) -> Files | None:
        found = self._input()
        if found is None:
            return None
        ca = found.tls.ca[0] if found.tls.ca else ""
        paths = [path for path in (ca, found.tls.cert, found.tls.key) if path]
        url = (found.urls[0] if found.urls else "").replace("/metrics", "/health")
        if all(path.startswith(ROOTFS) for path in paths):
            return Files(ca, found.tls.cert, found.tls.key, url, True)
        visible = self.session.answers.certificates.source != "secret" and has_rootfs(self._survey.datakit.object)
        return Files(ca, found.tls.cert, found.tls.key, url, visible, ROOTFS if visible else "")

    # -- choosing

    def on_choices_changed(self, event: Choices.Changed) -> None:
        event.stop()
        self._take()

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self._take()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.action_go_on()

    def _take(self) -> None:
        """The choices become the answers, and what follows from them is shown."""
        chosen = self.query_one("#source", Choices).chosen
        if chosen is None:
            return
        path = self.query_one("#path", Field).value.strip()
        known = self._survey.topology.certificate_directory
        certificates = replace(
            self.session.answers.certificates,
            source=chosen.key,
            path="" if chosen.key == "secret" or path == known else path,
            secret=self.query_one("#secret", Field).value.strip() if chosen.key == "secret" else "",
        )
        if chosen.key == "hostpath":
            certificates = replace(certificates, path=path)
        self.session.answers = replace(self.session.answers, certificates=certificates)
        self._settle()

    def _settle(self) -> None:
        """Show what the answers lead to, and look at the nodes anew."""
        self.trouble = None
        answers, survey = self.session.answers, self._survey
        try:
            needed = self._input()
        except WizardError as error:
            self.trouble, needed = error, None
        own_text = bool(answers.etcd.conf)
        asked = (needed is not None or self.trouble is not None) and not own_text
        self.query_one("#ask").display = asked
        self.query_one("#nodes").display = needed is not None
        source = answers.certificates.source
        self.query_one("#path-part").display = asked and source == "hostpath"
        self.query_one("#secret-part").display = asked and source == "secret"
        self.query_one("#need", Prose).update(self._need(needed))
        if asked:
            mount = self._mount()
            self.query_one("#mount", Prose).update(mount)
            self.query_one("#mount").display = bool(mount.plain)
        self.query_one("#flags", Prose).update("")
        if needed is not None and survey.datakit.pods:
            self.nodes = {}
            self._show_nodes()
            self.run(self._look, group="look")
        self.refresh_frame()

    def _need(self, needed: PromInput | None) -> Content:
        if self.trouble is not None:
            return assemble((glyph("fail") + " ", "$error"), "\n".join(self.trouble.lines()))
        etcd = self.session.answers.etcd
        if needed is None and etcd.strategy == "none" and not etcd.conf:
            return assemble(_("etcd is not collected, so no certificates are needed."))
        if needed is None:
            return assemble(
                (glyph("ok") + " ", "$success"),
                _("None are needed: this etcd.conf reads etcd's metrics over plain HTTP, on each node's own loopback."),
                "\n\n",
                _(
                    "The tutorial mounts /etc/kubernetes/pki/etcd into DataKit here. You save that: no key of etcd"
                    " comes near DataKit."
                ),
            )
        paths = [*needed.tls.ca, needed.tls.cert, needed.tls.key]
        directory = posixpath.dirname(needed.tls.cert)
        names = [posixpath.basename(p) if posixpath.dirname(p) == directory else p for p in paths if p]
        pairs = facts([(_("Directory"), directory), (_("Files"), ", ".join(names))])
        if not needed.tls.ca:
            warning = (glyph("warn") + " ", "$warning")
            return assemble(pairs, "\n", warning, _("Without a CA the server is not verified."))
        return pairs

    def _mount(self) -> Content:
        answers = self.session.answers
        if self.trouble is not None:
            return assemble("")
        mount = certificate_mount(answers, self._survey)
        if mount is None:
            return assemble("")
        what = "Secret" if "secret" in mount.source else "hostPath"
        mode = _("read-only") if mount.read_only else _("writable, as in the tutorial")
        return assemble(
            _("A volume {name} ({what}) is mounted at {path}, {mode}.").format(
                name=mount.name, what=what, path=mount.path, mode=mode
            )
        )

    # -- looking

    async def _look(self) -> None:
        """Ask every DataKit pod for the files, one after the other; each row shows when it is known."""
        survey, cluster = self._survey, self.session.cluster
        files = self._files()
        if files is None or cluster is None:
            return
        if not all(survey.may(access) for access in exec_rights(survey.datakit)):
            self._all(_("you may not run commands in the pods"))
            self._show_flags()
            return
        if not files.visible:
            self._all(_("cannot be looked at before it is mounted"))
            return
        backend, datakit = self.backend, survey.datakit
        pods = self._pods
        for number, pod in enumerate(pods, 1):
            self.working.start(_("Looking at {node}, {n} of {all}").format(node=pod.node, n=number, all=len(pods)))

            def read(pod: AgentPod = pod) -> NodeCertificates:
                agent = backend.agent(cluster, datakit.namespace, pod.name, pod.node, datakit.container)
                url = files.url if pod.node in survey.etcd_nodes or "127.0.0.1" not in files.url else ""
                paths = [files.prefix + path if path else "" for path in (files.ca, files.cert, files.key)]
                return backend.certificates().read(agent, ca=paths[0], cert=paths[1], key=paths[2], url=url)

            try:
                self.nodes[pod.node] = await in_thread(read)
            except WizardError as error:
                self.nodes[pod.node] = error.what
            self._show_nodes()
        self.working.finish()
        self.refresh_frame()

    def _show_flags(self) -> None:
        """Where nobody may look: what the control plane's own flags say, marked as no more than that."""
        said = self._survey.topology.certificate_flags
        if not said:
            return
        warning = (glyph("warn") + " ", "$warning")
        told = _("Not looked at. The flags of the control plane's pods say where the files are, not whether they are:")
        self.query_one("#flags", Prose).update(assemble("\n", warning, told, "\n", "\n".join(said)))

    def _all(self, why: str) -> None:
        self.nodes = {pod.node: why for pod in self._pods}
        self._show_nodes()

    @property
    def _pods(self) -> list[AgentPod]:
        """The pods that are looked at: those beside etcd, and a few of the others where there are many."""
        beside = [pod for pod in self._survey.datakit.pods if pod.node in self._survey.etcd_nodes]
        others = [pod for pod in self._survey.datakit.pods if pod.node not in self._survey.etcd_nodes]
        return beside + others[:MOST_OTHERS]

    @property
    def _everywhere(self) -> bool:
        """Whether every node needs the files: the one that is elected may be any."""
        found = self._input()
        return found is not None and found.election

    def _show_nodes(self) -> None:
        survey = self._survey
        parts: list[str | tuple[str, str] | Content] = []
        head = fit(_("Node"), 18) + fit(_("CA"), 6) + fit(_("Cert."), 6) + fit(_("Key"), 6) + fit(_("Pair"), 6)
        parts += [(head + _("etcd answers"), muted()), "\n"]
        best: NodeCertificates | None = None
        for pod in self._pods:
            seen = self.nodes.get(pod.node)
            needed = pod.node in survey.etcd_nodes or self._everywhere
            parts.append(fit(pod.node, 18))
            if seen is None:
                parts += [(glyph("more"), muted()), "\n"]
            elif isinstance(seen, str):
                parts += [(seen, muted()), "\n"]
            else:
                best = best or (seen if seen.cert.certificates else None)
                parts += [*self._row(seen, needed), "\n"]
        if more := len(survey.datakit.pods) - len(self._pods):
            text = ngettext("{n} more node is not looked at", "{n} more nodes are not looked at", more).format(n=more)
            parts += [(text, muted()), "\n"]
        if best is not None:
            parts += ["\n", self._certificate(best)]
        lacking = self._lacking()
        if lacking and self._everywhere:
            parts += [
                "\n\n",
                (glyph("warn") + " ", "$warning"),
                ngettext(
                    "{n} node lacks the files: if the election falls there, nothing at all is reported.",
                    "{n} nodes lack the files: if the election falls on one of them, nothing at all is reported.",
                    len(lacking),
                ).format(n=len(lacking)),
            ]
        self.query_one("#nodes", Prose).update(assemble(*parts))

    def _row(self, seen: NodeCertificates, needed: bool) -> list[str | tuple[str, str] | Content]:
        def cell(good: bool | None) -> tuple[str, str]:
            if good:
                return fit(glyph("ok"), 6), "$success"
            if good is None or not needed:
                return fit(glyph("skip"), 6), muted()
            return fit(glyph("fail"), 6), "$error"

        def there(file: CertificateFile) -> bool | None:
            return None if not file.path else file.present and file.readable

        cells: list[str | tuple[str, str] | Content] = [
            cell(there(seen.ca)), cell(there(seen.cert)), cell(there(seen.key)), cell(seen.pair_matches)
        ]  # fmt: skip
        if seen.answers:
            cells.append((str(seen.answers), "$success" if seen.answers == 200 else "$warning"))
        elif not needed:
            cells.append((_("not needed here"), muted()))
        else:
            cells.append((seen.problem or seen.cert.problem or _("no answer"), muted()))
        return cells

    def _certificate(self, seen: NodeCertificates) -> Content:
        import time

        certificate = seen.cert.certificates[0]
        left = certificate.not_after_s - time.time()
        until = time.strftime("%Y-%m-%d", time.gmtime(certificate.not_after_s))
        if left < 0:
            state = _("expired on {date}").format(date=until)
        else:
            state = _("valid until {date}, {left} left").format(date=until, left=about(left))
        sign = glyph("fail") if left < 0 else glyph("warn") if left < SOON_S else glyph("ok")
        return facts(
            [
                (_("Subject"), certificate.subject),
                (_("Issuer"), certificate.issuer),
                (_("Usage"), ", ".join(certificate.usages)),
                (_("Validity"), f"{sign} {state}"),
            ]
        )

    def _lacking(self) -> list[str]:
        return [
            node
            for node, seen in self.nodes.items()
            if isinstance(seen, NodeCertificates)
            and not all(file.readable for file in (seen.ca, seen.cert, seen.key) if file.path)
        ]

    # -- Enter

    def go_on_text(self) -> tuple[str, bool]:
        if getattr(self, "trouble", None) is not None:
            return _("First say where the certificates come from"), False
        return _("Go on to DataKit's settings"), True

    def commands(self) -> list[tuple[str, str, str]]:
        survey = self._survey
        try:
            files = client_files(self.session.answers.certificates, survey.topology)
        except WizardError:
            files = None
        if files is None:
            return []
        namespace, name = survey.datakit.namespace, survey.datakit.name
        return [
            (
                _("Look at the files of one node"),
                f"kubectl --context {survey.context} -n {namespace} exec ds/{name} -- ls -l {files.directory}",
                _("Rancher: Workloads → Pods → namespace {namespace} → Execute Shell.").format(namespace=namespace),
            ),
            (
                _("Mount the directory, as the tutorial does"),
                "# in the DaemonSet's pod template\n"
                "volumes:\n- hostPath:\n    path: /etc/kubernetes/pki/etcd\n  name: dir-etcd\n"
                "volumeMounts:\n- mountPath: /etc/kubernetes/pki/etcd\n  name: dir-etcd",
                _("Rancher: Workloads → DaemonSets → namespace {namespace} → {name} → Edit YAML.").format(
                    namespace=namespace, name=name
                ),
            ),
        ]
