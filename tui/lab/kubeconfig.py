"""The kubeconfig of a lab."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path

import yaml

from tui.lab.pki import Pair, write_file

EXTENSION = "datakit-wizard/lab"


def context_name(user: str) -> str:
    """The kubeconfig's context of one of the lab's users."""
    return f"lab-{user}"


def write_kubeconfig(
    path: Path,
    server: str,
    ca: bytes,
    users: Mapping[str, Pair],
    *,
    current: str,
    namespace: str,
    time_scale: float,
) -> None:
    """Write a kubeconfig (0600) with a context for each user, certificates inside. A reader never sees half of it."""

    def encoded(pem: bytes) -> str:
        return base64.b64encode(pem).decode()

    extension = {"name": EXTENSION, "extension": {"timeScale": time_scale}}
    cluster = {"server": server, "certificate-authority-data": encoded(ca), "extensions": [extension]}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": context_name(current),
        "clusters": [{"name": "lab", "cluster": cluster}],
        "contexts": [
            {
                "name": context_name(user),
                "context": {"cluster": "lab", "user": context_name(user), "namespace": namespace},
            }
            for user in users
        ],
        "users": [
            {
                "name": context_name(user),
                "user": {"client-certificate-data": encoded(pair.cert), "client-key-data": encoded(pair.key)},
            }
            for user, pair in users.items()
        ],
    }
    new = path.with_name(path.name + ".new")
    write_file(new, yaml.safe_dump(document, sort_keys=False).encode(), mode=0o600)
    new.replace(path)
