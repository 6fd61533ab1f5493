"""kubectl beside controllers and kubelets, recorded: what it prints on the lab comes to the same.

How often a status or a pod's row is printed depends on timing, so runs of equal lines count once, and of a rollout that
it only goes on, and how it ends. The recorded cluster is the lab's in names: cp-1, worker-1 to worker-3, the DaemonSet
datakit. Not compared: addresses of pods and what DataKit logs (that cluster's kubelet was a stand-in), and texts where
kubectl is of another minor version than the recorded one.
"""

from __future__ import annotations

import itertools
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from practice import Practice, practice

from tests.kubectl import PROBLEM

pytestmark = pytest.mark.skipif(bool(PROBLEM), reason=PROBLEM)
RECORDED = json.loads((Path(__file__).parent.parent / "data" / "kubernetes" / "kubectl-rollouts.json").read_text())
DONE = 'daemon set "datakit" successfully rolled out'
MINOR = "v1.36."  # of the kubectl that was recorded


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Practice]:
    with practice(tmp_path_factory.mktemp("kubectl"), "--nodes", "4", interval="2s") as found:
        yield found


def kubectl(lab: Practice, command: str) -> subprocess.CompletedProcess[str]:
    argv = command.replace("'", "").split(" ")
    env = {**lab.environment(), "KUBECONFIG": lab.ready["kubeconfig"]}
    return subprocess.run(argv, env=env, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture(scope="module")
def same(lab: Practice) -> bool:
    """Whether this kubectl is of the recorded minor version: texts change, what they tell does not."""
    version = json.loads(kubectl(lab, "kubectl version --client -o json").stdout)["clientVersion"]["gitVersion"]
    return str(version).startswith(MINOR)


def lines(text: str) -> list[str]:
    """The lines of a text, equal ones that follow each other once, without ages, suffixes and how wide a table is."""
    text = re.sub(r"<sfx:\d+>|(?<=datakit-)[a-z0-9]{5}\b", "<sfx>", text)
    text = re.sub(r"(?m)(\s)(\d+[smh])+(\s|$)", r"\1<age>\3", text)
    text = re.sub(r"[ \t]+", " ", text)
    return [line for line, _again in itertools.groupby(each.strip() for each in text.splitlines())]


def commands(name: str) -> list[dict[str, str]]:
    return list(RECORDED[name])


def new_pods(text: str) -> list[int]:
    """How many new pods each line of `rollout status` says are there, in the order of the lines."""
    return [int(found[1]) for found in re.finditer(r"(\d) (?:out )?of 4 (?:new|updated) pods", text)]


def assert_rolled(recorded: str, got: str) -> None:
    """It says nothing that was not recorded, goes on from one pod to the next without going back, and ends alike."""
    assert set(lines(got)) <= set(lines(recorded))
    assert new_pods(got)
    assert new_pods(got) == sorted(new_pods(got))
    assert lines(got)[-1] == lines(recorded)[-1] == DONE


def test_rollout_status(lab: Practice) -> None:
    complete, again, rolling, once = commands("01i")
    for recorded in (complete, again, once):
        done = kubectl(lab, recorded["command"])
        assert (done.returncode, done.stdout, done.stderr) == (recorded["exit"], recorded["stdout"], recorded["stderr"])
    patch = '{"spec":{"template":{"metadata":{"annotations":{"bench":"roll"}}}}}'
    assert kubectl(lab, f"kubectl -n datakit patch ds datakit -p {patch}").returncode == 0
    done = kubectl(lab, rolling["command"])
    assert done.returncode == rolling["exit"]
    assert_rolled(rolling["stdout"], done.stdout)


def revisions(text: str) -> list[int]:
    return [int(found[1]) for found in re.finditer(r"(?m)^(\d+) ", text)]


def test_restart_history_and_undo(lab: Practice, same: bool) -> None:
    """The numbers of revisions count on from what the lab had before."""
    before = revisions(kubectl(lab, "kubectl -n datakit rollout history ds/datakit").stdout)
    for recorded in commands("01j"):
        done = kubectl(lab, recorded["command"])
        assert done.returncode == recorded["exit"], done.stderr
        if " status " in recorded["command"]:
            assert_rolled(recorded["stdout"], done.stdout)
        elif " history " in recorded["command"]:
            rows = revisions(recorded["stdout"])
            now = revisions(done.stdout)
            assert lines(done.stdout)[:2] == lines(recorded["stdout"])[:2]
            if rows == [1, 2]:  # a restart adds the newest
                assert now == [*before, before[-1] + 1]
            else:  # going back takes an earlier one to the front: it is the same one with a new number
                assert now == [*before[:-1], before[-1] + 1, before[-1] + 2]
        else:
            assert lines(done.stdout) == lines(recorded["stdout"])
            assert not same or lines(done.stderr) == lines(recorded["stderr"])


def test_pods_are_watched_while_one_is_replaced(lab: Practice) -> None:
    watch, wide, names, short = commands("01k")
    env = {**lab.environment(), "KUBECONFIG": lab.ready["kubeconfig"]}
    argv = [*watch["command"].split(" ")]
    process = subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    try:
        seen = [process.stdout.readline() for _row in range(5)]  # the table's head and four pods
        leaving = seen[1].split()[0]
        assert kubectl(lab, f"kubectl -n datakit delete pod --wait=false {leaving}").returncode == 0
        known = {row.split()[0] for row in seen}
        for row in process.stdout:
            seen.append(row)
            if row.split()[0] not in known and row.split()[1:3] == ["1/1", "Running"]:
                break
    finally:
        process.terminate()
        process.communicate()

    def story(rows: list[str]) -> dict[str, list[tuple[str, ...]]]:
        """What each pod's rows say one after another: how many are ready, and the state."""
        told: dict[str, list[tuple[str, ...]]] = {}
        for row in rows[1:]:
            name, *cells = row.split()
            told.setdefault(name, []).append((cells[0], cells[1]))
        return {name: [each for each, _again in itertools.groupby(states)] for name, states in told.items()}

    recorded = story(watch["stdout"].splitlines())
    got = story(seen)
    assert lines(seen[0]) == lines(watch["stdout"])[:1]
    assert sorted(recorded.values()) == sorted(got.values())
    for command in (wide, names, short):
        done = kubectl(lab, command["command"])
        assert done.returncode == command["exit"]
        without = r"(?<=<age> )(<none>|[\d.]+)(?= \S+ <none>)"  # the pods' addresses
        assert sorted(re.sub(without, "IP", line) for line in lines(done.stdout)) == sorted(
            re.sub(without, "IP", line) for line in lines(command["stdout"])
        )


def rows(text: str) -> set[tuple[str, ...]]:
    """Type, reason and kind of object of each event that `get events` lists."""
    return {(*line.split()[1:3], line.split()[3].partition("/")[0]) for line in text.splitlines()[1:]}


def test_logs_events_and_what_is_waited_for(lab: Practice, same: bool) -> None:
    logs, events, described, waited = commands("01l")
    done = kubectl(lab, logs["command"])
    assert done.returncode == logs["exit"]
    assert lines(done.stderr) == lines(logs["stderr"])
    # Every pod anew, for events of the start are not kept for long.
    for command in ("rollout restart ds/datakit", "rollout status ds/datakit"):
        assert kubectl(lab, f"kubectl -n datakit {command}").returncode == 0
    done = kubectl(lab, events["command"])
    assert done.returncode == events["exit"]
    assert rows(events["stdout"]) <= rows(done.stdout)
    assert lines(done.stdout)[0] == lines(events["stdout"])[0]
    done = kubectl(lab, described["command"])
    assert done.returncode == described["exit"]
    heads, ours = (re.findall(r"(?m)^(\S[^:\n]*):", text) for text in (described["stdout"], done.stdout))
    assert not same or ours == heads
    for line in lines(described["stdout"]):
        if line.startswith(("Desired", "Current", "Number", "Pods Status", "Selector", "Node-Selector")):
            assert line in lines(done.stdout)
    done = kubectl(lab, waited["command"])
    assert (done.returncode, done.stdout) == (waited["exit"], waited["stdout"])
