"""The ladder of each part of the mesh (istiod, gateways, sidecars): the same rungs for all, each about one part.

What this tool set up is required to arrive. What somebody else set up is looked at all the same, and only warned of.
"""

from __future__ import annotations

from tui.core import views
from tui.core.checks.cluster import names, no_exec
from tui.core.checks.facts import Facts
from tui.core.checks.finding import Finding, failed, not_needed, passed, pending
from tui.core.checks.inputs import INPUT, enabled
from tui.core.checks.mesh_facts import ANY, PARTS, MeshFacts, PartFacts, feeds
from tui.core.checks.mesh_traffic import request
from tui.core.durations import exact
from tui.core.errors import WizardError
from tui.core.istio_conf import MEASUREMENT, conf_key
from tui.core.istio_cost import VIEWS
from tui.core.parallel import each
from tui.core.prom.settings import PromInput
from tui.core.survey import AgentPod
from tui.i18n import _, language, ngettext

_NAMED = 4


def found(_facts: Facts, part: PartFacts) -> Finding:
    """What there is of this part."""
    mesh, targets = part.whole.mesh, part.targets
    ready = sum(one.ready for one in targets)
    text = {
        "istiod": _("Istio {version}, {ready} of {pods} pods ready"),
        "gateways": _("{n} gateways, {ready} of {pods} pods ready"),
        "sidecars": _("{n} workloads, {ready} of {pods} sidecars ready"),
    }[part.part.key].format(
        version=mesh.version or "?",
        n=len(targets),
        ready=ready,
        pods=sum(len(one.proxies) for one in targets),
    )
    if mesh.notes and part.part is PARTS[0]:  # told once
        return failed(text, causes=mesh.notes, remedy=_("`datakit-wizard rbac` prints the rights that looking needs."))
    return passed(text, object=names([one.key for one in targets]))


def readable(_facts: Facts, part: PartFacts) -> Finding:
    """No annotation or conf is one that DataKit ignores without a word."""
    broken = [one for one in part.targets if one.annotation and one.annotation.problem]
    said = [f"{one.title}: {one.annotation.problem}" for one in broken if one.annotation]
    where = [one.key for one in broken]
    keys = {conf_key(one) for one in part.targets} if part.part.key != "sidecars" else set()
    for conf in part.whole.confs:
        loaded = part.whole.facts.load(conf.text) if conf.text else None
        if conf.key in keys and (loaded is None or not loaded.inputs):
            problem = loaded.error if loaded else _("the key is missing, but mounted")
            said.append(f"ConfigMap {part.whole.datakit.namespace}/{conf.config_map}, {conf.key}: {problem}")
            where.append(conf.key)
    if not said:
        return passed(_("DataKit reads all that is written for it"))
    return failed(
        _("DataKit ignores what is written on {names}").format(names=names(where)),
        causes=tuple(said),
        object=said[0].partition(": ")[0],
        remedy=_("Name them in [istio] workloads and replace: a sound one takes their place."),
        command=apply(part.whole.facts, edited=True),
    )


def declared(_facts: Facts, part: PartFacts) -> Finding:
    """Something is to collect this part: an annotation, or a conf."""
    there = [one for one in part.targets if one.collected]
    lacking = [one for one in part.targets if not one.collected]
    remedy = _("Name it in [istio] workloads, or pick it in the step Istio.")
    if not there:
        broken = [one.key for one in part.targets if one.annotation and one.annotation.problem]
        causes = {
            "istiod": (_("The tutorial's first two parts set up neither istiod nor gateways."),),
            "gateways": (_("The tutorial's first two parts set up neither istiod nor gateways."),),
            "sidecars": (_("No pod has an annotation {name}.").format(name="datakit/prom.instances"),),
        }[part.part.key]
        if broken:
            causes = (_("DataKit ignores what is written on {names}").format(names=names(broken)),)
        return failed(
            _("nothing collects {names}").format(names=names([one.key for one in lacking])),
            looked_at=_("annotations, mounted confs, discovery"),
            object=lacking[0].title,
            causes=causes,
            remedy=remedy,
            command=apply(part.whole.facts),
        )
    count = _("{n} of {all} are collected").format(n=len(there), all=len(part.targets))
    if not lacking:
        return passed(count)
    left = count + "; " + _("not: {names}").format(names=names([one.key for one in lacking]))
    if part.part.key == "istiod":
        causes = (_("The view Istio Control Plane has no other source."),)
        return failed(left, object=lacking[0].title, causes=causes, remedy=remedy, command=apply(part.whole.facts))
    return passed(left)  # which gateways and workloads are worth their series is for people to say


