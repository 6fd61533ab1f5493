"""What is collected from the mesh: the presets for sidecars and gateways, and for istiod.

Series were counted with DataKit 1.84.1's own collector on an exposition of Istio 1.13.
"""

from __future__ import annotations

from dataclasses import dataclass

PROXY, ISTIOD = "proxy", "istiod"


@dataclass(frozen=True)
class Preset:
    """A filter for one kind of target. Empty types or names keep everything. `series`: of one target."""

    types: tuple[str, ...]
    names: tuple[str, ...]
    tags_ignore: tuple[str, ...]
    series: int


# To the letter, with two misspelt tags, and with names of buckets, which no family has: they keep nothing.
_TUTORIAL_TAGS = (
    "cache", "cluster_type", "component", "destination_app", "destination_canonical_revision",
    "destination_canonical_service", "destination_cluster", "destination_principal", "group", "grpc_code",
    "grpc_method", "grpc_service", "grpc_type", "reason", "request_protocol", "request_type", "resource",
    "responce_code_class", "response_flags", "source_app", "source_canonical_revision", "source_canonical-service",
    "source_cluster", "source_principal", "source_version", "wasm_filter",
)  # fmt: skip
_TUTORIAL_NAMES = (
    "istio_requests_total", "pilot_k8s_cfg_events", "istio_build", "process_virtual_memory_bytes",
    "process_resident_memory_bytes", "process_cpu_seconds_total", "envoy_cluster_assignment_stale", "go_goroutines",
    "pilot_xds_pushes", "pilot_proxy_convergence_time_bucket", "citadel_server_root_cert_expiry_timestamp",
    "pilot_conflict_inbound_listener", "pilot_conflict_outbound_listener_http_over_current_tcp",
    "pilot_conflict_outbound_listener_tcp_over_current_tcp", "pilot_conflict_outbound_listener_tcp_over_current_http",
    "pilot_virt_services", "galley_validation_failed", "pilot_services", "envoy_cluster_upstream_cx_total",
    "envoy_cluster_upstream_cx_connect_fail", "envoy_cluster_upstream_cx_active",
    "envoy_cluster_upstream_cx_rx_bytes_total", "envoy_cluster_upstream_cx_tx_bytes_total",
    "istio_request_duration_milliseconds_bucket", "istio_request_duration_seconds_bucket",
    "istio_request_bytes_bucket", "istio_response_bytes_bucket",
)  # fmt: skip
_TUTORIAL_TYPES = ("counter", "gauge")
_WITH_HISTOGRAMS = ("counter", "gauge", "histogram")
# What says the same as another tag, or is no more than a certificate's name: no view asks for it.
_REPEATED_TAGS = (
    "source_principal", "destination_principal", "source_canonical_revision", "destination_canonical_revision",
    "source_canonical_service", "destination_canonical_service", "source_app", "destination_app", "source_cluster",
    "destination_cluster", "grpc_response_status",
)  # fmt: skip

PRESETS: dict[str, dict[str, Preset]] = {
    "tutorial": {
        PROXY: Preset(_TUTORIAL_TYPES, _TUTORIAL_NAMES, _TUTORIAL_TAGS, 23),
        ISTIOD: Preset(_TUTORIAL_TYPES, _TUTORIAL_NAMES, _TUTORIAL_TAGS, 23),
    },
    "lean": {
        PROXY: Preset(
            _WITH_HISTOGRAMS,
            (
                "^istio_requests_total$",
                "^istio_request_duration_milliseconds$",
                "^istio_tcp_",
                "^istio_build$",
                "^envoy_cluster_upstream_cx_(total|active|connect_fail|rx_bytes_total|tx_bytes_total)$",
            ),
            _REPEATED_TAGS,
            144,
        ),
        ISTIOD: Preset(
            _WITH_HISTOGRAMS,
            (
                "^istio_build$",
                "^pilot_(xds|xds_pushes|xds_push_time|xds_config_size_bytes|proxy_convergence_time)$",
                "^pilot_(total_xds|conflict_)",
                "^pilot_(virt_services|services|k8s_cfg_events|k8s_reg_events|push_triggers)$",
                "^citadel_server_",
                "^galley_validation_",
                "^sidecar_injection_",
                "^process_(virtual_memory_bytes|resident_memory_bytes|cpu_seconds_total)$",
                "^go_goroutines$",
                "^go_memstats_(heap_inuse|heap_alloc|stack_inuse)_bytes$",
            ),
            (),
            143,
        ),
    },
    "full": {
        PROXY: Preset((), (), _REPEATED_TAGS, 821),
        ISTIOD: Preset((), (), (), 238),
    },
}
PROPOSED = "lean"
