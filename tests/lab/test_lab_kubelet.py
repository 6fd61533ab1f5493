"""Pods that fail, and some that do not: the lab's kubelet comes to the states, reasons and events of a real one."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from lab_clients import client_of
from lab_machines import until

from tui.lab.client import Client
from tui.lab.world import Lab

RECORDED = Path(__file__).parent.parent / "data" / "kubelet" / "pod-states.json"
PODS: dict[str, Any] = json.loads(RECORDED.read_text())["pods"]
SPACE = "/api/v1/namespaces/dk"
# Both of a pair come and go by turns.
ALIKE = {"CrashLoopBackOff": "Error", "ErrImagePull": "ImagePullBackOff"}


def test_there_are_as_many_as_were_recorded() -> None:
    assert len(PODS) == 15


@pytest.fixture
async def admin(tmp_path: Path) -> AsyncIterator[Client]:
    lab = Lab(nodes=1, interval_s=0.5)
    await lab.start()
    made = client_of(lab, "admin", tmp_path)
    await made.send("POST", "/api/v1/namespaces", {"metadata": {"name": "dk"}})

    async def account() -> bool:
        return await made.find(f"{SPACE}/serviceaccounts/default") is not None

    await until(account)
    body = {"metadata": {"name": "datakit-conf"}, "data": {"container.conf": "x = 1\n"}}
    await made.send("POST", f"{SPACE}/configmaps", body)
    yield made
    await made.close()
    await lab.stop()


def plain(message: str) -> str:
    """A message without what differs from one cluster to the next: uids, and how a name was not resolved."""
    message = re.sub(r"\((<uid:\d+>|[0-9a-f-]{36})\)", "(uid)", message)
    return re.sub(r"(dial tcp: lookup \S+?)(:| on) .*", r"\1", message)


def reason(states: dict[str, Any]) -> list[str]:
    """What a container's state says: its name, or the reason."""
    found = [str(each.get("reason") or name) for name, each in states.items()]
    return [ALIKE.get(each, each) for each in found]


def outcome(pod: dict[str, Any], status: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "phase": pod["phase"],
        "conditions": pod["conditions"],
        "containers": [(reason(each["state"]), reason(each["lastState"]), each["ready"]) for each in status],
    }


@pytest.mark.parametrize("name", sorted(PODS))
async def test_a_pod_comes_to_what_was_recorded(name: str, admin: Client) -> None:
    recorded = PODS[name]
    spec = {**recorded["spec"], "nodeName": "cp-1"}
    await admin.send("POST", f"{SPACE}/pods", {"metadata": {"name": name}, "spec": spec})
    wanted = outcome(recorded, recorded["containers"])
    # nodeName is given, so no scheduler speaks of it.
    events = {(kind, why, plain(text)) for kind, why, text in recorded["events"] if why != "Scheduled"}

    async def same() -> bool:
        pod = await admin.get(f"{SPACE}/pods/{name}")
        status = pod.get("status", {})
        held = {each["type"]: each["status"] for each in status.get("conditions", [])}
        seen = [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]
        listed = (await admin.get(f"{SPACE}/events", fieldSelector=f"involvedObject.name={name}"))["items"]
        now = {(each["type"], each["reason"], plain(each["message"])) for each in listed}
        restarts = [each["restartCount"] > 0 for each in seen]
        return (
            outcome({"phase": status.get("phase"), "conditions": held}, seen) == wanted
            and now == events
            and restarts == [each["restarts"] for each in recorded["containers"]]
        )

    await until(same, 20)
