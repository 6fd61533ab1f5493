"""A Kubernetes API server in memory, for practice: it speaks the REST protocol as kube-apiserver 1.36 does.

`limits` says what it leaves out.
"""

from tui.lab.apiserver.kubelets import ExecResult, KubeletError, Kubelets
from tui.lab.apiserver.server import ApiServer

__all__ = ["ApiServer", "ExecResult", "KubeletError", "Kubelets"]
