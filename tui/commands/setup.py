"""answers, plan, apply, undo: setting up and taking back, without a screen."""

from __future__ import annotations

import argparse
import json
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from tui.commands.connection import (
    Connection,
    agreed,
    connect,
    consent,
    datakit,
    open_backend,
    say,
    store,
    studio,
    studio_settings,
)
from tui.core import actions, canary, proof, reports
from tui.core import answers as answers_file
from tui.core import mesh as istio
from tui.core import undo as undoing
from tui.core.answers import Answers
from tui.core.checks.facts import Facts
from tui.core.cluster_tag import cluster_tag, told
from tui.core.errors import CancelledError, Exit, RefusedError, UsageError, WizardError
from tui.core.plan import NOT_COMPARED, Plan, make_plan
from tui.core.ports import CONFIG_MAP, Cluster
from tui.core.proposal import istio_notes, propose
from tui.core.receipts import UNDONE, WRITTEN, Receipt, load, unfinished
from tui.core.rollout import RolloutOptions, going_on
from tui.core.survey import CLUSTER_TAG, CONFIG_MAP_NAME, Survey, cluster_uid, survey
from tui.core.topology import consequence
from tui.core.undo_elsewhere import without_receipt
from tui.core.view_writes import plan_undo_views
from tui.core.writes import read_live
from tui.i18n import _

T = TypeVar("T")
LARGEST_ANSWERS = 4 << 20


def read_answers(filename: str) -> Answers:
    """The answers file; `-` is stdin. Raises UsageError where it cannot be read or is wrong."""
    try:
        if filename == "-":
            text = sys.stdin.read(LARGEST_ANSWERS)
        else:
            with Path(filename).open(encoding="utf-8") as file:
                text = file.read(LARGEST_ANSWERS)
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else _("It is not UTF-8 text.")
        raise UsageError(
            _("The answers file cannot be read."),
            object=filename,
            why=why,
            remedy=_("`datakit-wizard answers > answers.toml` makes one."),
        ) from None
    return answers_file.load(text)


def answers(options: argparse.Namespace) -> int:
    """Print the proposed answers."""
    connection = connect(options)
    look = survey(connection.cluster, datakit(options, connection))
    found = studio_settings(options)
    proposed = propose(look, strategy=options.strategy, preset=options.preset, endpoint=found.endpoint, pick=True)
    mesh = istio_notes(look, proposed.istio)
    for note in (look.topology.why, consequence(proposed.etcd.strategy, look.topology), *look.notes, *mesh):
        say(f"# {note}")
    for line in told(cluster_tag(look.datakit.env, proposed.cluster.name)):
        say(f"# {CLUSTER_TAG}, {line}")
    sys.stdout.write(answers_file.dump(proposed))
    return Exit.OK


def plan(options: argparse.Namespace) -> int:
    """Print the plan; exit status 1 if it would change anything."""
    given = read_answers(options.filename)
    connection = connect(options, given.cluster.context)
    found = studio(connection.backend, studio_settings(options, given), given)
    look = survey(connection.cluster, datakit(options, connection, given))
    left = _tell_unfinished(look.uid, look.datakit.namespace)
    made = make_plan(connection.cluster, look, given, found, rollout=_rollout(options, left))
    document = reports.plan_document(made)
    if options.output == "text":
        sys.stdout.write(reports.plan_text(made))
        sys.stdout.flush()
    if options.prove:
        proved = proof.prove(connection.backend, connection.cluster, look, made.conf)
        document["proof"] = proof.document(proved)
        if options.output == "text":
            print("\n".join(proof.told(proved)))
    if options.output == "json":
        print(json.dumps(document, ensure_ascii=False, indent=1))
    elif options.output == "yaml":
        import yaml

        yaml.safe_dump(document, sys.stdout, allow_unicode=True, sort_keys=False)
    return Exit.DECIDED_AGAINST if made.has_changes else Exit.OK


