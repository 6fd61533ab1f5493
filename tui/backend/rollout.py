"""Following a DaemonSet's rollout, node by node.

The DaemonSet is watched, where that is granted, else asked every few seconds; its pods tell what each node
does. A rollout whose new pods fail stops silently at maxUnavailable pods, so that is looked for and told.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from tui.backend.pods import (
    Reads,
    containers,
    failures,
    is_ready,
    listed,
    new_pods,
    node_of,
    node_states,
    reason_of,
    selector,
)
from tui.core.errors import (
    DeadlineError,
    ForbiddenError,
    NotFoundError,
    PartialError,
    StaleError,
    UnreachableError,
    WizardError,
)
from tui.core.ports import DAEMON_SET, Kind, Object, Rollout
from tui.core.redaction import strike_secrets
from tui.i18n import _

if TYPE_CHECKING:
    from tui.backend.watch import WatchStream

_POLL_S = 3.0
_WATCH_S = 60  # one watch request
_REFRESH_S = 300.0  # the whole object again, whatever the watch says
_AWAY_S = 60.0  # how long the API server may be gone while we wait
_LIST_SHARE = 10  # listing pods may take a tenth of the time
_FAILING_S = 30.0  # a container that fails for so long does not come up by itself
_RESTARTS = 3  # or that often
_NAMED = 5  # nodes in a message
_LOG_LINES = 5
_EVENT = Kind("v1", "Event", "events")


class Follows(Reads, Protocol):
    """What this module asks of a cluster."""

    def list(self, kind: Kind, namespace: str = "", *, fields: str = "") -> Sequence[Object]: ...

    def log(self, namespace: str, pod: str, container: str, *, lines: int, previous: bool = False) -> str: ...

    def watch(self, kind: Kind, namespace: str, name: str, resource_version: str, *, seconds: int) -> WatchStream: ...


def wait(
    cluster: Follows,
    namespace: str,
    name: str,
    generation: int,
    *,
    deadline_s: float,
    progress: Callable[[Rollout], None],
    cancelled: Callable[[], bool],
    failing_s: float = _FAILING_S,
    replaced: Mapping[str, str] | None = None,
) -> Rollout:
    """Follow the DaemonSet until `generation` is out and available on every node.

    With `replaced` (node -> name of the pod that was there) only until the controller has seen `generation` and each of
    these nodes runs another, ready pod of the current template, whatever the others do.
    `progress` gets each new state. Returns the last state, with `done` False where `cancelled` said so.
    Raises DeadlineError with what is waited for, PartialError where the new pods fail for `failing_s`
    seconds, where the strategy is OnDelete, or where no node is to run the DaemonSet.
    """
    end = time.monotonic() + deadline_s
    follower = _Follower(cluster, namespace, name)
    pods = _Pods(cluster, namespace, name, needed=bool(replaced))
    told: Rollout | None = None
    failing: dict[str, float] = {}
    moving: dict[str, float] = {}
    try:
        while True:
            daemonset = follower.daemonset()
            rollout = _look(daemonset, generation, pods, replaced)
            moving = _moving_since(moving, rollout.pods)
            rollout = _with_slowest(rollout, moving)
            if rollout != told:
                progress(rollout)
                told = rollout
            if rollout.done:
                return rollout
            if replaced is None:
                _refuse_endless(daemonset, generation, rollout)
            failing = _failing_since(failing, pods.found, daemonset)
            if replaced is not None:
                failing = {pod: since for pod, since in failing.items() if pods.node(pod) in replaced}
            _refuse_failing(failing, pods, failing_s)
            if cancelled():
                return rollout
            if time.monotonic() >= end:
                raise _too_late(namespace, name, rollout, pods.explained(rollout), deadline_s)
            follower.wait(min(0.5, max(end - time.monotonic(), 0.01)), cancelled)
    finally:
        follower.stop()


def judge(daemonset: Object, generation: int, pods: Mapping[str, str]) -> Rollout:
    """How far the rollout is by the DaemonSet's status (kubectl's rule:
    polymorphichelpers/rollout_status.go).

    The counts of an older generation say nothing about ours, and absent ones are zero.
    """
    status = daemonset.get("status") or {}
    desired = int(status.get("desiredNumberScheduled", 0))
    if int(status.get("observedGeneration", 0)) < generation:
        return Rollout(desired, 0, int(status.get("numberAvailable", 0)), False, dict(pods))
    updated, available = int(status.get("updatedNumberScheduled", 0)), int(status.get("numberAvailable", 0))
    return Rollout(desired, updated, available, 0 < desired == updated == available, dict(pods))


def judge_nodes(daemonset: Object, generation: int, pods: Sequence[Object], replaced: Mapping[str, str]) -> Rollout:
    """How far the nodes of `replaced` (node -> name of the pod that was there) have another, ready pod.

    A pod counts as new where it has the current template and another name, for names are not used again: one that was
    made before the controller saw `generation` would be of the old template.
    """
    seen = int((daemonset.get("status") or {}).get("observedGeneration", 0)) >= generation
    current = new_pods(pods, daemonset)
    states: dict[str, str] = {}
    updated = available = 0
    for node, old in sorted(replaced.items()):
        here = [pod for pod in pods if node_of(pod) == node]
        new = [
            pod
            for pod in here
            if pod["metadata"]["name"] != old
            and pod["metadata"]["name"] in current
            and not pod["metadata"].get("deletionTimestamp")
        ]
        updated += bool(new)
        available += bool(new) and is_ready(new[-1])
        if new:
            states[node] = _("ready") if is_ready(new[-1]) else reason_of(new[-1])
        else:
            states[node] = _("stopping") if here else _("no pod yet")
    return Rollout(len(replaced), updated, available, seen and len(replaced) == available, states)


def _look(daemonset: Object, generation: int, pods: _Pods, replaced: Mapping[str, str] | None) -> Rollout:
    """How far it is now; that it is done is believed only of pods that were listed after it was seen."""
    for fresh in (False, True):
        states = pods.look(daemonset, fresh=fresh)
        if replaced is None:
            rollout = judge(daemonset, generation, states)
        else:
            rollout = judge_nodes(daemonset, generation, pods.found, replaced)
        if not rollout.done:
            return rollout
    return rollout


def _moving_since(before: Mapping[str, float], pods: Mapping[str, str]) -> dict[str, float]:
    """Nodes whose pod is neither ready nor waits for its turn, each with the time when that was first seen."""
    resting = (_("ready"), _("waits for its turn"))
    return {node: before.get(node, time.monotonic()) for node, text in pods.items() if text not in resting}


def _with_slowest(rollout: Rollout, moving: Mapping[str, float]) -> Rollout:
    if not moving:
        return rollout
    node = min(moving, key=lambda name: (moving[name], name))
    return replace(rollout, slowest=node, slowest_s=time.monotonic() - moving[node])


class _Follower:
    """The DaemonSet as last seen; a daemon thread keeps it fresh by a watch or by asking."""

    def __init__(self, cluster: Follows, namespace: str, name: str) -> None:
        self._cluster, self._namespace, self._name = cluster, namespace, name
        self._object = cluster.get(DAEMON_SET, namespace, name)
        self._error: Exception | None = None
        self._changed = threading.Event()
        self._stopped = threading.Event()
        self._stream: WatchStream | None = None
        threading.Thread(target=self._run, name=f"rollout {namespace}/{name}", daemon=True).start()

    def daemonset(self) -> Object:
        """The newest object. Raises what ended the following."""
        if self._error:
            raise self._error
        return self._object

    def wait(self, seconds: float, cancelled: Callable[[], bool]) -> None:
        """Until the object changed, `seconds` passed or the person cancelled."""
        if not cancelled():
            self._changed.wait(seconds)
            self._changed.clear()

    def stop(self) -> None:
        self._stopped.set()
        if self._stream:
            self._stream.stop()

    def _run(self) -> None:
        watching, away_since = True, 0.0
        while not self._stopped.is_set():
            try:
                if watching:
                    with suppress(StaleError):  # the version is too old: get the object again
                        self._watch()
                else:
                    self._stopped.wait(_POLL_S)
                self._see(self._cluster.get(DAEMON_SET, self._namespace, self._name))
                away_since = 0.0
            except ForbiddenError as error:
                if not watching:
                    return self._fail(error)
                watching = False  # `watch` is a right of its own; without it we ask
            except UnreachableError as error:
                away_since = away_since or time.monotonic()
                if time.monotonic() - away_since > _AWAY_S:
                    return self._fail(error)
                self._stopped.wait(1)
            except Exception as error:  # noqa: BLE001 - it is raised in the thread that waits
                return self._fail(error)

    def _watch(self) -> None:
        """Follow the changes for some minutes; returns when the whole object should be read again."""
        version = self._object["metadata"]["resourceVersion"]
        until = time.monotonic() + _REFRESH_S
        while not self._stopped.is_set() and time.monotonic() < until:
            stream = self._cluster.watch(DAEMON_SET, self._namespace, self._name, version, seconds=_WATCH_S)
            self._stream = stream
            if self._stopped.is_set():
                stream.stop()
            started = time.monotonic()
            expired = False
            for kind, object in stream:
                if kind == "ERROR":
                    expired = True
                    break
                version = object["metadata"]["resourceVersion"]
                if kind == "DELETED":
                    raise NotFoundError(_("The DaemonSet was deleted."), object=f"{self._namespace}/{self._name}")
                if kind != "BOOKMARK":
                    self._see(object)
            if time.monotonic() - started < 1:  # a stream that ends at once: ask at a decent pace instead of spinning
                self._stopped.wait(_POLL_S)
                return
            if expired:
                return

    def _see(self, object: Object) -> None:
        if object != self._object:
            self._object = object
            self._changed.set()

    def _fail(self, error: Exception) -> None:
        self._error = error
        self._changed.set()


class _Pods:
    """The DaemonSet's pods, listed anew when it changed or time passed, the rarer the more they are.

    `needed`: without them it cannot be seen how far it is. Else the DaemonSet's counts will do where they may not be
    listed.
    """

    def __init__(self, cluster: Follows, namespace: str, name: str, *, needed: bool) -> None:
        self._cluster, self._namespace, self._name, self._needed = cluster, namespace, name, needed
        self._next = 0.0
        self._version = ""
        self._granted = True
        self._states: dict[str, str] = {}
        self.found: list[Object] = []

    def look(self, daemonset: Object, *, fresh: bool = False) -> Mapping[str, str]:
        """Per node what its pod does; empty where pods may not be listed."""
        version = daemonset["metadata"].get("resourceVersion", "")
        now = time.monotonic()
        due = fresh or now >= self._next + _POLL_S or (version != self._version and now >= self._next)
        if not self._granted or not due:
            return self._states
        try:
            found = listed(self._cluster, daemonset)
        except ForbiddenError:
            if self._needed:
                raise
            self._granted = False
            return self._states
        except UnreachableError:
            return self._states
        self._version = version
        took = time.monotonic() - now
        self._next = time.monotonic() + took * _LIST_SHARE
        uid = daemonset["metadata"].get("uid")
        self.found = [
            pod
            for pod in found
            if any(owner.get("uid") == uid for owner in pod["metadata"].get("ownerReferences") or [])
        ]
        self._states = node_states(self.found, daemonset)
        return self._states

    def node(self, name: str) -> str:
        """The node of the pod of this name."""
        return next((node_of(pod) for pod in self.found if pod["metadata"]["name"] == name), "")

    def explained(self, rollout: Rollout) -> list[str]:
        """ "node: reason" of the nodes that wait, the first few with the kubelet's last warning.

        A volume that cannot be mounted is told by events alone: the pod's status says ContainerCreating for ever.
        """
        waiting = [(node, text) for node, text in rollout.pods.items() if text != _("ready")]
        lines: list[str] = []
        for node, text in waiting:
            warning = self.last_warning(node) if len(lines) < _NAMED else ""
            lines.append(f"{node}: {text}" + (f" ({warning})" if warning else ""))
        return lines

    def last_words(self, pod: Object, container: str) -> list[str]:
        """The last lines of a failing container's log, of the run before where the new one has said nothing yet."""
        metadata = pod["metadata"]
        for previous in (True, False):
            try:
                text = self._cluster.log(
                    metadata["namespace"], metadata["name"], container, lines=_LOG_LINES, previous=previous
                )
            except WizardError:  # never started, or pods/log is not granted: the reason has to do
                continue
            if text.strip():
                return strike_secrets(text).strip().splitlines()[-_LOG_LINES:]
        return []

    def last_warning(self, node: str) -> str:
        """The kubelet's latest warning about the pod of a node that is not ready, "" for none."""
        for pod in self.found:
            if node_of(pod) != node or is_ready(pod):
                continue
            about = f"involvedObject.name={pod['metadata']['name']},type=Warning"
            try:
                events = self._cluster.list(_EVENT, self._namespace, fields=about)
            except WizardError:  # an explanation more, not worth failing for
                return ""
            latest = max(events, key=lambda event: event.get("lastTimestamp") or "", default={})
            return str(latest.get("message") or "")[:200]
        return ""


