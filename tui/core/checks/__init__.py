"""The checks: one ordered list; the wizard's last screen, `check` and its reports are renderings of one run."""

from __future__ import annotations

from tui.core.checks.catalogue import CHECKS
from tui.core.checks.certificates import expiries
from tui.core.checks.courses import courses
from tui.core.checks.facts import Facts
from tui.core.checks.model import (
    CLUSTER,
    CONTAINER,
    ETCD,
    GATEWAYS,
    INFO,
    ISTIOD,
    KUBERNETES,
    MESH,
    OUT_OF_REACH,
    REQUIRED,
    SIDECARS,
    WARNING,
    Check,
    Course,
    Expiry,
    Report,
    Result,
    Samples,
)
from tui.core.checks.run import chosen, default_wait_s, run, sample

__all__ = [
    "CHECKS",
    "CLUSTER",
    "CONTAINER",
    "ETCD",
    "GATEWAYS",
    "INFO",
    "ISTIOD",
    "KUBERNETES",
    "MESH",
    "OUT_OF_REACH",
    "REQUIRED",
    "SIDECARS",
    "WARNING",
    "Check",
    "Course",
    "Expiry",
    "Facts",
    "Report",
    "Result",
    "Samples",
    "chosen",
    "courses",
    "default_wait_s",
    "expiries",
    "run",
    "sample",
]
