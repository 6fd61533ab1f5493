"""The order of the wizard's screens: what comes next, what can be entered now, and where a person left off last time.

Screens are imported when they are entered, and built anew from the model each time.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tui.core.errors import UsageError
from tui.core.steps import STEPS, Session
from tui.i18n import _

if TYPE_CHECKING:
    from tui.core.answers import Answers
    from tui.core.receipts import Receipt
    from tui.widgets.given import Given
    from tui.widgets.step_screen import StepScreen

SCHEMA = "datakit-wizard/resume/v1"
WELCOME = "welcome"

_VIEW = ("screens.views", "ViewScreen")
SCREENS = {
    WELCOME: ("screens.welcome", "WelcomeScreen"),
    "cluster": ("screens.cluster", "ClusterScreen"),
    "workspace": ("screens.workspace", "WorkspaceScreen"),
    "etcd-conf": ("screens.etcd_conf", "EtcdConfScreen"),
    "certificates": ("screens.certificates", "CertificatesScreen"),
    "datakit": ("screens.datakit", "DataKitScreen"),
    "istio": ("screens.istio", "IstioScreen"),
    "review": ("screens.review", "ReviewScreen"),
    "docker": _VIEW,
    "kubernetes": _VIEW,
    "etcd": _VIEW,
    "istio-mesh": _VIEW,
    "istio-control-plane": _VIEW,
    "istio-service": _VIEW,
    "istio-workload": _VIEW,
    "verify": ("screens.verify", "VerifyScreen"),
    "done": ("screens.done", "DoneScreen"),
}


def build(key: str, session: Session, given: Given) -> StepScreen:
    """A new screen for a step (or for the welcome), showing the model as it is now."""
    module, name = SCREENS[key]
    made = getattr(importlib.import_module(module), name)
    screen: StepScreen = made(session, given, key) if (module, name) == _VIEW else made(session, given)
    return screen


def keys() -> list[str]:
    """Every screen in order, the welcome first."""
    return [WELCOME, *(step.key for step in STEPS)]


def refusal(key: str, session: Session) -> str:
    """Why a step cannot be entered yet, as a sentence; "" when it can."""
    if key in (WELCOME, "cluster"):
        return "" if session.backend is not None or key == WELCOME else _("The cluster comes after the start.")
    if session.survey is None:
        return _("First choose the cluster: everything else depends on it.")
    if key not in {step.key for step in session.steps}:
        return _("No mesh was found in this cluster.")
    return ""


def after(key: str, session: Session) -> str:
    """The next screen to show; steps that cannot be entered yet are passed over. The last one stays."""
    order = keys()
    for candidate in order[order.index(key) + 1 :]:
        if not refusal(candidate, session):
            return candidate
    return key


def before(key: str, session: Session) -> str:
    """The screen before; the first one stays."""
    order = keys()
    earlier = order[: order.index(key)]
    return next((candidate for candidate in reversed(earlier) if not refusal(candidate, session)), order[0])


@dataclass(frozen=True)
class Place:
    """Where a person left off: the step and the cluster. It holds no secret; the answers lie beside it."""

    step: str
    context: str = ""
    namespace: str = ""
    endpoint: str = ""
    saved: str = ""


def answers_path(state_dir: Path) -> Path:
    """Where the wizard keeps its answers between two runs."""
    return state_dir / "answers.toml"


def _place_path(state_dir: Path) -> Path:
    return state_dir / "resume.json"


def save(session: Session, step: str, saved: str) -> None:
    """Keep place and answers (`saved`: the time, as text).

    A folder that cannot be written is no error here, nor are answers that must not be written: an etcd.conf taken over
    from the cluster may hold a token.
    """
    survey = session.survey
    if survey is None:
        return
    from tui.core import answers

    place = Place(step, survey.context, survey.datakit.namespace, session.answers.studio.endpoint, saved)
    with contextlib.suppress(OSError, UsageError):
        session.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        write(answers_path(session.state_dir), answers.dump(session.answers))
        write(
            _place_path(session.state_dir),
            json.dumps({"schema": SCHEMA, **asdict(place)}, ensure_ascii=False),
        )


def load(state_dir: Path) -> Place | None:
    """The place that was kept, None where there is none that can be used."""
    try:
        content = json.loads(_place_path(state_dir).read_text(encoding="utf-8"))
        if content.pop("schema") != SCHEMA:
            return None
        place = Place(**{name: str(value) for name, value in content.items()})
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
    return place if place.step in SCREENS else None


def kept_answers(state_dir: Path) -> Answers | None:
    """The answers of the last run, None where there are none that can be read."""
    from tui.core import answers

    try:
        return answers.load(answers_path(state_dir).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, UsageError):
        return None


def broken_off(state_dir: Path) -> Receipt | None:
    """The receipt of an apply or undo that ended before it was done, None where there is none."""
    from tui.core.receipts import Store, unfinished_anywhere

    return unfinished_anywhere(Store(state_dir))


def write(path: Path, text: str) -> None:
    """Put a file on disk, whole or not at all, readable by its owner alone."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as out:
        out.write(text)
    partial.replace(path)