def _failing_since(before: Mapping[str, float], pods: list[Object], daemonset: Object) -> dict[str, float]:
    """Pod names of the new template that fail now, each with the time when that was first seen."""
    new = new_pods(pods, daemonset)
    names = [pod["metadata"]["name"] for pod in pods if failures(pod)]
    return {name: before.get(name, time.monotonic()) for name in names if name in new}


def _refuse_failing(failing: Mapping[str, float], pods: _Pods, failing_s: float) -> None:
    for pod in pods.found:
        since = failing.get(pod["metadata"]["name"])
        if since is None or (time.monotonic() - since < failing_s and failures(pod) <= _RESTARTS):
            continue
        metadata = pod["metadata"]
        container = next((each["name"] for each in containers(pod) if not each.get("ready")), "")
        told = [reason_of(pod), pods.last_warning(node_of(pod)), *pods.last_words(pod, container)]
        raise PartialError(
            _("The new DataKit pod on node {node} does not start, so the rollout stopped.").format(node=node_of(pod)),
            object=f"pod {metadata['namespace']}/{metadata['name']}",
            why="\n".join(part for part in told if part),
            remedy=_("Look at its log; undo goes back to the template that ran before."),
            command=f"kubectl -n {metadata['namespace']} logs {metadata['name']} -c {container} --previous",
        )