def apply(options: argparse.Namespace) -> int:
    """Apply the plan and print the receipt's path."""
    given = read_answers(options.filename)
    connection = connect(options, given.cluster.context)
    client = None
    if not options.no_views and given.views.create:
        client = studio(connection.backend, studio_settings(options, given), given)
    else:
        given = replace(given, views=replace(given.views, create=()))
    look = survey(connection.cluster, datakit(options, connection, given))
    left = _tell_unfinished(look.uid, look.datakit.namespace)

    def planned(look: Survey, how: RolloutOptions) -> Plan:
        forced, overwrite = options.force_field, options.overwrite_view
        return make_plan(connection.cluster, look, given, client, forced=forced, overwrite=overwrite, rollout=how)

    made = planned(look, _rollout(options, left))
    if any(view.verb == NOT_COMPARED for view in made.views):
        raise RefusedError(
            _("The answers ask for views, and no API key was given."),
            object=", ".join(view.key for view in made.views if view.verb == NOT_COMPARED),
            remedy=_("Give --endpoint and --api-key-file, or leave the views out with --no-views."),
        )
    say(reports.plan_text(made).rstrip("\n"))
    if made.has_changes and not made.blockers():
        consent(options, _("Apply this? [y/N]"))
    facts = Facts(
        connection.backend,
        connection.cluster.reader(),
        namespace=look.datakit.namespace,
        daemonset=look.datakit.name,
        studio=client or studio(connection.backend, studio_settings(options, given), given),
    )

    def carry_out(plan: Plan, go_on: canary.GoOn) -> Receipt:
        return _in_thread(
            lambda cancelled: actions.apply(
                connection.cluster,
                plan,
                client,
                store(),
                on_event=_narrate,
                cancelled=cancelled,
                look=lambda node: canary.wait_series(facts, node, cancelled=cancelled),
                go_on=go_on,
            )
        )

    # A person is asked whether the others follow; without one they do where the series were seen.
    receipt = carry_out(made, canary.when_arrived if options.yes else canary.never)
    if receipt.held and not options.yes and agreed(_("Go on with the other nodes? [y/N]")):
        look = survey(connection.cluster, datakit(options, connection, given))
        receipt = carry_out(planned(look, RolloutOptions()), canary.always)
    say(reports.receipt_text(receipt).rstrip("\n"))
    if receipt.path:
        print(receipt.path)
    return Exit.PARTIAL if receipt.held else Exit.OK


def _rollout(options: argparse.Namespace, left: Receipt | None) -> RolloutOptions:
    """How the change is to come out. What goes on with an apply that was broken off does so in that one's way."""
    return going_on(RolloutOptions(options.one_node_first, options.only_etcd_nodes, options.delete_pods), left)


def undo(options: argparse.Namespace) -> int:
    """Undo a receipt, by default the newest of this cluster and namespace that is not undone."""
    given = load(Path(options.receipt)) if options.receipt else None
    cluster: Cluster | None = None
    notes: list[str] = []
    if given is not None and not given.steps:  # of views alone: no cluster is needed
        backend, receipt = open_backend(options), given
    else:
        connection = connect(options, given.context if given else "")
        backend, cluster = connection.backend, connection.cluster
        receipt, notes = (given, []) if given else _to_undo(options, connection)
    items = undoing.plan_undo(cluster, receipt, store())
    for item in items:
        say(item.step.title)
        say(item.diff or _("no change"))
        for note in item.notes:
            say(note)
    for note in notes:
        say(note)
    for pod in receipt.pods:
        if pod.state != UNDONE and not pod.template:
            say(_("pod on {node}: deleted, so that a new one reads the former text").format(node=pod.node))
    found = studio_settings(options)
    if not found.endpoint and receipt.endpoint:
        found = replace(found, endpoint=receipt.endpoint)
    client = studio(backend, found) if any(view.open for view in receipt.views) else None
    if client is None and any(view.open for view in receipt.views):
        say(_("Views are left: undoing them needs the API key."))
    elif client is not None:
        for view in plan_undo_views(client, receipt):
            say("\n".join(reports.view_undo_lines(view, overwrite=view.step.key in options.overwrite_view)))
    if cluster is not None:
        undoing.refuse_without_rights(cluster, receipt, items)
    consent(options, _("Undo this? [y/N]"))
    done = _in_thread(
        lambda cancelled: undoing.undo(
            cluster,
            receipt,
            client,
            store(),
            overwrite=options.overwrite_view,
            on_event=_narrate,
            cancelled=cancelled,
        )
    )
    say(reports.receipt_text(done).rstrip("\n"))
    print(done.path)
    # A former value that receipts never keep could not be given back, whatever else was.
    withheld = any(step.withheld or any(field.withheld for field in step.forced) for step in receipt.steps)
    withheld = withheld or any(view.withheld for view in receipt.views)
    undone = all(state == UNDONE or state != WRITTEN for state in done.states)
    return Exit.OK if undone and not withheld else Exit.PARTIAL


