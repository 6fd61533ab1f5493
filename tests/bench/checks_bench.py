"""What a full check of a healthy lab with 4 nodes and its mesh costs, as a ratio of its slowest single route.

Run it: `python tests/bench/checks_bench.py`. Times are printed, never asserted: they are the machine's as much as ours.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from bench import RUNS, Measured, line  # noqa: E402 - run as a script it finds them only now
from practice import Practice, practice  # noqa: E402

from tui import backend  # noqa: E402
from tui.core import checks  # noqa: E402
from tui.core.checks import CLUSTER, Check, Facts  # noqa: E402

TARGET = 2.0  # times the slowest route, for all of them


def set_up(lab: Practice, folder: Path) -> None:
    """Everything collected as the answers propose it, and arrived."""
    answers = folder / "answers.toml"
    answers.write_text(lab.run("answers").out)
    done = lab.run("apply", "-f", answers, "--yes", "--no-views")
    assert done.status == 0, done
    done = lab.run("check", "--wait", "90s")
    assert done.status == 0, done


class Looker:
    """Runs of the checks against a lab, each with nothing read before."""

    def __init__(self, lab: Practice) -> None:
        self.lab = lab
        self.backend = backend.connect(lab.ready["kubeconfig"], lab.ready["time_scale"])
        self.cluster = self.backend.clusters().connect(lab.ready["contexts"]["admin"])
        key = Path(lab.ready["studio"]["api_key_file"]).read_text().strip()
        self.studio = self.backend.studio(lab.ready["studio"]["endpoint"], key)

    def seconds(self, chosen: Sequence[Check]) -> float:
        """How long one run of these checks takes that waits for nothing, the studio's limit least of all."""
        while (budget := self.studio.budget()).left < budget.most:
            time.sleep(max(budget.next_s, 0.05))
        facts = Facts(self.backend, self.cluster.reader(), namespace=self.lab.ready["namespace"], studio=self.studio)
        began = time.perf_counter()
        report = checks.run(facts, wait_s=0.0, checks=chosen)
        took = time.perf_counter() - began
        assert len(report.results) == len(chosen), report
        return took


def measure(place: Path, runs: int = RUNS, *, mesh: bool = True) -> Iterator[Measured]:
    """Each route by itself, with what all of them share before it; then all of them."""
    chosen = checks.chosen(mesh=mesh)
    with practice(place, mesh=mesh) as lab:
        set_up(lab, place)
        looker = Looker(lab)
        routes = list(dict.fromkeys(check.route for check in chosen if check.route != CLUSTER))
        medians = {}
        for route in routes:
            wanted = [check for check in chosen if check.route in (CLUSTER, route)]
            medians[route] = statistics.median(looker.seconds(wanted) for _run in range(runs))
            yield Measured(f"check, {route} alone", medians[route], "s")
        whole = statistics.median(looker.seconds(chosen) for _run in range(runs))
        yield Measured("check, all routes", whole, "s")
        slowest = max(medians, key=lambda route: medians[route])
        yield Measured(f"all routes, as a ratio of {slowest}", whole / medians[slowest], "×", f"at most {TARGET:g}×")


def told(one: Measured) -> str:
    """A figure with its unit; seconds as the other benches print them."""
    if one.unit == "×":
        return f"{one.name:44} {one.median:8.2f}× (target: {one.budget})"
    return line(one)


def main() -> None:
    """Print every figure."""
    with tempfile.TemporaryDirectory() as place:
        for one in measure(Path(place)):
            print(told(one), flush=True)


if __name__ == "__main__":
    main()
