"""What views cost: the templates of all seven, and a refresh of a live view of 16 panels.

Run it: `python tests/bench/views_bench.py`. Times are printed, never asserted: they are the machine's as much as ours.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from bench import RUNS, Measured, line  # noqa: E402 - run as a script it finds them only now

BUILD = """
import time
from tui.core import view_file, view_template, views
began = time.perf_counter()
for view in views.catalogue():
    views.build(view, name=view.name("en"), language="en")
print(time.perf_counter() - began)
"""
PLOTEXT = "import time; began = time.perf_counter(); import plotext; print(time.perf_counter() - began)"
PANELS = 16
SIZE = (46, 12)  # cells of a panel of the grid


def told(code: str) -> float:
    """The seconds that a fresh process prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return float(done.stdout)


def seconds(of: Callable[[], object]) -> float:
    began = time.perf_counter()
    of()
    return time.perf_counter() - began


def measure(runs: int) -> Iterator[Measured]:
    """Every figure, one after the other."""
    from tests.screens import live_answers
    from tui.core import live, views
    from tui.widgets.live_panel import drawn

    def median(of: Callable[[], float]) -> float:
        return statistics.median(of() for _run in range(runs))

    yield Measured("seven templates, files and all", median(lambda: told(BUILD)), "s", "at most 50 ms")
    yield Measured("import of the plotting library", median(lambda: told(PLOTEXT)), "s", "when a chart is first drawn")
    view = views.view("etcd")
    wanted = replace(live.begin(view, "lab"), view=replace(view, panels=view.panels[:PANELS]))
    asks = live.asks(wanted)
    answers = live_answers.answers(asks, 1_760_000_040_000)
    read = live.read(wanted, answers, "en")

    def draw() -> None:
        for panel in read.panels:
            drawn(panel, *SIZE)

    draw()  # the first one imports
    name = f"{PANELS} panels, {len(asks)} queries"
    yield Measured(f"queries of {name}", median(lambda: seconds(lambda: live.asks(wanted))), "s")
    yield Measured(f"answers of {name}", median(lambda: seconds(lambda: live.read(wanted, answers, "en"))), "s")
    yield Measured(f"drawing {PANELS} panels", median(lambda: seconds(draw)), "s")


def main() -> None:
    for one in measure(RUNS):
        print(line(one), flush=True)


if __name__ == "__main__":
    main()
