"""answers.toml: read strictly, written so that it reads back the same, and never with a secret in it."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui import i18n
from tui.core.answers import (
    CERTIFICATE_SOURCES,
    DATAKIT_SETTINGS,
    ISTIO_PRESETS,
    LONGEST_NAME,
    VIEWS,
    Answers,
    CertificateAnswers,
    ClusterAnswers,
    DataKitAnswers,
    EtcdAnswers,
    IstioAnswers,
    StudioAnswers,
    ViewAnswers,
    dump,
    load,
)
from tui.core.errors import Exit, UsageError
from tui.core.etcd_presets import PRESETS, TUTORIAL
from tui.core.toml_text import secrets
from tui.core.topology import STRATEGIES

FULL = """
schema = 1
[cluster]
context = "admin@lab"
namespace = "monitoring"
daemonset = "dk"
name = "lab"
[etcd]
strategy = "elected"
preset = "full"
urls = ["https://10.0.0.1:2379/metrics", "https://[fd00::1]:2379/metrics"]
conf = '''
[[inputs.prom]]
'''
[certificates]
from = "secret"
path = ""
secret = "etcd-client"
[datakit]
settings = ["pod-metrics", "runtime-socket"]
runtime_socket = "unix:///run/mine.sock"
[istio]
preset = "lean"
workloads = ["prod/reviews-v1"]
[views]
create = ["etcd", "istio-mesh"]
lang = "en"
names = {etcd = "ETCD 监控视图"}
[studio]
endpoint = "https://openapi.guance.com"
console = "https://console.guance.com"
"""


def problems(text: str) -> list[str]:
    with pytest.raises(UsageError) as error:
        load(text)
    assert error.value.status == Exit.USAGE
    assert error.value.remedy
    return error.value.why.split("\n")


def test_everything_is_read() -> None:
    assert load(FULL) == Answers(
        ClusterAnswers("admin@lab", "monitoring", "dk", "lab"),
        EtcdAnswers(
            "elected",
            "full",
            "[[inputs.prom]]\n",
            ("https://10.0.0.1:2379/metrics", "https://[fd00::1]:2379/metrics"),
        ),
        CertificateAnswers("secret", "", "etcd-client"),
        DataKitAnswers(("pod-metrics", "runtime-socket"), "unix:///run/mine.sock"),
        IstioAnswers("lean", ("prod/reviews-v1",)),
        ViewAnswers(("etcd", "istio-mesh"), "en", {"etcd": "ETCD 监控视图"}),
        StudioAnswers("https://openapi.guance.com", "https://console.guance.com"),
    )


def test_what_is_left_out_has_defaults() -> None:
    assert load("schema = 1") == Answers()
    assert load('schema = 1\n[etcd]\nstrategy = "node-http"').etcd == EtcdAnswers("node-http", "recommended")


def test_a_text_that_is_no_toml_says_where() -> None:
    assert "line 2" in problems('schema = 1\n[cluster\nname = "x"')[0]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", ["schema: missing", "1"]),
        ("schema = 2", ["schema: found 2", "allowed is 1"]),
        ("schema = true", ["schema: expected an integer, found a boolean"]),
        ('schema = "1"', ["schema: expected an integer, found a string"]),
        ("schema = 1\ncluster = 3", ["cluster: expected a table, found an integer"]),
        ("schema = 1\n[clutser]", ["[clutser]: unknown", "cluster"]),
        ("schema = 1\nname = 'x'", ["name: unknown", "cluster"]),
        ("schema = 1\n[cluster]\nfoo = 1", ["[cluster] foo: unknown", "context, namespace, daemonset, name"]),
        ("schema = 1\n[cluster]\nname = 1.5", ["[cluster] name: expected a string, found a number"]),
        ("schema = 1\n[cluster]\nname = 2024-01-01", ["[cluster] name: expected a string, found a date"]),
        ("schema = 1\n[cluster]\nname = 'a$HOME'", ["[cluster] name:", "$"]),
        ('schema = 1\n[cluster]\nname = "a\\nb"', ["[cluster] name:", "one line"]),
        ("schema = 1\n[cluster]\nnamespace = ''", ["[cluster] namespace: found an empty string"]),
        ("schema = 1\n[etcd]\npreset = 'full'", ["[etcd] strategy: missing", "node-http"]),
        ("schema = 1\n[etcd]\nstrategy = 'nodehttp'", ["[etcd] strategy: found 'nodehttp'", "node-http, node-tls"]),
        ("schema = 1\n[etcd]\nstrategy = 'none'\npreset = 'all'", ["[etcd] preset: found 'all'", "recommended"]),
        ("schema = 1\n[etcd]\nstrategy = 'none'\nurls = 'x'", ["[etcd] urls: expected a list, found a string"]),
        ("schema = 1\n[etcd]\nstrategy = 'none'\nurls = [1]", ["[etcd] urls: entry 1: expected a string"]),
        ("schema = 1\n[etcd]\nstrategy = 'none'\nurls = ['h:1']", ["[etcd] urls: entry 1:", "http://"]),
        ("schema = 1\n[etcd]\nstrategy = 'none'\nurls = ['http://h:x/']", ["[etcd] urls: entry 1:", "http://"]),
        ("schema = 1\n[certificates]\nfrom = 'disk'", ["[certificates] from: found 'disk'", "rootfs, hostpath"]),
        ("schema = 1\n[certificates]\nfrom = 'secret'", ["[certificates] secret: missing"]),
        ("schema = 1\n[certificates]\nfrom = 'rootfs'\nsecret = 'x'", ["[certificates] secret: only allowed with"]),
        ("schema = 1\n[datakit]\nsettings = ['pods']", ["[datakit] settings: entry 1: found 'pods'", "pod-metrics"]),
        ("schema = 1\n[datakit]\nsetting = []", ["[datakit] setting: unknown", "settings, runtime_socket"]),
        ("schema = 1\n[datakit]\nruntime_socket = '/run/x.sock'", ["[datakit] runtime_socket:", "unix:///path"]),
        ("schema = 1\n[istio]\nworkloads = ['reviews']", ["[istio] workloads: entry 1:", "namespace/name"]),
        ("schema = 1\n[views]\ncreate = ['etcd', 'etcd']", ["[views] create: etcd is listed twice"]),
        ("schema = 1\n[views]\ncreate = ['etdc']", ["[views] create: entry 1: found 'etdc'", "istio-mesh"]),
        ("schema = 1\n[views]\nlang = 'fr'", ["[views] lang: found 'fr'", "en, zh"]),
        ("schema = 1\n[views.names]\nfoo = 'x'", ["[views] names: found the view 'foo'", "docker"]),
        ("schema = 1\n[views.names]\netcd = 1", ["[views] names:", "a string for etcd", "an integer"]),
        (f"schema = 1\n[views.names]\netcd = '{'x' * 129}'", ["[views] names:", "129", "1 to 128"]),
        ("schema = 1\n[studio]\nendpoint = 'openapi.guance.com'", ["[studio] endpoint:", "https://"]),
    ],
)
def test_each_problem_names_table_key_found_and_allowed(text: str, says: list[str]) -> None:
    found = problems(text)
    assert len(found) == 1, found
    assert all(part in found[0] for part in says), found[0]


def test_all_problems_come_at_once() -> None:
    text = "schema = 9\nx = 1\n[cluster]\nname = 1\nfoo = 2\n[etcd]\nstrategy = 'no'\n[views]\nlang = 'xx'\n"
    assert len(problems(text)) == 6


@pytest.mark.parametrize("key", ["api_key", "API-KEY", "apikey", "token", "password", "access_key", "df_api_key"])
@pytest.mark.parametrize("table", ["", "[studio]\n", "[cluster]\n"])
def test_a_key_has_no_place_here_and_is_never_repeated(key: str, table: str) -> None:
    text = f'schema = 1\n{table}{key} = "p1anted-s3cret"\n'
    with pytest.raises(UsageError) as error:
        load(text)
    assert "GUANCE_ACCESS_TOKEN" in error.value.why
    assert "p1anted" not in str(error.value)
    assert error.value.__cause__ is None


@pytest.mark.parametrize(
    "line",
    [
        'endpoint = "p1anted-s3cret"',
        'endpoint = "https://user:p1anted@h"',
        'endpoint = "https://h/?token=p1anted"',
        'console = "https://h/?api_key=p1anted"',
        'foo = "p1anted"',
    ],
)
def test_a_secret_in_a_wrong_place_is_not_repeated(line: str) -> None:
    assert "p1anted" not in "\n".join(problems(f"schema = 1\n[studio]\n{line}"))


def test_a_conf_that_holds_a_secret_is_refused_both_ways() -> None:
    conf = '[[inputs.prom]]\n  [inputs.prom.auth]\n    token = "p1anted"\n'
    assert secrets(conf)
    found = problems(f"schema = 1\n[etcd]\nstrategy = 'none'\nconf = '''\n{conf}'''\n")
    assert "line 3" in found[0]
    assert "p1anted" not in found[0]
    with pytest.raises(UsageError) as error:
        dump(Answers(etcd=EtcdAnswers("none", conf=conf)))
    assert "p1anted" not in str(error.value)


def test_the_written_file_explains_itself_in_a_stable_order() -> None:
    text = dump(load(FULL))
    assert text == dump(load(text))
    tables = ["cluster", "etcd", "certificates", "datakit", "istio", "views", "studio"]
    assert list(tomllib.loads(text)) == ["schema", *tables]
    assert "# node-http | node-tls | elected | tutorial | none" in text
    assert "'''\n[[inputs.prom]]\n'''" in text
    assert text.index("[cluster]") < text.index("[etcd]") < text.index("[studio]")


def test_an_etcd_conf_is_written_as_it_is_read() -> None:
    text = dump(Answers(etcd=EtcdAnswers("tutorial", "tutorial", conf=TUTORIAL)))
    assert f"'''\n{TUTORIAL}'''" in text
    assert load(text).etcd.conf == TUTORIAL


def test_comments_follow_the_language(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui.core.answers._", lambda message: f"«{message}»")
    text = dump(Answers())
    assert "# «where DataKit runs»" in text
    monkeypatch.undo()
    assert load(text) == Answers()


lines = st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=20)
plain = lines.filter(lambda text: "$" not in text)
filled = lines.filter(bool)
confs = st.text(st.characters(exclude_categories=["Cs"]), max_size=80).filter(lambda text: not secrets(text))
addresses = st.sampled_from(["http://h/metrics", "https://10.0.0.1:2379/metrics", "https://[::1]:1/"])
sources = st.sampled_from([s for s in CERTIFICATE_SOURCES if s != "secret"])


@st.composite
def answers(draw: st.DrawFn) -> Answers:
    return Answers(
        ClusterAnswers(draw(lines), draw(filled), draw(filled), draw(plain)),
        EtcdAnswers(
            draw(st.sampled_from(STRATEGIES)),
            draw(st.sampled_from(list(PRESETS))),
            draw(confs),
            tuple(draw(st.lists(addresses, unique=True))),
        ),
        draw(
            st.builds(CertificateAnswers, sources, lines)
            | st.builds(CertificateAnswers, st.just("secret"), lines, filled)
        ),
        DataKitAnswers(
            tuple(draw(st.lists(st.sampled_from(DATAKIT_SETTINGS), unique=True))),
            draw(st.sampled_from(("", "unix:///run/x y.sock", "unix:///run/'\"\\.sock"))),
        ),
        IstioAnswers(
            draw(st.sampled_from(ISTIO_PRESETS)),
            tuple(draw(st.lists(st.sampled_from(["a/b", "prod/reviews-v1", "x/y"]), unique=True))),
        ),
        ViewAnswers(
            tuple(draw(st.lists(st.sampled_from(VIEWS), unique=True))),
            draw(st.sampled_from(i18n.LANGUAGES)),
            draw(st.dictionaries(st.sampled_from(VIEWS), filled.filter(lambda t: len(t) <= LONGEST_NAME))),
        ),
        StudioAnswers(draw(addresses | st.just("")), draw(addresses | st.just(""))),
    )


@given(answers())
def test_what_is_written_is_read_back(given_answers: Answers) -> None:
    assert load(dump(given_answers)) == given_answers
