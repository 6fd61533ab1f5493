"""The command line's grammar: verbs and flags, which are an interface. Only verbs that are named are filled in."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

from tui.i18n import LANGUAGES, N_, _

STRATEGIES = ("node-http", "node-tls", "elected", "tutorial", "none")
PRESETS = ("tutorial", "recommended", "full")
REPORTS = ("text", "json", "junit", "markdown", "html", "openmetrics")
PLATFORMS = ("kubeadm", "rke2", "k3s")


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


def _lab_flags(parser: argparse.ArgumentParser, interval_s: float) -> None:
    parser.add_argument("--nodes", type=_count, default=4, metavar="N", help=_("number of nodes (default 4)"))
    parser.add_argument(
        "--control-planes",
        "--etcd-members",
        type=_count,
        default=1,
        metavar="N",
        help=_("how many of the nodes are control plane, each with a member of etcd (default 1)"),
    )
    parser.add_argument("--platform", choices=PLATFORMS, default=PLATFORMS[0], help=_("whose layout the nodes have"))
    parser.add_argument(
        "--interval",
        type=_positive_duration,
        default=interval_s,
        metavar="D",
        help=_("length of what is 60s in a real cluster"),
    )
    parser.add_argument("--seed", type=int, default=None, metavar="N", help=_("make the values repeatable"))
    parser.add_argument("--fault", action="append", default=[], metavar="NAME", help=_("start with this fault"))
    parser.add_argument(
        "--no-mesh", action="store_false", dest="mesh", help=_("without Istio and Bookinfo: nothing but DataKit runs")
    )


def _demo(demo: argparse.ArgumentParser, _shared: argparse.ArgumentParser) -> None:
    _lab_flags(demo, 2.0)


def _lab(lab: argparse.ArgumentParser, shared: argparse.ArgumentParser) -> None:
    _lab_flags(lab, 60.0)
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
    switch = on_lab.add_parser("fault", help=text, description=text, parents=[shared], allow_abbrev=False)
    switch.add_argument("change", choices=("set", "clear"))
    switch.add_argument("name", metavar="NAME")
    text = _("start or stop the requests to the running lab's mesh, or shift them between versions of reviews")
    traffic = on_lab.add_parser("traffic", help=text, description=text, parents=[shared], allow_abbrev=False)
    traffic.add_argument("change", choices=("start", "stop", "shift"))
    traffic.add_argument("weights", nargs="?", default="", metavar="90:10", help=_("shares of reviews v1, v2 and v3"))
    for action in (switch, traffic):
        text = _("the lab's folder (default: the newest running lab of yours)")
        action.add_argument("--lab", default="", metavar="FOLDER", help=text)


def _answers(answers: argparse.ArgumentParser, _shared: argparse.ArgumentParser) -> None:
    answers.add_argument("--strategy", choices=STRATEGIES, default="", help=_("how etcd is scraped"))
    answers.add_argument("--preset", choices=PRESETS, default="", help=_("which metrics are kept"))


def _check(check: argparse.ArgumentParser, _shared: argparse.ArgumentParser) -> None:
    check.add_argument("-o", "--output", choices=REPORTS, default="text", help=_("form of the report"))
    check.add_argument("--wait", type=_duration, default=None, metavar="D", help=_("ask again for so long (e.g. 90s)"))
    check.add_argument("-f", "--filename", default="", metavar="FILE", help=_("compare with this answers file, too"))
    check.add_argument("--receipt", default="", metavar="RECEIPT", help=_("compare with what this receipt says, too"))
    check.add_argument("--short", action="store_true", help=_("only what is not well, one line each"))
    check.add_argument("--every-node", action="store_true", help=_("ask every node, not a sample of a large cluster"))
    check.add_argument("--all-contexts", action="store_true", help=_("every context of the kubeconfig"))


def _why(why: argparse.ArgumentParser, _shared: argparse.ArgumentParser) -> None:
    why.add_argument("view", metavar="VIEW", help=_("a view's key, as `views list` prints it"))
    why.add_argument("panel", metavar="PANEL", help=_("a panel's key, or its title in either language"))
    why.add_argument("-o", "--output", choices=("text", "json"), default="text", help=_("form of the answer"))
    why.add_argument("--wait", type=_duration, default=0.0, metavar="D", help=_("ask again for so long (e.g. 90s)"))


def _bundle(bundle: argparse.ArgumentParser, _shared: argparse.ArgumentParser) -> None:
    bundle.add_argument(
        "file", nargs="?", default="", metavar="FILE", help=_("the archive (default: named by context and time, here)")
    )


def _answers_file(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    parser.add_argument("-f", "--filename", required=required, metavar="FILE", help=_("answers file, - for stdin"))


def _rollout_flags(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(_("how the change comes out"))
    group.add_argument(
        "--one-node-first",
        action="store_true",
        help=_("one etcd node gets it alone; the others follow when its series were seen to arrive"),
    )
    group.add_argument(
        "--only-etcd-nodes",
        action="store_true",
        help=_("where only the text of etcd.conf changes: restart the DataKit pods of etcd's nodes alone"),
    )
    group.add_argument(
        "--delete-pods",
        action="store_true",
        help=_("where the update strategy is OnDelete: delete the DataKit pods, one by one"),
    )


def _plan(plan: argparse.ArgumentParser, _shared: argparse.ArgumentParser) -> None:
    _answers_file(plan)
    _rollout_flags(plan)
    plan.add_argument("-o", "--output", choices=("text", "json", "yaml"), default="text", help=_("form of the plan"))
    plan.add_argument(
        "--prove", action="store_true", help=_("let DataKit on an etcd node run the conf for a moment; sends nothing")
    )


def _apply(apply: argparse.ArgumentParser, _shared: argparse.ArgumentParser) -> None:
    _answers_file(apply)
    apply.add_argument("--yes", action="store_true", help=_("do not ask"))
    apply.add_argument("--no-views", action="store_true", help=_("leave the monitoring views out"))
    apply.add_argument(
        "--force-field",
        action="append",
        default=[],
        metavar="FIELD",
        help=_("take this one field from its owner; plan names it"),
    )
    _rollout_flags(apply)
    _overwrite_view(apply, _("replace this view although a person changed it since; plan shows what is lost"))


def _overwrite_view(parser: argparse.ArgumentParser, text: str) -> None:
    parser.add_argument("--overwrite-view", action="append", default=[], metavar="KEY", help=text)


def _undo(undo: argparse.ArgumentParser, _shared: argparse.ArgumentParser) -> None:
    undo.add_argument("receipt", nargs="?", default="", metavar="RECEIPT", help=_("path of a receipt"))
    undo.add_argument(
        "--no-receipt", action="store_true", help=_("remove all that this tool added, whoever applied it")
    )
    _overwrite_view(undo, _("delete or restore this view although a person changed it since"))
    undo.add_argument("--yes", action="store_true", help=_("do not ask"))


def _views(views: argparse.ArgumentParser, shared: argparse.ArgumentParser) -> None:
    actions = views.add_subparsers(dest="action", metavar=_("action"), required=True)

    def action(name: str, text: str) -> argparse.ArgumentParser:
        return actions.add_parser(name, help=text, description=text, parents=[shared], allow_abbrev=False)

    action("list", _("name the views"))
    show = action("show", _("print a view's template as JSON"))
    show.add_argument("key", metavar="KEY")
    status = action("status", _("which views there are, and which panels fill; exit status 1 if one is missing"))
    status.add_argument("-o", "--output", choices=("text", "json"), default="text", help=_("form of the status"))
    create = action("create", _("create views"))
    create.add_argument("keys", nargs="+", metavar="KEY")
    create.add_argument("--yes", action="store_true", help=_("do not ask"))
    _overwrite_view(create, _("replace this view although a person changed it since"))
    create.add_argument("--cluster-name", default="", metavar="NAME", help=_("value of cluster_name_k8s"))
    files = action("export", _("write the templates as files"))
    files.add_argument("directory", metavar="DIR")


def _preview(preview: argparse.ArgumentParser, _shared: argparse.ArgumentParser) -> None:
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


def _export(export: argparse.ArgumentParser, _shared: argparse.ArgumentParser) -> None:
    _answers_file(export, required=False)
    export.add_argument(
        "target", nargs="+", metavar="[check] DIR", help=_("with `check`: a nightly check as a CronJob")
    )
    export.add_argument("--image", default="", metavar="IMAGE", help=_("of the nightly check"))


def _rbac(rbac: argparse.ArgumentParser, _shared: argparse.ArgumentParser) -> None:
    rbac.add_argument("--verify-only", action="store_true", help=_("for check alone"))


def _info(_info: argparse.ArgumentParser, _shared: argparse.ArgumentParser) -> None:
    """It has no flags of its own."""


# Each verb: what it does (a msgid), and what adds its flags, given its parser and the one of the shared flags.
_Fill = Callable[[argparse.ArgumentParser, argparse.ArgumentParser], None]
VERBS: dict[str, tuple[str, _Fill]] = {
    "demo": (N_("the wizard on a practice lab: no cluster and no account needed"), _demo),
    "lab": (N_("the practice lab alone; one JSON line on stdout when it is ready"), _lab),
    "answers": (N_("print the answers file that would be proposed for this cluster"), _answers),
    "check": (N_("verify, read-only; exit status 0 only if every required check passed"), _check),
    "why": (N_("why a panel is empty: the first broken hop, and the command that mends it; reads only"), _why),
    "bundle": (N_("write one archive without secrets for a ticket: report, conf, receipts, log tails"), _bundle),
    "plan": (N_("show what would change; exit status 1 if anything would"), _plan),
    "apply": (N_("make it so, and print the receipt's path"), _apply),
    "undo": (N_("take back what a receipt did; without one, the newest not yet undone"), _undo),
    "views": (N_("the seven monitoring views"), _views),
    "preview": (N_("which points a conf makes of a scrape"), _preview),
    "export": (N_("write manifests, a kustomization, Helm values and dashboards for GitOps"), _export),
    "rbac": (N_("print the Role that suffices"), _rbac),
    "info": (N_("versions, paths, and where each setting came from"), _info),
}


def parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    """The parser for these arguments: without any it knows no verbs, else it fills in the flags of those that it sees.

    The wizard's first frame waits for this, and a dozen parsers with all their flags cost it 9 ms.
    """
    top = argparse.ArgumentParser(
        prog="datakit-wizard",
        description=_("Make etcd, Kubernetes and Istio observable with DataKit, and see the metrics arrive."),
        parents=[_common(top=True)],
        allow_abbrev=False,
    )
    top.add_argument("--version", action="store_true", help=_("print the version and exit"))
    top.set_defaults(verb=None)
    if not arguments:
        return top
    verbs = top.add_subparsers(dest="verb", metavar=_("command"), title=_("commands (without one: the wizard)"))
    shared = _common(top=False)
    seen = VERBS.keys() & set(arguments)
    for name, (text, fill) in VERBS.items():
        if name in seen:
            fill(
                verbs.add_parser(name, help=_(text), description=_(text), parents=[shared], allow_abbrev=False), shared
            )
        else:
            verbs.add_parser(name, help=_(text), add_help=False)
    return top
