"""Deployments in the lab: rollouts within their limits, ReplicaSets that come back, pauses, deadlines, scheduling."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from lab_clients import MERGE, client_of
from lab_machines import until

from tui.lab.client import ApiStatusError, Client, Object
from tui.lab.deployments import HASH_LABEL, REVISION
from tui.lab.world import Lab

SPACE = "/apis/apps/v1/namespaces/default"
PODS = "/api/v1/namespaces/default/pods"


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab() -> AsyncIterator[Lab]:
    """A lab with one worker, at 120 times the speed of the clock; the tests of this module share it."""
    made = Lab(nodes=2, interval_s=0.5, seed=1)
    await made.start()
    yield made
    await made.stop()


@pytest_asyncio.fixture(loop_scope="module")
async def admin(lab: Lab, tmp_path: Path) -> AsyncIterator[Client]:
    """The lab's admin; what a test has deployed is gone after it."""
    made = client_of(lab, "admin", tmp_path)
    yield made
    await made.send("DELETE", f"{SPACE}/deployments")

    async def empty() -> bool:
        return not (await made.get(PODS))["items"] and not (await made.get(f"{SPACE}/replicasets"))["items"]

    await until(empty, 60)
    await made.close()


def deployment(replicas: int = 4, image: str = "docker.io/library/nginx:1", **spec: Any) -> Object:
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": image}]}}
    whole = {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": template, **spec}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": whole}


async def patch(admin: Client, body: Object) -> Object:
    return await admin.send("PATCH", f"{SPACE}/deployments/web", body, content_type=MERGE)


def template_note(value: str) -> Object:
    return {"spec": {"template": {"metadata": {"annotations": {"note": value}}}}}


def complete(item: Object) -> bool:
    """As `kubectl rollout status` sees it."""
    spec, status = item["spec"], item["status"]
    return bool(
        status.get("observedGeneration", 0) >= item["metadata"]["generation"]
        and status.get("updatedReplicas", 0) == spec["replicas"]
        and status.get("replicas", 0) == status.get("updatedReplicas", 0) == status.get("availableReplicas", 0)
    )


async def rolled_out(admin: Client) -> list[Object]:
    """Wait for the rollout; the statuses seen on the way."""
    seen: list[Object] = []

    async def done() -> bool:
        item = await admin.get(f"{SPACE}/deployments/web")
        if not seen or seen[-1] != item["status"]:
            seen.append(item["status"])
        return complete(item)

    await until(done, 60)
    return seen


async def sets(admin: Client) -> dict[str, Object]:
    """ReplicaSets by revision."""
    listed = (await admin.get(f"{SPACE}/replicasets"))["items"]
    return {each["metadata"]["annotations"][REVISION]: each for each in listed}


def conditions(item: Object) -> dict[str, tuple[str, str]]:
    return {each["type"]: (each["status"], each["reason"]) for each in item["status"].get("conditions", ())}


async def test_pods_belong_to_the_replica_set_of_their_template(admin: Client) -> None:
    await admin.send("POST", f"{SPACE}/deployments", deployment(2))
    await rolled_out(admin)
    (made,) = (await sets(admin)).values()
    digest = made["metadata"]["labels"][HASH_LABEL]
    assert made["metadata"]["name"] == f"web-{digest}"
    assert made["spec"]["selector"]["matchLabels"] == {"app": "web", HASH_LABEL: digest}
    owner = made["metadata"]["ownerReferences"][0]
    assert (owner["kind"], owner["name"], owner["controller"]) == ("Deployment", "web", True)
    pods = (await admin.get(PODS, labelSelector="app=web"))["items"]
    assert len(pods) == 2
    for pod in pods:
        assert pod["metadata"]["name"].startswith(f"web-{digest}-")
        assert pod["metadata"]["labels"] == {"app": "web", HASH_LABEL: digest}
        assert pod["metadata"]["ownerReferences"][0]["uid"] == made["metadata"]["uid"]
        assert pod["spec"]["nodeName"] == "worker-1"
        assert pod["status"]["podIP"].startswith("10.244.1.")  # the second node's
        assert pod["status"]["hostIP"] == "172.16.0.230"
    assert len({pod["status"]["podIP"] for pod in pods}) == 2
    item = await admin.get(f"{SPACE}/deployments/web")
    assert item["metadata"]["annotations"][REVISION] == "1"
    assert conditions(item) == {
        "Available": ("True", "MinimumReplicasAvailable"),
        "Progressing": ("True", "NewReplicaSetAvailable"),
    }


