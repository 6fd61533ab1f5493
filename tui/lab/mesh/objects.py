"""The mesh's objects: Istio as `istioctl install --set profile=demo` leaves it, Bookinfo as the tutorial deploys it.

Names, labels and ports of istio 1.13 (manifests/charts) and of the tutorial's first part. Traps of real meshes are
among them: istiod has two replicas, one workload has no sidecar, one annotation does not parse, the others leave out
every histogram.
"""

from __future__ import annotations

from tui.lab import vendor
from tui.lab.client import Object
from tui.lab.mesh.injection import IMAGE, VERSION

SYSTEM = "istio-system"
PROD = "prod"
INSTANCES = "datakit/prom.instances"
NO_SIDECAR = "sleep"
BROKEN = "details-v1"
STRICT = "ratings"  # the app whose peers have to speak mutual TLS

_BOOKINFO = "docker.io/istio/examples-bookinfo"
_HTTP = 9080

_TAGS_IGNORE = (
    '"cache","cluster_type","component","destination_app","destination_canonical_revision",'
    '"destination_canonical_service","destination_cluster","destination_principal","group","grpc_code","grpc_method",'
    '"grpc_service","grpc_type","reason","request_protocol","request_type","resource","responce_code_class",'
    '"response_flags","source_app","source_canonical_revision","source_canonical-service","source_cluster",'
    '"source_principal","source_version","wasm_filter"'
)
_NAMES = (
    '"istio_requests_total","pilot_k8s_cfg_events","istio_build","process_virtual_memory_bytes",'
    '"process_resident_memory_bytes","process_cpu_seconds_total","envoy_cluster_assignment_stale","go_goroutines",'
    '"pilot_xds_pushes","pilot_proxy_convergence_time_bucket","citadel_server_root_cert_expiry_timestamp",'
    '"pilot_conflict_inbound_listener","pilot_conflict_outbound_listener_http_over_current_tcp",'
    '"pilot_conflict_outbound_listener_tcp_over_current_tcp","pilot_conflict_outbound_listener_tcp_over_current_http",'
    '"pilot_virt_services","galley_validation_failed","pilot_services","envoy_cluster_upstream_cx_total",'
    '"envoy_cluster_upstream_cx_connect_fail","envoy_cluster_upstream_cx_active",'
    '"envoy_cluster_upstream_cx_rx_bytes_total","envoy_cluster_upstream_cx_tx_bytes_total",'
    '"istio_request_duration_milliseconds_bucket","istio_request_duration_seconds_bucket",'
    '"istio_request_bytes_bucket","istio_response_bytes_bucket"'
)


def tutorial_annotation(source: str, *, tabs: bool = False, broken: bool = False) -> str:
    """The tutorial's `datakit/prom.instances`: counters and gauges alone, and filters that name `_bucket`.

    `tabs` has its indentation of `tags_ignore` (TOML takes it, the tutorial's YAML does not); `broken` has a line break
    inside a string, as a form that wraps long lines puts it there: no TOML.
    """
    ignored = _TAGS_IGNORE
    if broken:
        ignored = ignored.replace("source_canonical_revision", "source_\ncanonical_revision")
    indent = "\t\t\t" if tabs else "  "
    return (
        "[[inputs.prom]]\n"
        '  url = "http://$IP:15020/stats/prometheus"\n'
        f'  source = "{source}"\n'
        '  metric_types = ["counter", "gauge"]\n'
        '  interval = "60s"\n'
        f"{indent}tags_ignore = [{ignored}]\n"
        '  #measurement_prefix = ""\n'
        f"  metric_name_filter = [{_NAMES}]\n"
        '  measurement_name = "istio_prom"\n'
        "  #[[inputs.prom.measurements]]\n"
        '  # prefix = "cpu_"\n'
        '  # name = "cpu"\n'
        "  [inputs.prom.tags]\n"
        '  namespace = "$NAMESPACE"\n'
    )


def namespaces() -> list[Object]:
    """Istio's own, and the one whose pods get sidecars."""
    prod = vendor.namespace(PROD)
    prod["metadata"]["labels"] = {"istio-injection": "enabled"}
    return [vendor.namespace(SYSTEM), prod]


def objects() -> list[tuple[str, Object]]:
    """Path and object of all that is in the two namespaces, as `kubectl apply` sends them."""
    return [*_istio(), *_bookinfo()]


