"""A run of the checks as OpenMetrics text, for what alerts on it: a nightly job, a textfile collector, DataKit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tui.core.checks.model import Report

STATUSES = {"pass": 0, "warn": 1, "fail": 2, "skip": 3, "pending": 3}
VERDICTS = {"pass": 0, "inconclusive": 1, "fail": 2}


def as_openmetrics(report: Report, *, now_s: float) -> str:
    """The report as gauges. Names and labels are an interface and never translated; times are unix seconds.

    The types are those that DataKit's collector reads, too (it refuses `stateset`).
    """
    lines: list[str] = []

    def family(name: str, text: str, samples: Iterable[tuple[Mapping[str, str], float]]) -> None:
        found = list(samples)
        if not found:
            return
        lines.append(f"# TYPE datakit_wizard_{name} gauge")
        lines.append(f"# HELP datakit_wizard_{name} {text}")
        lines.extend(f"datakit_wizard_{name}{{{_labels(labels)}}} {value:.15g}" for labels, value in found)

    family(
        "verdict",
        "Verdict of the run: 0 pass, 1 inconclusive, 2 fail.",
        (
            ({"context": context}, VERDICTS[_of_context(report, context).verdict])
            for context in dict.fromkeys(report.contexts)
        ),
    )
    family(
        "check_status",
        "State of a check: 0 passed, 1 warning, 2 failed, 3 skipped.",
        (
            (
                {"context": r.context, "route": r.route, "id": r.id, "severity": r.severity},
                STATUSES[r.status],
            )
            for r in report.results
        ),
    )
    family(
        "certificate_not_after_seconds",
        "When a certificate that DataKit uses ends.",
        (({"context": e.context, "node": e.node, "path": e.path}, e.not_after_s) for e in report.expiries),
    )
    family("run_timestamp_seconds", "When the checks were made.", [({}, now_s)])
    return "\n".join([*lines, "# EOF"]) + "\n"


def _of_context(report: Report, context: str) -> Report:
    return Report(tuple(r for r in report.results if r.context == context), (context,))


def _labels(labels: Mapping[str, str]) -> str:
    escaped = {
        name: value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") for name, value in labels.items()
    }
    return ",".join(f'{name}="{value}"' for name, value in escaped.items())