def twice(_facts: Facts, part: PartFacts) -> Finding:
    """Nothing is collected twice: that doubles every rate."""
    doubled = [one for one in part.targets if len({c.where for c in one.collected}) > 1]
    if not doubled:
        return passed(_("each target has one collector at most"))
    return failed(
        _("collected more than once: {names}").format(names=names([one.key for one in doubled])),
        causes=tuple(f"{one.title}: {', '.join(c.where for c in one.collected)}" for one in doubled),
        object=doubled[0].title,
        remedy=_("Keep one of them."),
    )


def picked_up(facts: Facts, part: PartFacts) -> Finding:
    """DataKit has taken it up: a conf is loaded in the pods, an annotation is due every five minutes."""
    paths = sorted({one.path for one in part.sources if one.path})
    if paths and not part.whole.may_exec:
        return no_exec(facts)
    pods = facts.asked_pods if paths else []
    bad = []
    for pod, answer in zip(pods, each(pods, facts.inputs_of), strict=True):
        if isinstance(answer, WizardError):
            bad.append(f"{pod.name}: {answer.what}")
            continue
        bad += [f"{pod.name}: {path}" for path in paths if answer.loaded.get(path) != 1]
    if bad:
        return pending(
            _("not loaded in {pods}").format(pods=names(bad)),
            object=paths[0],
            causes=(*bad[:_NAMED], _("A subPath mount never follows a change of its ConfigMap.")),
            remedy=_("Restart the DataKit pods."),
            command=(
                f"kubectl --context {facts.cluster.context} -n {facts.datakit.namespace} "
                f"rollout restart daemonset/{facts.datakit.name}"
            ),
        )
    annotated = [one for one in part.sources if one.by == "annotation"]
    if annotated and not enabled(facts):
        return failed(
            _("DataKit's input {name} is off: it reads the annotations").format(name=INPUT),
            object=f"DaemonSet {facts.datakit.namespace}/{facts.datakit.name}",
            causes=(_("container/enabled tells more."),),
            remedy=_("Add {name} to {env} of the DaemonSet.").format(name=INPUT, env="ENV_DEFAULT_ENABLED_INPUTS"),
        )
    due = part.due_s()
    if annotated and due > 0 and _silent(part):
        return pending(
            _("DataKit takes annotations up every 5 minutes: at the latest in {time}").format(time=exact(round(due))),
            object=annotated[0].target.title,
            causes=(_("It reads them when it lists objects, and begins an interval later."),),
            due_s=due,
        )
    return passed(_("taken up"))


def answers(facts: Facts, part: PartFacts) -> Finding:
    """The targets answer DataKit's nodes with metrics."""
    made = part.scrapes
    if made is None:
        return no_exec(facts)
    if not made:
        return pending(
            _("no pod is ready on a node with DataKit"),
            object=part.sources[0].target.title,
            remedy=_("Look at the pods that are not ready, and at their events."),
        )
    bad = []
    for target, proxy, scrape in made:
        where = f"{target.title}: {part.part.url(proxy.ip)}: "
        if scrape.body is None:
            bad.append(where + scrape.error)
        elif scrape.status != 200:
            bad.append(where + f"HTTP {scrape.status}")
        elif not scrape.body.strip():
            bad.append(where + _("the answer is empty"))
    if bad:
        return pending(
            _("no metrics from {urls}").format(urls=names(bad)),
            causes=tuple(bad),
            object=bad[0].partition(":")[0],
            remedy=_("Look whether the port is open to the node: a NetworkPolicy, or prometheus merge switched off."),
        )
    count = ngettext("{n} address answers", "{n} addresses answer", len(made)).format(n=len(made))
    return passed(count + part.in_words)


def kept(_facts: Facts, part: PartFacts) -> Finding:
    """The filters keep something that the four views know."""
    count = sum(len(found) for found in part.promised.values())
    panels = len(part.all_panels)
    text = _("{fields} fields, {panels} panels of the four views").format(fields=count, panels=panels)
    if count and panels:
        return passed(text)
    return failed(
        _("the filters drop everything") if not count else text,
        looked_at=_("the bundled scrape of Istio 1.13"),
        object=part.sources[0].target.title,
        causes=(_("The views' fields have other names than this gives them."),) if count else (),
        remedy=preset(),
        command=apply(part.whole.facts, edited=not part.ours),
    )


