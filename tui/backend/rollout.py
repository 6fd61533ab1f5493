"""Following a DaemonSet's rollout, node by node.

The DaemonSet is watched, where that is granted, else asked every few seconds; its pods tell what each node
does. A rollout whose new pods fail stops silently at maxUnavailable pods, so that is looked for and told.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tui.core.errors import (
    DeadlineError,
    ForbiddenError,
    NotFoundError,
    PartialError,
    StaleError,
    UnreachableError,
    WizardError,
)
from tui.core.ports import DAEMON_SET, POD, Object, Rollout
from tui.i18n import _, ngettext

if TYPE_CHECKING:
    from tui.backend.cluster import KubernetesCluster, WatchStream

_POLL_S = 3.0
_WATCH_S = 60  # one watch request
_REFRESH_S = 300.0  # the whole object again, whatever the watch says
_AWAY_S = 60.0  # how long the API server may be gone while we wait
_LIST_SHARE = 10  # listing pods may take a tenth of the time
_FAILING_S = 30.0  # a container that fails for so long does not come up by itself
_RESTARTS = 3  # or that often
_NAMED = 5  # nodes in a message
_TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"
# The kubelet's reasons that do not pass by themselves (pkg/kubelet, 1.36).
_FAILURES = frozenset(
    {
        "CrashLoopBackOff",
        "CreateContainerConfigError",
        "CreateContainerError",
        "ErrImageNeverPull",
        "ErrImagePull",
        "ImageInspectError",
        "ImagePullBackOff",
        "InvalidImageName",
        "RunContainerError",
    }
)


def wait(
    cluster: KubernetesCluster,
    namespace: str,
    name: str,
    generation: int,
    *,
    deadline_s: float,
    progress: Callable[[Rollout], None],
    cancelled: Callable[[], bool],
    failing_s: float = _FAILING_S,
) -> Rollout:
    """Follow the DaemonSet until `generation` is out and available on every node.

    `progress` gets each new state. Returns the last state, with `done` False where `cancelled` said so.
    Raises DeadlineError with what is waited for, PartialError where the new pods fail for `failing_s`
    seconds, where the strategy is OnDelete, or where no node is to run the DaemonSet.
    """
    end = time.monotonic() + deadline_s
    follower = _Follower(cluster, namespace, name)
    pods = _Pods(cluster, namespace, name)
    told: Rollout | None = None
    failing: dict[str, float] = {}
    try:
        while True:
            daemonset = follower.daemonset()
            rollout = judge(daemonset, generation, pods.look(daemonset))
            if rollout != told:
                progress(rollout)
                told = rollout
            if rollout.done:
                return rollout
            _refuse_endless(daemonset, generation, rollout)
            failing = _failing_since(failing, pods.found, daemonset)
            _refuse_failing(failing, pods.found, daemonset, failing_s)
            if cancelled():
                return rollout
            if time.monotonic() >= end:
                raise _too_late(namespace, name, rollout, deadline_s)
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


class _Follower:
    """The DaemonSet as last seen; a daemon thread keeps it fresh by a watch or by asking."""

    def __init__(self, cluster: KubernetesCluster, namespace: str, name: str) -> None:
        self._cluster, self._namespace, self._name = cluster, namespace, name
        self._object = cluster.get(DAEMON_SET, namespace, name)
        self._error: WizardError | None = None
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
                    self._watch()
                else:
                    self._stopped.wait(_POLL_S)
                self._see(self._cluster.get(DAEMON_SET, self._namespace, self._name))
                away_since = 0.0
            except ForbiddenError as error:
                if not watching:
                    return self._fail(error)
                watching = False  # `watch` is a right of its own; without it we ask
            except StaleError:
                continue
            except UnreachableError as error:
                away_since = away_since or time.monotonic()
                if time.monotonic() - away_since > _AWAY_S:
                    return self._fail(error)
                self._stopped.wait(1)
            except WizardError as error:
                return self._fail(error)

    def _watch(self) -> None:
        version = self._object["metadata"]["resourceVersion"]
        until = time.monotonic() + _REFRESH_S
        while not self._stopped.is_set() and time.monotonic() < until:
            stream = self._cluster.watch(DAEMON_SET, self._namespace, self._name, version, seconds=_WATCH_S)
            self._stream = stream
            if self._stopped.is_set():
                stream.stop()
            started = time.monotonic()
            for kind, object in stream:
                if kind == "ERROR":  # 410: the version is too old; get the object again
                    return
                version = object["metadata"]["resourceVersion"]
                if kind == "DELETED":
                    raise NotFoundError(
                        _("The DaemonSet was deleted."), object=f"{self._namespace}/{self._name}"
                    )
                if kind != "BOOKMARK":
                    self._see(object)
            if time.monotonic() - started < 1:  # a stream that ends at once: ask instead of spinning
                self._stopped.wait(_POLL_S)
                return

    def _see(self, object: Object) -> None:
        if object != self._object:
            self._object = object
            self._changed.set()

    def _fail(self, error: WizardError) -> None:
        self._error = error
        self._changed.set()


class _Pods:
    """The DaemonSet's pods, listed anew when it changed or time passed, the rarer the more they are."""

    def __init__(self, cluster: KubernetesCluster, namespace: str, name: str) -> None:
        self._cluster, self._namespace, self._name = cluster, namespace, name
        self._next = 0.0
        self._version = ""
        self._granted = True
        self._states: dict[str, str] = {}
        self.found: list[Object] = []

    def look(self, daemonset: Object) -> Mapping[str, str]:
        """Per node what its pod does; empty where pods may not be listed."""
        version = daemonset["metadata"].get("resourceVersion", "")
        now = time.monotonic()
        due = now >= self._next + _POLL_S or (version != self._version and now >= self._next)
        if not self._granted or not due:
            return self._states
        try:
            listed = self._cluster.list(POD, self._namespace, labels=selector(daemonset["spec"]["selector"]))
        except ForbiddenError:
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
            for pod in listed
            if any(owner.get("uid") == uid for owner in pod["metadata"].get("ownerReferences") or [])
        ]
        self._states = node_states(self.found, daemonset)
        return self._states


