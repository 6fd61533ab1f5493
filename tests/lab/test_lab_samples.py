"""Workloads that store, run once, are due at night and do not stay up: what their controllers make of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from lab_clients import client_of
from lab_machines import until

from tui.lab.client import Client
from tui.lab.samples import CRASHING, CRON_JOB, JOB, NAMESPACE, STATEFUL
from tui.lab.world import Lab

CORE, APPS, BATCH = (f"/{group}/namespaces/{NAMESPACE}" for group in ("api/v1", "apis/apps/v1", "apis/batch/v1"))


@pytest.fixture
async def admin(tmp_path: Path) -> AsyncIterator[Client]:
    """The admin of a lab with all its workloads."""
    lab = Lab(interval_s=0.5, seed=1, mesh=True)
    await lab.start()
    made = client_of(lab, "admin", tmp_path)
    yield made
    await made.close()
    await lab.stop()


async def test_controllers_of_every_kind_of_workload(admin: Client) -> None:
    """One lab for all: most of the time of such a test is the lab's start."""
    await ready_and_bound(admin)
    await one_that_ends_well_and_one_that_is_due_at_night(admin)
    await one_that_does_not_stay_up(admin)
    await a_job_that_keeps_failing_is_given_up(admin)
    await what_is_taken_away_comes_back_and_what_is_gone_takes_its_pods_along(admin)


async def ready_and_bound(admin: Client) -> None:
    async def ready() -> Any:
        found = await admin.get(f"{APPS}/statefulsets/{STATEFUL}")
        return found if found["status"].get("readyReplicas") == 2 else None

    stateful = (await until(ready, 60))["status"]
    assert (stateful["replicas"], stateful["updatedReplicas"], stateful["availableReplicas"]) == (2, 2, 2)
    first = await admin.get(f"{CORE}/pods/{STATEFUL}-0")
    assert {"name": "data", "persistentVolumeClaim": {"claimName": f"data-{STATEFUL}-0"}} in first["spec"]["volumes"]
    claims = (await admin.get(f"{CORE}/persistentvolumeclaims"))["items"]
    assert [(each["metadata"]["name"], each["status"]["phase"]) for each in claims] == [
        (f"data-{STATEFUL}-{number}", "Bound") for number in (0, 1)
    ]

    async def answered() -> Any:
        found = await admin.find(f"{CORE}/endpoints/{STATEFUL}")
        addresses = ((found or {}).get("subsets") or [{}])[0].get("addresses") or []
        return found if len(addresses) == 2 else None

    (subset,) = (await until(answered, 60))["subsets"]
    assert subset["ports"] == [{"name": "redis", "port": 6379, "protocol": "TCP"}]
    assert [each["targetRef"]["name"] for each in subset["addresses"]] == [f"{STATEFUL}-0", f"{STATEFUL}-1"]


async def one_that_ends_well_and_one_that_is_due_at_night(admin: Client) -> None:
    async def complete() -> Any:
        found = await admin.get(f"{BATCH}/jobs/{JOB}")
        return found if found["status"].get("completionTime") else None

    job = await until(complete, 60)
    assert job["status"]["succeeded"] == 1
    assert [(each["type"], each["status"]) for each in job["status"]["conditions"]] == [("Complete", "True")]
    selector = ",".join(f"{key}={value}" for key, value in job["spec"]["selector"]["matchLabels"].items())
    (pod,) = (await admin.get(f"{CORE}/pods", labelSelector=selector))["items"]
    assert pod["status"]["phase"] == "Succeeded"
    assert (await admin.get(f"{BATCH}/cronjobs/{CRON_JOB}"))["spec"]["suspend"] is False


async def one_that_does_not_stay_up(admin: Client) -> None:
    async def crashed() -> Any:
        (found,) = (await admin.get(f"{CORE}/pods", labelSelector=f"app={CRASHING}"))["items"]
        return found["status"]["containerStatuses"][0]["restartCount"]

    await until(crashed, 60)
    events = (await admin.get(f"{CORE}/events", fieldSelector="type=Warning"))["items"]
    assert "BackOff" in {each["reason"] for each in events}


async def what_is_taken_away_comes_back_and_what_is_gone_takes_its_pods_along(admin: Client) -> None:
    await admin.send("DELETE", f"{CORE}/pods/{STATEFUL}-1")

    async def replaced() -> Any:
        found = await admin.find(f"{CORE}/pods/{STATEFUL}-1")
        return found and not found["metadata"].get("deletionTimestamp")

    await until(replaced, 60)
    await admin.send("DELETE", f"{APPS}/statefulsets/{STATEFUL}")

    async def gone() -> bool:
        pods = (await admin.get(f"{CORE}/pods", labelSelector=f"app={STATEFUL}"))["items"]
        return not pods

    await until(gone, 60)
    await admin.send("DELETE", f"{CORE}/services/{STATEFUL}")

    async def without() -> bool:
        return await admin.find(f"{CORE}/endpoints/{STATEFUL}") is None

    await until(without, 60)


async def a_job_that_keeps_failing_is_given_up(admin: Client) -> None:
    spec = {"backoffLimit": 1, "template": {"spec": {"restartPolicy": "Never", "containers": [FAILING]}}}
    await admin.send("POST", f"{BATCH}/jobs", {"metadata": {"name": "broken"}, "spec": spec})

    async def failed() -> Any:
        found = await admin.get(f"{BATCH}/jobs/broken")
        return (found["status"].get("conditions") or [None])[0]

    condition = await until(failed, 60)
    assert (condition["type"], condition["reason"]) == ("Failed", "BackoffLimitExceeded")
    assert (await admin.get(f"{BATCH}/jobs/broken"))["status"]["failed"] == 2


FAILING = {"name": "x", "image": "busybox:1.36", "command": ["sh", "-c", "exit 1"]}