def _to_undo(options: argparse.Namespace, connection: Connection) -> tuple[Receipt, list[str]]:
    """The newest receipt with something to undo; where this machine never had one, one made from the cluster itself."""
    cluster = connection.cluster
    uid = cluster_uid(cluster)
    namespace = options.namespace or datakit(options, connection).namespace
    known = store().all(uid, namespace)
    if not options.no_receipt and (newest := store().newest(uid, namespace)):
        return newest, []
    found = datakit(options, connection)
    config = read_live(cluster, CONFIG_MAP, namespace, CONFIG_MAP_NAME)
    mesh = istio.look(cluster, found, config)
    made, notes = without_receipt(
        found.object,
        config,
        actions.new_receipt(cluster, found, uid, user=""),
        [one.object for one in mesh.targets if one.object and one.annotation and one.annotation.ours],
    )
    where = f"{connection.context.name}, {namespace}"
    if not made.steps:
        raise UsageError(
            _("There is nothing to undo: no receipt of this cluster and namespace, and nothing there is ours."),
            object=where,
            why="\n".join(notes),
            remedy=_("Give the path of a receipt; apply printed it."),
        )
    if known and not options.no_receipt:
        raise UsageError(
            _("All receipts of this machine are undone; what is still there was applied elsewhere."),
            object=where,
            remedy=_("Undo it where it was applied; or remove all that was added here with undo --no-receipt."),
        )
    return made, [_("There is no receipt here: everything that this tool added is removed."), *notes]


def _tell_unfinished(uid: str, namespace: str) -> Receipt | None:
    """Say what an apply or undo that was broken off has done, and how to go on."""
    left = unfinished(store(), uid, namespace)
    if left is None:
        return None
    say(_("What was begun at {time} is not finished:").format(time=left.started))
    say(reports.receipt_text(left).rstrip("\n"))
    say(_("`apply` goes on with it, `undo` takes it back."))
    return left


def _narrate(event: actions.Event) -> None:
    say(f"{event.step}: {event.text}")


@dataclass
class _Outcome:
    result: list[object] = field(default_factory=list)
    error: BaseException | None = None


def _in_thread(work: Callable[[Callable[[], bool]], T]) -> T:
    """Run `work` in a thread of its own, so that Ctrl-C never breaks into a request.

    At Ctrl-C `work` is told through its `cancelled`, and a write in flight is awaited for a second; the journal says
    the rest. Then the interrupt goes on.
    """
    stop = threading.Event()
    outcome = _Outcome()

    def body() -> None:
        try:
            outcome.result.append(work(stop.is_set))
        except BaseException as error:  # noqa: BLE001 - raised again in the main thread
            outcome.error = error

    thread = threading.Thread(target=body, daemon=True, name="action")
    thread.start()
    try:
        while thread.is_alive():
            thread.join(0.2)
    except KeyboardInterrupt:
        stop.set()
        thread.join(1.0)
        error = outcome.error
        if isinstance(error, WizardError):
            raise error from None
        raise CancelledError(
            _("Interrupted. The receipt says how far it came; what was on its way may still have arrived."),
            object=str(store().folder),
            remedy=_("Run the same again: it changes nothing twice, and watches on. Or take it back with undo."),
        ) from None
    if outcome.error is not None:
        raise outcome.error
    return outcome.result[0]  # type: ignore[return-value]
