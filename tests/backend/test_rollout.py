"""Following a rollout: recorded statuses and pods of real DaemonSets, and a cluster that plays them back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from backend_stubs import recorded

from tui.backend import rollout as module
from tui.backend.rollout import judge, judge_nodes, node_states, selector, wait
from tui.core.errors import (
    DeadlineError,
    Exit,
    ForbiddenError,
    NotFoundError,
    PartialError,
    UnreachableError,
    WizardError,
)
from tui.core.ports import POD, Kind, Object, Rollout, Row

SNAPSHOTS: dict[str, dict[str, list[dict[str, Any]]]] = recorded("rollouts.json")
PODS: dict[str, Any] = recorded("pod_states.json")


def never() -> bool:
    return False


def daemonset(generation: int, status: Object, *, version: str = "1", strategy: str = "RollingUpdate") -> Object:
    return {
        "metadata": {
            "name": "datakit",
            "namespace": "datakit",
            "uid": "the-uid",
            "generation": generation,
            "resourceVersion": version,
            "annotations": {"deprecated.daemonset.template.generation": str(generation)},
        },
        "spec": {"selector": {"matchLabels": {"app": "dk"}}, "updateStrategy": {"type": strategy}},
        "status": status,
    }


def done(generation: int, nodes: int = 2) -> Object:
    return {
        "observedGeneration": generation,
        "desiredNumberScheduled": nodes,
        "updatedNumberScheduled": nodes,
        "numberAvailable": nodes,
    }


def pod(node: str, generation: int, *, ready: bool = True, status: Object | None = None, **metadata: Any) -> Object:
    return {
        "metadata": {
            "name": f"datakit-{node}{generation}",
            "namespace": "datakit",
            "labels": {
                "app": "dk",
                "pod-template-generation": str(generation),
                "controller-revision-hash": f"h{generation}",
            },
            "ownerReferences": [{"uid": "the-uid", "controller": True}],
            **metadata,
        },
        "spec": {"nodeName": node},
        "status": status or {"conditions": [{"type": "Ready", "status": str(ready)}], "phase": "Running"},
    }


class Stream:
    """A watch that speaks once the pods were looked at, and ends when it is stopped."""

    def __init__(self, events: Sequence[tuple[str, Object]], go: threading.Event) -> None:
        self._events, self._go = events, go
        self._stopped = threading.Event()

    def __iter__(self) -> Iterator[tuple[str, Object]]:
        self._go.wait(20)
        yield from self._events
        self._stopped.wait(20)

    def stop(self) -> None:
        self._stopped.set()


class FakeCluster:
    """Answers each GET with the next state (the last one stays), each watch with the given events."""

    def __init__(
        self,
        states: Sequence[Object | Exception],
        *,
        pods: Sequence[Object] = (),
        events: Sequence[tuple[str, Object]] = (),
        watch_granted: bool = True,
        pods_granted: bool = True,
    ) -> None:
        self.states, self.pods, self.events = list(states), list(pods), list(events)
        self.watch_granted, self.pods_granted = watch_granted, pods_granted
        self.streams: list[Stream] = []
        self.warnings: list[Object] = []
        self.logs: dict[tuple[str, str, bool], str] = {}
        self.listed = threading.Event()
        self.selectors: list[str] = []
        self.gets = 0

    def get(self, kind: Kind, _namespace: str, name: str) -> Object:
        if kind == POD:
            return next(pod for pod in self.pods if pod["metadata"]["name"] == name)
        self.gets += 1
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        if isinstance(state, Exception):
            raise state
        return state

    def list(self, kind: Kind, namespace: str, *, labels: str = "", fields: str = "") -> list[Object]:
        assert namespace == "datakit"
        if kind.kind == "Event":
            return [each for each in self.warnings if f"involvedObject.name={each['of']},type=Warning" == fields]
        raise AssertionError(f"a list of {kind.plural}: pods are read as rows")

    def table(self, kind: Kind, namespace: str, *, labels: str = "", sample: int = 0) -> list[Row]:
        assert (kind, namespace) == (POD, "datakit")
        self.listed.set()
        if not self.pods_granted:
            raise ForbiddenError("no")
        self.selectors.append(labels)
        wanted = set(labels.split(","))  # the recordings hold `<hash>`, which is no label
        have = [(pod, {f"{k}={v}" for k, v in pod["metadata"].get("labels", {}).items()}) for pod in self.pods]
        return [self.row(pod) for pod, labels_of in have if wanted <= labels_of]

    def row(self, pod: Object) -> Row:
        name, status = pod["metadata"]["name"], pod["status"]
        ready = any(each["type"] == "Ready" and each["status"] == "True" for each in status.get("conditions", ()))
        going = bool(pod["metadata"].get("deletionTimestamp"))
        cells = {"Name": name, "Ready": f"{int(ready)}/1", "Node": pod["spec"].get("nodeName", "<none>")}
        return Row({**cells, "Status": "Terminating" if going else status.get("phase", "")}, pod["metadata"])

    def log(self, _namespace: str, pod: str, container: str, *, lines: int, previous: bool = False) -> str:
        if (pod, container, previous) not in self.logs:
            raise WizardError("no log")
        return "\n".join(self.logs[pod, container, previous].splitlines()[-lines:])

    def watch(self, *_arguments: Any, **_options: Any) -> Stream:
        if not self.watch_granted:
            raise ForbiddenError("no watch")
        stream = Stream(self.events, self.listed)
        self.streams.append(stream)
        return stream


def follow(
    cluster: FakeCluster,
    generation: int = 2,
    *,
    deadline_s: float = 10,
    cancelled: Callable[[], bool] = never,
    **options: Any,
) -> tuple[Rollout, list[Rollout]]:
    told: list[Rollout] = []
    result = wait(
        cluster,  # type: ignore[arg-type]
        "datakit",
        "datakit",
        generation,
        deadline_s=deadline_s,
        progress=told.append,
        cancelled=cancelled,
        **options,
    )
    return result, told


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_POLL_S", 0.01)


class TestJudge:
    def test_recorded_rollouts(self) -> None:
        """Done exactly at the last snapshot of those that completed, never of those that failed."""
        judged = 0
        for scenario, parts in SNAPSHOTS.items():
            for name, snapshots in parts.items():
                verdicts = [judge(each, each["generation"], {}).done for each in snapshots]
                fails = scenario.startswith("04f") and "healed" not in name
                assert verdicts[-1] is not fails, (scenario, name)
                assert not any(verdicts[:-1]), (scenario, name, verdicts)
                judged += len(verdicts)
        assert judged == 86

    def test_the_status_of_an_older_generation_says_nothing(self) -> None:
        first = SNAPSHOTS["04e-ds-rollout-status"]["add mount: generation 1 -> 2"][0]
        assert first["status"]["updatedNumberScheduled"] == first["status"]["desiredNumberScheduled"] == 4
        assert judge(first, 2, {}) == Rollout(4, 0, 4, False, {})
        assert judge(first, 1, {}).done

    def test_absent_counts_are_zero(self) -> None:
        assert judge(daemonset(2, {"observedGeneration": 2, "desiredNumberScheduled": 3}), 2, {}) == Rollout(
            3, 0, 0, False, {}
        )
        assert not judge(daemonset(2, {}), 2, {}).done


class TestPods:
    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("crash", "Error, exit status 1, 3 restarts"),
            ("image", "ImagePullBackOff"),
            ("never", "ErrImageNeverPull"),
            ("badname", "ImagePullBackOff: Back-off pulling image"),
            ("nocm", "ContainerCreating"),
            ("envkey", "CreateContainerConfigError"),
            ("command", "exit status 128"),
            ("init", "exit status"),
            ("probe", "started, not ready yet"),
            ("nofit", "Unschedulable"),
            ("good", "ready"),
        ],
    )
    def test_what_a_real_kubelet_reports(self, name: str, text: str) -> None:
        found = PODS["alone"][name]
        found = {**found, "metadata": {**found["metadata"], "labels": {"pod-template-generation": "1"}}}
        (state,) = node_states([found], daemonset(1, {})).values()
        assert text in state

    def test_every_recorded_pod_is_there(self) -> None:
        assert len(PODS["alone"]) == 16
        assert set(PODS["failing"]) == {"CrashLoopBackOff", "ImagePullBackOff", "Unready", "Pending"}

    def test_the_new_pod_counts_before_the_old_one(self) -> None:
        pods = [
            pod("a", 1, deletionTimestamp="2026-01-01T00:00:00Z"),
            pod("a", 2, ready=False),
            pod("b", 1),
            pod("c", 1, deletionTimestamp="2026-01-01T00:00:00Z"),
            pod("d", 2),
        ]
        assert node_states(pods, daemonset(2, {})) == {
            "a": "Running",
            "b": "waits for its turn",
            "c": "stopping",
            "d": "ready",
        }

    def test_a_return_to_an_earlier_template_is_known_by_its_hash(self) -> None:
        """Pods of the earlier revision keep their old generation label and are up to date all the same."""
        kept, made = pod("a", 1), pod("b", 3)
        made["metadata"]["labels"]["controller-revision-hash"] = "h1"
        assert node_states([kept, made], daemonset(3, {})) == {"a": "ready", "b": "ready"}

    def test_a_pod_without_a_node_is_named_by_the_node_it_is_for(self) -> None:
        (pending,) = PODS["failing"]["Pending"]["pods"]
        (node,) = node_states([pending], PODS["failing"]["Pending"]["daemonset"])
        assert node == (pending["spec"]["nodeName"] or _affinity(pending))

    @pytest.mark.parametrize(
        ("given", "text"),
        [
            ({"matchLabels": {"app": "dk", "x/y": "z"}}, "app=dk,x/y=z"),
            ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["b", "c"]}]}, "a in (b,c)"),
            ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["b"]}]}, "a notin (b)"),
            ({"matchExpressions": [{"key": "a", "operator": "Exists"}]}, "a"),
            ({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}, "!a"),
        ],
    )
    def test_selectors(self, given: Object, text: str) -> None:
        assert selector(given) == text


def _affinity(found: Object) -> str:
    required = found["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    return str(required["nodeSelectorTerms"][0]["matchFields"][0]["values"][0])


class TestWait:
    def test_by_watch(self) -> None:
        status = {"desiredNumberScheduled": 2, "updatedNumberScheduled": 2, "numberAvailable": 2}
        old = daemonset(2, {"observedGeneration": 1, **status})
        half = daemonset(
            2, {"observedGeneration": 2, "desiredNumberScheduled": 2, "updatedNumberScheduled": 1}, version="2"
        )
        new = daemonset(2, done(2), version="4")
        events = [("MODIFIED", half), ("BOOKMARK", {"metadata": {"resourceVersion": "3"}}), ("MODIFIED", new)]
        cluster = FakeCluster([old], events=events, pods=[pod("a", 2), pod("b", 2)])
        result, told = follow(cluster)
        assert result == Rollout(2, 2, 2, True, {"a": "ready", "b": "ready"})
        assert told[0].done is False
        assert told[-1] == result
        assert cluster.gets == 1
        assert cluster.streams[0]._stopped.is_set()
        assert {"app=dk", "app=dk,pod-template-generation=2"} <= set(cluster.selectors)

    def test_by_asking_where_watch_is_not_granted(self) -> None:
        states = [daemonset(2, {"observedGeneration": 1}), daemonset(2, done(2), version="2")]
        result, _told = follow(FakeCluster(states, watch_granted=False))
        assert result.done

    def test_without_the_right_to_list_pods(self) -> None:
        result, _told = follow(FakeCluster([daemonset(2, done(2))], pods_granted=False))
        assert result == Rollout(2, 2, 2, True, {})

    def test_a_watch_that_is_too_old_gets_the_object_again(self) -> None:
        states = [daemonset(2, {"observedGeneration": 1}), daemonset(2, done(2), version="2")]
        gone = ("ERROR", {"kind": "Status", "code": 410, "reason": "Expired"})
        assert follow(FakeCluster(states, events=[gone]))[0].done

    def test_a_restart_of_the_api_server_is_endured(self) -> None:
        states = [
            daemonset(2, {"observedGeneration": 1}),
            UnreachableError("gone"),
            daemonset(2, done(2), version="2"),
        ]
        assert follow(FakeCluster(states, watch_granted=False))[0].done

    def test_an_api_server_that_stays_away_is_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "_AWAY_S", 0)
        states = [daemonset(2, {"observedGeneration": 1}), UnreachableError("gone")]
        with pytest.raises(UnreachableError, match="gone"):
            follow(FakeCluster(states, watch_granted=False), deadline_s=20)

    @pytest.mark.parametrize("how", ["watch", "ask"])
    def test_a_deleted_daemonset(self, how: str) -> None:
        first = daemonset(2, {"observedGeneration": 2, "desiredNumberScheduled": 1})
        if how == "watch":
            cluster = FakeCluster([first], events=[("DELETED", first)])
        else:
            cluster = FakeCluster([first, NotFoundError("deleted")], watch_granted=False)
        with pytest.raises(NotFoundError, match="deleted"):
            follow(cluster)

    def test_a_surprise_in_the_following_thread_is_raised_to_the_waiting_one(self) -> None:
        with pytest.raises(KeyError):
            follow(FakeCluster([daemonset(2, {"observedGeneration": 1})], events=[("MODIFIED", {})]))

    def test_cancelled(self) -> None:
        cluster = FakeCluster([daemonset(2, {"observedGeneration": 2, "desiredNumberScheduled": 2})])
        started = time.monotonic()
        result, told = follow(cluster, cancelled=lambda: True, deadline_s=60)
        assert not result.done
        assert told == [result]
        assert time.monotonic() - started < 5

    def test_the_deadline_names_which_node_waits_for_what(self) -> None:
        half = {"observedGeneration": 2, "desiredNumberScheduled": 8, "updatedNumberScheduled": 1, "numberAvailable": 7}
        waiting = {"containerStatuses": [{"name": "datakit", "state": {"waiting": {"reason": "ContainerCreating"}}}]}
        pods = [pod("n1", 2), pod("n2", 2, status=waiting), *(pod(f"n{i}", 1) for i in range(3, 9))]
        cluster = FakeCluster([daemonset(2, half)], pods=pods)
        cluster.warnings = [
            {"of": "datakit-n22", "lastTimestamp": "2026-01-01T00:00:01Z", "message": "old news"},
            {"of": "datakit-n22", "lastTimestamp": "2026-01-01T00:00:02Z", "message": 'configmap "x" not found'},
        ]
        with pytest.raises(DeadlineError) as caught:
            follow(cluster, deadline_s=0.2)
        error = caught.value
        assert error.status == Exit.DEADLINE
        assert "1 of 8 nodes" in error.what
        assert error.why.splitlines() == [
            'n2: ContainerCreating (configmap "x" not found)',
            *(f"n{i}: waits for its turn" for i in (3, 4, 5, 6)),
            "and 2 more",
        ]
        assert "rollout status daemonset/datakit" in error.command

    @pytest.mark.parametrize("name", ["CrashLoopBackOff", "ImagePullBackOff"])
    def test_new_pods_that_fail_are_told_with_the_reason(self, name: str) -> None:
        found = PODS["failing"][name]
        generation = found["daemonset"]["metadata"]["generation"]
        cluster = FakeCluster([found["daemonset"]], pods=found["pods"])
        with pytest.raises(PartialError, match="does not start") as caught:
            follow(cluster, generation, failing_s=0.05)
        assert caught.value.status == Exit.PARTIAL
        assert name in caught.value.why
        assert found["pods"][0]["metadata"]["name"] in caught.value.command

    @pytest.mark.parametrize("previous", [True, False])
    def test_the_event_and_the_last_log_lines_stand_beside_the_reason(self, previous: bool) -> None:
        found = PODS["failing"]["CrashLoopBackOff"]
        generation = found["daemonset"]["metadata"]["generation"]
        cluster = FakeCluster([found["daemonset"]], pods=found["pods"])
        name = found["pods"][0]["metadata"]["name"]
        container = found["pods"][0]["status"]["containerStatuses"][0]["name"]
        cluster.warnings = [{"of": name, "lastTimestamp": "2026-01-01T00:00:01Z", "message": "Back-off restarting"}]
        said = "\n".join([f"line {n}" for n in range(8)] + ["dial https://openway.guance.com?token=canary-31c7"])
        cluster.logs[name, container, previous] = said
        with pytest.raises(PartialError, match="does not start") as caught:
            follow(cluster, generation, failing_s=0.05)
        lines = caught.value.why.splitlines()
        assert "Back-off restarting" in lines
        assert lines[-5:] == [*(f"line {n}" for n in range(4, 8)), "dial https://openway.guance.com?token=***"]

    @pytest.mark.parametrize("name", ["Unready", "Pending"])
    def test_new_pods_that_only_wait_are_given_time(self, name: str) -> None:
        found = PODS["failing"][name]
        generation = found["daemonset"]["metadata"]["generation"]
        with pytest.raises(DeadlineError):
            follow(FakeCluster([found["daemonset"]], pods=found["pods"]), generation, failing_s=0.05, deadline_s=0.5)

    def test_an_old_pod_that_fails_is_no_failure_of_the_rollout(self) -> None:
        status = {"observedGeneration": 2, "desiredNumberScheduled": 1}
        old = pod("a", 1, status=PODS["alone"]["crash"]["status"])
        with pytest.raises(DeadlineError):
            follow(FakeCluster([daemonset(2, status)], pods=[old]), failing_s=0, deadline_s=0.3)

    def test_pods_of_another_owner_are_not_ours(self) -> None:
        """Those of a copy of the manifest with another name and the same labels."""
        foreign = pod("z", 2)
        foreign["metadata"] |= {"name": "datakit-gpu-x7k2p", "ownerReferences": [{"uid": "another"}]}
        result, _told = follow(FakeCluster([daemonset(2, done(2))], pods=[foreign]))
        assert result.pods == {}

    def test_on_delete_is_told(self) -> None:
        status = {"observedGeneration": 2, "desiredNumberScheduled": 2, "numberAvailable": 2}
        with pytest.raises(PartialError, match="OnDelete") as caught:
            follow(FakeCluster([daemonset(2, status, strategy="OnDelete")]))
        assert caught.value.command == "kubectl -n datakit delete pod -l 'app=dk'"
        assert follow(FakeCluster([daemonset(2, done(2), strategy="OnDelete")]))[0].done

    def test_no_node_is_no_success(self) -> None:
        with pytest.raises(PartialError, match="No node is to run DataKit"):
            follow(FakeCluster([daemonset(2, done(2, nodes=0))]))


class TestSomeNodes:
    """Waiting for the nodes whose pods were deleted, whatever the others do."""

    def test_another_ready_pod_of_the_current_template(self) -> None:
        current = daemonset(2, {"observedGeneration": 2})
        pods = [pod("a", 2), pod("b", 1), pod("c", 1)]
        assert judge_nodes(current, 2, pods, {"a": "datakit-a1"}) == Rollout(1, 1, 1, True, {"a": "ready"})
        assert not judge_nodes(current, 2, pods, {"a": "datakit-a2"}).done, "it is the pod that was deleted"
        assert not judge_nodes(current, 2, pods, {"b": "another"}).done, "it has the old template"
        assert judge_nodes(current, 2, [], {"a": "x"}).pods == {"a": "no pod yet"}
        assert judge_nodes(current, 2, [pod("a", 2, ready=False)], {"a": "x"}) == Rollout(
            1, 1, 0, False, {"a": "Running"}
        )

    def test_nobody_but_the_controller(self) -> None:
        """With no node to wait for: until the controller has seen the generation."""
        assert not judge_nodes(daemonset(2, {"observedGeneration": 1}), 2, [], {}).done
        assert judge_nodes(daemonset(2, {"observedGeneration": 2}), 2, [], {}).done

    def test_under_on_delete_and_with_others_that_fail(self) -> None:
        failing = pod("b", 2, status=PODS["alone"]["crash"]["status"])
        status = {"observedGeneration": 2, "desiredNumberScheduled": 2, "updatedNumberScheduled": 1}
        states = [daemonset(2, status, strategy="OnDelete")]
        result, _told = follow(FakeCluster(states, pods=[pod("a", 2), failing]), replaced={"a": "x"}, failing_s=0)
        assert result.done

    def test_its_own_pod_that_fails_is_told(self) -> None:
        failing = pod("a", 2, status=PODS["alone"]["crash"]["status"])
        status = {"observedGeneration": 2, "desiredNumberScheduled": 1}
        with pytest.raises(PartialError, match="node a does not start"):
            follow(FakeCluster([daemonset(2, status)], pods=[failing]), replaced={"a": "x"}, failing_s=0.05)


def test_the_node_that_takes_longest_is_named() -> None:
    waiting = {"containerStatuses": [{"name": "datakit", "state": {"waiting": {"reason": "ContainerCreating"}}}]}
    half = {"observedGeneration": 2, "desiredNumberScheduled": 3, "updatedNumberScheduled": 2}
    pods = [pod("a", 2), pod("b", 2, status=waiting), pod("c", 1)]
    states = [daemonset(2, half), daemonset(2, done(3), version="2")]
    _result, told = follow(FakeCluster(states, pods=pods, watch_granted=False))
    assert told[0].slowest == "b"
    assert told[0].pods["b"] == "ContainerCreating"
