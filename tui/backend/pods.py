"""What the pods of a DaemonSet do, read from their status: per node, in words."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Protocol

from tui.core.errors import ForbiddenError, NotFoundError
from tui.core.ports import POD, Kind, Object, Row
from tui.core.survey import is_pod_of
from tui.i18n import _, ngettext

_TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"
_GENERATION, _HASH = "pod-template-generation", "controller-revision-hash"
_WHOLE = 20  # maxUnavailable is one on most clusters; where it is more, a few tell what is the matter
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


class Reads(Protocol):
    """What this module asks of a cluster."""

    def get(self, kind: Kind, namespace: str, name: str) -> Object: ...

    def table(self, kind: Kind, namespace: str = "", *, labels: str = "", sample: int = 0) -> Sequence[Row]: ...


def listed(cluster: Reads, daemonset: Object) -> list[Object]:
    """The DaemonSet's pods as far as a rollout needs them, from rows, for there may be thousands.

    Which of them have the current template is asked with its labels. Only of those that are not ready the whole object
    is read, and of no more than a few: `_WHOLE`. The others share their parts.
    """
    metadata, labels = daemonset["metadata"], selector(daemonset["spec"]["selector"])
    namespace = metadata["namespace"]
    generation = (metadata.get("annotations") or {}).get(_TEMPLATE_GENERATION, "")
    newest = cluster.table(POD, namespace, labels=f"{labels},{_GENERATION}={generation}", sample=1)
    new = {row.name for row in newest}
    if revision := next(((row.metadata or {}).get("labels", {}).get(_HASH) for row in newest if row.metadata), ""):
        new |= {row.name for row in cluster.table(POD, namespace, labels=f"{labels},{_HASH}={revision}")}
    owners = [{"uid": metadata.get("uid")}]
    marks: dict[bool, Object] = {True: {_GENERATION: generation}, False: {}}
    states: dict[tuple[str, bool], Object] = {}
    found = []
    left = _WHOLE
    for row in cluster.table(POD, namespace, labels=labels):
        ready, _slash, containers = str(row.cells.get("Ready", "")).partition("/")
        phase, node = str(row.cells.get("Status", "")), str(row.cells.get("Node", ""))
        running = phase == "Running" and ready == containers
        if not is_pod_of(metadata["name"], row.name):
            continue
        if left and not running:
            left -= 1
            try:
                found.append(cluster.get(POD, namespace, row.name))
                continue
            except NotFoundError:  # it went meanwhile
                continue
            except ForbiddenError:  # its row has to do
                left = 0
        condition = {"type": "Ready", "status": str(running)}
        status = states.setdefault((phase, running), {"phase": phase, "conditions": [condition]})
        about = {"name": row.name, "namespace": namespace, "labels": marks[row.name in new], "ownerReferences": owners}
        if phase == "Terminating":
            about["deletionTimestamp"] = phase
        found.append({"metadata": about, "spec": {} if node == "<none>" else {"nodeName": node}, "status": status})
    return found


def selector(label_selector: Object) -> str:
    """A LabelSelector as the query parameter writes it."""
    parts = [f"{key}={value}" for key, value in (label_selector.get("matchLabels") or {}).items()]
    for term in label_selector.get("matchExpressions") or []:
        key, values = term["key"], ",".join(term.get("values") or [])
        forms = {"In": f"{key} in ({values})", "NotIn": f"{key} notin ({values})"}
        parts.append(forms.get(term["operator"], key if term["operator"] == "Exists" else f"!{key}"))
    return ",".join(parts)


def node_states(pods: Sequence[Object], daemonset: Object) -> dict[str, str]:
    """Per node what its pod of the new template does, or else its old one, in words."""
    states: dict[str, tuple[int, str]] = {}
    new = new_pods(pods, daemonset)
    for pod in pods:
        node = node_of(pod)
        deleted = bool(pod["metadata"].get("deletionTimestamp"))
        if pod["metadata"]["name"] in new and not deleted:
            rank, text = 2, _("ready") if is_ready(pod) else reason_of(pod)
        else:
            rank, text = (0, _("stopping")) if deleted else (1, _("waits for its turn"))
        if node not in states or rank > states[node][0]:
            states[node] = (rank, text)
    return {node: text for node, (_rank, text) in sorted(states.items())}


def new_pods(pods: Sequence[Object], daemonset: Object) -> set[str]:
    """The names of the pods with the current template, as the DaemonSet controller judges (1.36: IsPodUpdated).

    It compares the template's generation or its hash; the hash is learnt from a pod of this generation.
    """
    generation = (daemonset["metadata"].get("annotations") or {}).get(_TEMPLATE_GENERATION)
    named = [(pod["metadata"]["name"], pod["metadata"].get("labels") or {}) for pod in pods]
    new = {name for name, labels in named if labels.get(_GENERATION) == generation}
    hashes = {labels.get(_HASH) for name, labels in named if name in new} - {None}
    return new | {name for name, labels in named if labels.get(_HASH) in hashes}


def node_of(pod: Object) -> str:
    """The node of a pod; a pending one is meant for the node that the controller wrote as its affinity."""
    if node := (pod.get("spec") or {}).get("nodeName"):
        return str(node)
    with suppress(KeyError, IndexError, TypeError):
        required = pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
        return str(required["nodeSelectorTerms"][0]["matchFields"][0]["values"][0])
    return str(pod["metadata"]["name"])


def is_ready(pod: Object) -> bool:
    conditions = pod.get("status", {}).get("conditions") or []
    return any(each.get("type") == "Ready" and each.get("status") == "True" for each in conditions)


def containers(pod: Object) -> list[dict[str, Any]]:
    status = pod.get("status") or {}
    return [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]


def reason_of(pod: Object) -> str:
    """Why a pod is not ready: how a container waits or ended, else what the scheduler says, else its phase."""
    for container in containers(pod):
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
    for container in containers(pod):
        if waiting := (container.get("state") or {}).get("waiting"):
            return str(waiting.get("reason") or "Waiting")
    if any((container.get("state") or {}).get("running") for container in containers(pod)):
        return _("started, not ready yet")
    return str((pod.get("status") or {}).get("phase") or "Pending")


def failures(pod: Object) -> int:
    """0 where nothing fails, else 1 plus the restarts. A crash loop alternates waiting and terminated."""
    if is_ready(pod) or pod["metadata"].get("deletionTimestamp"):
        return 0
    for container in containers(pod):
        state, last = container.get("state") or {}, (container.get("lastState") or {}).get("terminated") or {}
        reason = (state.get("waiting") or {}).get("reason")
        exited = (state.get("terminated") or last).get("exitCode")
        if reason in _FAILURES or exited:
            return 1 + int(container.get("restartCount", 0))
    return 0