def _refuse_endless(daemonset: Object, generation: int, rollout: Rollout) -> None:
    """Two rollouts that kubectl would wait for without end, or call a success."""
    metadata = daemonset["metadata"]
    object = f"DaemonSet {metadata['namespace']}/{metadata['name']}"
    if int((daemonset.get("status") or {}).get("observedGeneration", 0)) < generation:
        return
    if rollout.desired == 0:
        raise PartialError(
            _("No node is to run DataKit: the DaemonSet's nodeSelector and tolerations leave none."),
            object=object,
            remedy=_("Widen them, or look for another DaemonSet."),
            command=f"kubectl -n {metadata['namespace']} get daemonset {metadata['name']} -o wide",
        )
    strategy = (daemonset["spec"].get("updateStrategy") or {}).get("type")
    labels = selector(daemonset["spec"]["selector"])
    if strategy == "OnDelete" and rollout.updated < rollout.desired:
        raise PartialError(
            _("The update strategy is OnDelete: a pod gets the new template when somebody deletes it."),
            object=object,
            remedy=_("Delete the pods one by one."),
            command=f"kubectl -n {metadata['namespace']} delete pod -l '{labels}'",
        )


def _too_late(namespace: str, name: str, rollout: Rollout, waiting: list[str], deadline_s: float) -> DeadlineError:
    more = len(waiting) - _NAMED
    lines = waiting[:_NAMED] + ([_("and {n} more").format(n=more)] if more > 0 else [])
    return DeadlineError(
        _("The rollout is not done after {seconds:.0f} s: {updated} of {desired} nodes have the new pod.").format(
            seconds=deadline_s, updated=rollout.updated, desired=rollout.desired
        ),
        object=f"DaemonSet {namespace}/{name}",
        why="\n".join(lines),
        remedy=_("It goes on in the cluster; look again later."),
        command=f"kubectl -n {namespace} rollout status daemonset/{name}",
    )
