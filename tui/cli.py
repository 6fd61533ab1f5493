"""The command line: parses, chooses the language, and hands over to the wizard or to one command.

stdout carries data, stderr the narration. Nothing heavy is imported before a command needs it.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from tui import i18n
from tui.core.errors import Exit, UsageError, WizardError
from tui.i18n import LANGUAGES, _

STRATEGIES = ("node-http", "node-tls", "elected", "tutorial", "none")
PRESETS = ("tutorial", "recommended", "full")
PLATFORMS = ("kubeadm", "rke2", "k3s")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status (see `tui.core.errors.Exit`)."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    i18n.use_language(_asked_language(arguments) or i18n.language_of(os.environ))
    _check_installation()
    options = parser().parse_args(arguments)
    try:
        from tui import commands

        return int(commands.run(options))
    except WizardError as error:
        _complain(error)
        return int(error.status)
    except KeyboardInterrupt:
        return int(Exit.INTERRUPTED)
    except BrokenPipeError:
        # The reader of stdout went away (`| head`): nothing is left to say, and Python must not try at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return int(Exit.OK)


def _asked_language(arguments: Sequence[str]) -> str:
    """The value of --lang, looked up before parsing so that the parser's own texts follow it."""
    for index, argument in enumerate(arguments):
        if argument == "--lang" and index + 1 < len(arguments):
            return arguments[index + 1] if arguments[index + 1] in LANGUAGES else ""
        if argument.startswith("--lang="):
            value = argument.removeprefix("--lang=")
            return value if value in LANGUAGES else ""
    # Machines read English unless they ask otherwise.
    for_machines = {
        f"{flag}{form}" for flag in ("-o", "-o ", "--output=", "--output ") for form in ("json", "junit", "yaml")
    }
    pairs = (f"{one} {two}" for one, two in pairwise(arguments))
    return "en" if for_machines & {*arguments, *pairs} else ""


def _check_installation() -> None:
    """Refuse to start where another distribution's `screens` or `tui` shadows ours: both must lie side by side."""
    import importlib.util

    spec = importlib.util.find_spec("screens")
    ours = Path(__file__).resolve().parent.parent
    place = Path(spec.origin).resolve().parent.parent if spec and spec.origin else None
    if place != ours:
        error = UsageError(
            _("Another package called `screens` is in the way."),
            object=str(place),
            remedy=_("Install datakit-wizard isolated: uv tool install, or pipx install."),
        )
        _complain(error)
        raise SystemExit(int(Exit.USAGE))


def _complain(error: WizardError) -> None:
    labels = (
        ("", error.what),
        (_("on"), error.object),
        (_("why"), error.why),
        (_("what to do"), error.remedy),
        ("", error.command),
    )
    lines: list[str] = []
    for label, text in labels:
        for number, line in enumerate(text.splitlines()):
            lead = f"  {label}: " if label and not number else "    "
            lines.append(lead + line if lines else line)
    print("datakit-wizard: " + "\n".join(lines), file=sys.stderr)


def _duration(text: str) -> float:
    from tui.core import durations

    try:
        seconds = durations.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if seconds < 0:
        raise argparse.ArgumentTypeError(_("a duration cannot be negative"))
    return seconds


def _positive_duration(text: str) -> float:
    seconds = _duration(text)
    if seconds <= 0:
        raise argparse.ArgumentTypeError(_("the duration must be longer than 0"))
    return seconds


