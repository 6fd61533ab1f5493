"""Which name each kind of data carries in the tag that all seven views filter on, and why, by the DaemonSet's own env.

As DataKit 1.84.1 reads it (internal/config/env.go: LoadEnvs; internal/plugins/inputs/container/impl.go): host tags go
to what every node collects, election tags to what the elected DataKit collects, and the input container adds the name
by itself. ENV_CLUSTER_NAME_K8S is a host tag and overrides ENV_GLOBAL_HOST_TAGS; any value of ENV_ENABLE_ELECTION,
"false" too, switches election on, and only then ENV_GLOBAL_ELECTION_TAGS and ENV_NAMESPACE are read at all. Helm's
chart sets ENV_GLOBAL_TAGS (the older name of the host tags), and writes "false" where election is to be off.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tui.core.survey import CLUSTER_TAG, host_cluster_name, tag_list
from tui.i18n import _

NAME_ENV = "ENV_CLUSTER_NAME_K8S"
ELECTION_ENV = "ENV_GLOBAL_ELECTION_TAGS"
OLD_ELECTION_ENV = "ENV_GLOBAL_ENV_TAGS"


@dataclass(frozen=True)
class Carried:
    """One kind of data: the name that its points carry ("" for none), and where that comes from (translated)."""

    kind: str
    name: str
    source: str


@dataclass(frozen=True)
class ClusterTag:
    """What the environment leads to. `change` is the smallest one that gives all of it one name, "" where none is
    needed; `remarks` are settings that do not do what they seem to."""

    rows: tuple[Carried, ...]
    change: str
    remarks: tuple[str, ...]

    @property
    def one_name(self) -> bool:
        """Whether all of it carries the same name, and one that is no default."""
        names = {row.name for row in self.rows}
        return len(names) == 1 and not names & {"", "default"}


def cluster_tag(env: Mapping[str, str], wanted: str = "") -> ClusterTag:
    """The tags that `env` leads to; `wanted` is the name to propose where there is none yet."""
    electing = bool(env.get("ENV_ENABLE_ELECTION"))
    host = host_cluster_name(env)
    hosts_env = NAME_ENV if env.get(NAME_ENV) else "ENV_GLOBAL_HOST_TAGS" if env.get("ENV_GLOBAL_HOST_TAGS") else ""
    hosts_env = hosts_env or ("ENV_GLOBAL_TAGS" if env.get("ENV_GLOBAL_TAGS") else NAME_ENV)
    elected_env = ELECTION_ENV if env.get(ELECTION_ENV) or not env.get(OLD_ELECTION_ENV) else OLD_ELECTION_ENV
    elected = tag_list(env.get(elected_env, "")).get(CLUSTER_TAG, "") if electing else host
    rows = (
        Carried(_("each node's own: host, Docker"), host, hosts_env),
        Carried(_("containers, pods, cluster objects"), env.get(NAME_ENV, "") or host, hosts_env),
        Carried(
            _("what is elected: confs with election = true"),
            elected,
            elected_env if electing else _("host tags, since election is off"),
        ),
        Carried(_("our etcd.conf"), wanted or host, "[inputs.prom.tags]"),
    )
    change = _change(host, elected if electing else None, wanted)
    return ClusterTag(rows, change, tuple(_remarks(env, electing)))


def told(found: ClusterTag) -> list[str]:
    """The table in lines: each kind of data with its name and where it comes from, remarks, and the smallest change."""
    lines = [f"{row.kind}: {row.name or _('(none)')}  ({row.source})" for row in found.rows]
    lines += found.remarks
    if found.change:
        lines.append(_("One name for all of it needs: {change}").format(change=found.change))
    return lines


def _change(host: str, elected: str | None, wanted: str) -> str:
    """`elected` is None where election is off: then what is elected carries the host tags."""
    name = wanted or (host if host != "default" else "")
    changes = []
    if host in ("", "default") or (wanted and host != wanted):
        changes.append(f"{NAME_ENV}={name or _('NAME')}")
    if elected is not None and elected != (name or host):
        changes.append(f"{ELECTION_ENV}={CLUSTER_TAG}={name or _('NAME')}")
    return " ".join(changes)


def _remarks(env: Mapping[str, str], electing: bool) -> list[str]:
    found = []
    if env.get("ENV_ENABLE_ELECTION", "").lower() in ("false", "no", "off", "0", "disable"):
        found.append(
            _("ENV_ENABLE_ELECTION={value} means on: any value does. To switch election off, remove the entry.").format(
                value=env["ENV_ENABLE_ELECTION"]
            )
        )
    for hosts_env in ("ENV_GLOBAL_HOST_TAGS", "ENV_GLOBAL_TAGS"):
        told = tag_list(env.get(hosts_env, "")).get(CLUSTER_TAG, "")
        if told and env.get(NAME_ENV) and told != env[NAME_ENV]:
            found.append(
                _("{env} says {told}, and {name_env}={name} overrides it.").format(
                    env=hosts_env, told=told, name_env=NAME_ENV, name=env[NAME_ENV]
                )
            )
    if not electing and (env.get(ELECTION_ENV) or env.get(OLD_ELECTION_ENV)):
        found.append(_("Election is off, so election tags are not read: elected inputs run on every node."))
    if electing and not env.get("ENV_NAMESPACE"):
        found.append(
            _(
                "ENV_NAMESPACE is not set: clusters of one workspace share the election `default`, and only one of them"
                " collects what is elected."
            )
        )
    return found