def deployments() -> list[tuple[str, str]]:
    """Namespace and name of every Deployment of the mesh."""
    return [
        (item["metadata"]["namespace"], item["metadata"]["name"])
        for path, item in objects()
        if path.endswith("/deployments")
    ]


def _placed(kind: str, namespace: str, name: str, labels: Object, **rest: object) -> tuple[str, Object]:
    group, plural = {
        "ServiceAccount": ("api/v1", "serviceaccounts"),
        "Service": ("api/v1", "services"),
        "ConfigMap": ("api/v1", "configmaps"),
        "Deployment": ("apis/apps/v1", "deployments"),
        "PodDisruptionBudget": ("apis/policy/v1", "poddisruptionbudgets"),
    }[kind]
    metadata = {"name": name, "namespace": namespace, "labels": labels}
    api_version = group.removeprefix("apis/").removeprefix("api/")
    item = {"apiVersion": api_version, "kind": kind, "metadata": metadata, **rest}
    return f"/{group}/namespaces/{namespace}/{plural}", item


def _service(namespace: str, name: str, labels: Object, selector: Object, ports: list[Object]) -> tuple[str, Object]:
    return _placed("Service", namespace, name, labels, spec={"ports": ports, "selector": selector})


def _deployment(
    namespace: str,
    name: str,
    labels: Object,
    pod: Object,
    container: Object,
    *,
    selector: Object | None = None,
    annotations: Object | None = None,
    replicas: int = 1,
    account: str = "",
    strategy: Object | None = None,
) -> tuple[str, Object]:
    """A Deployment of one container; `pod` are the labels of its pods."""
    template: Object = {"metadata": {"labels": pod}, "spec": {"containers": [container]}}
    if annotations:
        template["metadata"]["annotations"] = annotations
    if account:
        template["spec"]["serviceAccountName"] = account
    spec: Object = {"replicas": replicas, "selector": {"matchLabels": selector or pod}, "template": template}
    if strategy:
        spec["strategy"] = {"rollingUpdate": strategy}
    return _placed("Deployment", namespace, name, labels, spec=spec)


# Istio


def _istio() -> list[tuple[str, Object]]:
    pilot = {"app": "istiod", "istio": "pilot"}
    operator = {"install.operator.istio.io/owning-resource": "unknown", "istio.io/rev": "default", "release": "istio"}
    mesh = "defaultConfig:\n  discoveryAddress: istiod.istio-system.svc:15012\nenablePrometheusMerge: true\n"
    discovery = {
        "name": "discovery",
        "image": f"docker.io/istio/pilot:{VERSION}",
        "args": ["discovery", "--monitoringAddr=:15014", "--domain", "cluster.local"],
        "ports": [{"containerPort": port, "protocol": "TCP"} for port in (8080, 15010, 15017)],
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 8080}, "periodSeconds": 3},
        "resources": {"requests": {"cpu": "10m", "memory": "100Mi"}},
    }
    annotations = {"prometheus.io/port": "15014", "prometheus.io/scrape": "true", "sidecar.istio.io/inject": "false"}
    ports = [
        {"name": "grpc-xds", "port": 15010},
        {"name": "https-dns", "port": 15012},
        {"name": "https-webhook", "port": 443, "targetPort": 15017},
        {"name": "http-monitoring", "port": 15014},
    ]
    return [
        _placed("ConfigMap", SYSTEM, "istio", operator, data={"mesh": mesh, "meshNetworks": "networks: {}"}),
        _placed("ServiceAccount", SYSTEM, "istiod", pilot),
        _deployment(
            SYSTEM,
            "istiod",
            {**pilot, **operator, "operator.istio.io/component": "Pilot"},
            {**pilot, **operator},
            discovery,
            selector=pilot,
            annotations=annotations,
            replicas=2,
            account="istiod",
            strategy={"maxSurge": "100%", "maxUnavailable": "25%"},
        ),
        _service(SYSTEM, "istiod", {**pilot, **operator}, pilot, ports),
        _budget("istiod", {**pilot, **operator}, pilot),
        *_gateway("ingress", [("status-port", 15021, 15021), ("http2", 80, 8080), ("https", 443, 8443)], operator),
        *_gateway("egress", [("http2", 80, 8080), ("https", 443, 8443)], operator),
    ]


def _budget(name: str, labels: Object, selector: Object) -> tuple[str, Object]:
    spec = {"minAvailable": 1, "selector": {"matchLabels": selector}}
    return _placed("PodDisruptionBudget", SYSTEM, name, labels, spec=spec)


