"""One panel of a view: whether it fills, and if not, what keeps its data from it where no other check tells."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from tui.core import datakit_settings, query, view_fill
from tui.core.checks.arrivals import newest_ms
from tui.core.checks.catalogue import CHECKS
from tui.core.checks.cluster import names
from tui.core.checks.etcd import apply_command, conf_fields
from tui.core.checks.facts import Facts
from tui.core.checks.finding import Finding, failed, passed
from tui.core.checks.istio import apply, preset
from tui.core.checks.mesh_facts import PARTS, MeshFacts
from tui.core.checks.model import (
    CLUSTER,
    CONTAINER,
    ETCD,
    ISTIOD,
    KUBERNETES,
    MESH,
    REQUIRED,
    SIDECARS,
    WARNING,
    Check,
    Report,
    Result,
)
from tui.core.checks.studio import no_studio
from tui.core.durations import about
from tui.core.errors import UsageError
from tui.core.ports import Ask, Studio
from tui.core.survey import CLUSTER_TAG, host_cluster_name
from tui.core.view_fill import PanelFill
from tui.core.view_schema import Panel, View, translation
from tui.core.view_spelling import fitting, spelled
from tui.core.views import KEYS
from tui.i18n import N_, _, language, ngettext

ID = "panel/data"
PANEL = "panel"
# Which route feeds a source, by how its name begins; what none of these feeds has the checks that all routes share.
FEEDS = {"etcd": ETCD, "collector": ETCD, "docker": CONTAINER, "kube": KUBERNETES, "istio": SIDECARS}
_LOOK_BACK_S = 86400.0


def find(view: View, name: str) -> Panel:
    """A panel of the view, by its key or by its title in either language. Raises UsageError that names the panels."""
    wanted = name.strip().casefold()
    for panel in view.panels:
        if panel.key.casefold() == wanted:
            return panel
    titled = [panel for panel in view.panels if wanted in {title.casefold() for title in panel.title.values()}]
    if len(titled) == 1:
        return titled[0]
    known = titled or view.panels
    raise UsageError(
        _("More than one panel has this title: choose one by its key.")
        if titled
        else _("The view {view} has no panel {name}.").format(view=view.key, name=name),
        object=name if titled else "",
        remedy=_("The panels are: {panels}").format(
            panels=", ".join(f"{panel.key} ({translation(panel.title, language())})" for panel in known)
        ),
    )


def routes(panel: Panel) -> tuple[str, ...]:
    """The routes that feed a panel, by what it needs."""
    sources = [source.rpartition("::")[2] for source, _field in panel.needs]
    found = [route for source in sources for start, route in FEEDS.items() if source.startswith(start)]
    if ISTIOD in panel.settings:  # it asks for what istiod alone exposes
        found = [ISTIOD if route == SIDECARS else route for route in found]
    return tuple(dict.fromkeys(found))


def checks_for(view: View, panel: Panel) -> tuple[Check, ...]:
    """The checks on the way to a panel: what all routes share and those of its routes, without other views' own."""
    on_the_way = {CLUSTER, *routes(panel)}
    others = set(KEYS) - {view.key} | (set() if panel.histogram else {"histograms"})
    return tuple(one for one in CHECKS if one.route in on_the_way and one.id.partition("/")[2] not in others)


def check(view: View, panel: Panel) -> Check:
    """The check of the panel itself, for `run(…, also=…)`."""
    return Check(ID, REQUIRED, N_("The panel fills"), _fills(view, panel), ("studio/key", "datakit/found"), route=PANEL)


@dataclass(frozen=True)
class Why:
    """Why a panel is empty: its own check, and `hop`, the first broken one on the way; None where the panel fills."""

    view: View
    panel: Panel
    report: Report
    own: Result | None
    hop: Result | None

    @property
    def filled(self) -> bool:
        """Whether the panel fills."""
        return self.own is not None and self.own.status == "pass"


def judged(view: View, panel: Panel, report: Report) -> Why:
    """What a run of `checks_for` and `check` says of the panel.

    A warning counts where a required check needs what it is about; others break nothing.
    """
    own = next((one for one in report.results if one.id == ID), None)
    needed = {need for one in CHECKS if one.severity == REQUIRED for need in one.needs}
    broken = [
        one
        for one in report.results
        if one.id != ID
        and (one.status == "fail" or (one.status == "warn" and one.severity == WARNING and one.id in needed))
    ]
    hop = None if own is not None and own.status == "pass" else next(iter(broken), own)
    return Why(view, panel, report, own, hop)


