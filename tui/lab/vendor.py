"""The objects of the practice cluster: the vendor's manifest of DataKit, kubeadm's static pods, roles,
people.

The DaemonSet is shaped like templates/datakit.template.yaml of DataKit 1.84.1. Its Dataway is a name that
only the lab's network knows.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from tui.lab.client import Object
from tui.lab.layouts import Layout
from tui.lab.nodes import KUBELET_VERSION, Node
from tui.lab.pki import ETCD_FOLDER
from tui.lab.settings import VERSION

NAMESPACE = "datakit"
CLUSTER_NAME = "lab"
CONFIG_MAP = "datakit-conf"
SELECTOR = "app=daemonset-datakit"
CSA = "kubectl-client-side-apply"
DATAWAY_HOST = "openway.lab.example"
IMAGE = f"pubrepo.guance.com/datakit/datakit:{VERSION}"
VIEWER = "viewer"
ADMIN = "admin"
ADMINS = "kubeadm:cluster-admins"
# How the API server knows DataKit's service account: its name and its groups.
SERVICE_ACCOUNT_USER = (
    f"system:serviceaccount:{NAMESPACE}:datakit",
    "system:serviceaccounts",
    f"system:serviceaccounts:{NAMESPACE}",
)

_DEFAULT_INPUTS = (
    "statsd,dk,cpu,disk,diskio,mem,swap,system,hostobject,net,host_processes,container,kubernetesprometheus"
)
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"

CONTAINER_CONF = """\
[inputs.container]
  endpoints = [
    "unix:///var/run/docker.sock",
    "unix:///var/run/containerd/containerd.sock",
    "unix:///var/run/crio/crio.sock",
  ]

  enable_container_metric = true
  enable_k8s_metric = true
  enable_pod_metric = false
  enable_k8s_event = true

  container_include_log = []
  container_exclude_log = ["image:*logfwd*", "image:*datakit*"]

  [inputs.container.tags]
    # some_tag = "some_value"
"""


def client_side_applied(item: Object) -> Object:
    """The object as `kubectl apply` sends it, with its own copy in an annotation."""
    metadata = {"annotations": {}, **item["metadata"]}
    text = json.dumps({**item, "metadata": metadata}, separators=(",", ":")) + "\n"
    annotations = {**metadata["annotations"], _LAST_APPLIED: text}
    return {**item, "metadata": {**metadata, "annotations": annotations}}


def namespace(name: str) -> Object:
    """A namespace."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def config_map() -> Object:
    """`datakit-conf` as part 1 of the tutorial leaves it: with the conf of another input."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": CONFIG_MAP, "namespace": NAMESPACE},
        "data": {"container.conf": CONTAINER_CONF},
    }


def service_account() -> Object:
    """The account that DataKit's pods run under."""
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": "datakit", "namespace": NAMESPACE},
    }


def daemon_set(token: str) -> Object:
    """The vendor's DaemonSet. `token` is the workspace's, as it stands in every real manifest."""
    labels = {"app": "daemonset-datakit"}
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "datakit", "namespace": NAMESPACE, "labels": labels},
        "spec": {
            "revisionHistoryLimit": 10,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": _pod_spec(token)},
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}},
        },
    }


def _field(name: str, path: str) -> Object:
    return {"name": name, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}}


