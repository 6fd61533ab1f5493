"""How a conf file becomes inputs: types, defaults, durations, TLS, variables."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.core.prom.conf import KEYS, TLS, PromInput, Rule, load, substitute

HEADER = '[[inputs.prom]]\nurls = ["http://h:1/m"]\n'


def one(lines: str) -> PromInput:
    loaded = load(HEADER + lines, {})
    assert loaded.error == ""
    (settings,) = loaded.inputs
    return settings


def test_defaults() -> None:
    assert one("") == PromInput(urls=("http://h:1/m",))


@pytest.mark.parametrize(
    ("lines", "attribute", "expected"),
    [
        ('interval = "1h"', "interval_s", 300.0),
        ('interval = "-5s"', "interval_s", 1.0),
        ("interval = 2_500_000_000", "interval_s", 2.5),
        ('timeout = "1s"', "timeout_s", 3.0),
        ('timeout = "1m"', "timeout_s", 60.0),
        ("stream_size = -1", "stream_size", -1),
        ('MEASUREMENTS = [{Prefix = "a_", NAME = "b", other = 1}, {}]', "measurements", (Rule("a_", "b"), Rule())),
        ("tags = 'x'", "tags", {}),
        ("[inputs.prom.tags]\nA = 'x'", "tags", {"A": "x"}),
        ("[inputs.prom.ignore_tag_kv_match]\na = ['x', 'y']", "ignore_tag_kv_match", {"a": ("x", "y")}),
        ("ignore_tag_kv_match = ['x']", "ignore_tag_kv_match", {}),
        ("[inputs.prom.tags_rename]\noverwrite_exist_tags = true", "overwrite_exist_tags", True),
        ("[inputs.prom.tags_rename.mapping]\na = 'b'", "tags_rename", {"a": "b"}),
        ("[inputs.prom.tags_rename]\nmapping = 'b'", "tags_rename", {}),
        ("as_logging = {enable = true, service = 's'}", "logging_service", "s"),
    ],
)
def test_settings(lines: str, attribute: str, expected: Any) -> None:
    assert getattr(one(lines), attribute) == expected


@pytest.mark.parametrize(
    "line",
    [
        "source = 1",
        "source = 2024-05-01",
        "urls = 'x'",
        "urls = [1]",
        "[[inputs.prom.urls]]",
        "interval = 1.5",
        "interval = true",
        "interval = ''",
        "stream_size = true",
        "stream_size = '1'",
        "election = 'false'",
        "tls_open = 1",
        "metric_types = [['gauge']]",
        "measurements = ['x']",
        "measurements = [{prefix = 1}]",
        "measurements = [{pattern = 1}]",
        "tags_rename = 'x'",
        "as_logging = true",
        "as_logging = {enable = 'yes'}",
        "tags = {a = 1}",
        "ignore_tag_kv_match = {a = 'x'}",
        "http_headers = {a = 1}",
        "insecure_skip_verify = 'x'",
        "disable_host_tag = 1",
        "feeder = 1",
        'source = "\\uFFFD"',
    ],
)
def test_a_wrong_type_drops_its_block_alone(line: str) -> None:
    lines = line if line.startswith("[") else HEADER + line
    loaded = load(f"[[inputs.prom]]\nsource = 'before'\n{lines}\n[[inputs.prom]]\nsource = 'other'", {})
    assert "other" in [settings.source for settings in loaded.inputs]
    assert loaded.error
    assert len(loaded.inputs) == (1 if line.startswith("[") else 2)


@pytest.mark.parametrize(
    "text",
    ["", "x = 1", "[inputs]", "inputs = 1", "[inputs]\nprom = 1", "[inputs]\nprom = [{source = 'a'}]", "[Inputs.prom]"],
)
def test_no_input_and_no_error(text: str) -> None:
    assert load(text, {}) == load("", {})


@pytest.mark.parametrize(
    ("lines", "expected", "files"),
    [
        ("", TLS(), ()),
        ("tls_ca = 'ca'\ntls_cert = 'c'\ntls_key = 'k'", TLS(), ()),
        ("tls_open = true\ntls_cert = 'c'\ntls_key = 'k'", TLS(insecure=True, cert="c", key="k"), ("c", "k")),
        ("tls_open = true\ntls_ca = 'ca'", TLS(ca=("ca",)), ("ca",)),
        ("tls_open = true\ntls_ca = 'ca'\ntls_cert = 'c'\nserver_name = 's'", TLS(insecure=True, server_name="s"), ()),
        ("insecure_skip_verify = false", TLS(insecure=True), ()),
        ("ca_certs = ['a', 'b']", TLS(ca=("a", "b")), ("a", "b")),
        ("ca_certs = ['a']\ninsecure_skip_verify = true", TLS(insecure=True, ca=("a",)), ("a",)),
        ("ca_certs = ['a']\ncert = 'c'\ncert_key = 'k'", TLS(ca=("a",), cert="c", key="k"), ("a", "c", "k")),
    ],
)
def test_tls_that_is_really_done(lines: str, expected: TLS, files: tuple[str, ...]) -> None:
    settings = one(lines)
    assert settings.tls == expected
    assert settings.files() == files
    assert settings.problem == ""


def test_base64_keys_take_the_place_of_paths() -> None:
    settings = one("ca_certs = ['a']\ncert_base64 = 'eA=='")
    assert (settings.tls.insecure, settings.files(), settings.problem) == (True, (), "")
    assert one("ca_certs_base64 = ['eA==']").problem
    assert one("cert_base64 = 'x'").problem
    assert one("cert_base64 = 'eA=='\ncert_key_base64 = 'eA=='").problem


def test_secrets_are_not_in_a_repr() -> None:
    settings = one(
        "auth = {type = 'bearer_token', token = 's3cret'}\nhttp_headers = {a = 's3cret'}\ncert_key_base64 = 's3cret'"
    )
    assert "s3cret" not in repr(settings) + settings.problem


@pytest.mark.parametrize(
    "url", ["10.0.0.1:2379/m", "http://${X}:1/", "http://h:x/", "http://h/%zz", ":x", "http://[::1/"]
)
def test_urls_that_stop_init(url: str) -> None:
    (settings,) = load(f"[[inputs.prom]]\nurls = ['http://h/', '{url}']", {}).inputs
    assert settings.problem


def test_a_syntax_error_names_its_line() -> None:
    loaded = load(HEADER + '\nsource = "x', {})
    assert (loaded.inputs, loaded.line) == ((), 4)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$A ${A} $$A ${A", "1 1 $1 ${A"),
        ("$B ${B} $AB ${A} ", "$B ${B} $AB 1 "),
        ("$AB $A", "1B $A"),
        ("${Q}", '\\"\\\\'),
        ("$E|${E}", "|"),
        ("$É $A-", "$É 1-"),
        ("${A:-x} ${} $", "${A:-x} ${} $"),
        ("$R $A", "1 $A"),
    ],
)
def test_variables(text: str, expected: str) -> None:
    assert substitute(text, {"A": "1", "Q": '"\\', "E": "", "R": "$A"}) == expected


def test_keys_are_lower_case_and_known() -> None:
    assert {"urls", "tls_ca", "ca_certs", "election", "disable_host_tag"} <= KEYS
    assert all(key == key.lower() for key in KEYS)


@given(st.text("[inputs.prom]\n=\"'#,{}tagsurl01$ \t\r\\", max_size=120))
def test_any_text_loads_or_says_why(text: str) -> None:
    for conf in (text, HEADER + text):
        loaded = load(conf, {"t": "x"})
        assert loaded.inputs or loaded.error or "[inputs.prom]" not in conf.replace("[[", "[")