def selector(label_selector: Object) -> str:
    """A LabelSelector as the query parameter writes it."""
    parts = [f"{key}={value}" for key, value in (label_selector.get("matchLabels") or {}).items()]
    for term in label_selector.get("matchExpressions") or []:
        key, values = term["key"], ",".join(term.get("values") or [])
        forms = {"In": f"{key} in ({values})", "NotIn": f"{key} notin ({values})"}
        parts.append(forms.get(term["operator"], key if term["operator"] == "Exists" else f"!{key}"))
    return ",".join(parts)


def node_states(pods: list[Object], daemonset: Object) -> dict[str, str]:
    """Per node what its pod of the new template does, or else its old one, in words."""
    states: dict[str, tuple[int, str]] = {}
    for pod in pods:
        node = pod.get("spec", {}).get("nodeName") or _assigned(pod)
        deleted = bool(pod["metadata"].get("deletionTimestamp"))
        new = _is_new(pod, pods, daemonset)
        if new and not deleted:
            rank, text = 2, _("ready") if _ready(pod) else _reason(pod)
        else:
            rank, text = (0, _("stopping")) if deleted else (1, _("waits for its turn"))
        if node not in states or rank > states[node][0]:
            states[node] = (rank, text)
    return {node: text for node, (_rank, text) in sorted(states.items())}


def _is_new(pod: Object, pods: list[Object], daemonset: Object) -> bool:
    """Whether the pod has the current template, as the DaemonSet controller judges it (1.36: IsPodUpdated).

    It compares the template generation or the hash; the hash is learnt from a pod of this generation.
    """
    generation = (daemonset["metadata"].get("annotations") or {}).get(_TEMPLATE_GENERATION)

    def labels(pod: Object) -> Mapping[str, str]:
        return pod["metadata"].get("labels") or {}

    hashes = {
        labels(each).get("controller-revision-hash")
        for each in pods
        if labels(each).get("pod-template-generation") == generation
    }
    return labels(pod).get("pod-template-generation") == generation or (
        labels(pod).get("controller-revision-hash") in hashes - {None}
    )


def _assigned(pod: Object) -> str:
    """The node that a pending DaemonSet pod is meant for: the controller writes it as node affinity."""
    with suppress(KeyError, IndexError, TypeError):
        required = pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
        return str(required["nodeSelectorTerms"][0]["matchFields"][0]["values"][0])
    return str(pod["metadata"]["name"])


