"""Checks of the way from etcd to DataKit: who collects, with which files, what answers, and what the filter keeps."""

from __future__ import annotations

from dataclasses import replace

from tui.core import views
from tui.core.checks.cluster import names, no_exec
from tui.core.checks.facts import Facts
from tui.core.checks.finding import Finding, failed, passed, pending
from tui.core.errors import WizardError
from tui.core.parallel import each
from tui.core.survey import CLUSTER_TAG, AgentPod
from tui.core.topology import is_loopback
from tui.i18n import _, language, ngettext


def apply_command(facts: Facts, preset: str = "") -> str:
    """The two commands that set this cluster up with its proposed strategy; views are not touched."""
    return (
        f"datakit-wizard answers --context {facts.cluster.context} "
        f"--strategy {facts.survey.topology.proposal} {f'--preset {preset} ' if preset else ''}> answers.toml && "
        f"datakit-wizard apply -f answers.toml --no-views"
    )


def discovered(facts: Facts) -> Finding:
    """Which members etcd has, and where."""
    topology = facts.survey.topology
    members = topology.members
    if not members:
        return failed(
            _("no member of etcd is seen"),
            looked_at=_("pods of kube-system and the nodes' labels"),
            causes=(topology.why,),
            object=facts.cluster.context,
            status="warn",
        )
    shown = names([f"{m.node or m.ip}" for m in members])
    text = ngettext("{n} member: {names}", "{n} members: {names}", len(members)).format(n=len(members), names=shown)
    if topology.guess:
        text += " " + _("(a guess from labels)")
    return passed(text, looked_at=topology.title)


def duplicate(facts: Facts) -> Finding:
    """No member is scraped by more than one DataKit or input."""
    conf = facts.etcd_conf
    seen: dict[str, int] = {}
    for mounted in facts.confs:
        if mounted.text and (mounted is conf or mounted.text != (conf.text if conf else None)):
            for found in facts.load(mounted.text).inputs:
                for url in found.urls:
                    seen[url] = seen.get(url, 0) + 1
    twice = sorted(url for url, count in seen.items() if count > 1)
    if twice:
        return failed(
            _("scraped by more than one input: {urls}").format(urls=names(twice)),
            object=conf.path if conf else "",
            remedy=_("Keep one input for each address."),
            status="warn",
        )
    if not facts.electing:
        fixed = sorted({u for i in facts.etcd_inputs() for u in i.urls if "://" in u and not is_loopback(u)})
        pods = len(facts.ready_pods)
        if fixed and pods > 1:
            return failed(
                _("{n} DataKits scrape the same address {urls}: sums count {n} times").format(
                    n=pods, urls=names(fixed)
                ),
                object=conf.path if conf else "",
                causes=(_("election is off, and the address is not loopback."),),
                remedy=_("Set election = true, or scrape each node's own loopback address."),
                command=apply_command(facts),
                status="warn",
            )
    return passed(_("each address is scraped once"))


def elected_node(facts: Facts) -> Finding:
    """The one DataKit that collects can: it runs where the certificates are, and an election takes place."""
    if not facts.electing:
        nodes = names([pod.node for pod in facts.collecting_pods])
        return passed(_("no election: each etcd node collects its own ({nodes})").format(nodes=nodes or "?"))
    if not facts.may_exec:
        return no_exec(facts)
    leader = facts.leader
    if not leader:
        return pending(
            _("no DataKit holds the election yet"),
            causes=(_("An election takes a few seconds after the pods start."),),
            remedy=_("If it stays so, look at ENV_NAMESPACE: another cluster may hold the same election."),
        )
    elsewhere = foreign_leader(facts, leader)
    if elsewhere is not None:
        return elsewhere
    pods = facts.collecting_pods
    if not pods:
        return pending(
            _("the elected DataKit, on {node}, is not ready").format(node=leader),
            object=leader,
            remedy=_("Another one is elected within a minute; look at why this pod is not ready."),
        )
    lacking = _missing_files(facts, pods[0])
    if lacking:
        etcd_nodes = facts.survey.etcd_nodes
        where = (
            _("{node} runs no etcd, so it has no certificates of etcd.").format(node=leader)
            if etcd_nodes and leader not in etcd_nodes
            else _("The files are not where the conf names them.")
        )
        return failed(
            _("the elected DataKit, on {node}, lacks {files}: it reports nothing at all, and no error").format(
                node=leader, files=names(lacking)
            ),
            looked_at=pods[0].name,
            object=leader,
            causes=(where, _("A missing certificate stops the input silently: not even up = 0 is sent.")),
            remedy=_("Let each etcd node collect its own metrics without certificates (strategy {strategy}).").format(
                strategy=facts.survey.topology.proposal
            ),
            command=apply_command(facts),
        )
    return passed(_("{node} collects").format(node=leader), object=leader)


