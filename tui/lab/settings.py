"""What a DataKit container's environment means (DataKit 1.84.1, internal/config/env.go and conf.go)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from tui.lab.nodes import Node

VERSION = "1.84.1"
COMMIT = "9264e037c4"

_TAG_VALUE = re.compile(r"__datakit_(hostname|ip|id)$")


@dataclass(frozen=True)
class Settings:
    """An agent's configuration. `hostname` is its id in the election; election tags are None while election
    is off.
    """

    hostname: str
    host_tags: Mapping[str, str]
    own_election_tags: Mapping[str, str] | None
    election: bool
    cluster_name: str = ""  # ENV_CLUSTER_NAME_K8S
    namespace: str = "default"
    whitelist: tuple[str, ...] = ()
    dataways: tuple[str, ...] = field(default=(), repr=False)
    enabled_inputs: tuple[str, ...] = ()
    refused_inputs: frozenset[str] = frozenset()  # not run, even where a conf file has them
    protect: bool = True

    @property
    def election_tags(self) -> Mapping[str, str]:
        """The tags of elected inputs; without election they are the host's."""
        return self.host_tags if self.own_election_tags is None else self.own_election_tags

    @property
    def banned(self) -> bool:
        """Whether a whitelist keeps this node out of the election."""
        return self.election and bool(self.whitelist) and self.hostname not in self.whitelist


def settings(env: Mapping[str, str], node: Node) -> Settings:
    """Read the environment as LoadEnvs does.

    ENV_CLUSTER_NAME_K8S goes into the host tags only, and overrides what ENV_GLOBAL_HOST_TAGS says of it. Any
    value of ENV_ENABLE_ELECTION, even "false", enables the election.
    """
    enabled, refused = _inputs(env.get("ENV_DEFAULT_ENABLED_INPUTS", ""))
    hostname = env.get("ENV_K8S_NODE_NAME") or env.get("ENV_HOSTNAME") or node.name
    places = {"hostname": hostname, "ip": node.ip, "id": f"dkid_{hostname}"}
    host_tags = tags_of(env.get("ENV_GLOBAL_HOST_TAGS") or env.get("ENV_GLOBAL_TAGS", ""), places)
    if env.get("ENV_CLUSTER_NAME_K8S"):
        host_tags["cluster_name_k8s"] = env["ENV_CLUSTER_NAME_K8S"]
    election = bool(env.get("ENV_ENABLE_ELECTION"))
    namespace = env.get("ENV_NAMESPACE") or "default"
    election_tags: dict[str, str] | None = None
    if election:
        election_tags = tags_of(env.get("ENV_GLOBAL_ELECTION_TAGS") or env.get("ENV_GLOBAL_ENV_TAGS", ""), places)
        if env.get("ENV_ENABLE_ELECTION_NAMESPACE_TAG"):
            election_tags["election_namespace"] = namespace
    return Settings(
        hostname=hostname,
        host_tags=host_tags,
        own_election_tags=election_tags,
        election=election,
        cluster_name=env.get("ENV_CLUSTER_NAME_K8S", ""),
        namespace=namespace,
        whitelist=_list(env.get("ENV_ELECTION_NODE_WHITELIST", "")) if election else (),
        dataways=tuple(each.strip() for each in env.get("ENV_DATAWAY", "").split(",") if each.strip()),
        enabled_inputs=enabled,
        refused_inputs=refused,
        protect=not env.get("ENV_DISABLE_PROTECT_MODE"),
    )


def tags_of(text: str, places: Mapping[str, str] | None = None) -> dict[str, str]:
    """`k=v,k=v`; an entry whose value holds another `=` is dropped. `places` are what placeholders stand for."""
    found = {}
    for entry in text.split(","):
        parts = entry.strip().split("=")
        if len(parts) == 2 and parts[0].strip():
            value = parts[1].strip()
            match = _TAG_VALUE.match(value)
            found[parts[0].strip()] = places[match[1]] if match and places else value
    return found


def _list(text: str) -> tuple[str, ...]:
    """A JSON array, or names with commas."""
    try:
        parsed = json.loads(text)
    except ValueError:
        parsed = text.split(",")
    names = parsed if isinstance(parsed, list) else []
    return tuple(str(name).strip() for name in names if str(name).strip())


def _inputs(text: str) -> tuple[tuple[str, ...], frozenset[str]]:
    """The default inputs, and those that never run: `-` is none, `-name` takes one away."""
    names = [name for name in re.split(r"[,\s]+", text) if name]
    refused = frozenset(name[1:] for name in names if len(name) > 1 and name.startswith("-"))
    kept = dict.fromkeys(name for name in names if not name.startswith("-") and name not in refused)
    return (() if names == ["-"] else tuple(kept)), refused


def api_url(dataway: str, path: str, **query: str) -> str:
    """The address of one of Dataway's APIs: what ENV_DATAWAY's query holds (the token) stays on every call."""
    parts = urlsplit(dataway)
    asked = urlencode([*parse_qsl(parts.query, keep_blank_values=True), *query.items()])
    return urlunsplit((parts.scheme, parts.netloc, path, asked, ""))