def _gateway(way: str, ports: list[tuple[str, int, int]], operator: Object) -> list[tuple[str, Object]]:
    name = f"istio-{way}gateway"
    labels = {"app": name, "istio": f"{way}gateway"}
    proxy = {
        "name": "istio-proxy",
        "image": IMAGE,
        "args": ["proxy", "router", "--domain", "$(POD_NAMESPACE).svc.cluster.local"],
        "ports": [
            *({"containerPort": inner, "protocol": "TCP"} for _, _, inner in ports),
            {"containerPort": 15090, "name": "http-envoy-prom", "protocol": "TCP"},
        ],
        "readinessProbe": {"httpGet": {"path": "/healthz/ready", "port": 15021}, "periodSeconds": 2},
        "resources": {"requests": {"cpu": "10m", "memory": "40Mi"}, "limits": {"cpu": "2", "memory": "1Gi"}},
    }
    annotations = {
        "prometheus.io/path": "/stats/prometheus",
        "prometheus.io/port": "15020",
        "prometheus.io/scrape": "true",
        "sidecar.istio.io/inject": "false",
    }
    account = f"{name}-service-account"
    path, service = _service(
        SYSTEM,
        name,
        {**labels, **operator},
        labels,
        [{"name": each, "port": outer, "targetPort": inner} for each, outer, inner in ports],
    )
    if way == "ingress":
        service["spec"]["type"] = "LoadBalancer"
        for port, outside in zip(service["spec"]["ports"], (31021, 32156, 31443), strict=True):
            port["nodePort"] = outside
    return [
        _placed("ServiceAccount", SYSTEM, account, {**labels, **operator}),
        _deployment(
            SYSTEM,
            name,
            {**labels, **operator, "operator.istio.io/component": f"{way.title()}Gateways"},
            {**labels, **operator},
            proxy,
            selector=labels,
            annotations=annotations,
            account=account,
            strategy={"maxSurge": "100%", "maxUnavailable": "25%"},
        ),
        (path, service),
        _budget(name, {**labels, **operator}, labels),
    ]


# Bookinfo


def _bookinfo() -> list[tuple[str, Object]]:
    made: list[tuple[str, Object]] = []
    for app in ("details", "ratings", "productpage", "reviews"):
        made += [
            _service(PROD, app, {"app": app, "service": app}, {"app": app}, [{"name": "http", "port": _HTTP}]),
            _placed("ServiceAccount", PROD, f"bookinfo-{app}", {"account": app}),
        ]
    made += [
        _app("details", "v1", tutorial_annotation("bookinfo-istio-details", tabs=True, broken=True)),
        _app("ratings", "v1", tutorial_annotation("bookinfo-istio-ratings", tabs=True)),
        _app("productpage", "v1", tutorial_annotation("bookinfo-istio-product", tabs=True)),
        *(_app("reviews", version, tutorial_annotation("bookinfo-istio-review")) for version in ("v1", "v2", "v3")),
    ]
    mongo = [{"name": "mongo", "port": 27017}]
    return [
        *made,
        _service(PROD, "mongodb", {"app": "mongodb", "service": "mongodb"}, {"app": "mongodb"}, mongo),
        _app("mongodb", "v1", "", port=27017),
        _deployment(
            PROD,
            NO_SIDECAR,
            {"app": NO_SIDECAR},
            {"app": NO_SIDECAR, "sidecar.istio.io/inject": "false"},
            {"name": NO_SIDECAR, "image": "docker.io/curlimages/curl:8.17.0", "command": ["/bin/sleep", "infinity"]},
            selector={"app": NO_SIDECAR},
        ),
    ]


def _app(app: str, version: str, annotation: str, *, port: int = _HTTP) -> tuple[str, Object]:
    labels = {"app": app, "version": version}
    image = f"{_BOOKINFO}-{app}:1.16.2" if app == "mongodb" else f"{_BOOKINFO}-{app}-{version}:1.16.2"
    container: Object = {
        "name": app,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "ports": [{"containerPort": port}],
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"cpu": "500m", "memory": "512Mi"}},
    }
    annotations = {INSTANCES: annotation} if annotation else None
    account = "" if app == "mongodb" else f"bookinfo-{app}"
    return _deployment(PROD, f"{app}-{version}", labels, labels, container, annotations=annotations, account=account)
