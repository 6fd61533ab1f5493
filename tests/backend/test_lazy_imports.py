"""The backend's front door brings nothing heavy along."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("kubernetes", "httpx", "yaml", "urllib3", "cryptography", "websocket", "tomlkit", "aiohttp")


def loaded_after(code: str) -> set[str]:
    code += f"; import sys; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    return set(eval(done.stdout))


def test_connect_and_clusters_load_no_client() -> None:
    assert loaded_after("import tui.backend; tui.backend.connect()") == set()
    assert "kubernetes" not in loaded_after("import tui.backend; tui.backend.connect().clusters()")


def test_only_the_gateway_imports_kubernetes() -> None:
    modules = "agent, api_errors, certificates, endpoint, exec_credentials, exec_stream, identity, kubeconfig"
    modules += ", pods, rollout, watch"
    assert "kubernetes" not in loaded_after(f"from tui.backend import {modules}")
    assert "kubernetes" in loaded_after("import tui.backend.cluster")