def foreign_leader(facts: Facts, leader: str) -> Finding | None:
    """What to say where the election is held by a node that this cluster does not have, else None."""
    if leader in {pod.node for pod in facts.datakit.pods}:
        return None
    return pending(
        _("the election is held by {node}, which is no node of this cluster").format(node=leader),
        object=leader,
        causes=(_("Another cluster in the same workspace uses the same election namespace."),),
        remedy=_("Give each cluster an ENV_NAMESPACE of its own."),
        command=(
            f"kubectl --context {facts.cluster.context} -n {facts.datakit.namespace} set env "
            f"daemonset/{facts.datakit.name} ENV_NAMESPACE={facts.survey.cluster_name or facts.cluster.context}"
        ),
    )


def _missing_files(facts: Facts, pod: AgentPod) -> list[str]:
    """The files that the conf names and the pod's container lacks."""
    missing: dict[str, None] = {}
    for found in facts.etcd_inputs(pod.node):
        for url in found.urls[:1]:
            if found.files():
                seen = facts.certificates(pod, found, url)
                missing |= {f.path: None for f in (seen.ca, seen.cert, seen.key) if f.path and not f.present}
    return list(missing)


def election_tag(facts: Facts) -> Finding:
    """Etcd's points will carry the cluster's name, whatever the election does."""
    inputs = facts.etcd_inputs()
    named = sorted({str(i.tags[CLUSTER_TAG]) for i in inputs if i.tags.get(CLUSTER_TAG)})
    if inputs and all(i.tags.get(CLUSTER_TAG) for i in inputs):
        return passed(_("{tag} = {name}, from the conf").format(tag=CLUSTER_TAG, name=", ".join(named)))
    name = facts.global_tags.get(CLUSTER_TAG)
    which = _("election tags") if facts.electing else _("host tags")
    if name:
        return passed(_("{tag} = {name}, from the {which}").format(tag=CLUSTER_TAG, name=name, which=which))
    conf = facts.etcd_conf
    return failed(
        _("etcd's points carry no {tag}: the view's cluster filter stays empty").format(tag=CLUSTER_TAG),
        looked_at=_("the conf's tags and the {which}").format(which=which),
        object=conf.path if conf else "",
        causes=(
            _("An elected input gets election tags, and these lack it; ENV_CLUSTER_NAME_K8S sets host tags alone.")
            if facts.electing
            else _("Neither ENV_CLUSTER_NAME_K8S nor ENV_GLOBAL_HOST_TAGS sets it."),
        ),
        remedy=_('Write {tag} = "{name}" into [inputs.prom.tags] of etcd.conf.').format(
            tag=CLUSTER_TAG, name=facts.survey.cluster_name or facts.cluster.context
        ),
        command=apply_command(facts),
    )


def answers(facts: Facts) -> Finding:
    """Etcd answers from where it is collected, with its metrics."""
    if not facts.may_exec:
        return no_exec(facts)
    pods = facts.collecting_pods
    if not pods:
        return pending(_("no ready DataKit collects etcd"))
    bad, good = [], 0
    for pod in pods:
        for found in facts.etcd_inputs(pod.node):
            for url in found.urls:
                scrape = facts.scrape(pod, found, url)
                if scrape.body is None:
                    bad.append(f"{pod.node}: {url}: {scrape.error}")
                elif scrape.status != 200:
                    bad.append(f"{pod.node}: {url}: HTTP {scrape.status}")
                elif b"etcd_" not in scrape.body:
                    bad.append(f"{pod.node}: {url}: " + _("the answer holds no metric of etcd"))
                else:
                    good += 1
    if bad:
        return pending(
            _("no metrics from {urls}").format(urls=names(bad)),
            causes=tuple(bad),
            object=bad[0].split(":")[0],
            remedy=_("Look whether etcd runs there, and on which addresses it listens."),
        )
    return passed(ngettext("{n} address answers", "{n} addresses answer", good).format(n=good))