@pytest.mark.parametrize(
    ("rolling", "most", "least"),
    [
        ({"maxSurge": 1, "maxUnavailable": 1}, 5, 3),
        ({"maxSurge": "50%", "maxUnavailable": 0}, 6, 4),
        ({"maxSurge": 0, "maxUnavailable": "30%"}, 4, 3),
    ],
)
async def test_a_rollout_keeps_to_its_limits(admin: Client, rolling: Object, most: int, least: int) -> None:
    strategy = {"type": "RollingUpdate", "rollingUpdate": rolling}
    await admin.send("POST", f"{SPACE}/deployments", deployment(4, strategy=strategy))
    await rolled_out(admin)
    before = {pod["metadata"]["uid"] for pod in (await admin.get(PODS, labelSelector="app=web"))["items"]}
    await patch(admin, template_note("two"))
    seen = [each for each in await rolled_out(admin) if each["observedGeneration"] > 1]
    assert max(each.get("replicas", 0) for each in seen) <= most
    assert min(each.get("availableReplicas", 0) for each in seen) >= least
    assert any(each.get("updatedReplicas", 0) < 4 for each in seen)  # it was seen under way
    pods = (await admin.get(PODS, labelSelector="app=web"))["items"]
    assert not before & {pod["metadata"]["uid"] for pod in pods if not pod["metadata"].get("deletionTimestamp")}


async def test_recreate_lets_the_old_pods_go_first(admin: Client) -> None:
    await admin.send("POST", f"{SPACE}/deployments", deployment(2, strategy={"type": "Recreate"}))
    await rolled_out(admin)
    await patch(admin, template_note("two"))
    seen = await rolled_out(admin)
    assert any(not each.get("availableReplicas") for each in seen)
    assert max(each.get("replicas", 0) for each in seen) == 2


async def test_going_back_takes_the_old_replica_set_again(admin: Client) -> None:
    await admin.send("POST", f"{SPACE}/deployments", deployment(1))
    await rolled_out(admin)
    first = (await sets(admin))["1"]["metadata"]["name"]
    await patch(admin, template_note("two"))
    await rolled_out(admin)
    assert sorted(await sets(admin)) == ["1", "2"]
    await patch(admin, {"spec": {"template": {"metadata": {"annotations": None}}}})
    await rolled_out(admin)
    found = await sets(admin)
    assert sorted(found) == ["2", "3"]
    assert found["3"]["metadata"]["name"] == first
    assert found["3"]["metadata"]["annotations"]["deployment.kubernetes.io/revision-history"] == "1"
    assert (await admin.get(f"{SPACE}/deployments/web"))["metadata"]["annotations"][REVISION] == "3"


async def test_a_paused_one_waits_until_it_is_resumed(admin: Client) -> None:
    await admin.send("POST", f"{SPACE}/deployments", deployment(1))
    await rolled_out(admin)
    await patch(admin, {"spec": {"paused": True}})
    changed = await patch(admin, template_note("two"))

    async def paused() -> bool:
        item = await admin.get(f"{SPACE}/deployments/web")
        seen = item["status"]["observedGeneration"] >= changed["metadata"]["generation"]
        return seen and conditions(item)["Progressing"] == ("Unknown", "DeploymentPaused")

    await until(paused, 60)
    assert list(await sets(admin)) == ["1"]
    await patch(admin, {"spec": {"paused": False}})
    await rolled_out(admin)
    assert sorted(await sets(admin)) == ["1", "2"]


