"""What the API server asks of nodes: exec, logs and the ports of pods."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class ExecResult:
    """What a command wrote, and its exit status."""

    stdout: bytes = b""
    stderr: bytes = b""
    code: int = 0


class KubeletError(Exception):
    """A kubelet could not do it: the HTTP code and text that the API server passes on."""

    def __init__(self, message: str, code: int = 500) -> None:
        super().__init__(message)
        self.message = message
        self.code = code


class Kubelets(Protocol):
    """The nodes behind an API server. Methods raise KubeletError where the container is not there or not running."""

    async def exec(self, namespace: str, pod: str, container: str, argv: list[str], stdin: bytes | None) -> ExecResult:
        """Run a command in a container."""
        ...

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
        """The log of a container."""
        ...

    async def proxy(
        self, namespace: str, pod: str, port: int, method: str, path: str, query: str, headers: Mapping[str, str]
    ) -> tuple[int, Mapping[str, str], bytes]:
        """An HTTP request to a port of a pod: status, headers and body."""
        ...