def kept(facts: Facts) -> Finding:
    """The conf's filters keep something, and which panels of the ETCD view that fills."""
    fields, unfiltered, looked_at = conf_fields(facts)
    count = sum(len(names_) for names_ in fields.values())
    conf = facts.etcd_conf
    if not count:
        return failed(
            _("the conf's filters drop everything"),
            looked_at=looked_at,
            object=conf.path if conf else "",
            remedy=_("Look at metric_types and metric_name_filter; `datakit-wizard preview` shows what each drops."),
        )
    if any(found.reports_up for found in facts.etcd_inputs()):
        fields = {**fields, "collector": {"up"}}
    panels = views.fillable(views.view("etcd"), fields)
    could = {fill.panel.key for fill in views.fillable(views.view("etcd"), unfiltered) if fill.ok}
    filled = sum(panel.ok for panel in panels)
    text = _("{fields} fields, {filled} of {panels} panels of the ETCD view").format(
        fields=count, filled=filled, panels=len(panels)
    )
    flat = [fill.panel for fill in panels if not fill.ok and fill.panel.histogram and fill.panel.key in could]
    if flat and filled:
        lacking = [views.translation(panel.title, language()) for panel in flat]
        return failed(
            text,
            looked_at=looked_at,
            object=conf.path if conf else "",
            causes=(_("Empty, for want of histograms: {panels}").format(panels=names(lacking)),),
            remedy=_('Add "histogram" to metric_types, and their names to metric_name_filter (preset recommended).'),
            status="warn",
        )
    if not filled:
        return failed(
            text,
            looked_at=looked_at,
            object=conf.path if conf else "",
            causes=(_("The view's fields have other names than this conf gives them."),),
            remedy=_('Keep the rule prefix = "etcd_", name = "etcd", and no [[inputs.etcd]].'),
            status="warn",
        )
    return passed(text, looked_at=looked_at)


Fields = dict[str, set[str]]


def conf_fields(facts: Facts) -> tuple[Fields, Fields, str]:
    """The fields by measurement that the conf keeps, those that it would keep without filters, and of which scrape."""
    inputs, looked_at = facts.etcd_inputs(), _("the bundled scrape of etcd 3.4")
    scrape = facts.sample
    for pod in facts.collecting_pods[:1] if facts.may_exec else []:
        for found in facts.etcd_inputs(pod.node)[:1]:
            live = facts.scrape(pod, found, found.urls[0]) if found.urls else scrape
            if live.body is not None:
                scrape, looked_at = live, _("a scrape made just now")
    kept_fields: Fields = {}
    all_fields: Fields = {}
    for found in inputs:
        one = replace(found, urls=found.urls[:1])
        open_to_all = replace(one, metric_types=(), metric_name_filter=(), metric_name_filter_ignore=())
        for settings, fields in ((one, kept_fields), (open_to_all, all_fields)):
            for point in facts.collected(settings, scrape).points:
                fields.setdefault(point.measurement, set()).update(point.fields)
    return kept_fields, all_fields, looked_at


def fed(facts: Facts) -> Finding:
    """The collecting agents hand etcd's points on."""
    if not facts.may_exec:
        return no_exec(facts)
    pods = facts.collecting_pods
    if not pods:
        return pending(_("no ready DataKit collects etcd"))
    fed_as = {i.feed_name for i in facts.etcd_inputs()}
    silent, total = [], 0.0
    for pod, feeds in zip(pods, each(pods, lambda pod: facts.agent(pod).feeds()), strict=True):
        if isinstance(feeds, WizardError):
            silent.append(f"{pod.node}: {feeds.what}")
            continue
        count = sum(feed.points for name, feed in feeds.items() if name in fed_as)
        total += count
        if not count:
            only_up = any(f"{name}.up" in feeds for name in fed_as)
            silent.append(
                f"{pod.node}: "
                + (_("only up points: the scrape fails") if only_up else _("nothing yet: not loaded, or not started"))
            )
    if silent:
        return pending(
            _("no points of etcd from {nodes}").format(nodes=names(silent)),
            causes=tuple(silent),
            object=silent[0].split(":")[0],
            remedy=_("Look at DataKit's log inside the container."),
        )
    return passed(_("{n} points since the pods started").format(n=f"{total:.0f}"))


def uploaded(facts: Facts) -> Finding:
    """The collecting agents' uploads are accepted."""
    if not facts.may_exec:
        return no_exec(facts)
    pods = facts.collecting_pods or facts.asked_pods
    if not pods:
        return pending(_("no ready DataKit"))
    accepted, refused = 0.0, []
    for pod, by_status in zip(pods, each(pods, lambda pod: facts.agent(pod).uploads()), strict=True):
        if isinstance(by_status, WizardError):
            refused.append(f"{pod.node}: {by_status.what}")
            continue
        accepted += by_status.get("OK", 0.0)
        bad = {s: n for s, n in by_status.items() if s not in ("OK", "total") and n}
        # Failures beside successes may be old; then only an upload made from now on proves that it works again.
        if bad and not facts.grew(f"uploads of {pod.name}", by_status.get("OK", 0.0)):
            refused.append(f"{pod.node}: " + ", ".join(f"{status} ({n:.0f})" for status, n in sorted(bad.items())))
    if refused:
        return pending(
            _("uploads fail from {nodes}").format(nodes=names(refused)),
            causes=tuple(refused),
            object=refused[0].split(":")[0],
            remedy=_("Look at the address and the token in ENV_DATAWAY, and at the way out of the cluster."),
        )
    if not accepted:
        return pending(_("nothing uploaded yet"), causes=(_("DataKit uploads every 10 seconds."),))
    return passed(_("{n} points accepted").format(n=f"{accepted:.0f}"))
