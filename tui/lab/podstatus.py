"""What a kubelet says of a pod in its status, in the shapes and words recorded from Kubernetes 1.36 and containerd."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tui.lab.events import now

Object = dict[str, Any]

_CONDITIONS = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")


@dataclass
class Run:
    """One container of a pod over all its restarts. `state` and `last` are the status' state and lastState."""

    spec: Object
    init: bool = False
    state: Object = field(default_factory=lambda: {"waiting": {"reason": "ContainerCreating"}})
    last: Object = field(default_factory=dict)
    restarts: int = 0
    ready: bool = False
    started: bool = False
    image_id: str = ""
    container_id: str = ""
    log: bytes = b""  # what the run before this one wrote to stdout

    @property
    def name(self) -> str:
        return str(self.spec["name"])

    @property
    def field_path(self) -> str:
        """How events name it."""
        return f"spec.{'initContainers' if self.init else 'containers'}{{{self.name}}}"

    def wait(self, reason: str, message: str = "") -> bool:
        """Take the state waiting; returns whether that is news."""
        waiting = {"waiting": {"reason": reason, **({"message": message} if message else {})}}
        changed = self.state != waiting
        if "terminated" in self.state:
            self.last = self.state
        self.state, self.ready, self.started = waiting, False, False
        return changed

    def begin(self) -> None:
        """Take the state running, as a new container."""
        if "terminated" in self.state:
            self.last = self.state
        self.container_id = f"containerd://{secrets.token_hex(32)}"
        self.image_id = self.image_id or f"sha256:{secrets.token_hex(32)}"
        self.state, self.started = {"running": {"startedAt": now()}}, True

    def end(self, code: int, reason: str = "", message: str = "") -> None:
        """Take the state terminated."""
        began = self.state.get("running", {}).get("startedAt") or now()
        ended = {
            "exitCode": code,
            "reason": reason or ("Completed" if code == 0 else "Error"),
            **({"message": message} if message else {}),
            "startedAt": began,
            "finishedAt": now(),
            "containerID": self.container_id,
        }
        self.state, self.ready, self.started = {"terminated": ended}, False, False

    def status(self) -> Object:
        """Its entry in containerStatuses."""
        mounts = []
        for mount in self.spec.get("volumeMounts") or ():
            shown = {"name": mount["name"], "mountPath": mount["mountPath"]}
            if mount.get("readOnly"):
                shown |= {"readOnly": True, "recursiveReadOnly": "Disabled"}
            mounts.append(shown)
        return {
            "name": self.name,
            "state": self.state,
            "lastState": self.last,
            "ready": self.ready,
            "restartCount": self.restarts,
            "image": self.spec.get("image", ""),
            "imageID": self.image_id,
            **({"containerID": self.container_id} if self.container_id else {}),
            "started": self.started,
            **({"volumeMounts": mounts} if mounts else {}),
        }


