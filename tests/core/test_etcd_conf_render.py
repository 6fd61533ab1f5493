"""The etcd.conf that we write, and what it lets through of a real etcd's metrics."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from tui import i18n
from tui.core.answers import Answers, CertificateAnswers, ClusterAnswers, EtcdAnswers
from tui.core.errors import UsageError
from tui.core.etcd_conf import client_files, equivalent, from_answers, render
from tui.core.etcd_presets import PRESETS, TUTORIAL_URL
from tui.core.platforms import in_directory
from tui.core.prom.collector import Scrape, collect
from tui.core.prom.conf import load
from tui.core.topology import STRATEGIES, Member, Topology

DATA = Path(__file__).parent.parent / "data"
SAMPLE = i18n.assets() / "samples" / "etcd-3.4.txt"
FILES = in_directory("/rootfs/etc/kubernetes/pki/etcd", "ca.crt", "healthcheck-client.crt", "healthcheck-client.key")
HTTP = ("http://127.0.0.1:2381/metrics",)
HTTPS = ("https://127.0.0.1:2379/metrics",)


def block(text: str) -> dict[str, Any]:
    blocks = tomllib.loads(text)["inputs"]["prom"]
    assert len(blocks) == 1
    return blocks[0]


def tutorial() -> str:
    return yaml.safe_load((DATA / "tutorial" / "etcd-conf.yaml").read_text())["data"]["etcd.conf"]


def test_the_tutorial_is_reproduced_to_the_letter() -> None:
    text = tutorial()
    assert text.count(TUTORIAL_URL) == 1
    assert render("tutorial", "tutorial", urls=[TUTORIAL_URL], cluster_name="ignored") == text


def test_the_tutorial_differs_in_the_url_alone() -> None:
    text = render(
        "tutorial",
        "tutorial",
        urls=["https://10.1.2.3:2379/metrics", "https://10.1.2.4/x"],
        cluster_name="lab",
    )
    old, new = tutorial().split("\n"), text.split("\n")
    assert [pair for pair in zip(old, new, strict=True) if pair[0] != pair[1]] == [
        ('  urls = ["https://172.16.0.229:2379/metrics"]', '  urls = ["https://10.1.2.3:2379/metrics"]')
    ]


@pytest.mark.parametrize("preset", ["recommended", "full"])
def test_the_tutorial_with_another_preset_changes_the_filter_alone(preset: str) -> None:
    was = tomllib.loads(tutorial())["inputs"]["prom"][0]
    now = block(render("tutorial", preset, urls=[TUTORIAL_URL], cluster_name=""))
    chosen = PRESETS[preset]
    assert now.pop("metric_types") == list(chosen.types)
    assert now.pop("metric_name_filter") == list(chosen.names)
    assert now.pop("metric_name_filter_ignore", []) == list(chosen.ignore)
    assert now.pop("measurement_name") == "etcd"
    del was["metric_types"], was["metric_name_filter"]
    assert now == was


def test_node_http() -> None:
    found = block(render("node-http", "recommended", urls=HTTP, cluster_name="lab"))
    assert found["urls"] == list(HTTP)
    assert found["election"] is False
    assert found["tls_open"] is False
    assert found["tags"] == {"cluster_name_k8s": "lab", "instance": "${ENV_K8S_NODE_NAME}:2381"}
    assert found["measurements"] == [{"prefix": "etcd_", "name": "etcd"}]
    assert (found["source"], found["interval"]) == ("etcd", "60s")


def test_node_tls_verifies_the_server_and_presents_the_healthcheck_client() -> None:
    found = block(render("node-tls", "tutorial", urls=HTTPS, cluster_name="lab", certificates=FILES))
    assert found["tls_open"] is True
    assert found["tls_ca"] == "/rootfs/etc/kubernetes/pki/etcd/ca.crt"
    assert found["tls_cert"] == "/rootfs/etc/kubernetes/pki/etcd/healthcheck-client.crt"
    assert found["tls_key"] == "/rootfs/etc/kubernetes/pki/etcd/healthcheck-client.key"
    assert found["tags"]["instance"] == "${ENV_K8S_NODE_NAME}:2379"
    assert found["metric_name_filter"] == list(PRESETS["tutorial"].names)
    assert "measurement_name" not in found


def test_elected_reads_all_members_and_carries_the_cluster_tag() -> None:
    urls = ["https://10.0.0.1:2379/metrics", "https://10.0.0.2:2379/metrics"]
    found = block(render("elected", "full", urls=urls, cluster_name='a "quoted" name', certificates=FILES))
    assert found["urls"] == urls
    assert found["election"] is True
    assert found["tags"] == {"cluster_name_k8s": 'a "quoted" name'}
    assert found["metric_types"] == []


def test_plain_urls_need_no_certificates_when_elected() -> None:
    found = block(render("elected", "full", urls=["http://10.0.0.1:2381/metrics"], cluster_name="lab"))
    assert found["tls_open"] is False
    assert "tls_cert" not in found


def test_none_writes_nothing() -> None:
    assert render("none", "recommended", urls=[], cluster_name="lab") == ""


@pytest.mark.parametrize(
    ("strategy", "urls", "names"),
    [
        ("elected", [], "[etcd] urls"),
        ("tutorial", [], "[etcd] urls"),
        ("node-http", ["http://10.0.0.1:2381/metrics"], "[etcd] urls"),
        ("node-tls", list(HTTPS), "[certificates] from"),
        ("elected", ["https://10.0.0.1:2379/metrics"], "[certificates] from"),
    ],
)
def test_what_is_missing_is_named(strategy: str, urls: list[str], names: str) -> None:
    with pytest.raises(UsageError) as error:
        render(strategy, "recommended", urls=urls, cluster_name="lab")
    assert error.value.object == names
    assert error.value.remedy


@pytest.mark.parametrize("preset", list(PRESETS))
@pytest.mark.parametrize("strategy", [s for s in STRATEGIES if s not in ("none", "tutorial")])
def test_the_comments_teach_and_hold_no_variables(strategy: str, preset: str) -> None:
    text = render(strategy, preset, urls=HTTPS, cluster_name="lab", certificates=FILES)
    comments = [line for line in text.split("\n") if line.strip().startswith("#")]
    assert len(comments) >= 10
    assert not [line for line in comments if "$" in line]  # DataKit substitutes in comments too
    assert text.index("election =") < text.index("[inputs.prom.tags]")
    assert text.index("election =") < text.index("[[inputs.prom.measurements]]")
    assert text.endswith("\n")


def test_texts_that_mean_the_same_are_equivalent() -> None:
    text = render("node-http", "full", urls=HTTP, cluster_name="lab")
    bare = "\n".join(line for line in text.split("\n") if not line.strip().startswith("##"))
    assert bare != text
    assert equivalent(bare, text)
    assert not equivalent(text, text.replace("60s", "30s"))
    assert not equivalent("[", "[[")
    assert equivalent("[", "[")


@pytest.mark.parametrize("preset", list(PRESETS))
def test_presets_let_through_what_was_measured(preset: str) -> None:
    """The values of one etcd 3.4 member that arrive, all with the tags that tell members and clusters apart."""
    (settings,) = load(render("node-http", preset, urls=HTTP, cluster_name="lab"), {"ENV_K8S_NODE_NAME": "cp1"}).inputs
    found = collect(
        settings,
        lambda url: Scrape(SAMPLE.read_bytes()),
        host_tags={"host": "cp1", "cluster_name_k8s": "default"},
        election_tags={},
        now_ms=0,
    )
    assert sum(len(point.fields) for point in found.points) == PRESETS[preset].series
    assert {point.measurement for point in found.points} == {"etcd"}
    for point in found.points:
        assert point.fields  # no value was lost to a tag of the same name
        assert point.tags.items() >= {"cluster_name_k8s": "lab", "instance": "cp1:2381", "host": "cp1"}.items()


def test_series_of_the_presets() -> None:
    assert {name: preset.series for name, preset in PRESETS.items()} == {"tutorial": 8, "recommended": 114, "full": 545}


THREE = tuple(
    Member(f"cp{n}", f"10.0.0.{n}", (HTTP[0], HTTPS[0]), f"https://10.0.0.{n}:2379/metrics") for n in (1, 2, 3)
)
KUBEADM = Topology(
    "kubeadm", THREE, "node-http", "", nodes=5, certificates=(in_directory("/pki/etcd", "ca", "c", "k"),)
)


def test_answers_become_the_conf_of_this_cluster() -> None:
    cluster = ClusterAnswers(name="lab")
    text = from_answers(Answers(cluster=cluster, etcd=EtcdAnswers("node-http", "recommended")), KUBEADM)
    with i18n.writing_in(Answers().views.lang):
        assert text == render("node-http", "recommended", urls=HTTP, cluster_name="lab")
    text = from_answers(Answers(cluster, EtcdAnswers("elected"), CertificateAnswers("rootfs")), KUBEADM)
    assert block(text)["urls"] == [member.client_url for member in THREE]
    assert block(text)["tls_ca"] == "/rootfs/pki/etcd/ca"


def test_answers_with_a_conf_or_urls_win_over_discovery() -> None:
    assert from_answers(Answers(etcd=EtcdAnswers("node-http", conf="# mine")), KUBEADM) == "# mine"
    text = from_answers(Answers(etcd=EtcdAnswers("tutorial", "tutorial", urls=("https://x:1/metrics",))), KUBEADM)
    assert block(text)["urls"] == ["https://x:1/metrics"]
    assert from_answers(Answers(etcd=EtcdAnswers("none")), KUBEADM) == ""


def test_where_the_client_files_are_inside_the_container() -> None:
    assert client_files(CertificateAnswers("none"), KUBEADM) is None
    assert client_files(CertificateAnswers("hostpath"), KUBEADM) == KUBEADM.certificates[0]
    moved = client_files(CertificateAnswers("hostpath", "/srv/certs/"), KUBEADM)
    assert moved == in_directory("/srv/certs", "ca", "c", "k")
    secret = client_files(CertificateAnswers("secret", secret="etcd-client"), KUBEADM)
    assert secret is not None
    assert secret.cert == "/etc/datakit-etcd/tls.crt"
    nowhere = Topology("unknown", (), "none", "")
    with pytest.raises(UsageError):
        client_files(CertificateAnswers("rootfs"), nowhere)
    named = client_files(CertificateAnswers("rootfs", "/srv"), nowhere)
    assert named is not None
    assert named.key == "/rootfs/srv/healthcheck-client.key"
