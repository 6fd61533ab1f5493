"""What the answers want of DataKit's two objects: confs, env entries and certificates, given what is there."""

from __future__ import annotations

from dataclasses import replace

from tui.core import etcd_conf, fields, istio_targets
from tui.core.answers import Answers
from tui.core.datakit_settings import CLUSTER_NAME, CLUSTER_NAME_ENV, chosen_env
from tui.core.errors import UsageError
from tui.core.istio_conf import is_conf_key
from tui.core.manifests import (
    CertificateMount,
    ConfFile,
    Desired,
    check_config_map,
    config_map_body,
    daemon_set_body,
    ours,
)
from tui.core.ownership import FIELD_MANAGER, owned
from tui.core.ports import CONFIG_MAP, DAEMON_SET, Kind, Object
from tui.core.prom import conf as prom_conf
from tui.core.survey import CLUSTER_TAG, Survey
from tui.i18n import _


def conf_text(answers: Answers, survey: Survey) -> str:
    """The etcd.conf that the answers give: their own text, else what strategy and preset make of this cluster."""
    if answers.etcd.strategy == "none":
        return ""
    return etcd_conf.from_answers(named(answers, survey), survey.topology)


def check_loads(conf: str) -> None:
    """Raise UsageError for an etcd.conf out of which DataKit would load nothing: it says so in its log alone."""
    loaded = prom_conf.load(conf, {})
    if not loaded.inputs:
        raise UsageError(
            _("DataKit would not load this etcd.conf."),
            object=f"etcd.conf:{loaded.line}" if loaded.line else "etcd.conf",
            why=loaded.error or _("It holds no [[inputs.prom]]."),
            remedy=_("Mend it, or leave it to strategy and preset."),
        )


def named(answers: Answers, survey: Survey) -> Answers:
    """The answers with the cluster's name filled in: an empty one means the name that host tags carry already.

    Raises UsageError where they carry none, or the vendor's `default`, for then it must be answered.
    """
    if answers.cluster.name:
        return answers
    if survey.cluster_name in ("", "default"):
        raise UsageError(
            _("The cluster has no name yet: its DataKit reports {found}.").format(
                found=survey.cluster_name or _("none")
            ),
            object="answers.toml, [cluster] name",
            why=_("All seven views filter on {tag}.").format(tag=CLUSTER_TAG),
            remedy=_("Give it a name there, for example {name}.").format(name=f'name = "{survey.context}"'),
        )
    return replace(answers, cluster=replace(answers.cluster, name=survey.cluster_name))


def needs_name(answers: Answers) -> bool:
    """Whether anything that is asked for carries the cluster's name."""
    chosen = answers.views.create or answers.datakit.settings
    return answers.etcd.strategy != "none" or answers.istio.preset != "none" or bool(chosen)


def certificate_mount(answers: Answers, survey: Survey) -> CertificateMount | None:
    """The mount that the answers need: none for plain HTTP, nor for /rootfs, which the vendor has."""
    certificates = answers.certificates
    if answers.etcd.strategy in ("none", "node-http") or certificates.source in ("none", "rootfs"):
        return None
    path = certificates.path or survey.topology.certificate_directory
    if certificates.source == "secret":
        source = {"secret": {"secretName": certificates.secret}}
        return CertificateMount("etcd-certificates", etcd_conf.SECRET_DIRECTORY, source)
    to_the_letter = answers.etcd.strategy == "tutorial"
    name = "dir-etcd" if to_the_letter else "etcd-certificates"
    return CertificateMount(name, path, {"hostPath": {"path": path}}, read_only=not to_the_letter)


def cluster_name_env(answers: Answers, survey: Survey) -> dict[str, str]:
    """The env entry that makes every view filter on one name; none where the host tags carry that name already.

    The strategy `tutorial` leaves the environment alone, as the tutorial's second part does, unless the setting was
    chosen.
    """
    entry = {CLUSTER_NAME_ENV: answers.cluster.name}
    container = fields.Item("name", survey.datakit.container)
    path = ("spec", "template", "spec", "containers", container, "env", fields.Item("name", CLUSTER_NAME_ENV), "value")
    if answers.etcd.strategy != "none" and (FIELD_MANAGER, "Apply") in fields.owners(survey.datakit.object, path):
        return entry  # its value is ours to change
    wanted = answers.etcd.strategy not in ("tutorial", "none") or CLUSTER_NAME.key in answers.datakit.settings
    if not wanted or survey.cluster_name == answers.cluster.name:
        return {}
    if survey.cluster_name not in ("", "default"):
        raise UsageError(
            _("The name {wanted} differs from what this cluster's DataKit reports: {found}.").format(
                wanted=answers.cluster.name, found=survey.cluster_name
            ),
            object="answers.toml, [cluster] name",
            why=_("All seven views filter on {tag}; two names would split them.").format(tag=CLUSTER_TAG),
            remedy=_("Write name = {name} there, or change ENV_CLUSTER_NAME_K8S of the DaemonSet first.").format(
                name=f'"{survey.cluster_name}"'
            ),
        )
    return entry


def desired(answers: Answers, survey: Survey) -> Desired:
    """All that is wanted of both objects. `answers` are `named`. Raises UsageError for a conf that does not load.

    The strategy `none` writes nothing of etcd and takes nothing of it away: what an earlier apply wrote stays. So do
    env entries: a setting that is chosen no longer is undo's to take back.
    """
    kept = ours(survey.datakit, survey.conf)
    env = {**kept.env, **cluster_name_env(answers, survey), **chosen_env(answers, survey)}
    text = conf_text(answers, survey)
    if not text:
        return with_mesh(Desired(kept.confs, env, kept.mount), answers, survey)
    check_loads(text)
    wanted = Desired((ConfFile(etcd_conf.KEY, etcd_conf.PATH, text),), env, certificate_mount(answers, survey))
    return with_mesh(wanted, answers, survey)


def with_mesh(wanted: Desired, answers: Answers, survey: Survey) -> Desired:
    """The same with the mesh's confs; preset none leaves those that an earlier apply wrote."""
    others = tuple(conf for conf in wanted.confs if not is_conf_key(conf.key))
    if answers.istio.preset == "none":
        before = ours(survey.datakit, survey.conf).confs
        confs = tuple(conf for conf in before if is_conf_key(conf.key))
    else:
        confs = istio_targets.wanted(answers, survey).confs
    return replace(wanted, confs=(*others, *confs))


def bodies(wanted: Desired, survey: Survey) -> tuple[tuple[Kind, Object, Object | None], ...]:
    """The partial objects that bring what is wanted into DataKit, each with the live one, in the order in which they
    are applied: a key before the mount that needs it, and a mount gone before the key that it needs.

    None where nothing is wanted and nothing is ours. Raises RefusedError for what no apply could do.
    """
    check_config_map(wanted.confs, survey.conf)
    daemon_set = (DAEMON_SET, daemon_set_body(survey.datakit, wanted), survey.datakit.object)
    had = set((owned(survey.conf) or {}).get("data", {})) if survey.conf else set()
    keys = {conf.key for conf in wanted.confs}
    if not keys and not had:
        return (daemon_set,) if wanted or owned(survey.datakit.object) else ()
    config_map = (CONFIG_MAP, config_map_body(survey.datakit.namespace, wanted.confs, survey.conf), survey.conf)
    return (daemon_set, config_map) if keys < had else (config_map, daemon_set)
