"""Checks of the cluster, the DataKit DaemonSet and the conf that it should load."""

from __future__ import annotations

from tui.core.checks.facts import Facts
from tui.core.checks.finding import Finding, failed, passed, pending, skipped
from tui.core.errors import RefusedError, WizardError
from tui.core.etcd_conf import KEY as CONF_KEY
from tui.core.manifests import applied_hash, conf_hash, ours
from tui.core.owners import gitops_owner, owner_notes
from tui.core.parallel import each
from tui.core.ports import CONFIG_MAP
from tui.core.survey import CONFIG_MAP_NAME, exec_rights
from tui.i18n import _, ngettext

SHOWN_PODS = 3


def no_exec(facts: Facts) -> Finding:
    """The skip of every check that must run a command in a DataKit pod, naming what to grant."""
    return skipped(
        _("Running commands in the DataKit pods is not allowed."),
        remedy=_("Grant {rights} in namespace {namespace}.").format(
            rights=", ".join(str(access) for access in exec_rights(facts.datakit)),
            namespace=facts.datakit.namespace,
        ),
    )


def names(items: list[str]) -> str:
    """A few names in words, and how many more there are."""
    shown = ", ".join(items[:SHOWN_PODS])
    more = len(items) - SHOWN_PODS
    return (
        shown
        if more <= 0
        else ngettext("{shown} and {n} more", "{shown} and {n} more", more).format(shown=shown, n=more)
    )


def reachable(facts: Facts) -> Finding:
    """The API server answers this context, as somebody."""
    cluster = facts.cluster
    try:
        version = cluster.version()
        user = cluster.whoami()
    except RefusedError as error:
        return failed(error.what, object=cluster.server, causes=(error.why,) if error.why else (), remedy=error.remedy)
    return passed(
        _("{version}, as {user}").format(version=version, user=user or _("an unnamed user")),
        looked_at=cluster.server,
        object=cluster.context,
    )


def found(facts: Facts) -> Finding:
    """A DaemonSet runs DataKit."""
    datakit = facts.survey.datakit
    return passed(
        _("DaemonSet {name}, image {image}").format(name=datakit.name, image=datakit.image),
        object=f"DaemonSet {datakit.namespace}/{datakit.name}",
    )


def rights(facts: Facts) -> Finding:
    """What is needed to look may be done; exec is wanted, too."""
    missing = [a for a, granted in facts.survey.rights if not granted and a.verb != "patch"]
    reading = [a for a in missing if a.verb in ("get", "list") and not a.subresource]
    who = _("User {user}").format(user=facts.survey.user or "?")
    remedy = _("Ask for: {rights}.").format(rights=", ".join(str(a) for a in missing))
    command = f"datakit-wizard rbac --verify-only -n {facts.datakit.namespace}"
    if reading:
        return failed(
            _("may not {rights}").format(rights=", ".join(str(a) for a in reading)),
            object=who,
            remedy=remedy,
            command=command,
        )
    if any(access.subresource == "exec" for access in missing):
        return failed(
            _("may read, but not run commands in the DataKit pods"),
            object=who,
            remedy=remedy,
            command=command,
            status="warn",
        )
    return passed(_("may do what is asked"), object=who)


def owner(facts: Facts) -> Finding:
    """No other tool manages the DaemonSet in a way that undoes what was added in place."""
    name = f"DaemonSet {facts.datakit.namespace}/{facts.datakit.name}"
    tool = gitops_owner(facts.datakit.object)
    if tool:
        return failed(
            _("{tool} manages the DaemonSet").format(tool=tool),
            object=name,
            causes=tuple(owner_notes(facts.datakit.object)),
            remedy=_("Keep the change in that tool's source as well: `datakit-wizard export` writes it."),
            command="datakit-wizard export -f answers.toml DIR",
        )
    return passed(_("no other tool manages it"), object=name)


