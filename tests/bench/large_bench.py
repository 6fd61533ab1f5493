"""What a cluster of thousands of nodes costs: the first look, the keys meanwhile, and the memory of a rollout.

Run it: `python tests/bench/large_bench.py`. Times and memory are printed, never asserted; requests and connections are
counts, and the tests assert them.
"""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from bench import Measured, environment, line, process  # noqa: E402 - run as a script it finds them only now
from practice import Practice, practice  # noqa: E402
from terminal_harness import Terminal  # noqa: E402

NODES = 5000
CONTROL_PLANES = 3
_TICK_S = 0.005
_KEYS_S = 0.03  # a key that is held down repeats as fast
_DEADLINE_S = 180.0
_STEPS = 10  # in which the rollout comes out


@dataclass
class FirstLook:
    """From Enter on a context to the cluster screen with all that was found there."""

    seconds: float = 0.0
    requests: list[str] = field(default_factory=list)  # method and path, in order
    connections: int = 0
    late: list[float] = field(default_factory=list)  # how late the event loop came to what was due, in seconds
    keys: list[float] = field(default_factory=list)  # from a key press to the focus that it moves, in seconds


def paged_list(lab: Practice) -> float:
    """Seconds that one list of all DataKit pods takes as plain dicts, in pages of 500, on a connection that is open."""
    from tui import backend
    from tui.core.ports import POD

    cluster = backend.connect(lab.ready["kubeconfig"]).clusters().connect(lab.ready["contexts"]["admin"])
    cluster.version()
    began = time.perf_counter()
    cluster.list(POD, lab.ready["namespace"])
    return time.perf_counter() - began


async def _look(lab: Practice, place: Path) -> FirstLook:
    from textual import events

    from tui import app, backend
    from tui.backend.cluster import KubernetesCluster
    from tui.terminal import Look
    from tui.widgets.given import Given

    found = FirstLook()
    pools: list[Any] = []
    send = KubernetesCluster._send

    def counted(cluster: KubernetesCluster, method: str, path: str, *args: Any, **options: Any) -> Any:
        found.requests.append(f"{method} {path}")
        answer = send(cluster, method, path, *args, **options)
        if cluster._client is not None:
            pools[:] = [cluster._client.client.rest_client.pool_manager]
        return answer

    given = Given(context=lab.ready["contexts"]["admin"])
    world = app.World(backend.connect(lab.ready["kubeconfig"]), place)
    wizard = app.WizardApp(app.Options(lambda: world, Look(False, False), place, given=given))
    KubernetesCluster._send = counted  # type: ignore[method-assign]
    try:
        async with wizard.run_test(size=(80, 24)) as pilot:
            while wizard.session.backend is None:
                await pilot.pause()
            await pilot.press("enter")
            while not wizard.session.contexts:
                await pilot.pause()
            # TLS and imports are not counted: a request to the version opens the connection of a client of its own.
            warm = backend.connect(lab.ready["kubeconfig"]).clusters().connect(given.context)
            await asyncio.to_thread(warm.version)
            found.requests.clear()
            ticking = asyncio.create_task(_ticks(found.late))
            began = time.perf_counter()
            wizard.post_message(events.Key("enter", "\r"))
            while wizard.session.survey is None:
                focused, pressed = wizard.focused, time.perf_counter()
                wizard.post_message(events.Key("tab", "\t"))
                while wizard.focused is focused and wizard.session.survey is None:
                    await asyncio.sleep(0.001)
                found.keys.append(time.perf_counter() - pressed)
                await asyncio.sleep(_KEYS_S)
            await pilot.pause()
            found.seconds = time.perf_counter() - began
            ticking.cancel()
    finally:
        KubernetesCluster._send = send  # type: ignore[method-assign]
    found.connections = sum(pool.num_connections for pool in pools[0].pools._container.values())
    return found


async def _ticks(late: list[float]) -> None:
    while True:
        due = time.perf_counter() + _TICK_S
        await asyncio.sleep(_TICK_S)
        late.append(time.perf_counter() - due)


def first_look(lab: Practice, place: Path) -> FirstLook:
    """The wizard on the lab, from Enter on its context to the cluster screen, in this process."""
    return asyncio.run(asyncio.wait_for(_look(lab, place), 120))


def p99(values: list[float]) -> float:
    """The value that one in a hundred exceeds."""
    return sorted(values)[int(len(values) * 0.99)] if values else 0.0


