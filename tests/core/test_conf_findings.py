"""Findings: what a person is told about an etcd.conf, and where."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.core.conf_findings import KINDS, findings
from tui.core.conf_places import Finding
from tui.core.etcd_conf import render
from tui.core.etcd_presets import PRESETS, TUTORIAL
from tui.core.platforms import in_directory
from tui.core.prom.conf import KEYS, load

CASES = Path(__file__).parent.parent / "data" / "prom" / "cases.jsonl"
FILES = in_directory("/rootfs/pki", "ca.crt", "healthcheck-client.crt", "healthcheck-client.key")

GOOD = """\
[[inputs.prom]]
  urls = ["http://127.0.0.1:2381/metrics"]
  source = "etcd"
  interval = "60s"
  election = false
  metric_types = ["counter", "gauge"]
  metric_name_filter = ["etcd_server_has"]
  [[inputs.prom.measurements]]
    prefix = "etcd_"
    name = "etcd"
  [inputs.prom.tags]
    instance = "${ENV_K8S_NODE_NAME}:2381"
"""


def found(text: str, code: str) -> Finding:
    """The one finding with this code."""
    matching = [finding for finding in findings(text) if finding.code == code]
    assert len(matching) == 1, [finding.code for finding in findings(text)]
    return matching[0]


def place(text: str, code: str) -> tuple[int, int, str, str]:
    finding = found(text, code)
    assert finding.message
    return finding.line, finding.column, finding.key, finding.severity


def replaced(old: str, new: str) -> str:
    assert GOOD.count(old) == 1
    return GOOD.replace(old, new)


def test_a_good_conf_has_no_findings() -> None:
    assert findings(GOOD) == []


@pytest.mark.parametrize("preset", list(PRESETS))
@pytest.mark.parametrize("strategy", ["node-http", "node-tls", "elected"])
def test_what_we_write_has_no_findings(strategy: str, preset: str) -> None:
    url = {"node-http": "http://127.0.0.1:2381/metrics", "node-tls": "https://127.0.0.1:2379/metrics"}.get(
        strategy, "https://10.0.0.1:2379/metrics"
    )
    text = render(strategy, preset, urls=[url], cluster_name="lab", certificates=FILES)
    assert findings(text) == []


def test_the_traps_of_the_tutorial_are_named() -> None:
    assert [(f.line, f.code, f.severity) for f in findings(TUTORIAL)] == [
        (6, "no-cluster-tag", "warning"),
        (39, "no-ca", "warning"),
        (41, "strong-certificate", "info"),
    ]


def test_every_setting_of_the_collector_is_known_here() -> None:
    assert set(KINDS) == KEYS


# What is an error here although DataKit loads the block and scrapes: nothing arrives, or not what was asked for.
LOADS_AND_YET = {"bad-regex", "drops-all", "matches-all", "auth-type", "no-url", "bad-url"}


def test_errors_are_what_datakit_drops() -> None:
    """On every recorded conf: an error is found exactly where DataKit drops a file or block, or Init fails."""
    cases = [json.loads(line) for line in CASES.read_text().splitlines()]
    assert len(cases) >= 183
    dropped = 0
    for case in cases:
        if case["name"] == "tls-file-missing":  # not to be seen in the text
            continue
        errors = [f for f in findings(case["conf"]) if f.severity == "error"]
        blocks = max(case["conf"].lower().count("[inputs.prom]"), 1)
        well = len(case["instances"]) == blocks and all(one["init_ok"] for one in case["instances"])
        dropped += not well
        if not well:
            assert errors, case["name"]
        elif case["up"] == 1:
            assert {f.code for f in errors} <= {"bad-regex"}, case["name"]
        else:
            assert {f.code for f in errors} <= LOADS_AND_YET, case["name"]
    assert dropped >= 15


@pytest.mark.parametrize(
    ("text", "line", "column", "key"),
    [
        (replaced('"60s"', '"60s'), 4, 0, "interval"),
        (replaced("election = false", "election = "), 5, 0, "election"),
        (replaced('["etcd_server_has"]', '["\\w+"]'), 7, 0, "metric_name_filter"),
        (replaced('"etcd"\n  interval', "“etcd”\n  interval"), 3, 0, "source"),
        (GOOD + "[oops", 13, 0, ""),
    ],
)
def test_not_toml_is_found_on_its_line(text: str, line: int, column: int, key: str) -> None:
    finding = found(text, "not-toml")
    assert (finding.line, finding.key, finding.severity) == (line, key, "error")
    assert finding.column > column
    assert finding.remedy
    assert len(findings(text)) == 1


def test_a_key_given_twice() -> None:
    text = replaced("  interval", '  metric_types = ["gauge"]\n  interval')
    assert place(text, "not-strict-toml") == (7, 3, "metric_types", "warning")
    assert "line 4" in found(text, "not-strict-toml").message


@pytest.mark.parametrize(
    ("old", "new", "code", "where"),
    [
        # keys and types
        ("  source", "  sourse", "unknown-key", (3, 3, "sourse", "warning")),
        ("inputs.prom.tags", "inputs.prom.tag", "unknown-key", (11, 3, "tag", "warning")),
        ('  prefix = "etcd_"', '  prefixx = "etcd_"', "unknown-key", (9, 5, "measurements.prefixx", "warning")),
        ("false", '"false"', "wrong-type", (5, 3, "election", "error")),
        ('"60s"', '"60"', "wrong-type", (4, 3, "interval", "error")),
        ('"60s"', "60", "nanoseconds", (4, 3, "interval", "warning")),
        ('["counter", "gauge"]', '["counter", 3]', "wrong-type", (6, 30, "metric_types", "error")),
        ('["counter", "gauge"]', '"counter"', "wrong-type", (6, 3, "metric_types", "error")),
        ("[[inputs.prom.measurements]]", "[inputs.prom.measurements]", "wrong-type", (8, 3, "measurements", "error")),
        ('"${ENV_K8S_NODE_NAME}:2381"', "1", "wrong-type", (12, 5, "tags.instance", "error")),
        (
            "  election = false\n", '  election = false\n  http_headers = "x"\n',
            "ignored", (6, 3, "http_headers", "warning"),
        ),
        # places
        ("    instance", "    election = false\n    instance", "misplaced", (12, 5, "tags.election", "error")),
        ("    instance", '    interval = "60s"\n    instance', "misplaced", (12, 5, "tags.interval", "warning")),
        ("    name =", '    tls_ca = "/x"\n    name =', "misplaced", (10, 5, "measurements.tls_ca", "warning")),
        ("[[inputs.prom]]", "election = true\n[[inputs.prom]]", "outside", (1, 1, "election", "warning")),
        ("[inputs.prom.tags]", "[inputs.tags]", "outside", (11, 3, "inputs.tags", "warning")),
        # time
        ('"60s"', '"10m"', "out-of-range", (4, 3, "interval", "warning")),
        ('"60s"', '"10ms"', "out-of-range", (4, 3, "interval", "warning")),
        ('"60s"', '"60s"\n  timeout = "1s"', "out-of-range", (5, 3, "timeout", "info")),
        # addresses
        ('["http://127.0.0.1:2381/metrics"]', "[]", "no-url", (2, 3, "urls", "error")),
        ("http://127", "127", "bad-url", (2, 11, "urls", "error")),
        ("http://127.0.0.1", "localhost", "bad-url", (2, 11, "urls", "error")),
        ("http://127.0.0.1:2381/metrics", "http:///metrics", "bad-url", (2, 11, "urls", "error")),
        ("http://127.0.0.1:2381/metrics", "/tmp/metrics.txt", "file", (2, 11, "urls", "info")),
        (":2381/metrics", ":2381", "no-path", (2, 11, "urls", "warning")),
        ("http://127.0.0.1", "https://127.0.0.1", "no-tls", (2, 11, "urls", "warning")),
        ("  source", '  url = "http://x/metrics"\n  source', "url-ignored", (3, 3, "url", "warning")),
        (
            'urls = ["http://127.0.0.1:2381/metrics"]', 'url = "http://127.0.0.1:2381/metrics"',
            "deprecated", (2, 3, "url", "info"),
        ),
        # election
        ("election = false", "election = true", "loopback-elected", (2, 11, "urls", "warning")),
        ("  election = false\n", "", "loopback-elected", (2, 11, "urls", "warning")),
        ("election = false", "election = true", "no-cluster-tag", (11, 3, "tags", "warning")),
        ("127.0.0.1", "10.0.0.1", "not-elected", (2, 11, "urls", "warning")),
        ('    instance = "${ENV_K8S_NODE_NAME}:2381"\n', "", "same-instance", (11, 3, "tags", "warning")),
        # TLS
        ("  election", "  tls_open = true\n  election", "no-ca", (5, 3, "tls_open", "warning")),
        ("  election", '  tls_cert = "/c"\n  election', "tls-closed", (5, 3, "tls_cert", "warning")),
        ("  election", '  ca_certs = ["/c"]\n  tls_key = "/k"\n  election', "mixed-tls", (6, 3, "tls_key", "error")),
        ("  election", '  ca_certs = ["/c"]\n  cert = "/k"\n  election', "half-pair", (6, 3, "cert", "error")),
        (
            "  election", '  tls_open = true\n  tls_ca = "/c"\n  tls_cert = "/k"\n  election',
            "half-pair", (7, 3, "tls_cert", "error"),
        ),
        (
            "  election", "  insecure_skip_verify = false\n  election",
            "no-ca", (5, 3, "insecure_skip_verify", "warning"),
        ),
        ("  election", '  cert_key_base64 = "aaa"\n  election', "secret", (5, 1, "cert_key_base64", "warning")),
        # filters
        ('"etcd_server_has"', '"etcd_server_has", "*etcd*"', "bad-regex", (7, 44, "metric_name_filter", "error")),
        ('"etcd_server_has"', '"(?!x)"', "filters-nothing", (7, 3, "metric_name_filter", "warning")),
        ('"etcd_server_has"', '"x", ""', "matches-all", (7, 30, "metric_name_filter", "warning")),
        (
            "  election", "  metric_name_filter_ignore = ['.*']\n  election",
            "matches-all", (5, 32, "metric_name_filter_ignore", "error"),
        ),
        (
            '"etcd_server_has"', '"etcd_disk_wal_fsync_duration_seconds_bucket"',
            "bucket", (7, 25, "metric_name_filter", "warning"),
        ),
        (
            '"etcd_server_has"', '"etcd_disk_wal_fsync_duration"',
            "needs-histogram", (7, 25, "metric_name_filter", "warning"),
        ),
        ('"etcd_server_has"', '"etcd_server_*"', "star", (7, 25, "metric_name_filter", "info")),
        ('"gauge"', '"guage"', "unknown-type", (6, 30, "metric_types", "warning")),
        ('["counter", "gauge"]', '["count"]', "drops-all", (6, 3, "metric_types", "error")),
        # names
        ('prefix = "etcd_"', 'prefix = "etcd_server_"', "other-names", (8, 3, "measurements", "warning")),
        (
            "  election", '  measurement_prefix = "x_"\n  election',
            "other-names", (5, 3, "measurement_prefix", "warning"),
        ),
        ('["etcd_server_has"]', '["etcd_server_"]', "value-lost", (7, 3, "metric_name_filter", "warning")),
        ('prefix = "etcd_"', 'prefix = ""', "empty-rule", (9, 5, "measurements.prefix", "warning")),
        ('name = "etcd"\n', 'name = "etcd"\n    pattern = "x"\n', "no-effect", (11, 5, "measurements.pattern", "info")),
        ('source = "etcd"', 'source = "prom-etcd"', "source", (3, 3, "source", "info")),
        # what does not arrive as metrics
        ("  election", '  output = "/tmp/x"\n  election', "not-sent", (5, 3, "output", "warning")),
        ("  election", '  [inputs.prom.auth]\n  token_file = "/t"\n  x', "auth-type", (5, 3, "auth", "error")),
        ("  election", "  disable_host_tag = true\n  election", "no-effect", (5, 3, "disable_host_tag", "info")),
    ],
)  # fmt: skip
def test_each_trap_is_found_at_its_key(old: str, new: str, code: str, where: tuple[int, int, str, str]) -> None:
    text = replaced(old, new)
    assert place(text, code) == where
    assert found(text, code).remedy or where[3] == "info"


def test_the_nearest_known_key_is_offered() -> None:
    assert "source" in found(replaced("  source", "  sourse"), "unknown-key").remedy
    assert "tags" in found(replaced("inputs.prom.tags", "inputs.prom.tag"), "unknown-key").remedy
    assert "gauge" in found(replaced('"gauge"', '"guage"'), "unknown-type").remedy


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", 1),
        ("# only a comment\n", 1),
        ("\n[[input.prom]]\n", 2),
        ("[[inputs.proms]]\nurls = []\n", 1),
        ("[[inputs.etcds]]\nurls = []\n", 1),
    ],
)
def test_no_block(text: str, line: int) -> None:
    assert place(text, "no-block")[0] == line


def test_several_blocks_are_told_and_each_is_looked_at() -> None:
    text = GOOD + GOOD.replace("http://127.0.0.1", "127.0.0.1").replace('"etcd_server_has"', '"("')
    assert place(text, "several-blocks") == (13, 1, "", "info")
    assert place(text, "bad-url")[0] == 14
    assert place(text, "bad-regex")[:2] == (19, 25)


def test_places_in_lists_of_several_lines_with_comments() -> None:
    text = replaced('["etcd_server_has"]', "[ # names ]\n    'a#b', # one\n\n    \"]\",\n    '(',\n  ]")
    assert place(text, "bad-regex") == (11, 5, "metric_name_filter", "error")
    assert place(text.replace("\n", "\r\n"), "bad-regex") == (11, 5, "metric_name_filter", "error")
    assert place("\ufeff" + text, "bad-regex") == (11, 5, "metric_name_filter", "error")


def test_places_of_dotted_and_inline_keys() -> None:
    text = "[[inputs.prom]]\nurls = ['http://h/metrics']\ntags.cluster_name_k8s = 'x'\ntags.n = 1\n"
    assert place(text, "wrong-type") == (4, 1, "tags.n", "error")
    text = "[[inputs.prom]]\nurls = ['http://h/metrics']\n\ntags = {cluster_name_k8s = 'x', n = 1}\n"
    assert place(text, "wrong-type") == (4, 1, "tags.n", "error")
    text = "[inputs]\nprom = [{urls = 'x'}]\n"
    assert [f.code for f in findings(text)] == ["no-block"]  # DataKit reads tables with headers alone
    text = "[inputs.prom]\nelection = 1\nurls = ['http://h/metrics']\n"
    assert place(text, "wrong-type") == (2, 1, "election", "error")


def test_variables_stand_for_what_datakit_fills_in() -> None:
    text = replaced("http://127.0.0.1:2381/metrics", "http://${ENV_K8S_NODE_IP}:2381/metrics")
    assert findings(text) == []


@pytest.mark.parametrize(
    "url", ["user:s3cr3t@10.0.0.1:1/metrics", "10.0.0.1:1/metrics?token=s3cr3t", "http://s3cr3t:%zz@h/"]
)
def test_a_password_in_a_url_is_not_repeated(url: str) -> None:
    text = replaced("http://127.0.0.1:2381/metrics", url)
    assert place(text, "bad-url")[:2] == (2, 11)
    assert not any("s3cr3t" in str(finding) for finding in findings(text))


def test_a_secret_is_found_and_not_repeated() -> None:
    text = GOOD + '  [inputs.prom.auth]\n    type = "bearer_token"\n    token = "s3cr3t-value"\n'
    assert place(text, "secret")[:3] == (15, 1, "token")
    assert not any("s3cr3t" in str(finding) for finding in findings(text))


@given(st.text(max_size=60), st.integers(0, len(GOOD)))
def test_any_text_gets_an_answer(noise: str, at: int) -> None:
    text = GOOD[:at] + noise + GOOD[at:]
    for finding in findings(text):
        assert 1 <= finding.line <= text.count("\n") + 1
        assert finding.column >= 1
        assert finding.severity in ("error", "warning", "info")
    if not load(text, {}).inputs:
        assert any(finding.severity == "error" for finding in findings(text))


def test_fast_enough_for_every_key_press() -> None:
    findings(TUTORIAL)
    times = []
    for _ in range(20):
        start = time.process_time()
        findings(TUTORIAL)
        times.append(time.process_time() - start)
    assert min(times) < 0.005


ETCD = """\
[[inputs.etcd]]
  urls = ["https://10.0.0.1:2379/metrics"]
  interval = "30s"
  tls_open = true
  tls_ca = "/pki/ca.crt"
  tls_cert = "/pki/healthcheck-client.crt"
  tls_key = "/pki/healthcheck-client.key"
  [inputs.etcd.tags]
    cluster_name_k8s = "c"