def _fills(view: View, panel: Panel) -> Callable[[Facts], Finding]:
    def test(facts: Facts) -> Finding:
        if facts.studio is None:
            return no_studio(facts)
        cluster = _cluster(facts)
        confs = [conf.text or "" for conf in facts.confs]
        shown = spelled(view, fitting(facts.studio, cluster, *confs, now_s=facts.now()))
        found = view_fill.ask(
            facts.studio, [shown], cluster, now_ms=facts.now() * 1000, time_scale=facts.cluster.time_scale
        )[view.key]
        one = next(each for each in found if each.panel.key == panel.key)
        looked_at = ", ".join(f"{source}.{field}" for source, field in one.panel.needs)
        if one.filled:
            count = len(one.panel.lines)
            text = ngettext("its query has an answer", "its {n} queries have answers", count).format(n=count)
            return passed(text, looked_at=looked_at)
        if one.refused:
            return failed(
                _("The studio refused the query: {why}").format(why=one.refused),
                looked_at=looked_at,
                remedy=_("Report it: the query is this tool's own; `{command}` prints it.").format(
                    command=f"datakit-wizard views show {view.key}"
                ),
            )
        dropped = _dropped(facts, one) or _dropped_of_mesh(facts, one)
        return dropped or _unset(facts, one, cluster) or _arrived(facts, facts.studio, one, cluster)

    return test


def _cluster(facts: Facts) -> str:
    return host_cluster_name(facts.datakit.env) or facts.cluster_name or facts.survey.cluster_name


def _fields_of(lacking: Iterable[tuple[str, str]]) -> list[str]:
    return [source if field == "*" else f"{source}.{field}" for source, field in lacking]


def _dropped(facts: Facts, one: PanelFill) -> Finding | None:
    """That etcd.conf does not collect what the panel needs, tried on a scrape made just now where that can be."""
    if not any(source == "etcd" for source, _field in one.lacking) or not facts.etcd_inputs():
        return None
    kept, unfiltered, looked_at = conf_fields(facts)
    conf, preset = facts.etcd_conf, one.panel.preset
    # Open filters alone do not always bring it: a rule may give it another name. Then the preset's panels tell.
    of_preset = view_fill.of_preset(preset) in one.unmet
    dropped = [
        (source, field)
        for source, field in one.lacking
        if field not in kept.get(source, ()) and (of_preset or field in unfiltered.get(source, ()))
    ]
    if not dropped:
        return None
    needs = ("histogram",) if one.panel.histogram else ()
    return failed(
        _("etcd.conf does not collect {fields}").format(fields=names(_fields_of(dropped))),
        looked_at=looked_at,
        object=conf.path if conf else "",
        causes=tuple(_("It fills when: {settings}.").format(settings=view_fill.need_text(key)) for key in needs),
        remedy=_("Collect it, as preset {preset} does.").format(preset=preset)
        if preset
        else _("No preset lets it pass: name it in metric_name_filter of etcd.conf, and ignore it nowhere."),
        command=apply_command(facts, preset) if preset else "",
    )


def _dropped_of_mesh(facts: Facts, one: PanelFill) -> Finding | None:
    """That what collects this part of the mesh drops what the panel needs, judged on the bundled scrape of Istio."""
    key = next((route for route in routes(one.panel) if route in MESH), "")
    if not key or not facts.survey.mesh:
        return None
    part = MeshFacts.of(facts).part(next(one for one in PARTS if one.key == key))
    lacking = [(source, field) for source, field in one.lacking if field not in part.promised.get(source, ())]
    if not part.sources or not lacking:
        return None
    return failed(
        _("what collects it drops {fields}").format(fields=names(_fields_of(lacking))),
        looked_at=_("the bundled scrape of Istio 1.13"),
        object=part.sources[0].target.title,
        remedy=preset(),
        command=apply(facts, edited=not part.ours),
    )


def _unset(facts: Facts, one: PanelFill, cluster: str) -> Finding | None:
    """That a setting of DataKit's own which the panel needs is not so."""
    settings = datakit_settings.unmet(one.panel, datakit_settings.look(facts.survey, cluster))
    if not settings:
        return None
    env = datakit_settings.env_of(settings, facts.survey)
    return failed(
        _("DataKit is not told to collect it: {settings}").format(
            settings=", ".join(_(found.setting.title) for found in settings)
        ),
        looked_at=", ".join(env),
        object=_daemon_set(facts),
        causes=tuple(f"{_(found.setting.title)}: {found.today}" for found in settings),
        remedy=_("Set it in the DaemonSet; the wizard's step DataKit's settings does the same, with undo."),
        command=_set_env(facts, env),
    )


