"""What the API server asks of nodes (its Kubelets protocol): commands, logs and ports of pods."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

from tui.lab import commands
from tui.lab.agent import LOG_FILE, Agent
from tui.lab.apiserver import ExecResult, KubeletError
from tui.lab.container import Container
from tui.lab.kubelet import Kubelet
from tui.lab.network import Network, NetworkError


class NodeHooks:
    """Answers for all nodes of the lab; `kubelets` is by node name and may grow later."""

    def __init__(self, kubelets: Mapping[str, Kubelet], network: Network) -> None:
        self._kubelets = kubelets
        self._network = network

    def _container(self, namespace: str, pod: str, name: str) -> tuple[Container, Agent | None]:
        for kubelet in self._kubelets.values():
            found = kubelet.find(namespace, pod)
            if found is not None and name in found[0]:
                return found[0][name], found[1].get(name)
        raise KubeletError(f'container "{name}" in pod "{pod}" is waiting to start: ContainerCreating', 400)

    async def exec(self, namespace: str, pod: str, container: str, argv: list[str], stdin: bytes | None) -> ExecResult:
        """Run a command in a container."""
        _, agent = self._container(namespace, pod, container)
        try:
            if agent is None:
                raise commands.ExecutableNotFoundError(argv[0] if argv else "")
            result = await commands.run(agent.shell(), argv, stdin or b"")
        except commands.ExecutableNotFoundError as error:
            raise KubeletError(f"Internal error occurred: Internal error occurred: {error}") from None
        return ExecResult(result.stdout, result.stderr, result.code)

    async def logs(
        self,
        namespace: str,
        pod: str,
        container: str,
        *,
        tail_lines: int | None = None,
        limit_bytes: int | None = None,
        since_seconds: int | None = None,
        timestamps: bool = False,
        previous: bool = False,
    ) -> bytes:
        """What the container wrote to stdout: nothing, since DataKit logs to a file unless ENV_LOG is stdout."""
        text = b""
        if previous:
            for kubelet in self._kubelets.values():
                if (ended := kubelet.previous_log(namespace, pod, container)) is not None:
                    return ended
            raise KubeletError(f'previous terminated container "{container}" in pod "{pod}" not found', 400)
        found, _ = self._container(namespace, pod, container)
        if found.env.get("ENV_LOG") == "stdout":
            with contextlib.suppress(OSError):
                text = found.read(LOG_FILE)
        if tail_lines is not None:
            text = b"".join(text.splitlines(keepends=True)[-tail_lines:]) if tail_lines else b""
        return text if limit_bytes is None else text[:limit_bytes]

    async def proxy(
        self, namespace: str, pod: str, port: int, method: str, path: str, query: str, headers: Mapping[str, str]
    ) -> tuple[int, Mapping[str, str], bytes]:
        """A request to a pod's port, as it comes from the API server: not over loopback."""
        for kubelet in self._kubelets.values():
            if (address := kubelet.address(namespace, pod)) is not None:
                node = kubelet.node
                url = f"http://{address}:{port}{path}" + (f"?{query}" if query else "")
                kept = {name: value for name, value in headers.items() if name.lower() in ("accept", "user-agent")}
                try:
                    answer = await self._network.request(node.name, method, url, headers=kept)
                except NetworkError as error:
                    raise KubeletError(error.reason, 503) from None
                return answer.status, answer.headers, answer.body
        raise KubeletError(f"pod {namespace}/{pod} does not run", 503)
