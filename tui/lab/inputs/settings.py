"""What switches the input `container`: its conf and its environment (DataKit 1.84.1, container/input.go and env.go)."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tui.lab.container import Container
from tui.lab.settings import tags_of

NAME = "container"
HOST_INPUTS = ("cpu", "disk", "mem", "system")

# Those of the conf that the agent writes itself where nobody gives it one.
_ENDPOINTS = (
    "unix:///var/run/docker.sock",
    "unix:///var/run/containerd/containerd.sock",
    "unix:///var/run/crio/crio.sock",
)
_SWITCHES = {
    "enable_container_metric": "container_metric",
    "enable_k8s_metric": "k8s_metric",
    "enable_pod_metric": "pod_metric",
    "enable_k8s_event": "k8s_event",
    "enable_k8s_node_local": "node_local",
    "enable_collect_k8s_job": "jobs",
}
_ENVIRONMENT = {f"ENV_INPUT_CONTAINER_{key.upper()}": name for key, name in _SWITCHES.items()}
_ENVIRONMENT["ENV_INPUT_CONTAINER_ENABLE_COLLECT_KUBE_JOB"] = _ENVIRONMENT.pop(
    "ENV_INPUT_CONTAINER_ENABLE_COLLECT_K8S_JOB"
)
_TRUE, _FALSE = ("1", "t", "T", "TRUE", "true", "True"), ("0", "f", "F", "FALSE", "false", "False")  # strconv.ParseBool


@dataclass(frozen=True)
class ContainerInput:
    """The input's settings. Without any of `endpoints` that exists there is no data of containers."""

    endpoints: tuple[str, ...] = _ENDPOINTS
    container_metric: bool = True
    k8s_metric: bool = True
    pod_metric: bool = False
    k8s_event: bool = True
    node_local: bool = True
    jobs: bool = True
    tags: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, text: str | None, env: Mapping[str, str]) -> ContainerInput:
        """From the text of its conf (None: the default one) and the environment, which wins.

        Endpoints are added to each other. Raises ValueError for a text that is no TOML or of other types.
        """
        found = cls() if text is None else cls()._conf(tomllib.loads(text).get("inputs", {}).get(NAME, {}))
        return found._env(env)

    def _conf(self, table: Any) -> ContainerInput:
        table = table[0] if isinstance(table, list) and table else table
        if not isinstance(table, dict):
            raise ValueError("inputs.container is no table")
        endpoints = list(_texts(table.get("endpoints", [])))
        endpoints += _texts([table[key] for key in ("docker_endpoint",) if table.get(key)])
        endpoints += [f"unix://{each}" for each in _texts([table.get("containerd_address")]) if each]
        switches = {name: table[key] for key, name in _SWITCHES.items() if key in table}
        if not all(isinstance(value, bool) for value in switches.values()):
            raise ValueError("a switch of inputs.container is no boolean")
        tags = {key: str(value) for key, value in (table.get("tags") or {}).items()}
        return replace(self, endpoints=tuple(dict.fromkeys(endpoints)), tags=tags, **switches)

    def _env(self, env: Mapping[str, str]) -> ContainerInput:
        endpoints = list(self.endpoints)
        if "ENV_INPUT_CONTAINER_ENDPOINTS" in env:
            endpoints += env["ENV_INPUT_CONTAINER_ENDPOINTS"].split(",")
        if env.get("ENV_INPUT_CONTAINER_DOCKER_ENDPOINT"):
            endpoints.append(env["ENV_INPUT_CONTAINER_DOCKER_ENDPOINT"])
        if env.get("ENV_INPUT_CONTAINER_CONTAINERD_ADDRESS"):
            endpoints.append(f"unix://{env['ENV_INPUT_CONTAINER_CONTAINERD_ADDRESS']}")
        switches = {name: env[key] in _TRUE for key, name in _ENVIRONMENT.items() if env.get(key) in (*_TRUE, *_FALSE)}
        tags = {**self.tags, **tags_of(env.get("ENV_INPUT_CONTAINER_TAGS", ""))}
        return replace(self, endpoints=tuple(dict.fromkeys(endpoints)), tags=tags, **switches)

    def runtime(self, container: Container) -> str:
        """The first endpoint whose socket the agent's container has, "" where it has none of them."""
        return next((each for each in self.endpoints if _is_socket(each, container)), "")


def _texts(values: Any) -> list[str]:
    if not isinstance(values, list) or not all(isinstance(each, str) or each is None for each in values):
        raise ValueError("endpoints of inputs.container are no texts")
    return [each for each in values if each]


def _is_socket(endpoint: str, container: Container) -> bool:
    """Whether an endpoint leads anywhere. In the image /var/run is a link to /run, so both name the same place."""
    scheme, _sep, path = endpoint.strip().partition("://")
    if scheme != "unix" or not path.startswith("/"):
        return False
    if path.startswith("/run/"):
        path = f"/var{path}"
    real = container.real(path)
    return real.exists() and not real.is_dir()