def _ready(pod: Object) -> bool:
    conditions = pod.get("status", {}).get("conditions") or []
    return any(each.get("type") == "Ready" and each.get("status") == "True" for each in conditions)


def _containers(pod: Object) -> list[dict[str, Any]]:
    status = pod.get("status") or {}
    return [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]


def _reason(pod: Object) -> str:
    """Why a pod is not ready: a container's waiting or last exit, else the scheduler's word, else its
    phase.
    """
    for container in _containers(pod):
        state, last = container.get("state") or {}, (container.get("lastState") or {}).get("terminated") or {}
        waiting = state.get("waiting")
        ended = state.get("terminated") or last
        restarts = int(container.get("restartCount", 0))
        if waiting and waiting.get("reason") not in (None, "ContainerCreating", "PodInitializing"):
            text = str(waiting["reason"])
        elif ended.get("exitCode"):
            text = str(ended.get("reason") or "Error")
        else:
            continue
        if ended.get("exitCode"):
            text += _(", exit status {code}").format(code=ended["exitCode"])
        if restarts:
            text += ", " + ngettext("{n} restart", "{n} restarts", restarts).format(n=restarts)
        message = str((waiting or {}).get("message") or ended.get("message") or "").strip().partition("\n")[0]
        return f"{text}: {message}"[:200] if message else text
    for condition in (pod.get("status") or {}).get("conditions") or []:
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return f"{condition.get('reason', 'Unschedulable')}: {condition.get('message', '')}"[:200]
    for container in _containers(pod):
        if waiting := (container.get("state") or {}).get("waiting"):
            return str(waiting.get("reason") or "Waiting")
    if any((container.get("state") or {}).get("running") for container in _containers(pod)):
        return _("started, not ready yet")
    return str((pod.get("status") or {}).get("phase") or "Pending")


def _fails(pod: Object) -> int:
    """0 where nothing fails, else 1 plus the restarts. A crash loop alternates waiting and terminated."""
    if _ready(pod) or pod["metadata"].get("deletionTimestamp"):
        return 0
    for container in _containers(pod):
        state, last = container.get("state") or {}, (container.get("lastState") or {}).get("terminated") or {}
        reason = (state.get("waiting") or {}).get("reason")
        exited = (state.get("terminated") or last).get("exitCode")
        if reason in _FAILURES or exited:
            return 1 + int(container.get("restartCount", 0))
    return 0


def _failing_since(before: Mapping[str, float], pods: list[Object], daemonset: Object) -> dict[str, float]:
    """Pod names of the new template that fail now, each with the time when that was first seen."""
    names = [pod["metadata"]["name"] for pod in pods if _fails(pod) and _is_new(pod, pods, daemonset)]
    return {name: before.get(name, time.monotonic()) for name in names}


def _refuse_failing(
    failing: Mapping[str, float], pods: list[Object], daemonset: Object, failing_s: float
) -> None:
    for pod in pods:
        since = failing.get(pod["metadata"]["name"])
        if since is None or (time.monotonic() - since < failing_s and _fails(pod) <= _RESTARTS):
            continue
        metadata, spec = pod["metadata"], pod.get("spec") or {}
        container = next((each["name"] for each in _containers(pod) if not each.get("ready")), "")
        raise PartialError(
            _("The new DataKit pod on node {node} does not start, so the rollout stopped.").format(
                node=spec.get("nodeName") or _assigned(pod)
            ),
            object=f"pod {metadata['namespace']}/{metadata['name']}",
            why=_reason(pod),
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


def _too_late(namespace: str, name: str, rollout: Rollout, deadline_s: float) -> DeadlineError:
    waiting = [f"{node}: {text}" for node, text in rollout.pods.items() if text != _("ready")]
    more = len(waiting) - _NAMED
    lines = waiting[:_NAMED] + ([_("and {n} more").format(n=more)] if more > 0 else [])
    return DeadlineError(
        _(
            "The rollout is not done after {seconds:.0f} s: {updated} of {desired} nodes have the new pod."
        ).format(seconds=deadline_s, updated=rollout.updated, desired=rollout.desired),
        object=f"DaemonSet {namespace}/{name}",
        why="\n".join(lines),
        remedy=_("It goes on in the cluster; look again later."),
        command=f"kubectl -n {namespace} rollout status daemonset/{name}",
    )
