"""What we write to collect the mesh: annotations of pods, confs of istiod and gateways, and the alternative to both.

Everything is generated and read again by the collector's own rules: the tutorial's text holds TABs that YAML refuses.
"""

from __future__ import annotations

from collections.abc import Sequence

from tui.core.istio_presets import ISTIOD, PRESETS, PROXY, Preset
from tui.core.manifests import ConfFile
from tui.core.mesh import GATEWAY, ISTIOD_PORT, PROXY_PORT, Target
from tui.core.mesh import ISTIOD as ISTIOD_ROLE
from tui.core.mounts import CONF_D
from tui.core.toml_text import literal
from tui.i18n import _

MEASUREMENT = "istio_prom"
APP_ID = "istiod"
DISCOVERY_KEY = "kubernetesprometheus.conf"
_WIDTH = 100


def preset_of(target: Target, preset: str) -> Preset:
    """The filter for a target under a preset."""
    return PRESETS[preset][ISTIOD if target.role == ISTIOD_ROLE else PROXY]


def annotation(target: Target, preset: str, cluster_name: str) -> str:
    """The value of `datakit/prom.instances` for a pod template: each DataKit scrapes the pods of its own node."""
    url = _url(target, "$IP")
    tags = {"namespace": "$NAMESPACE", "pod_name": "$PODNAME", "cluster_name_k8s": cluster_name}
    return _block(target, preset, "url", url, f"istio-{target.namespace}-{target.name}", tags)


def conf(target: Target, preset: str, cluster_name: str) -> ConfFile:
    """The conf that scrapes a target of one replica through its Service. The elected DataKit does it."""
    url = _url(target, f"{target.service}.{target.namespace}.svc")
    tags = {"namespace": target.namespace, "cluster_name_k8s": cluster_name}
    source = conf_key(target).removesuffix(".conf").replace("_", "-")
    key = conf_key(target)
    return ConfFile(key, f"{CONF_D}prom/{key}", _block(target, preset, "urls", [url], source, tags))


def conf_key(target: Target) -> str:
    """The key of a target's conf in the ConfigMap, called as the vendor's page about Istio calls it."""
    if target.role == ISTIOD_ROLE:
        return f"prom_{target.name}.conf"
    return f"prom-{target.name.removeprefix('istio-')}.conf"


def is_conf_key(key: str) -> bool:
    """Whether a key of the ConfigMap, owned by us, is of the mesh."""
    return key == DISCOVERY_KEY or key.startswith(("prom_", "prom-"))


def discovery(namespaces: Sequence[str], cluster_name: str) -> ConfFile:
    """The input kubernetesprometheus for the sidecars in these namespaces: no pod restarts, and nothing is filtered.

    Its keys and placeholders are those of DataKit 1.84.1 (internal/plugins/inputs/kubernetesprometheus).
    """
    text = (
        f"## {_('Written by DataKit Wizard: every sidecar in these namespaces, with all of its metrics.')}\n"
        "[inputs.kubernetesprometheus]\n"
        "  node_local = true\n"
        '  scrape_interval = "60s"\n'
        "  keep_exist_metric_name = true\n\n"
        "  [[inputs.kubernetesprometheus.instances]]\n"
        '    role = "pod"\n'
        f"    namespaces = {literal(list(namespaces))}\n"
        '    selector = "security.istio.io/tlsMode=istio"\n'
        '    scrape = "true"\n'
        '    scheme = "http"\n'
        f'    port = "{PROXY_PORT}"\n'
        '    path = "/stats/prometheus"\n'
        "    [inputs.kubernetesprometheus.instances.custom]\n"
        f'      measurement = "{MEASUREMENT}"\n'
        "      [inputs.kubernetesprometheus.instances.custom.tags]\n"
        '        instance = "__kubernetes_mate_instance"\n'
        '        host = "__kubernetes_mate_host"\n'
        '        namespace = "__kubernetes_pod_namespace"\n'
        '        pod_name = "__kubernetes_pod_name"\n'
        f"        cluster_name_k8s = {literal(cluster_name)}\n"
    )
    return ConfFile(DISCOVERY_KEY, f"{CONF_D}kubernetesprometheus/{DISCOVERY_KEY}", text)


def _url(target: Target, host: str) -> str:
    if target.role == ISTIOD_ROLE:
        return f"http://{host}:{ISTIOD_PORT}/metrics"
    return f"http://{host}:{PROXY_PORT}/stats/prometheus"


def _block(target: Target, preset: str, key: str, where: str | list[str], source: str, tags: dict[str, str]) -> str:
    chosen = preset_of(target, preset)
    what = {ISTIOD_ROLE: _("istiod"), GATEWAY: _("this gateway's Envoy")}.get(target.role, _("this pod's Envoy"))
    lines = [
        f"## {_('Written by DataKit Wizard: {what}, preset {preset}.').format(what=what, preset=preset)}",
        "[[inputs.prom]]",
        f"  {key} = {literal(where)}",
        f"  source = {literal(source)}",
        '  interval = "60s"',
        f"  measurement_name = {literal(MEASUREMENT)}",
        *_array("metric_types", chosen.types),
        *_array("metric_name_filter", chosen.names),
        *_array("tags_ignore", chosen.tags_ignore),
        "  [inputs.prom.tags]",
        *(f"    {name} = {literal(value)}" for name, value in tags.items() if value),
    ]
    if target.role == ISTIOD_ROLE:
        lines.append(f"    app_id = {literal(APP_ID)}")
    return "\n".join(lines) + "\n"


def _array(key: str, values: Sequence[str]) -> list[str]:
    """A list over as many lines as it needs; an empty one is left out, for it would keep everything too."""
    if not values:
        return []
    whole = f"  {key} = {literal(list(values))}"
    if len(whole) <= _WIDTH:
        return [whole]
    return [f"  {key} = [", *(f"    {literal(value)}," for value in values), "  ]"]
