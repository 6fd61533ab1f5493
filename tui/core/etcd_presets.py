"""What is collected from etcd: the filter presets, and the tutorial's etcd.conf to the letter.

The filters and their cost were measured on etcd 3.4.23 and 3.5.16 with DataKit 1.84.1.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Preset:
    """A filter. Empty types or names keep everything; `ignore` is checked first. `series`: of one member."""

    types: tuple[str, ...]
    names: tuple[str, ...]
    ignore: tuple[str, ...] = ()
    measurement: str = ""
    series: int = 0


# Their value is lost when the prefix is stripped, because the field then has the name of their own label.
LOST_VALUES = ("etcd_server_version", "etcd_cluster_version", "etcd_server_id", "etcd_server_go_version")

PRESETS: dict[str, Preset] = {
    "tutorial": Preset(
        types=("counter", "gauge"),
        names=("etcd_server_proposals", "etcd_server_leader", "etcd_server_has", "etcd_network_client"),
        series=8,
    ),
    "recommended": Preset(
        types=("counter", "gauge", "histogram"),
        names=(
            "^etcd_server_(proposals|leader|has_leader|is_leader|is_learner|heartbeat_send_failures|slow_apply"
            "|slow_read_indexes|read_indexes_failed|health|quota_backend_bytes|client_requests)",
            "^etcd_network_",
            "^etcd_mvcc_db_(total_size|open_read)",
            "^etcd_mvcc_(put|delete|range|txn)_total$",
            "^etcd_debugging_mvcc_(keys|watcher|watch_stream|slow_watcher|pending_events)_total$",
            "^etcd_disk_(wal_fsync|backend_commit)_duration_seconds$",
            "^etcd_disk_wal_write_bytes_total$",
            "^process_(cpu_seconds_total|resident_memory_bytes|open_fds|max_fds|start_time_seconds)$",
            "^os_fd_",
            "^go_goroutines$",
            "^grpc_server_started_total$",
        ),
        measurement="etcd",
        series=114,
    ),
    "full": Preset(
        types=(),
        names=(),
        ignore=(
            "^grpc_server_handled_total$",  # 41 methods times 17 codes, nearly all of them 0
            "^etcd_(server_version|cluster_version|server_id|server_go_version)$",
        ),
        measurement="etcd",
        series=545,
    ),
}

TUTORIAL_URL = "https://172.16.0.229:2379/metrics"

# The tutorial's etcd.conf; a test compares it with the tutorial's own YAML. As there, no newline ends it.
TUTORIAL = """\
[[inputs.prom]]
  ## Exporter地址或者文件路径（Exporter地址要加上网络协议http或者https）
  ## 文件路径各个操作系统下不同
  ## Windows example: C:\\\\Users
  ## UNIX-like example: /usr/local/
  urls = ["https://172.16.0.229:2379/metrics"]

  ## 采集器别名
  source = "etcd"

  ## 指标类型过滤, 可选值为 counter, gauge, histogram, summary
  # 默认只采集 counter 和 gauge 类型的指标
  # 如果为空，则不进行过滤
  metric_types = ["counter", "gauge"]

  ## 指标名称过滤
  # 支持正则，可以配置多个，即满足其中之一即可
  # 如果为空，则不进行过滤
  metric_name_filter = ["etcd_server_proposals","etcd_server_leader","etcd_server_has","etcd_network_client"]

  ## 指标集名称前缀
  # 配置此项，可以给指标集名称添加前缀
  measurement_prefix = ""

  ## 指标集名称
  # 默认会将指标名称以下划线"_"进行切割，切割后的第一个字段作为指标集名称，剩下字段作为当前指标名称
  # 如果配置measurement_name, 则不进行指标名称的切割
  # 最终的指标集名称会添加上measurement_prefix前缀
  # measurement_name = "prom"

  ## 采集间隔 "ns", "us" (or "µs"), "ms", "s", "m", "h"
  interval = "60s"

  ## 过滤tags, 可配置多个tag
  # 匹配的tag将被忽略
  # tags_ignore = ["xxxx"]

  ## TLS 配置
  tls_open = true
  #tls_ca = "/etc/kubernetes/pki/etcd/ca.crt"
  tls_cert = "/etc/kubernetes/pki/etcd/peer.crt"
  tls_key = "/etc/kubernetes/pki/etcd/peer.key"

  ## 自定义指标集名称
  # 可以将包含前缀prefix的指标归为一类指标集
  # 自定义指标集名称配置优先measurement_name配置项
  [[inputs.prom.measurements]]
    prefix = "etcd_"
    name = "etcd"

  ## 自定义认证方式，目前仅支持 Bearer Token
  # [inputs.prom.auth]
  # type = "bearer_token"
  # token = "xxxxxxxx"
  # token_file = "/tmp/token"

  ## 自定义Tags"""
