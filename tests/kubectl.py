"""Which kubectl is on this machine. Tests that need one of today skip an old one: Debian 12 packages 1.20."""

from __future__ import annotations

import json
import shutil
import subprocess

OLDEST = (1, 28)  # `auth whoami`, OpenAPI v3 and kustomize's components


def problem() -> str:
    """Why kubectl cannot be used here, as the reason of a skip; "" where it can."""
    if not shutil.which("kubectl"):
        return "kubectl is not installed"
    command = ["kubectl", "version", "--client", "-o", "json"]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    client = json.loads(said)["clientVersion"]
    version = (int(client["major"]), int("".join(c for c in client["minor"] if c.isdigit())))
    return "" if version >= OLDEST else f"kubectl is older than {OLDEST[0]}.{OLDEST[1]}"


PROBLEM = problem()