def _pod_spec(token: str) -> Object:
    env = [
        _field("POD_NAME", "metadata.name"),
        _field("ENV_K8S_NODE_IP", "status.hostIP"),
        _field("ENV_K8S_NODE_NAME", "spec.nodeName"),
        {"name": "ENV_DATAWAY", "value": f"https://{DATAWAY_HOST}?token={token}"},
        {"name": "ENV_CLUSTER_NAME_K8S", "value": CLUSTER_NAME},
        {"name": "ENV_GLOBAL_HOST_TAGS", "value": "host=__datakit_hostname,host_ip=__datakit_ip"},
        {"name": "ENV_GLOBAL_ELECTION_TAGS", "value": ""},
        {"name": "ENV_DEFAULT_ENABLED_INPUTS", "value": _DEFAULT_INPUTS},
        {"name": "ENV_ENABLE_ELECTION", "value": "enable"},
        {"name": "ENV_HTTP_LISTEN", "value": "0.0.0.0:9529"},
        {"name": "HOST_PROC", "value": "/rootfs/proc"},
        {"name": "HOST_SYS", "value": "/rootfs/sys"},
        {"name": "HOST_ETC", "value": "/rootfs/etc"},
        {"name": "HOST_VAR", "value": "/rootfs/var"},
        {"name": "HOST_RUN", "value": "/rootfs/run"},
        {"name": "HOST_DEV", "value": "/rootfs/dev"},
        {"name": "HOST_ROOT", "value": "/rootfs"},
    ]
    propagated = {"mountPropagation": "HostToContainer"}
    container = {
        "name": "datakit",
        "image": IMAGE,
        "imagePullPolicy": "Always",
        "workingDir": "/usr/local/datakit",
        "ports": [{"containerPort": 9529, "hostPort": 9529, "name": "port", "protocol": "TCP"}],
        "env": env,
        "resources": {
            "requests": {"cpu": "200m", "memory": "128Mi"},
            "limits": {"cpu": "2000m", "memory": "4Gi"},
        },
        "securityContext": {"privileged": True},
        "volumeMounts": [
            {"mountPath": "/usr/local/datakit/cache", "name": "cache", "readOnly": False},
            {"mountPath": "/rootfs", "name": "rootfs", **propagated},
            {"mountPath": "/var/run", "name": "run", **propagated},
            {"mountPath": "/sys/kernel/debug", "name": "debugfs"},
            {"mountPath": "/var/lib/containerd/container_logs", "name": "container-logs"},
            {
                "mountPath": "/usr/local/datakit/conf.d/container/container.conf",
                "name": "datakit-conf",
                "subPath": "container.conf",
                "readOnly": True,
            },
        ],
    }
    return {
        "hostNetwork": True,
        "dnsPolicy": "ClusterFirstWithHostNet",
        "hostPID": True,
        "hostIPC": True,
        "serviceAccountName": "datakit",
        "containers": [container],
        "volumes": [
            {"configMap": {"name": CONFIG_MAP}, "name": "datakit-conf"},
            {"hostPath": {"path": "/root/datakit_cache"}, "name": "cache"},
            {"hostPath": {"path": "/"}, "name": "rootfs"},
            {"hostPath": {"path": "/var/run"}, "name": "run"},
            {"hostPath": {"path": "/sys/kernel/debug"}, "name": "debugfs"},
            {"hostPath": {"path": "/var/lib/containerd/container_logs"}, "name": "container-logs"},
        ],
        "tolerations": [{"operator": "Exists"}],
    }


def static_pods(node: Node, members: Sequence[Node], layout: Layout) -> list[tuple[Object, Object]]:
    """etcd and kube-apiserver of a control-plane node: (pod, status) of each. k3s runs both inside its own process,
    RKE2 gives etcd a file of flags (rke2 pkg/podtemplate).
    """
    if not layout.in_pods:
        return []
    if layout.key == "rke2":
        return _rke2_pods(node, layout)
    ip = node.ip
    pki = ETCD_FOLDER
    cluster = ",".join(f"{member.name}=https://{member.ip}:2380" for member in members)
    etcd = [
        "etcd",
        f"--advertise-client-urls=https://{ip}:2379",
        f"--cert-file={pki}/server.crt",
        "--client-cert-auth=true",
        "--data-dir=/var/lib/etcd",
        f"--initial-advertise-peer-urls=https://{ip}:2380",
        f"--initial-cluster={cluster}",
        f"--key-file={pki}/server.key",
        f"--listen-client-urls=https://127.0.0.1:2379,https://{ip}:2379",
        "--listen-metrics-urls=http://127.0.0.1:2381",
        f"--listen-peer-urls=https://{ip}:2380",
        f"--name={node.name}",
        f"--peer-cert-file={pki}/peer.crt",
        "--peer-client-cert-auth=true",
        f"--peer-key-file={pki}/peer.key",
        f"--peer-trusted-ca-file={pki}/ca.crt",
        "--snapshot-count=10000",
        f"--trusted-ca-file={pki}/ca.crt",
    ]
    api_server = [
        "kube-apiserver",
        f"--advertise-address={ip}",
        "--allow-privileged=true",
        "--authorization-mode=Node,RBAC",
        "--client-ca-file=/etc/kubernetes/pki/ca.crt",
        f"--etcd-cafile={pki}/ca.crt",
        "--etcd-certfile=/etc/kubernetes/pki/apiserver-etcd-client.crt",
        "--etcd-keyfile=/etc/kubernetes/pki/apiserver-etcd-client.key",
        "--etcd-servers=https://127.0.0.1:2379",
        "--secure-port=6443",
        "--service-cluster-ip-range=10.96.0.0/12",
    ]
    annotation = "kubeadm.kubernetes.io/"
    return [
        _static_pod(
            node,
            "etcd",
            "registry.k8s.io/etcd:3.6.6-0",
            etcd,
            {f"{annotation}etcd.advertise-client-urls": f"https://{ip}:2379"},
            {"etcd-certs": ETCD_FOLDER, "etcd-data": "/var/lib/etcd"},
        ),
        _static_pod(
            node,
            "kube-apiserver",
            f"registry.k8s.io/kube-apiserver:{KUBELET_VERSION}",
            api_server,
            {f"{annotation}kube-apiserver.advertise-address.endpoint": f"{ip}:6443"},
            {"k8s-certs": "/etc/kubernetes/pki"},
        ),
    ]


