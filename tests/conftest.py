"""What holds for every test: no setting of the person who runs them, and English texts to begin with."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tui import i18n

SETTINGS = ("GUANCE_", "TRUEWATCH_", "KUBECONFIG", "XDG_STATE_HOME", "LC_", "LANG", "NO_COLOR", "COLORTERM", "SSH_")

# A slow machine is no wrong answer; and the same tree gives the same verdict (HYPOTHESIS_PROFILE=default explores).
settings.register_profile("datakit-wizard", deadline=None, derandomize=True, database=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "datakit-wizard"))


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A home of its own and none of the person's settings; the language that a test chose ends with it."""
    for name in list(os.environ):
        if name.startswith(SETTINGS):
            monkeypatch.delenv(name)
    home: Path = tmp_path_factory.getbasetemp() / "home"
    home.mkdir(exist_ok=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "state"))
    i18n.use_language("en")
    yield
    i18n.use_language("en")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the figures that tests hand over with `record_property("figure", ...)`, on one core or many."""
    for report in terminalreporter.getreports("passed"):
        for name, value in getattr(report, "user_properties", []):
            if name == "figure":
                terminalreporter.write_line(str(value))
    on_nodes = [report for report in terminalreporter.getreports("passed") if "kubelet" in report.keywords]
    if on_nodes:
        count = len({report.nodeid for report in on_nodes})
        terminalreporter.write_line(f"{count} scenarios need a kubelet and ran on the lab alone")