def _arrived(facts: Facts, studio: Studio, one: PanelFill, cluster: str) -> Finding:
    """What has arrived of what the panel lacks, if anything: under another name, not any more, or of another kind."""
    metrics = [(source, field) for source, field in one.lacking if "::" not in source and field != "*"]
    asks = [Ask(query.newest(source, field, by=(CLUSTER_TAG,))) for source, field in metrics]
    now = facts.now()
    answers = (
        studio.answers(asks, start_ms=int((now - _LOOK_BACK_S) * 1000), end_ms=int((now + 60) * 1000)) if asks else []
    )
    newest: dict[str, float] = {}
    for answer in answers:
        for series in answer.series:
            name = series.tags.get(CLUSTER_TAG, "")
            newest[name] = max(newest.get(name, 0.0), newest_ms(series))
    lacking = names(_fields_of(one.lacking))
    if not newest:
        return failed(
            _("nothing has arrived of {fields}").format(fields=lacking),
            causes=_causes(one),
            remedy=_("Wait for what it counts, or bring it about; {command} lists what else is empty.").format(
                command="`datakit-wizard views status`"
            ),
        )
    if cluster not in newest:
        return _misnamed(facts, one, cluster, sorted(newest))
    age = now - newest[cluster] / 1000
    if age > view_fill.RANGE_S / facts.cluster.time_scale:
        return failed(
            _("nothing new of {fields} since {age}").format(fields=lacking, age=about(age)),
            causes=_causes(one),
            remedy=_("Collection of it stopped, or nothing of it has happened since."),
        )
    return failed(
        _("{fields} arrives, but nothing that the panel's conditions let through").format(fields=lacking),
        causes=_causes(one),
        remedy=_("Compare the panel's conditions with the tags of what arrives; `{command}` prints them.").format(
            command="datakit-wizard views show"
        ),
    )


def _causes(one: PanelFill) -> tuple[str, ...]:
    """What the panel may lack that no env entry of DataKit brings about; else that nothing of its kind happens."""
    known = {setting.key for setting in datakit_settings.SETTINGS}
    needs = [view_fill.need_text(key) for key in one.unmet if key not in known]
    said = [_("It fills when: {settings}.").format(settings=need) for need in needs]
    said += [translation(one.panel.note, language())] if one.panel.note else []
    return tuple(said) or (_("Nothing of what it counts has happened: no traffic, no warnings, no failures."),)


def _misnamed(facts: Facts, one: PanelFill, cluster: str, found: Sequence[str]) -> Finding:
    """That it arrives, but not under this cluster's name."""
    of_etcd = ETCD in routes(one.panel)
    without = "" in found
    other = ", ".join(name for name in found if name)
    return failed(
        _("{fields} arrives without {tag}").format(fields=names(_fields_of(one.lacking)), tag=CLUSTER_TAG)
        if without
        else _("{fields} arrives only under {tag} = {found}, not {wanted}").format(
            fields=names(_fields_of(one.lacking)), tag=CLUSTER_TAG, found=other, wanted=cluster or '""'
        ),
        object=_daemon_set(facts),
        causes=(
            (_("The view filters on {tag}, which these points lack.").format(tag=CLUSTER_TAG),)
            if without
            else (
                _("It is another cluster's: then nothing of this one has arrived."),
                _("It is this cluster's under another name: then its hosts are among the series."),
            )
        ),
        remedy=_("Use one name in the conf and in ENV_CLUSTER_NAME_K8S."),
        command=apply_command(facts)
        if of_etcd
        else _set_env(facts, {"ENV_CLUSTER_NAME_K8S": cluster or facts.cluster.context}),
    )


def _daemon_set(facts: Facts) -> str:
    return f"DaemonSet {facts.datakit.namespace}/{facts.datakit.name}"


def _set_env(facts: Facts, env: Mapping[str, str]) -> str:
    entries = " ".join(shlex.quote(f"{name}={value}") for name, value in env.items())
    return (
        f"kubectl --context {facts.cluster.context} -n {facts.datakit.namespace} set env "
        f"daemonset/{facts.datakit.name} {entries}"
    )