def ready(facts: Facts) -> Finding:
    """Every DataKit pod is updated and available."""
    daemon_set = facts.datakit.object
    status = daemon_set.get("status", {})
    desired = status.get("desiredNumberScheduled", 0)
    available, updated = status.get("numberAvailable", 0), status.get("updatedNumberScheduled", 0)
    name = f"DaemonSet {facts.datakit.namespace}/{facts.datakit.name}"
    command = (
        f"kubectl --context {facts.cluster.context} -n {facts.datakit.namespace} get pods -o wide "
        f"| grep {facts.datakit.name}"
    )
    if not desired:
        return failed(
            _("no node is meant to run it"),
            object=name,
            causes=(_("Its node selector or tolerations leave every node out."),),
            remedy=_("Look at nodeSelector and tolerations of the DaemonSet."),
            command=command,
        )
    current = status.get("observedGeneration", 0) >= daemon_set["metadata"].get("generation", 0)
    if current and available == desired == updated:
        text = ngettext("{n} pod ready", "{n} pods ready", desired).format(n=desired)
        return passed(text, object=name)
    waiting = [f"{pod.name} ({pod.node})" for pod in facts.datakit.pods if not pod.ready]
    return pending(
        _("{available} of {desired} pods available, {updated} updated").format(
            available=available, desired=desired, updated=updated
        ),
        object=name,
        causes=(_("not ready: {pods}").format(pods=names(waiting)),) if waiting else (),
        remedy=_("Look at the pods that are not ready, and at their events."),
        command=command,
    )


def version(facts: Facts) -> Finding:
    """A DataKit answers, and says which version it is."""
    if not facts.may_exec:
        return no_exec(facts)
    pods = facts.ready_pods
    if not pods:
        return pending(_("no DataKit pod is ready"))
    return passed(_("DataKit {version}").format(version=facts.agent(pods[0]).version()), object=pods[0].name)


def key(facts: Facts) -> Finding:
    """A conf that collects etcd is in a ConfigMap, and loads."""
    namespace = facts.datakit.namespace
    conf = facts.etcd_conf
    if conf is not None and conf.text is None:
        return failed(
            _("the key {key} is missing, but mounted: in the pods it is an empty directory").format(key=conf.key),
            object=f"ConfigMap {namespace}/{conf.config_map}",
            remedy=_("Add the key, then restart the DataKit pods."),
        )
    text, name = (conf.text, conf.config_map) if conf else (None, CONFIG_MAP_NAME)
    if text is None:
        text = facts.config_map_data(CONFIG_MAP_NAME).get(CONF_KEY)
    where = f"ConfigMap {namespace}/{name}"
    if not text:
        return failed(
            _("no conf collects etcd"),
            looked_at=_("key {key}, and every conf that the DaemonSet mounts").format(key=CONF_KEY),
            object=where,
            remedy=_("Set it up: run the wizard, or apply with an answers file."),
            command="datakit-wizard answers > answers.toml && datakit-wizard apply -f answers.toml",
        )
    loaded = facts.load(text)
    if not loaded.inputs:
        return failed(
            _("DataKit cannot load the conf, and drops it whole"),
            object=where,
            causes=(loaded.error or _("It holds no [[inputs.prom]]."),),
            remedy=_("Correct the conf; `datakit-wizard preview` shows what it would collect."),
        )
    sources = sorted({i.source for i in loaded.inputs})
    return passed(_("source {source}").format(source=", ".join(sources)), object=where)


def mounted(facts: Facts) -> Finding:
    """The DaemonSet mounts that key where DataKit looks for confs."""
    conf = facts.etcd_conf
    name = f"DaemonSet {facts.datakit.namespace}/{facts.datakit.name}"
    if conf is None:
        return failed(
            _("the key {key} is not mounted: DataKit never sees it").format(key=CONF_KEY),
            object=name,
            remedy=_("Mount it by subPath at conf.d/etcd/etcd.conf: run the wizard, or apply."),
            command="datakit-wizard plan -f answers.toml",
        )
    return passed(_("at {path}").format(path=conf.path), object=name)