"""


def test_an_etcd_input_is_told_apart() -> None:
    assert [(one.line, one.code, one.severity) for one in findings(ETCD)] == [(1, "other-names", "warning")]
    assert [one.code for one in findings(ETCD + GOOD)] == ["other-names"]
    assert [one.code for one in findings(GOOD + ETCD)] == ["other-names"]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('"30s"', '"0s"', (3, 3, "interval", "error", "out-of-range")),
        ('"30s"', "30", (3, 3, "interval", "", "")),
        ('"30s"', "true", (3, 3, "interval", "error", "wrong-type")),
        ("interval =", "intervall =", (3, 3, "intervall", "warning", "unknown-key")),
        ('interval = "30s"', 'metric_types = ["gauge"]', (3, 3, "metric_types", "warning", "unknown-key")),
        ('interval = "30s"', "metric_types = 1", (3, 3, "metric_types", "warning", "unknown-key")),
        ('interval = "30s"', 'source = "x"', (3, 3, "source", "info", "no-effect")),
        ('    cluster_name_k8s = "c"', '    interval = "30s"', (9, 5, "tags.interval", "warning", "misplaced")),
        ('    cluster_name_k8s = "c"', "    election = true", (9, 5, "tags.election", "error", "misplaced")),
        ('    cluster_name_k8s = "c"', "", (1, 1, "", "warning", "no-cluster-tag")),
        ('  tls_ca = "/pki/ca.crt"\n', "", (4, 3, "tls_open", "warning", "no-ca")),
        ("https://10", "10", (2, 11, "urls", "error", "bad-url")),
    ],
)
def test_traps_of_an_etcd_input(old: str, new: str, expected: tuple[int, int, str, str, str]) -> None:
    assert ETCD.count(old) == 1
    said = [(one.line, one.column, one.key, one.severity, one.code) for one in findings(ETCD.replace(old, new))]
    assert (expected in said) is bool(expected[-1])
    text = ETCD.replace(old, new)
    (block,) = load(text, {}).inputs or (None,)
    works = block is not None and not block.problem
    assert works is not any(severity == "error" for *_where, severity, _code in said)