async def test_a_rollout_that_gets_nowhere_is_told_after_its_deadline(admin: Client) -> None:
    await admin.send("POST", f"{SPACE}/deployments", deployment(2, progressDeadlineSeconds=60))
    await rolled_out(admin)
    body = {"spec": {"template": {"spec": {"containers": [{"name": "web", "image": "nowhere.invalid/web:2"}]}}}}
    await patch(admin, body)

    async def failed() -> bool:
        item = await admin.get(f"{SPACE}/deployments/web")
        return conditions(item)["Progressing"] == ("False", "ProgressDeadlineExceeded")

    await until(failed, 60)
    item = await admin.get(f"{SPACE}/deployments/web")
    assert item["status"]["availableReplicas"] == 2  # 25 % of two, rounded down, is none that may be missing
    assert item["status"]["updatedReplicas"] == 1


async def test_scaling_and_deleting(admin: Client) -> None:
    await admin.send("POST", f"{SPACE}/deployments", deployment(3))
    await rolled_out(admin)
    await patch(admin, {"spec": {"replicas": 1}})
    await rolled_out(admin)

    async def pods() -> int:
        return len((await admin.get(PODS, labelSelector="app=web"))["items"])

    async def one() -> bool:
        return await pods() == 1

    async def none() -> bool:
        return not await pods() and not await sets(admin)

    await until(one, 60)
    await admin.send("DELETE", f"{SPACE}/deployments/web")
    await until(none, 60)


async def test_a_pod_that_fits_nowhere_says_why_and_goes_where_a_label_is_set(admin: Client) -> None:
    item = deployment(1)
    item["spec"]["template"]["spec"]["nodeSelector"] = {"disk": "fast"}
    await admin.send("POST", f"{SPACE}/deployments", item)

    async def told() -> str:
        for pod in (await admin.get(PODS, labelSelector="app=web"))["items"]:
            for each in pod["status"].get("conditions", ()):
                if each["type"] == "PodScheduled" and each["status"] == "False":
                    return str(each["message"])
        return ""

    message = await until(told, 60)
    assert message == "0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector."
    label = {"metadata": {"labels": {"disk": "fast"}}}
    await admin.send("PATCH", "/api/v1/nodes/worker-1", label, content_type=MERGE)
    await rolled_out(admin)


async def test_a_disruption_budget_counts_the_pods_that_may_go(admin: Client) -> None:
    path = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"
    spec = {"minAvailable": 2, "selector": {"matchLabels": {"app": "web"}}}
    body = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "web"}, "spec": spec}
    await admin.send("POST", path, body)
    await admin.send("POST", f"{SPACE}/deployments", deployment(3))
    await rolled_out(admin)

    async def counted() -> bool:
        status = (await admin.get(f"{path}/web"))["status"]
        return (status["currentHealthy"], status["expectedPods"], status["disruptionsAllowed"]) == (3, 3, 1)

    await until(counted, 60)


@pytest.mark.parametrize(
    ("spec", "cause"),
    [
        ({"selector": {"matchLabels": {"app": "other"}}}, "`selector` does not match template `labels`"),
        ({"strategy": {"type": "Now"}}, 'Unsupported value: {"Type":"Now","RollingUpdate":null}'),
        ({"replicas": -1}, "must be greater than or equal to 0"),
        (
            {"strategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 0}}},
            "may not be 0 when `maxSurge` is 0",
        ),
    ],
)
async def test_what_is_no_deployment_is_refused(admin: Client, spec: Object, cause: str) -> None:
    with pytest.raises(ApiStatusError) as refused:
        await admin.send("POST", f"{SPACE}/deployments", deployment(**spec))
    assert refused.value.code == 422
    assert cause in str(refused.value)


async def test_pods_that_are_alike_are_scheduled_each(admin: Client) -> None:
    """The cache of pods shares what is equal in them: what is noted of one must not be noted of the other."""
    item = deployment(3)
    item["spec"]["template"]["spec"]["automountServiceAccountToken"] = False  # or their volumes have names of their own
    await admin.send("POST", f"{SPACE}/deployments", item)
    await rolled_out(admin)