def _count(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(_("{text!r} is no whole number").format(text=text)) from None
    if number < 1:
        raise argparse.ArgumentTypeError(_("must be at least 1"))
    return number


def _pair(text: str) -> tuple[str, str]:
    key, separator, value = text.partition("=")
    if not separator or not key:
        raise argparse.ArgumentTypeError(_("{text!r} is not of the form key=value").format(text=text))
    return key, value


def _common(top: bool) -> argparse.ArgumentParser:
    """The flags accepted before and after the verb; absent below it they must not undo what was said above."""
    common = argparse.ArgumentParser(add_help=False)
    default = None if top else argparse.SUPPRESS
    group = common.add_argument_group(_("cluster and studio"))
    group.add_argument(
        "--context", action="append", default=default, metavar="NAME", help=_("context of the kubeconfig")
    )
    group.add_argument("--kubeconfig", default=default, metavar="FILE", help=_("kubeconfig instead of the usual one"))
    group.add_argument(
        "-n", "--namespace", default=default, metavar="NAME", help=_("namespace of the DataKit DaemonSet")
    )
    group.add_argument("--endpoint", default=default, metavar="URL", help=_("the studio's Open API"))
    group.add_argument("--api-key-file", default=default, metavar="FILE", help=_("file that holds the API key"))
    group.add_argument("--lang", choices=LANGUAGES, default=default, help=_("language of all texts"))
    group.add_argument("--color", choices=("auto", "always", "never"), default=default, help=_("use of colour"))
    return common


def parser() -> argparse.ArgumentParser:
    """The whole command line; its names and flags are an interface."""
    top = argparse.ArgumentParser(
        prog="datakit-wizard",
        description=_("Make etcd, Kubernetes and Istio observable with DataKit, and see the metrics arrive."),
        parents=[_common(top=True)],
        allow_abbrev=False,
    )
    top.add_argument("--version", action="store_true", help=_("print the version and exit"))
    verbs = top.add_subparsers(dest="verb", metavar=_("command"), title=_("commands (without one: the wizard)"))
    common = _common(top=False)

    def verb(name: str, text: str) -> argparse.ArgumentParser:
        return verbs.add_parser(name, help=text, description=text, parents=[common], allow_abbrev=False)

    demo = verb("demo", _("the wizard on a practice lab: no cluster and no account needed"))
    lab = verb("lab", _("the practice lab alone; one JSON line on stdout when it is ready"))
    for one in (demo, lab):
        one.add_argument("--nodes", type=_count, default=4, metavar="N", help=_("number of nodes (default 4)"))
        one.add_argument(
            "--interval",
            type=_positive_duration,
            default=60.0 if one is lab else 2.0,
            metavar="D",
            help=_("length of what is 60s in a real cluster"),
        )
        one.add_argument("--seed", type=int, default=None, metavar="N", help=_("make the values repeatable"))
        one.add_argument("--fault", action="append", default=[], metavar="NAME", help=_("start with this fault"))
    lab.add_argument(
        "--control-planes",
        "--etcd-members",
        type=_count,
        default=1,
        metavar="N",
        help=_("how many of the nodes are control plane, each with a member of etcd (default 1)"),
    )
    lab.add_argument("--platform", choices=PLATFORMS, default=PLATFORMS[0], help=_("whose layout the nodes have"))
    lab.add_argument(
        "--apiserver", action="store_true", help=_("on the real kube-apiserver and etcd of $KUBEBUILDER_ASSETS")
    )
    lab.add_argument(
        "--objects-only", type=_count, default=None, metavar="N", help=_("N nodes and pods as objects, no agents")
    )
    lab.add_argument("--list-faults", action="store_true", help=_("name the faults and exit"))
    lab.add_argument("--bare", action="store_true", help=_("the control plane alone: no nodes, no DataKit"))
    lab.add_argument(
        "--user", action="append", default=[], metavar="NAME", help=_("a client certificate for this user")
    )
    lab.add_argument("-o", "--output", choices=("text", "json"), default="text", help=_("form of --list-faults"))
    on_lab = lab.add_subparsers(dest="lab_action", metavar=_("action"), title=_("on the running lab"))
    text = _("put a fault into the running lab, or take it out again")
    switch = on_lab.add_parser("fault", help=text, description=text, parents=[common], allow_abbrev=False)
    switch.add_argument("change", choices=("set", "clear"))
    switch.add_argument("name", metavar="NAME")
    switch.add_argument(
        "--lab", default="", metavar="FOLDER", help=_("the lab's folder (default: the newest running lab of yours)")
    )

    answers = verb("answers", _("print the answers file that would be proposed for this cluster"))
    answers.add_argument("--strategy", choices=STRATEGIES, default="", help=_("how etcd is scraped"))
    answers.add_argument("--preset", choices=PRESETS, default="", help=_("which metrics are kept"))

    check = verb("check", _("verify, read-only; exit status 0 only if every required check passed"))
    check.add_argument(
        "-o", "--output", choices=("text", "json", "junit"), default="text", help=_("form of the report")
    )
    check.add_argument("--wait", type=_duration, default=None, metavar="D", help=_("ask again for so long (e.g. 90s)"))
    check.add_argument("--short", action="store_true", help=_("only what is not well, one line each"))
    check.add_argument("--every-node", action="store_true", help=_("ask every node, not a sample of a large cluster"))
    check.add_argument("--all-contexts", action="store_true", help=_("every context of the kubeconfig"))

    plan = verb("plan", _("show what would change; exit status 1 if anything would"))
    plan.add_argument("-f", "--filename", required=True, metavar="FILE", help=_("answers file, - for stdin"))
    plan.add_argument("-o", "--output", choices=("text", "json", "yaml"), default="text", help=_("form of the plan"))

    apply = verb("apply", _("make it so, and print the receipt's path"))
    apply.add_argument("-f", "--filename", required=True, metavar="FILE", help=_("answers file, - for stdin"))
    apply.add_argument("--yes", action="store_true", help=_("do not ask"))
    apply.add_argument("--no-views", action="store_true", help=_("leave the monitoring views out"))
    apply.add_argument(
        "--force-field",
        action="append",
        default=[],
        metavar="FIELD",
        help=_("take this one field from its owner; plan names it"),
    )

    undo = verb("undo", _("take back what a receipt did; without one, the newest not yet undone"))
    undo.add_argument("receipt", nargs="?", default="", metavar="RECEIPT", help=_("path of a receipt"))
    undo.add_argument(
        "--no-receipt", action="store_true", help=_("remove all that this tool added, whoever applied it")
    )
    undo.add_argument("--yes", action="store_true", help=_("do not ask"))

    views = verb("views", _("the seven monitoring views"))
    actions = views.add_subparsers(dest="action", metavar=_("action"), required=True)

    def view_action(name: str, text: str) -> argparse.ArgumentParser:
        return actions.add_parser(name, help=text, description=text, parents=[common], allow_abbrev=False)

    view_action("list", _("name the views"))
    show = view_action("show", _("print a view's template as JSON"))
    show.add_argument("key", metavar="KEY")
    view_action("status", _("which views the workspace has; exit status 1 if one is missing"))
    create = view_action("create", _("create views"))
    create.add_argument("keys", nargs="+", metavar="KEY")
    create.add_argument("--yes", action="store_true", help=_("do not ask"))
    create.add_argument("--cluster-name", default="", metavar="NAME", help=_("value of cluster_name_k8s"))
    files = view_action("export", _("write the templates as files"))
    files.add_argument("directory", metavar="DIR")

    preview = verb("preview", _("which points a conf makes of a scrape"))
    preview.add_argument("conf", metavar="CONF", help=_("the conf file, - for stdin"))
    preview.add_argument("metrics", metavar="METRICS", help=_("a saved scrape, - for stdin, or its URL"))
    preview.add_argument("-o", "--output", choices=("text", "json", "lp"), default="text", help=_("form of the points"))
    preview.add_argument("--url", default="", metavar="U", help=_("the address the scrape is taken to come from"))
    preview.add_argument("--status", type=int, default=200, metavar="N", help=_("HTTP status of the scrape"))
    preview.add_argument("--against", default="", metavar="CONF2", help=_("show what changes from CONF2 to CONF"))
    preview.add_argument(
        "--annotation",
        action="store_true",
        help=_("CONF is a pod's annotation datakit/prom.instances; --env gives IP, NAMESPACE, PODNAME, NODENAME"),
    )
    for flag, what in (
        ("--host-tag", _("a global host tag")),
        ("--election-tag", _("a global election tag")),
        ("--env", _("an environment variable of the agent")),
    ):
        preview.add_argument(flag, action="append", type=_pair, default=[], metavar="K=V", help=what)

    export = verb("export", _("write manifests, a kustomization, Helm values and dashboards for GitOps"))
    export.add_argument("-f", "--filename", required=True, metavar="FILE", help=_("answers file, - for stdin"))
    export.add_argument("directory", metavar="DIR")

    rbac = verb("rbac", _("print the Role that suffices"))
    rbac.add_argument("--verify-only", action="store_true", help=_("for check alone"))

    verb("info", _("versions, paths, and where each setting came from"))
    return top


if __name__ == "__main__":
    raise SystemExit(main())
