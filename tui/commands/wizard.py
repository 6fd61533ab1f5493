"""The wizard itself, the practice lab, and the wizard on the practice lab."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from tui import terminal
from tui.core import settings
from tui.core.errors import Exit, UsageError, WizardError
from tui.i18n import _

if TYPE_CHECKING:
    from tui.core.steps import LabInfo
    from tui.terminal import Look

LAB_START_S = 60.0
LAB_STOP_S = 10.0


def lab(options: argparse.Namespace) -> int:
    """Run the practice lab in this process until it is told to stop, or change a fault of the one that runs."""
    if options.lab_action == "fault":
        return _change_fault(options)
    if options.lab_action == "traffic":
        return _change_traffic(options)
    from tui.lab.main import LabOptions, run

    return run(
        LabOptions(
            nodes=options.nodes,
            control_planes=options.control_planes,
            platform=options.platform,
            apiserver=options.apiserver,
            objects_only=options.objects_only or 0,
            interval_s=options.interval,
            seed=options.seed,
            mesh=options.mesh,
            faults=tuple(options.fault),
            bare=options.bare,
            users=tuple(options.user),
            list_faults=options.list_faults,
            output=options.output,
        )
    )


def _change_traffic(options: argparse.Namespace) -> int:
    """Start, stop or shift the requests to a running lab's mesh; says on stdout how they stand."""
    from tui.lab import control

    if (options.change == "shift") is not bool(options.weights):
        raise UsageError(_("`shift` takes weights, `start` and `stop` take none."), remedy=_("Write them like 90:10."))
    folder = control.find_lab(options.lab or options.kubeconfig or "")
    if options.change == "shift":
        answer = control.ask(folder, "shift", options.weights)
    else:
        answer = control.ask(folder, "traffic", options.change)
    if options.output == "json":
        print(json.dumps(answer))
        return Exit.OK
    shares = " ".join(f"{version}:{weight}" for version, weight in answer["weights"].items())
    template = _("Requests come in, reviews gets {shares}.") if answer["running"] else _("No requests come in.")
    print(template.format(shares=shares))
    return Exit.OK


def _change_fault(options: argparse.Namespace) -> int:
    """Set or clear a fault of a running lab; says on stdout how it stands."""
    from tui.lab import control, faults

    fault = faults.named(options.name)
    answer = control.ask(control.find_lab(options.lab or options.kubeconfig or ""), options.change, fault.name)
    if options.output == "json":
        print(json.dumps(answer))
    elif answer["state"] == "waiting":
        print(_("{name}: set; it shows as soon as an etcd.conf is in use").format(name=fault.name))
    else:
        told = _("{name}: set") if answer["state"] == "set" else _("{name}: cleared")
        print(told.format(name=fault.name))
    return Exit.OK


def wizard(options: argparse.Namespace) -> int:
    """The wizard on the person's own clusters."""
    found = settings.studio_settings(
        os.environ, endpoint=options.endpoint or "", api_key_file=options.api_key_file or ""
    )
    look = _look(options)
    if look is None:
        return Exit.USAGE
    from tui import app
    from tui.widgets.given import Given, Secret

    state_dir = settings.state_dir(os.environ)

    def open_world() -> app.World:
        from tui import backend

        return app.World(backend.connect(options.kubeconfig or ""), state_dir)

    given = Given(
        context=(options.context or [""])[0],
        namespace=options.namespace or "",
        endpoint=found.endpoint,
        key=Secret(found.key),
        key_source=found.key_from,
    )
    return app.run_wizard(app.Options(open_world, look, state_dir, given=given))


def demo(options: argparse.Namespace) -> int:
    """The wizard on a practice lab, which starts after the first frame as a child of this process."""
    look = _look(options)
    if look is None:
        return Exit.USAGE
    from tui import app
    from tui.widgets.given import Given, Secret

    child = _Lab(options)

    def open_world() -> app.World:
        info = child.start()
        from tui import backend

        studio = child.ready["studio"]
        return app.World(
            backend.connect(child.ready["kubeconfig"], info.time_scale),
            info.folder / "state",
            lab=info,
            context=child.ready["contexts"]["admin"],
            namespace=child.ready["namespace"],
            endpoint=studio["endpoint"],
            key=Secret(settings.read_key(Path(studio["api_key_file"]))),
            key_source=_("the practice lab"),
        )

    given = Given(practice=True, command="datakit-wizard demo")
    options_of_app = app.Options(open_world, look, settings.state_dir(os.environ), given=given, close=child.stop)
    return app.run_wizard(options_of_app)


def _look(options: argparse.Namespace) -> Look | None:
    """How to draw on this terminal; None, with one line that says why, where the wizard cannot."""
    if options.context and len(options.context) > 1:
        raise UsageError(_("Only check takes more than one --context."), object=", ".join(options.context))
    refused = terminal.refusal(os.environ)
    if refused:
        print(refused, file=sys.stderr)
        return None
    return terminal.prepare_environment(os.environ, color=options.color or "auto")


def lab_arguments(options: argparse.Namespace) -> list[str]:
    """The command line of the lab that a demo starts."""
    arguments = ["lab", "--nodes", str(options.nodes), "--control-planes", str(options.control_planes)]
    arguments += ["--platform", options.platform, "--interval", f"{options.interval}s"]
    arguments += ["--seed", str(options.seed)] if options.seed is not None else []
    arguments += [] if options.mesh else ["--no-mesh"]
    for fault in options.fault:
        arguments += ["--fault", fault]
    return arguments


@dataclass
class _Lab:
    """The lab as a child process. Nothing of the demo lies outside the lab's folder, which the lab removes at its end
    even where this process is killed.
    """

    options: argparse.Namespace
    process: subprocess.Popen[bytes] | None = None
    ready: dict[str, Any] = field(default_factory=dict)

    def start(self) -> LabInfo:
        """Start it and wait for its ready line. Raises WizardError with what it said where it does not come."""
        # -P: the folder that the person stands in is none of ours, whatever packages lie there.
        command = [sys.executable, "-P", "-m", "tui.cli", *lab_arguments(self.options)]
        with tempfile.TemporaryFile() as log:
            # A session of its own: Ctrl-C in the wizard's terminal is the wizard's to answer.
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, start_new_session=True
            )
            assert self.process.stdout is not None
            try:
                self.ready = json.loads(_first_line(self.process.stdout))
            except ValueError:
                self.stop()
                log.seek(0)
                told = log.read().decode("utf-8", errors="replace").strip().splitlines()
                raise WizardError(
                    _("The practice lab did not start."),
                    object="datakit-wizard " + " ".join(command[4:]),
                    why="\n".join(told[-5:]) or _("It ended without a word."),
                    remedy=_("Run `datakit-wizard lab` alone to see what it says."),
                ) from None
        from tui.core.steps import LabInfo

        return LabInfo(
            folder=Path(self.ready["kubeconfig"]).parent,
            time_scale=float(self.ready["time_scale"]),
            etcd=self.ready["etcd"]["kind"],
        )

    def stop(self) -> None:
        """End it and wait until everything of it is gone."""
        process, self.process = self.process, None
        if process is None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(LAB_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _first_line(stream: IO[bytes]) -> bytes:
    """The first line within the time that a start may take; empty where none comes."""
    import selectors

    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        return stream.readline() if selector.select(LAB_START_S) else b""
