"""What acts on the world, behind `tui.core.ports`: the cluster, the agents in it, certificates, and the studio."""

from __future__ import annotations

from tui.core import ports


def connect(kubeconfig: str = "", time_scale: float = 1.0) -> ports.Backend:
    """The backend on a kubeconfig ("" = as kubectl finds it). Nothing is read or requested yet.

    `time_scale` is how much faster than real time a practice lab runs; 1 for real systems.
    """
    return _Backend(kubeconfig, time_scale)


class _Backend:
    def __init__(self, kubeconfig: str, time_scale: float) -> None:
        self._kubeconfig = kubeconfig
        self._time_scale = time_scale

    def clusters(self) -> ports.Clusters:
        from tui.backend.kubeconfig import Kubeconfig

        return Kubeconfig(self._kubeconfig)

    def agent(self, cluster: ports.Reader, namespace: str, pod: str, node: str, container: str) -> ports.Agent:
        from tui.backend.agent import DataKitAgent

        return DataKitAgent(cluster, namespace, pod, node, container)

    def certificates(self) -> ports.Certificates:
        from tui.backend.certificates import NodeCertificateReader

        return NodeCertificateReader()

    def studio(self, endpoint: str, key: str, console: str = "") -> ports.Studio:
        from tui.backend.studio import StudioClient

        return StudioClient(endpoint, key, console=console, time_scale=self._time_scale)