def histograms(_facts: Facts, part: PartFacts) -> Finding:
    """Histograms pass the filter: without them every panel of latencies and sizes is empty."""
    could = _buckets(part, PromInput(measurement_name=MEASUREMENT, urls=(ANY,)))
    kept_of: dict[str, set[str]] = {}
    for one in part.sources:
        buckets = (_buckets(part, settings) for settings in one.settings)
        kept_of.setdefault(one.target.title, set()).update(*buckets)
    without = [one for one in part.targets if not kept_of.get(one.title, could)]
    if not without:
        every = set().union(*kept_of.values())
        return passed(_("{n} of {all} histograms pass").format(n=len(every & could), all=len(could)))
    lacking = [
        views.translation(panel.title, language())
        for key in VIEWS
        for panel in views.view(key).panels
        if panel.histogram and feeds(part.part, panel)
    ]
    return failed(
        _("no histogram is kept of {names}").format(names=names([one.key for one in without])),
        object=without[0].title,
        causes=(
            _("metric_types has no histogram, or metric_name_filter names _bucket, which is no family's name."),
            _("Empty, for want of histograms: {panels}").format(panels=names(lacking)),
        ),
        remedy=preset(),
        command=apply(part.whole.facts, edited=not part.ours),
    )


def _buckets(part: PartFacts, settings: PromInput) -> set[str]:
    """The fields that hold buckets, of the bundled sample."""
    return {name for found in part.of_sample(settings).values() for name in found if name.endswith("_bucket")}


def traffic(facts: Facts, part: PartFacts) -> Finding:
    """Requests pass: without any there is nothing to see, however well it is collected."""
    at_hand = part.at_hand
    if at_hand is None:
        return not_needed(_("none could be scraped from DataKit's pods"))
    if "istio_requests_total" not in set().union(*part.promised.values()):
        return not_needed(_("requests are not among what is collected"))
    if "istio_requests_total" in set().union(*at_hand.values()):
        return passed(_("requests have passed"))
    return failed(
        _("no traffic yet: no gateway has seen a request")
        if part.part.key == "gateways"
        else _("no traffic yet: no sidecar has seen a request"),
        causes=(_("It is collected, but there is nothing to show: Envoy counts requests once one has passed."),),
        object=part.sources[0].target.title,
        remedy=_("Send a request to a service of the mesh."),
        command=request(part.whole.mesh, facts.cluster.context, gateway=part.part.key == "gateways"),
    )


def fed(facts: Facts, part: PartFacts) -> Finding:
    """DataKit's agents hand its points on."""
    if not part.whole.may_exec:
        return no_exec(facts)
    silent = _silent(part)
    if silent:
        due = part.due_s()
        return pending(
            _("no points of {names}").format(names=names(silent)),
            causes=(
                _("Points that are all dropped, a scrape that fails, and one that has not begun look alike here."),
            ),
            object=silent[0],
            remedy=_("Look at DataKit's log inside the container."),
            due_s=due,
        )
    return passed(_("all that is collected") + part.in_words)


def _silent(part: PartFacts) -> list[str]:
    """The targets of which no agent has fed anything since it started; all, where agents may not be asked.

    An annotation is served by the agent on the pod's node, a conf by the elected one or by any. Discovery feeds under
    names that tell nothing of the target. In a large mesh a sample is asked.
    """
    whole = part.whole
    if not whole.may_exec:
        return [one.target.title for one in part.sources if one.by == "annotation"]
    silent = []
    for one in part.sources:
        fed_as = {found.feed_name for found in one.inputs()}
        if one.by == "annotation":
            agents = whole.agents_of(one.target, part.sampled)
        elif one.by == "conf":
            agents = whole.elected
        else:
            continue
        if agents and not _some(whole, agents, fed_as, every=one.by == "annotation"):
            silent.append(one.target.title)
    return list(dict.fromkeys(silent))


def _some(whole: MeshFacts, agents: list[AgentPod], fed_as: set[str], *, every: bool) -> bool:
    """Whether one of these agents has fed something under one of these names, or every one."""
    answers_ = each(agents, whole.feeds)
    told = [
        not isinstance(one, WizardError) and any(feed.points for name, feed in one.items() if name in fed_as)
        for one in answers_
    ]
    return all(told) if every else any(told)


def preset() -> str:
    """What to do where a filter is the trouble."""
    told = _("Use a preset of [istio]: {names}. What others wrote is replaced where [istio] replace names it.")
    return told.format(names="lean, full")


def apply(facts: Facts, *, edited: bool = False) -> str:
    """The commands that set the mesh up as this tool proposes; `edited` where what others wrote is to be replaced."""
    by_hand = "${EDITOR:-vi} answers.toml && " if edited else ""
    return (
        f"datakit-wizard answers --context {facts.cluster.context} > answers.toml && {by_hand}"
        "datakit-wizard apply -f answers.toml --no-views"
    )
