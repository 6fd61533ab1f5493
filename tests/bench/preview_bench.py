"""What a preview costs: time and memory, for an etcd and for a scrape of a large API server.

Run it: `python tests/bench/preview_bench.py`. Times are printed, never asserted: they are the machine's as much as
ours.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from bench import RUNS, SCRAPE, Measured, line  # noqa: E402 - run as a script it finds them only now

CONF = """\
[[inputs.prom]]
  urls = ["http://127.0.0.1:2381/metrics"]
  source = "etcd"
  metric_name_filter = ["^etcd_", "^apiserver_", "^go_", "^process_"]
  [[inputs.prom.measurements]]
    prefix = "etcd_"
    name = "etcd"
"""
SERIES = 60_000
BUCKETS = ["0.005", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "30", "60", "+Inf"]


def large_scrape(series: int = SERIES) -> bytes:
    """That many series (SERIES are 12 MB) in the shape of an API server's: histograms with many labels."""
    lines: list[str] = []
    families = 40
    for number in range(families):
        name = f"apiserver_request_{number}_duration_seconds"
        lines += [f"# HELP {name} [STABLE] Response latency distribution in seconds", f"# TYPE {name} histogram"]
        for resource in range(series // families // (len(BUCKETS) + 2)):
            labels = (
                f'component="apiserver",dry_run="",group="apps.example.io",resource="resource-{resource}s",'
                f'scope="namespace",subresource="status",verb="LIST",version="v1beta{resource % 3}"'
            )
            lines += [f'{name}_bucket{{{labels},le="{bound}"}} {resource * 7 + at}' for at, bound in enumerate(BUCKETS)]
            lines += [f"{name}_sum{{{labels}}} {resource * 1.375}", f"{name}_count{{{labels}}} {resource * 7 + 12}"]
    return ("\n".join(lines) + "\n").encode()


def seconds(of: Callable[[], object]) -> float:
    began = time.perf_counter()
    of()
    return time.perf_counter() - began


def full(body: bytes) -> int:
    """A preview from conf and body to points, findings and panels; how many points it made."""
    from tui.core.prom.against import filled
    from tui.core.prom.collector import Scrape
    from tui.core.prom.preview import preview

    made = preview(CONF, lambda _url: Scrape(body), host_tags={"host": "n"}, election_tags={"c": "d"}, env={}, now_ms=0)
    filled(made.picture.fields)
    return len(made.points)


def refilter(body: bytes) -> Callable[[], object]:
    """One edit of a filter in a conf whose scrape was read before; each call types one letter more."""
    from tui.core.prom.live import LivePreview

    live = LivePreview(body, {})
    live.update(CONF)
    typed = ["^go_"]

    def edit() -> object:
        typed.append("x")
        return live.update(CONF.replace("^go_", "".join(typed)))

    return edit


def parser_alone(body: bytes) -> int:
    """What prometheus_client's parser needs for the same text."""
    from prometheus_client.parser import text_string_to_metric_families

    return sum(len(family.samples) for family in text_string_to_metric_families(body.decode()))


_PEAK = """
import sys
sys.path[:0] = {paths!r}
import preview_bench
def most():  # not getrusage: that begins with what the parent process had
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
preview_bench.full(b"a_b 1\\n")
body = sys.stdin.buffer.read()
before = most()
preview_bench.full(body)
print((most() - before) * 1024 / len(body))
"""


def peak(body: bytes) -> float:
    """The most memory that a full preview adds to a process that holds the text, as a multiple of its size."""
    program = _PEAK.format(paths=[str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "bench")])
    return float(subprocess.run([sys.executable, "-c", program], input=body, check=True, capture_output=True).stdout)


def measure(runs: int, series: int = SERIES) -> Iterator[Measured]:
    """Every figure, one after the other; `series` of the larger scrape."""

    def median(of: Callable[[], object]) -> float:
        return statistics.median(seconds(of) for _run in range(runs))

    for name, body in (("etcd", SCRAPE.read_bytes()), ("API server", large_scrape(series))):
        full(body)
        whole, parser, edit = median(lambda: full(body)), median(lambda: parser_alone(body)), median(refilter(body))  # noqa: B023
        size = f"{len(body) / 1e6:.2f} MB"
        if name == "etcd":
            yield Measured(f"full preview, {name}", whole, "s", f"{size}, at most 30 ms")
        else:
            budget = f"{size}, {whole / parser:.2f}× prometheus_client's parser alone, at most 3×"
            yield Measured(f"full preview, {name}", whole, "s", budget)
        yield Measured(f"prometheus_client alone, {name}", parser, "s")
        yield Measured(f"after an edit, {name}", edit, "s", f"{100 * edit / whole:.2f} % of the full time, at most 5 %")
    yield Measured("memory added, API server", peak(large_scrape(series)), "× the text's size", "at most 10×")


def main() -> None:
    print(f"medians of {RUNS}")
    for one in measure(RUNS):
        print(line(one), flush=True)


if __name__ == "__main__":
    main()
