"""Readiness probes, as the kubelet makes them from the node."""

from __future__ import annotations

from typing import Any

from tui.lab import commands
from tui.lab.agent import Agent
from tui.lab.container import Container
from tui.lab.network import NetworkError

Object = dict[str, Any]


async def look(probe: Object, container: Container, agent: Agent | None) -> str:
    """Why a probe fails now, "" where it succeeds. `exec` and `httpGet` need an agent in the container."""
    timeout = float(probe.get("timeoutSeconds") or 1)
    if agent is None:
        return "" if "exec" not in probe else "not yet\n"
    if "exec" in probe:
        argv = list(probe["exec"].get("command") or [])
        try:
            result = await commands.run(agent.shell(), argv)
        except commands.ExecutableNotFoundError as error:
            return str(error)
        return "" if result.code == 0 else (result.stdout + result.stderr).decode(errors="replace") or "exit status"
    action = probe.get("httpGet") or probe.get("tcpSocket")
    if action is None:
        return ""
    host = action.get("host") or container.node.ip
    scheme = str(action.get("scheme", "HTTP")).lower()
    url = f"{scheme}://{host}:{action['port']}{action.get('path') or '/'}"
    try:
        answer = await agent.network.request(container.node.name, "GET", url, timeout_s=max(timeout, 1))
    except NetworkError as error:
        if "tcpSocket" in probe and error.kind not in ("refused", "timeout"):
            return ""
        return f'Get "{url}": {error.reason}'
    good = "tcpSocket" in probe or 200 <= answer.status < 400
    return "" if good else f"HTTP probe failed with statuscode: {answer.status}"