def fresh(facts: Facts) -> Finding:
    """The file in each pod is the ConfigMap's text: a subPath mount never follows a change."""
    if not facts.may_exec:
        return no_exec(facts)
    conf = facts.etcd_conf
    if conf is None or conf.text is None:
        return skipped(_("No conf is mounted."))
    stale, missing = [], []
    pods = facts.asked_pods
    # A text that was brought to etcd's nodes alone is new there; the others read theirs when they next restart.
    few = brought_to_few(facts)
    if few:
        pods = [pod for pod in pods if pod.node in facts.survey.etcd_nodes]
    for pod, content in zip(pods, each(pods, lambda pod: facts.agent(pod).file(conf.path)), strict=True):
        if isinstance(content, WizardError):
            raise content
        if content is None:
            missing.append(f"{pod.name} ({pod.node})")
        elif content.decode("utf-8", "replace") != conf.text:
            stale.append(f"{pod.name} ({pod.node})")
    restart = (
        f"kubectl --context {facts.cluster.context} -n {facts.datakit.namespace} "
        f"rollout restart daemonset/{facts.datakit.name}"
    )
    if missing:
        return pending(
            _("the file is missing (or a directory) in {pods}").format(pods=names(missing)),
            object=conf.path,
            causes=(_("The key came after the pod: a subPath mount is made once, when the pod starts."),),
            remedy=_("Restart the DataKit pods."),
            command=restart,
        )
    if stale:
        return pending(
            _("the file is an old one in {pods}").format(pods=names(stale)),
            object=conf.path,
            causes=(_("A subPath mount never follows a change of its ConfigMap."),),
            remedy=_("Restart the DataKit pods."),
            command=restart,
        )
    text = ngettext("the same text in {n} pod", "the same text in {n} pods", len(pods)).format(n=len(pods))
    if few:
        return passed(text + " " + _("(on etcd's nodes; the others were not restarted for it)"), object=conf.path)
    return passed(text + _sample(facts), object=conf.path)


def brought_to_few(facts: Facts) -> bool:
    """Whether the confs as they are were brought to etcd's nodes alone, without a change of the pod template."""
    applied = applied_hash(facts.datakit.object)
    if not applied:
        return False
    live = facts.cluster.get(CONFIG_MAP, facts.datakit.namespace, CONFIG_MAP_NAME)
    return applied == conf_hash(ours(facts.datakit, live).confs)


def _sample(facts: Facts) -> str:
    """What to add to a count where only some of the pods were asked."""
    pods, ready = len(facts.asked_pods), len(facts.ready_pods)
    return "" if pods == ready else " " + _("(a sample of {ready}; --every-node asks all)").format(ready=ready)


def loaded(facts: Facts) -> Finding:
    """The agents say that they loaded the file."""
    if not facts.may_exec:
        return no_exec(facts)
    conf = facts.etcd_conf
    if conf is None:
        return skipped(_("No conf is mounted."))
    bad = []
    pods = facts.asked_pods
    for pod, answer in zip(pods, each(pods, facts.inputs_of), strict=True):
        if isinstance(answer, WizardError):
            bad.append(f"{pod.name}: {answer.what}")
            continue
        state = answer.loaded.get(conf.path)
        if state != 1:
            word = {None: _("unknown to it"), 0: _("failed to load"), 2: _("changed, not loaded")}.get(
                state, str(state)
            )
            bad.append(f"{pod.name}: {word}")
    if bad:
        return pending(
            _("not loaded in {pods}").format(pods=names(bad)),
            object=conf.path,
            causes=tuple(bad[:SHOWN_PODS]),
            remedy=_("Look at DataKit's log inside the container."),
            command=(
                f"kubectl --context {facts.cluster.context} -n {facts.datakit.namespace} exec "
                f"{pods[0].name} -- grep etcd.conf /var/log/datakit/log"
            ),
        )
    text = ngettext("loaded in {n} pod", "loaded in {n} pods", len(pods)).format(n=len(pods))
    return passed(text + _sample(facts), object=conf.path)


def others(facts: Facts) -> Finding:
    """Every other conf that the DaemonSet mounts is there: who applies a ConfigMap whole deletes its neighbours."""
    gone = [conf for conf in facts.confs if conf.text is None and conf is not facts.etcd_conf]
    if gone:
        return failed(
            _("mounted, but not in the ConfigMap: {keys}").format(keys=names([conf.key for conf in gone])),
            object=f"ConfigMap {facts.datakit.namespace}/{gone[0].config_map}",
            looked_at=", ".join(conf.path for conf in gone),
            causes=(
                _("An apply of a ConfigMap that lacks a key deletes the key."),
                _("A mount without its key becomes an empty directory."),
            ),
            remedy=_("Bring the keys back from their source, or from a backup, and restart the DataKit pods."),
            status="warn",
        )
    return passed(_("every conf that is mounted is there"))