def rollout_memory(lab: Practice, place: Path) -> tuple[float, float]:
    """(MiB at most, seconds) of the wizard from its start through an apply and a rollout that it watches to its end.

    Nothing runs on these nodes, so the counts of the DaemonSet and the labels of some pods are moved from here.
    """
    began = time.perf_counter()
    command = [sys.executable, "-m", "tui.cli", "--kubeconfig", lab.ready["kubeconfig"]]
    command += ["--context", lab.ready["contexts"]["admin"], "--endpoint", lab.ready["studio"]["endpoint"]]
    command += ["--api-key-file", lab.ready["studio"]["api_key_file"]]
    with Terminal(command, environment(place)) as terminal:
        terminal.wait_for("Choose the cluster")
        mover = threading.Thread(target=_roll, args=(lab,), daemon=True)
        mover.start()
        shown = terminal.text()
        while not ("since the start" in shown or "Applied" in shown):
            assert time.perf_counter() - began < _DEADLINE_S, shown
            terminal.type("\r")
            with contextlib.suppress(AssertionError):
                terminal.wait_quiet(1.0, 10.0)
            shown = terminal.text()
        terminal.wait_for("Applied", 300)
        mover.join(60)
        status = Path(f"/proc/{terminal.process.pid}/status").read_text()
        most = next(int(row.split()[1]) for row in status.splitlines() if row.startswith("VmHWM")) / 1024
        terminal.type("\x03")
        terminal.wait_quiet(0.3)
        terminal.type("\x03")
        terminal.wait_end()
    return most, time.perf_counter() - began


def _roll(lab: Practice) -> None:
    """Bring the new template out, in steps: what the DaemonSet controller and the kubelets would write."""
    from tui import backend
    from tui.core.ports import DAEMON_SET, POD

    cluster = backend.connect(lab.ready["kubeconfig"]).clusters().connect(lab.ready["contexts"]["admin"])
    namespace = lab.ready["namespace"]
    while (item := cluster.get(DAEMON_SET, namespace, "datakit"))["metadata"]["generation"] < 2:
        time.sleep(0.1)
    pods = [row.name for row in cluster.table(POD, namespace)]
    count = item["status"]["desiredNumberScheduled"]
    for step in range(_STEPS + 1):
        for name in pods[step * len(pods) // _STEPS :][:20]:
            body = {"metadata": {"labels": {"pod-template-generation": "2", "controller-revision-hash": "new"}}}
            cluster.patch(POD, namespace, name, body, manager="kube-controller-manager", dry_run=False)
        status = {**item["status"], "observedGeneration": 2, "updatedNumberScheduled": count * step // _STEPS}
        path = f"/apis/apps/v1/namespaces/{namespace}/daemonsets/datakit/status"
        cluster._ask(  # type: ignore[attr-defined]
            "patch", path, "status", body={"status": status}, content_type="application/merge-patch+json"
        )
        time.sleep(0.5)


def measure(place: Path, runs: int, nodes: int = NODES) -> Iterator[tuple[Measured, FirstLook | None]]:
    """Every figure; that of the first look comes with what was counted."""
    base = statistics.median(process(place, "-c", "pass") for _run in range(runs))
    arguments = ("--objects-only", str(nodes), "--control-planes", str(CONTROL_PLANES))
    with practice(place / "lab", *arguments) as lab:
        whole = statistics.median(paged_list(lab) for _run in range(runs))
        size = f"{nodes} pods as dicts, limit 500"
        yield Measured("one paged list", whole, "s", f"{size}, {whole / base:.1f}× python -c pass"), None
        looks = [first_look(lab, place / f"look-{run}") for run in range(runs)]
        seconds = statistics.median(look.seconds for look in looks)
        budget = f"{seconds / whole:.2f}× that list, at most 2×; {seconds / base:.1f}× python -c pass"
        yield Measured("cluster screen usable", seconds, "s", budget), looks[0]
        late = [value for look in looks for value in look.late]
        yield Measured("event loop late, p99", p99(late), "s", f"of {len(late)}, at most 100 ms"), None
        keys = [value for look in looks for value in look.keys]
        yield Measured("key press answered, p99", p99(keys), "s", f"of {len(keys)}, at most 100 ms"), None
        most, watched = rollout_memory(lab, place)
        yield Measured("memory, rollout watched", most, "MiB", f"at most 120, in {watched:.0f} s"), None


def main() -> None:
    runs = 3
    print(f"{NODES} nodes, medians of {runs}")
    with tempfile.TemporaryDirectory() as folder:
        for one, look in measure(Path(folder), runs):
            print(line(one), flush=True)
            if look is not None:
                print(f"  {len(look.requests)} requests (at most 12), {look.connections} connection")


if __name__ == "__main__":
    main()
