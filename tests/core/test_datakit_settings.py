"""DataKit's settings that views need: how each stands, what would make it so, and whose field that is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.core.objects import Object, daemon_set
from tui.core import datakit_settings as settings
from tui.core import views
from tui.core.answers import DATAKIT_SETTINGS, Answers, ClusterAnswers, DataKitAnswers, EtcdAnswers
from tui.core.datakit_settings import Found, chosen_env, look, panels_of, unmet
from tui.core.desired import desired
from tui.core.errors import UsageError
from tui.core.proposal import propose
from tui.core.survey import DataKit, Survey, host_cluster_name
from tui.core.topology import discover

NAME = "lab"
VENDOR = {
    "ENV_CLUSTER_NAME_K8S": NAME,
    "ENV_ENABLE_ELECTION": "enable",
    "ENV_GLOBAL_ELECTION_TAGS": "",
    "ENV_DEFAULT_ENABLED_INPUTS": "statsd,dk,cpu,disk,diskio,mem,swap,system,container",
}
CONF = "/usr/local/datakit/conf.d/container/container.conf"


def look_at(
    env: dict[str, str],
    conf: str | None = None,
    *,
    owner: str = "kubectl-client-side-apply",
    kubelet: str = "v1.36.2",
    ours: tuple[str, ...] = (),
) -> Survey:
    """A survey of a DataKit with this environment, its entries owned by `owner`, and perhaps a container.conf."""
    obj = daemon_set()
    container = obj["spec"]["template"]["spec"]["containers"][0]
    container["env"] = [{"name": name, "value": value} for name, value in env.items()]
    if conf is not None:
        container["volumeMounts"].append({"mountPath": CONF, "name": "datakit-conf", "subPath": "container.conf"})
    obj["metadata"]["managedFields"] = [owned(owner, "Update", [name for name in env if name not in ours])]
    if ours:
        obj["metadata"]["managedFields"].append(owned("datakit-wizard", "Apply", ours))
    node: Object = {
        "metadata": {"name": "n1", "labels": {"node-role.kubernetes.io/control-plane": ""}},
        "status": {"nodeInfo": {"kubeletVersion": kubelet}},
    }
    return Survey(
        "prod",
        "https://k",
        "me",
        "uid",
        "v1",
        DataKit("datakit", "datakit", "datakit", "image", obj, env),
        discover([node], []),
        {"metadata": {"uid": "cm"}, "data": {"container.conf": conf or ""}},
        (),
        host_cluster_name(env),
    )


def owned(manager: str, operation: str, names: list[str] | tuple[str, ...]) -> Object:
    env = {f'k:{{"name":"{name}"}}': {".": {}, "f:name": {}, "f:value": {}} for name in names}
    pod = {"f:containers": {'k:{"name":"datakit"}': {".": {}, "f:name": {}, "f:env": env}}}
    content = {"f:spec": {"f:template": {"f:spec": pod}}}
    return {"manager": manager, "operation": operation, "apiVersion": "apps/v1", "fieldsV1": content}


def found(survey: Survey, key: str, **options: str) -> Found:
    return next(one for one in look(survey, NAME, **options) if one.setting.key == key)


def answers(*keys: str, strategy: str = "none", name: str = NAME) -> Answers:
    return Answers(ClusterAnswers("prod", name=name), EtcdAnswers(strategy), datakit=DataKitAnswers(keys))


def test_the_keys_are_those_of_the_answers_and_of_the_panels() -> None:
    assert tuple(setting.key for setting in settings.SETTINGS) == DATAKIT_SETTINGS
    needed = {key for view in views.catalogue() for panel in view.panels for key in panel.settings}
    assert {"container", "host-inputs", "pod-metrics"} <= needed & set(DATAKIT_SETTINGS)


def test_each_host_input_feeds_a_panel_and_none_is_missing() -> None:
    panels = [panel for view in views.catalogue() for panel in view.panels if "host-inputs" in panel.settings]
    sources = {line.query.source for panel in panels for line in panel.lines}
    assert sources <= set(settings.HOST_INPUTS)


def test_the_vendors_daemon_set_lacks_pod_metrics_alone() -> None:
    survey = look_at(VENDOR)
    assert [one.setting.key for one in look(survey, NAME) if one.proposed] == ["pod-metrics"]
    assert chosen_env(answers("pod-metrics", "container"), survey) == {"ENV_INPUT_CONTAINER_ENABLE_POD_METRIC": "true"}
    assert propose(survey).datakit.settings == ("pod-metrics",)


@pytest.mark.parametrize(
    ("listed", "lacks"),
    [
        ("cpu,disk,mem,system", ("container",)),
        ("cpu disk mem system", ("container",)),
        ("container,-mem,cpu,disk,system", ("mem",)),
        ("-", ("container", "cpu", "disk", "mem", "system")),
        ("", ("container", "cpu", "disk", "mem", "system")),
        ("container,cpu,disk,mem,system", ()),
    ],
)
def test_inputs_that_lack_are_added_to_those_that_are_there(listed: str, lacks: tuple[str, ...]) -> None:
    survey = look_at({**VENDOR, "ENV_DEFAULT_ENABLED_INPUTS": listed})
    assert found(survey, "container").inputs + found(survey, "host-inputs").inputs == lacks
    made = chosen_env(answers("container", "host-inputs"), survey)
    if not lacks:
        assert made == {}
        return
    after = made["ENV_DEFAULT_ENABLED_INPUTS"].split(",")
    kept = [name for name in listed.replace(" ", ",").split(",") if name not in ("-", "", "-mem")]
    assert after[: len(kept)] == kept
    assert set(after) == {*kept, *lacks}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("cpu,container", {"cpu", "container"}),
        ("cpu container", {"cpu", "container"}),
        ("-", set()),
        ("container,-container", set()),
        ("", set()),
        ("cpu,,mem", {"cpu", "mem"}),
        ("cpu, mem", {"mem"}),  # with a blank in it commas part nothing: the first would be the input `cpu,`
    ],
)
def test_the_default_inputs_as_datakit_reads_them(text: str, found: set[str]) -> None:
    env = {"ENV_DEFAULT_ENABLED_INPUTS": text}
    assert {name for name in ("cpu", "container", "mem") if settings.has_input(name, env, ())} == found


def test_an_input_is_on_from_a_mounted_conf_and_from_what_runs_unless_it_is_turned_off() -> None:
    env = {**VENDOR, "ENV_DEFAULT_ENABLED_INPUTS": "cpu"}
    assert found(look_at(env, "[inputs.container]\n"), "container").on
    assert not found(look_at(env, "[inputs.other]\n"), "container").on
    assert not found(look_at(env, "[inputs.container\n"), "container").on
    off = look_at({**env, "ENV_DEFAULT_ENABLED_INPUTS": "-container"}, "[inputs.container]\n")
    assert found(off, "container").today == "turned off: container"
    running = [one for one in look(look_at(env), NAME, running={"container"}) if one.setting is settings.CONTAINER]
    assert running[0].on


@pytest.mark.parametrize(
    ("env", "conf", "on"),
    [
        ({}, "", False),
        ({}, "enable_pod_metric = true", True),
        ({"ENV_INPUT_CONTAINER_ENABLE_POD_METRIC": "true"}, "enable_pod_metric = false", True),
        ({"ENV_INPUT_CONTAINER_ENABLE_POD_METRIC": "false"}, "enable_pod_metric = true", False),
        ({"ENV_INPUT_CONTAINER_ENABLE_POD_METRIC": "1"}, "", True),
        ({"ENV_INPUT_CONTAINER_ENABLE_POD_METRIC": "yes"}, "enable_pod_metric = true", True),  # Go does not take it
        ({"ENV_INPUT_CONTAINER_ENABLE_POD_METRIC": "yes"}, "", False),
    ],
)
def test_the_environment_wins_over_container_conf(env: dict[str, str], conf: str, on: bool) -> None:
    one = found(look_at({**VENDOR, **env}, f"[inputs.container]\n{conf}\n"), "pod-metrics")
    assert one.on is on
    assert bool(one.env) is not on


def test_metrics_of_containers_that_a_switch_turned_off_are_turned_on() -> None:
    survey = look_at({**VENDOR, "ENV_INPUT_CONTAINER_ENABLE_K8S_METRIC": "false"}, owner="helm")
    one = found(survey, "container")
    assert (one.on, one.env, one.owners) == (False, {"ENV_INPUT_CONTAINER_ENABLE_K8S_METRIC": "true"}, ("helm",))


def test_a_socket_elsewhere_is_added_to_those_that_are_there() -> None:
    assert all(one.setting.key != "runtime-socket" for one in look(look_at(VENDOR), NAME))
    survey = look_at(VENDOR, kubelet="v1.33.1+k3s1")
    one = found(survey, "runtime-socket")
    assert one.env == {"ENV_INPUT_CONTAINER_ENDPOINTS": "unix:///run/k3s/containerd/containerd.sock"}
    assert one.proposed
    there = {"ENV_INPUT_CONTAINER_ENDPOINTS": "unix:///run/other.sock"}
    one = found(look_at({**VENDOR, **there}, kubelet="v1.33.1+rke2r1"), "runtime-socket")
    assert one.env["ENV_INPUT_CONTAINER_ENDPOINTS"].startswith("unix:///run/other.sock,unix:///run/k3s/")
    conf = '[inputs.container]\nendpoints = ["unix:///var/run/k3s/containerd/containerd.sock"]\n'
    assert found(look_at(VENDOR, conf, kubelet="v1.33.1+k3s1"), "runtime-socket").on
    old = '[inputs.container]\ncontainerd_address = "/run/k3s/containerd/containerd.sock"\n'
    assert found(look_at(VENDOR, old, kubelet="v1.33.1+k3s1"), "runtime-socket").on
    assert found(look_at(VENDOR), "runtime-socket", socket="unix:///run/containerd/containerd.sock").on
    assert not found(look_at(VENDOR), "runtime-socket", socket="unix:///run/mine.sock").on


def test_a_name_that_only_host_tags_carry_does_not_reach_kube_metrics() -> None:
    env = {"ENV_GLOBAL_HOST_TAGS": f"cluster_name_k8s={NAME}", "ENV_DEFAULT_ENABLED_INPUTS": "container"}
    survey = look_at(env)
    one = found(survey, "cluster-name")
    assert (one.on, one.env, one.host_tags) == (False, {"ENV_CLUSTER_NAME_K8S": NAME}, True)
    docker, kubernetes = views.view("docker").panels[0], views.view("kubernetes").panels[0]
    assert unmet(docker, [one]) == []
    assert unmet(kubernetes, [one]) == [one]
    assert chosen_env(answers("cluster-name"), survey) == one.env


def test_a_field_of_somebody_elses_is_offered_and_not_proposed() -> None:
    survey = look_at({**VENDOR, "ENV_DEFAULT_ENABLED_INPUTS": "cpu,disk,mem,system"}, owner="kubectl-edit")
    one = found(survey, "container")
    assert (one.owners, one.entries, one.proposed) == (("kubectl-edit",), ("ENV_DEFAULT_ENABLED_INPUTS",), False)
    assert "container" not in propose(survey).datakit.settings
    assert "container" in desired(answers("container"), survey).env["ENV_DEFAULT_ENABLED_INPUTS"]


def test_election_tags_join_those_that_are_there_and_are_never_proposed() -> None:
    survey = look_at({**VENDOR, "ENV_GLOBAL_ELECTION_TAGS": "zone=a,cluster_name_k8s=old"}, owner="helm")
    one = found(survey, "election-tags")
    assert one.env == {"ENV_GLOBAL_ELECTION_TAGS": f"zone=a,cluster_name_k8s={NAME}"}
    assert not one.proposed
    without = {name: value for name, value in VENDOR.items() if name != "ENV_ENABLE_ELECTION"}
    assert all(one.setting.key != "election-tags" for one in look(look_at(without), NAME))


def test_what_an_earlier_apply_wrote_stays_though_it_is_chosen_no_more() -> None:
    name = "ENV_INPUT_CONTAINER_ENABLE_POD_METRIC"
    survey = look_at({**VENDOR, name: "true"}, ours=(name,))
    assert found(survey, "pod-metrics").ours
    assert desired(answers(), survey).env == {name: "true"}
    assert desired(answers("pod-metrics"), survey).env == {name: "true"}


def test_a_name_that_differs_from_what_is_reported_is_refused() -> None:
    with pytest.raises(UsageError, match="differs"):
        desired(answers("cluster-name", name="other"), look_at(VENDOR))
    default = look_at({**VENDOR, "ENV_CLUSTER_NAME_K8S": "default"})
    assert desired(answers("cluster-name", name="other"), default).env == {"ENV_CLUSTER_NAME_K8S": "other"}
    assert desired(answers(name="other"), default).env == {}


def test_the_tutorial_leaves_the_name_alone_unless_it_is_chosen() -> None:
    survey = look_at({"ENV_DEFAULT_ENABLED_INPUTS": "container,cpu,disk,mem,system"})
    assert "cluster-name" not in propose(survey, strategy="tutorial").datakit.settings
    assert "cluster-name" in propose(survey, strategy="none").datakit.settings


def test_panels_that_a_setting_fills_are_counted() -> None:
    assert panels_of(settings.CONTAINER)["docker"] == len(views.view("docker").panels)
    assert set(panels_of(settings.POD_METRICS)) == {"kubernetes"}
    assert panels_of(settings.POD_METRICS)["kubernetes"] >= 7
    assert set(panels_of(settings.RUNTIME_SOCKET)) == {"docker"}
    assert panels_of(settings.ELECTION_TAGS) == {}
    panel = next(panel for panel in views.view("kubernetes").panels if "pod-metrics" in panel.settings)
    lacking = unmet(panel, look(look_at(VENDOR), NAME))
    assert [one.setting.key for one in lacking] == ["pod-metrics"]
    assert unmet(replace(panel, settings=()), look(look_at(VENDOR), NAME)) == []
