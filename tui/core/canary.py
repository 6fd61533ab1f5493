"""DataKit pods that we restart ourselves, one by one, and the look whether the first one's series arrive."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from itertools import chain

from tui.core.checks.arrivals import newest_ms
from tui.core.checks.facts import Facts
from tui.core.errors import CancelledError, NotFoundError, StaleError, WizardError
from tui.core.ports import POD, Cluster, Object, Series
from tui.core.receipts import UNDONE, WRITTEN, PodStep
from tui.core.survey import list_agent_pods
from tui.core.writes import ROLLOUT_SECONDS_PER_POD, Cancelled, Event, Journal, OnEvent, progress, read_surely, stop_if
from tui.i18n import _


@dataclass(frozen=True)
class Sight:
    """What was seen of the first node: whether its series arrive, and in words how that is known or why it is not."""

    node: str
    arrived: bool
    text: str


Look = Callable[[str], Sight]
GoOn = Callable[[Sight], bool]


def unproven(node: str) -> Sight:
    """Nothing can be seen from here: neither agents nor a studio may be asked."""
    return Sight(node, False, _("whether its series arrive could not be looked at"))


def never(_sight: Sight) -> bool:
    """Whatever is seen, the others wait for the word."""
    return False


def always(_sight: Sight) -> bool:
    """The word was given already."""
    return True


def when_arrived(sight: Sight) -> bool:
    """Go on where the series were seen, and only there."""
    return sight.arrived


def pods_there(cluster: Cluster, daemon_set: Object, nodes: Collection[str]) -> dict[str, tuple[str, str]]:
    """Name and uid of the DaemonSet's pod on each of these nodes; those that are going away are left out.

    Raises ForbiddenError where they may not be listed: that is not the same as that none is there.
    """
    found = {}
    for pod in list_agent_pods(cluster, daemon_set):
        if pod.node in nodes:
            whole = read_surely(cluster, POD, daemon_set["metadata"]["namespace"], pod.name)
            if whole is not None:
                found[pod.node] = (pod.name, str(whole["metadata"]["uid"]))
    return found


def restart(
    cluster: Cluster,
    daemon_set: Object,
    pod: PodStep,
    journal: Journal,
    on_event: OnEvent,
    cancelled: Cancelled,
    *,
    done: str = WRITTEN,
) -> None:
    """Delete one pod and wait until its node runs another, ready one; `done` is journalled then (WRITTEN or UNDONE).

    The pod is held to its uid, so what was restarted before, by us or by anybody, is not restarted twice. Raises what
    `Cluster.wait_rollout` does, and CancelledError.
    """
    assert done in (WRITTEN, UNDONE)
    metadata = daemon_set["metadata"]
    namespace, name = metadata["namespace"], metadata["name"]
    title = _("pod {pod} on {node}").format(pod=pod.name, node=pod.node)

    def wait(replaced: dict[str, str]) -> bool:
        state = cluster.wait_rollout(
            namespace,
            name,
            metadata["generation"],
            deadline_s=max(60.0, ROLLOUT_SECONDS_PER_POD * 2 / cluster.time_scale),
            progress=lambda state: on_event(Event(title, progress(state), state)) if replaced else None,
            cancelled=cancelled,
            replaced=replaced,
        )
        return state.done

    stop_if(cancelled)
    # A pod made before the controller knows the new template would get the old one.
    seen = wait({})
    if seen and pod.uid:
        try:
            cluster.delete(POD, namespace, pod.name, uid=pod.uid)
            on_event(Event(title, _("deleted, so that a new one comes")))
        except (NotFoundError, StaleError):
            if _is_there(cluster, namespace, pod):
                raise  # else it would be waited for a pod that nobody makes
            on_event(Event(title, _("is gone already")))
    if not seen or not wait({pod.node: pod.name}):
        raise CancelledError(
            _("Stopped while a pod restarts; it comes up without us."),
            object=title,
            remedy=_("Run it again: what is done stays done."),
        )
    journal.pod(replace(pod, state=done))
    on_event(Event(title, _("the new pod is ready")))


def _is_there(cluster: Cluster, namespace: str, pod: PodStep) -> bool:
    """Whether this very pod still runs, whatever the answer to its deletion was."""
    try:
        metadata = cluster.get(POD, namespace, pod.name)["metadata"]
    except NotFoundError:
        return False
    return metadata["uid"] == pod.uid and not metadata.get("deletionTimestamp")


def wait_series(
    facts: Facts,
    node: str,
    *,
    cancelled: Cancelled,
    pause: Callable[[float], None] = time.sleep,
) -> Sight:
    """Look whether the DataKit on `node` collects etcd by the new conf, for three collections and an upload.

    Seen in the agent's own counts, which begin at zero with its pod, and in the studio where one is connected. Under
    election only the leader collects: then that the conf is loaded is all there is to see, and it does not count.
    """
    since = facts.now()
    sight = unproven(node)
    wait_s = 0.0
    while True:
        facts.forget()
        try:
            wait_s = wait_s or max(10.0, 3 * facts.interval_s + 30 / facts.cluster.time_scale)
            sight = _look(facts, node, since)
        except WizardError as error:
            sight = Sight(node, False, error.what)
        if sight.arrived or cancelled() or facts.now() - since >= (wait_s or 10.0) or facts.electing:
            return sight
        pause(min(max(facts.interval_s / 4, 0.1), 3.0))


def _look(facts: Facts, node: str, since: float) -> Sight:
    pod = next((pod for pod in facts.ready_pods if pod.node == node), None)
    if pod is None:
        return Sight(node, False, _("its DataKit is not ready"))
    told: list[str] = []
    arrived = False
    if facts.may_exec:
        agent = facts.agent(pod)
        conf = facts.etcd_conf
        if conf is None or agent.inputs().loaded.get(conf.path) != 1:
            return Sight(node, False, _("its DataKit has not loaded the conf"))
        if facts.electing:
            return Sight(node, False, _("its DataKit loaded the conf; under election only the leader collects"))
        feeds = agent.feeds()
        fed = [feeds[name] for name in {found.feed_name for found in facts.etcd_inputs(node)} if name in feeds]
        points = sum(feed.points for feed in fed)
        told.append(_("its DataKit collected {n:.0f} points of etcd").format(n=points))
        arrived = points > 0  # `up` is fed under a name of its own
    if facts.studio is not None and (arrived or not facts.may_exec):
        answers = facts.newest_points(facts.probes[:1])
        arrived = any(newest_ms(each) >= since * 1000 and _is_of(each, node) for each in chain.from_iterable(answers))
        told.append(_("they are in the studio") if arrived else _("they are not in the studio yet"))
    if not told:
        return unproven(node)
    text = told[0] if len(told) == 1 else _("{first}; {second}").format(first=told[0], second=told[1])
    return Sight(node, arrived, text)


def _is_of(series: Series, node: str) -> bool:
    return series.tags.get("host") == node or series.tags.get("instance", "").startswith(f"{node}:")
