"""`datakit-wizard lab`: runs a lab until it is told to stop, or until whoever started it is gone."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sys
from dataclasses import asdict, dataclass
from typing import Any

from tui.core.errors import Exit, UsageError, WizardError
from tui.i18n import _
from tui.lab import faults
from tui.lab.control import make_folder

MIN_INTERVAL_S = 0.5
_PARENT_POLL_S = 0.5


@dataclass(frozen=True)
class LabOptions:
    """The command line of `lab`. `interval_s` is how long 60 s of a real cluster take here."""

    nodes: int = 4
    control_planes: int = 1
    platform: str = "kubeadm"
    apiserver: bool = False
    objects_only: int = 0
    interval_s: float = 60.0
    seed: int | None = None
    mesh: bool = True
    faults: tuple[str, ...] = ()
    bare: bool = False
    users: tuple[str, ...] = ()
    list_faults: bool = False
    output: str = "text"


def run(options: LabOptions) -> int:
    """Run a lab; one JSON line on stdout says when it is ready. Returns the exit status.

    It stops, and leaves nothing behind, on SIGINT, SIGTERM, SIGHUP (a closed terminal) and when the process
    that started it dies. Raises UsageError where the options make no lab.
    """
    if options.list_faults:
        _list_faults(options.output)
        return Exit.OK
    faults.check_names(options.faults)
    if options.interval_s < MIN_INTERVAL_S:
        raise UsageError(_("The interval must be at least {s} seconds.").format(s=MIN_INTERVAL_S))
    return asyncio.run(_run(options))


def _list_faults(output: str) -> None:
    if output == "json":
        listed = [asdict(each) | {"broken": _(each.broken), "symptom": _(each.symptom)} for each in faults.FAULTS]
        print(json.dumps({"faults": listed}, ensure_ascii=False, indent=2))
        return
    for each in faults.FAULTS:
        print(f"{each.name}  ({each.check})\n    {_(each.broken)}\n    {_(each.symptom)}")


async def _run(options: LabOptions) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    orphaned = asyncio.create_task(_watch_parent(stop))
    work = asyncio.create_task(_bare(options, stop) if options.bare else _full(options, stop))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({work, stopping}, return_when=asyncio.FIRST_COMPLETED)
    for task in (work, orphaned, stopping):
        task.cancel()  # once, so that nothing disturbs the cleaning up; a start under way is broken off
    with contextlib.suppress(asyncio.CancelledError):
        await work
    return Exit.OK


async def _watch_parent(stop: asyncio.Event) -> None:
    """Stop when the process that started the lab has died (the system gives its children to another one)."""
    parent = os.getppid()
    while os.getppid() == parent:
        await asyncio.sleep(_PARENT_POLL_S)
    stop.set()


def _announce(line: dict[str, Any], stop: asyncio.Event) -> None:
    try:
        print(json.dumps(line | {"pid": os.getpid()}), flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        stop.set()


async def _until_cancelled() -> None:
    await asyncio.get_running_loop().create_future()


async def _full(options: LabOptions, stop: asyncio.Event) -> None:
    from tui.lab import realserver
    from tui.lab.world import Lab

    programs = realserver.binaries(os.environ) if options.apiserver else None
    try:
        lab = Lab(
            nodes=options.nodes,
            control_planes=options.control_planes,
            platform=options.platform,
            interval_s=options.interval_s,
            seed=options.seed,
            mesh=options.mesh,
            faults=options.faults,
            etcd_binary=shutil.which("etcd") or (str(programs / "etcd") if programs else None),
            programs=programs,
            objects_only=options.objects_only,
        )
        await lab.start()
    except ValueError as error:
        raise UsageError(_("These options make no lab."), why=str(error)) from None
    except TimeoutError as error:
        raise WizardError(_("DataKit did not get ready on all nodes of the lab.")) from error
    try:
        _announce(lab.ready(), stop)
        await _until_cancelled()
    finally:
        await lab.stop()


async def _bare(options: LabOptions, stop: asyncio.Event) -> None:
    """The control plane alone: no nodes, no controllers, a client certificate for the admin and each user."""
    from tui.lab import controlplane, vendor, world
    from tui.lab.audit import AuditLog
    from tui.lab.kubeconfig import context_name, write_kubeconfig
    from tui.lab.pki import Pki, write_file

    pki = Pki.create()
    folder = make_folder()
    server = None
    audit = AuditLog(folder / "audit.jsonl")
    try:
        server = controlplane.api_server(folder, pki.cluster, pki.api_server([]), None, audit.control_plane)
        url = await server.start()
        pairs = {vendor.ADMIN: pki.user(vendor.ADMIN, vendor.ADMINS)}
        pairs |= {name: pki.user(name) for name in options.users if name != vendor.ADMIN}
        ca = folder / "ca.crt"
        write_file(ca, pki.cluster.pem)
        files = {name: pair.write(folder / "users", name) for name, pair in pairs.items()}
        kubeconfig = folder / "kubeconfig"
        write_kubeconfig(
            kubeconfig,
            url,
            pki.cluster.pem,
            pairs,
            current=vendor.ADMIN,
            namespace="default",
            time_scale=60.0 / options.interval_s,
        )
        line = {
            "schema": world.SCHEMA,
            "kubeconfig": str(kubeconfig),
            "contexts": {name: context_name(name) for name in pairs},
            "server": url,
            "ca": str(ca),
            "users": {name: {"cert": str(cert), "key": str(key)} for name, (cert, key) in files.items()},
            "folder": str(folder),
            "audit": str(audit.path),
        }
        _announce(line, stop)
        await _until_cancelled()
    finally:
        if server is not None:
            await server.stop()
        audit.close()
        shutil.rmtree(folder, ignore_errors=True)
