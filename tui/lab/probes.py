"""Readiness probes, as the kubelet makes them from the node."""

from __future__ import annotations

import re
from typing import Any

from tui.lab import commands
from tui.lab.agent import Agent
from tui.lab.container import Container
from tui.lab.network import NetworkError
from tui.lab.podstatus import program

Object = dict[str, Any]


async def look(probe: Object, container: Container, agent: Agent | None) -> str:
    """Why a probe fails now, "" where it succeeds. Where no agent runs, only `exec` of a shell that ends is played."""
    timeout = float(probe.get("timeoutSeconds") or 1)
    argv = list((probe.get("exec") or {}).get("command") or [])
    if agent is None:
        code = program({"command": argv}).code or 0
        told = re.findall(r"echo ([^;&|]+)", argv[-1]) if argv and code else []
        return "".join(f"{line.strip()}\n" for line in told) or ("exit status" if code else "")
    if "exec" in probe:
        try:
            result = await commands.run(agent.shell(), argv)
        except commands.ExecutableNotFoundError as error:
            return str(error)
        return "" if result.code == 0 else (result.stdout + result.stderr).decode(errors="replace") or "exit status"
    action = probe.get("httpGet") or probe.get("tcpSocket")
    if action is None:
        return ""
    host = action.get("host") or container.ip or container.node.ip
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