def _rke2_pods(node: Node, layout: Layout) -> list[tuple[Object, Object]]:
    data = "/var/lib/rancher/rke2/server"
    etcd = ["etcd", f"--config-file={data}/db/etcd/config"]
    api_server = [
        "kube-apiserver",
        f"--advertise-address={node.ip}",
        "--allow-privileged=true",
        "--authorization-mode=Node,RBAC",
        f"--etcd-cafile={layout.ca}.crt",
        f"--etcd-certfile={layout.own}.crt",
        f"--etcd-keyfile={layout.own}.key",
        "--etcd-servers=https://127.0.0.1:2379",
        "--secure-port=6443",
    ]
    image = "index.docker.io/rancher/hardened"
    version = layout.kubelet.replace("+", "-")
    return [
        _static_pod(node, "etcd", f"{image}-etcd:v3.6.6-k3s1", etcd, {}, {"dir0": f"{data}/db/etcd"}),
        _static_pod(node, "kube-apiserver", f"{image}-kubernetes:{version}", api_server, {}, {"dir0": f"{data}/tls"}),
    ]


def _static_pod(
    node: Node, component: str, image: str, command: list[str], annotations: Object, paths: dict[str, str]
) -> tuple[Object, Object]:
    name = f"{component}-{node.name}"
    mirror = {"kubernetes.io/config.mirror": "lab", "kubernetes.io/config.source": "file"}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": "kube-system",
            "labels": {"component": component, "tier": "control-plane"},
            "annotations": {**annotations, **mirror},
        },
        "spec": {
            "containers": [
                {
                    "name": component,
                    "image": image,
                    "command": command,
                    "volumeMounts": [{"name": each, "mountPath": path} for each, path in paths.items()],
                }
            ],
            "hostNetwork": True,
            "nodeName": node.name,
            "priorityClassName": "system-node-critical",
            "tolerations": [{"operator": "Exists", "effect": "NoExecute"}],
            "volumes": [
                {"name": each, "hostPath": {"path": path, "type": "DirectoryOrCreate"}} for each, path in paths.items()
            ],
        },
    }
    return pod, _running(node, component, image)


def _running(node: Node, container: str, image: str) -> Object:
    kinds = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")
    return {
        "phase": "Running",
        "conditions": [{"type": kind, "status": "True"} for kind in kinds],
        "hostIP": node.ip,
        "podIP": node.ip,
        "podIPs": [{"ip": node.ip}],
        "containerStatuses": [
            {
                "name": container,
                "image": image,
                "imageID": "",
                "ready": True,
                "started": True,
                "restartCount": 0,
                "state": {"running": {}},
            }
        ],
    }


def viewer_rights(*others: str) -> list[Object]:
    """What the viewer may: ClusterRole view in DataKit's namespace and in `others`, and look at nodes. No exec, no
    writes.
    """
    group = "rbac.authorization.k8s.io"
    user = {"apiGroup": group, "kind": "User", "name": VIEWER}
    return [
        *(
            {
                "apiVersion": f"{group}/v1",
                "kind": "RoleBinding",
                "metadata": {"name": "viewer", "namespace": name},
                "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "view"},
                "subjects": [user],
            }
            for name in (NAMESPACE, *others)
        ),
        {
            "apiVersion": f"{group}/v1",
            "kind": "ClusterRole",
            "metadata": {"name": "node-viewer"},
            "rules": [{"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "list"]}],
        },
        {
            "apiVersion": f"{group}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "node-viewer"},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "node-viewer"},
            "subjects": [user],
        },
    ]


def account_rights() -> list[Object]:
    """What DataKit's own account may: the ClusterRole of its manifest, as far as the lab has the kinds."""
    group = "rbac.authorization.k8s.io"
    read = ["get", "list", "watch"]
    core = ["nodes", "nodes/stats", "nodes/metrics", "namespaces", "pods", "pods/log", "events", "services"]
    core += ["endpoints", "persistentvolumes", "persistentvolumeclaims"]
    rules = [
        {"apiGroups": [""], "resources": core, "verbs": read},
        {
            "apiGroups": ["apps"],
            "resources": ["deployments", "daemonsets", "statefulsets", "replicasets"],
            "verbs": read,
        },
        {"apiGroups": ["batch"], "resources": ["jobs", "cronjobs"], "verbs": read},
        {"nonResourceURLs": ["/metrics"], "verbs": ["get"]},
    ]
    return [
        {"apiVersion": f"{group}/v1", "kind": "ClusterRole", "metadata": {"name": "datakit"}, "rules": rules},
        {
            "apiVersion": f"{group}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "datakit"},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "datakit"},
            "subjects": [{"kind": "ServiceAccount", "name": "datakit", "namespace": NAMESPACE}],
        },
    ]


HELM_LABELS = {"app.kubernetes.io/managed-by": "Helm"}
HELM_ANNOTATIONS = {"meta.helm.sh/release-name": "datakit", "meta.helm.sh/release-namespace": NAMESPACE}