def pod_status(
    pod: Object,
    runs: Sequence[Run],
    *,
    ip: str,
    host_ip: str,
    sandbox: bool,
    started: str,
    before: Mapping[str, Object],
) -> Object:
    """A pod's status. `sandbox` tells whether it has its network, `before` are its last conditions by type."""
    generation = pod["metadata"].get("generation", 1)
    inits = [run for run in runs if run.init]
    main = [run for run in runs if not run.init]
    prepared = all(run.state.get("terminated", {}).get("exitCode") == 0 for run in inits)
    ready = bool(main) and all(run.ready for run in main)
    holds = {
        "PodReadyToStartContainers": sandbox,
        "Initialized": prepared,
        "Ready": ready,
        "ContainersReady": ready,
        "PodScheduled": True,
    }
    incomplete = [run.name for run in inits if run.state.get("terminated", {}).get("exitCode") != 0]
    unready = [run.name for run in main if not run.ready]
    conditions = []
    for kind in _CONDITIONS:
        state = "True" if holds[kind] else "False"
        known = before.get(kind, {})
        condition: Object = {
            "type": kind,
            "observedGeneration": generation,
            "status": state,
            "lastProbeTime": None,
            "lastTransitionTime": known["lastTransitionTime"] if known.get("status") == state else now(),
        }
        if not holds[kind] and kind == "Initialized":
            condition["reason"] = "ContainersNotInitialized"
            condition["message"] = f"containers with incomplete status: [{' '.join(incomplete)}]"
        elif not holds[kind] and kind != "PodReadyToStartContainers":
            condition["reason"] = "ContainersNotReady"
            condition["message"] = f"containers with unready status: [{' '.join(unready)}]"
        conditions.append(condition)
    return {
        "observedGeneration": generation,
        "phase": _phase(pod, main, prepared=prepared),
        "conditions": conditions,
        "hostIP": host_ip,
        "hostIPs": [{"ip": host_ip}],
        **({"podIP": ip, "podIPs": [{"ip": ip}]} if sandbox else {}),
        "startTime": started,
        **({"initContainerStatuses": [run.status() for run in inits]} if inits else {}),
        "containerStatuses": [run.status() for run in main],
    }


def _phase(pod: Object, main: Sequence[Run], *, prepared: bool) -> str:
    if not prepared or any("waiting" in run.state and not run.last for run in main):
        return "Pending"
    ended = [run.state["terminated"]["exitCode"] for run in main if "terminated" in run.state]
    policy = pod["spec"].get("restartPolicy", "Always")
    if len(ended) == len(main) and policy != "Always":
        if not any(ended):
            return "Succeeded"
        if policy == "Never":
            return "Failed"
    return "Running"


def pull_problem(image: str) -> str:
    """Why an image cannot be pulled, "" where it can: the lab has every image but those of hosts in `.invalid`,
    and of references that are none.
    """
    host, _slash, rest = image.rpartition("@")[0].partition("/") if "@" in image else image.partition("/")
    if not re.search(r"\.invalid(:\d+)?$", host) and image == image.lower():
        return ""
    name, _colon, tag = rest.partition(":")
    url = f"https://{host}/v2/{name}/manifests/{tag or 'latest'}"
    return (
        f'failed to pull and unpack image "{image}": failed to resolve image: failed to do request: Head "{url}": '
        f"dial tcp: lookup {host.partition(':')[0]}: no such host"
    )


_PROGRAMS = frozenset(
    [
        "sh",
        "bash",
        "busybox",
        "cat",
        "echo",
        "env",
        "false",
        "ls",
        "sleep",
        "tail",
        "test",
        "true",
        "datakit",
        "curl",
        "nginx",
        "httpd",
        "etcd",
        "kube-apiserver",
    ]
)


@dataclass(frozen=True)
class Program:
    """What a container's command does in the lab: it runs on, ends with `code`, or is `missing`."""

    code: int | None = None
    after_s: float = 0.0
    missing: str = ""


def program(spec: Object) -> Program:
    """The outcome of a container's command, as far as the lab plays it: `exit N` and `sleep N` of a shell, true and
    false, programs that do not exist. Anything else runs on.
    """
    words = [*(spec.get("command") or []), *(spec.get("args") or [])]
    if words[:1] == ["istio-iptables"]:
        return Program(0)  # istio-init redirects the pod's traffic and is done
    if not words or not spec.get("command"):
        return Program()
    name = words[0].rpartition("/")[2]
    if name not in _PROGRAMS:
        return Program(missing=words[0])
    if name in ("true", "false"):
        return Program(0 if name == "true" else 1)
    if name in ("sh", "bash") and "-c" in words[:-1]:
        script = words[words.index("-c") + 1]
        ending = re.search(r"\bexit\s+(\d+)\s*$", script)
        slept = re.search(r"\bsleep\s+(\d+)\b", script)
        if ending:
            return Program(int(ending[1]), float(slept[1]) if slept else 0.0)
    return Program()
