"""From a panel to what feeds it, and from a run of the checks to its first broken hop."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tui.core import report_why, views
from tui.core.checks import (
    CHECKS,
    CLUSTER,
    CONTAINER,
    ETCD,
    ISTIOD,
    KUBERNETES,
    REQUIRED,
    SIDECARS,
    WARNING,
    Report,
    Result,
)
from tui.core.checks import panel as panels
from tui.core.errors import UsageError
from tui.core.ports import Answer, Ask, Series
from tui.core.view_fill import PanelFill


def panel(view: str, key: str) -> Any:
    return panels.find(views.view(view), key)


@pytest.mark.parametrize("name", ["E1", "e1", "Has leader", "HAS LEADER ", "领导者数量"])
def test_a_panel_is_found_by_key_and_by_title_in_either_language(name: str) -> None:
    assert panel("etcd", name).key == "E1"


def test_an_unknown_panel_names_those_that_there_are() -> None:
    with pytest.raises(UsageError) as error:
        panel("etcd", "E99")
    assert "E1 (Has leader)" in error.value.remedy


def test_a_title_of_several_panels_asks_for_a_key() -> None:
    with pytest.raises(UsageError) as error:
        panel("kubernetes", "Pods")
    assert error.value.remedy == "The panels are: K4 (Pods), K12 (Pods)"


@pytest.mark.parametrize(
    ("view", "key", "routes"),
    [
        ("etcd", "E1", (ETCD,)),
        ("etcd", "E8", (ETCD,)),
        ("docker", "D1", (CONTAINER,)),
        ("kubernetes", "K23", (KUBERNETES,)),
        ("kubernetes", "K30", (KUBERNETES,)),
        ("kubernetes", "K15", ()),
        ("istio-service", "S3", (SIDECARS,)),
        ("istio-mesh", "M6", (ISTIOD,)),
        ("istio-control-plane", "C4", (ISTIOD,)),
        ("istio-control-plane", "C9", (SIDECARS,)),
    ],
)
def test_the_routes_that_feed_a_panel(view: str, key: str, routes: tuple[str, ...]) -> None:
    one = panel(view, key)
    assert panels.routes(one) == routes
    chosen = panels.checks_for(views.view(view), one)
    assert {check.route for check in chosen} == {CLUSTER, *routes}
    assert not {check.id for check in chosen} & {f"views/{other}" for other in views.KEYS if other != view}
    assert [check.id for check in chosen] == [check.id for check in CHECKS if check in chosen], "in the ladder's order"


def test_the_rung_of_histograms_is_on_the_way_of_panels_that_need_them_alone() -> None:
    for key, wanted in (("S3", True), ("S1", False)):
        chosen = panels.checks_for(views.view("istio-service"), panel("istio-service", key))
        assert ("sidecars/histograms" in {check.id for check in chosen}) is wanted


def test_every_panel_has_a_route_but_those_of_the_hosts_own_inputs() -> None:
    without = [
        one.key for view in views.catalogue() for one in view.panels if not panels.routes(one) and view.key != "etcd"
    ]
    assert without == ["K15", "K16", "K17"]


def result(id: str, status: str, severity: str = REQUIRED) -> Result:
    return Result(id, "lab", "", id.split("/")[0], severity, status, id, found="it is so")


@pytest.mark.parametrize(
    ("results", "hop"),
    [
        ([result("conf/key", "pass"), result(panels.ID, "pass")], None),
        ([result("conf/key", "fail"), result("etcd/answers", "fail"), result(panels.ID, "fail")], "conf/key"),
        ([result("conf/key", "pass"), result(panels.ID, "fail")], panels.ID),
        ([result("container/enabled", "warn", WARNING), result(panels.ID, "fail")], "container/enabled"),
        ([result("etcd/duplicate", "warn", WARNING), result(panels.ID, "fail")], panels.ID),
        ([result("conf/key", "fail"), result(panels.ID, "pass")], None),
        ([result("studio/key", "skip"), result(panels.ID, "skip")], panels.ID),
        ([result("cluster/reachable", "fail"), result(panels.ID, "skip")], "cluster/reachable"),
    ],
)
def test_the_first_broken_hop(results: list[Result], hop: str | None) -> None:
    why = panels.judged(views.view("etcd"), panel("etcd", "E1"), Report(tuple(results), ("lab",)))
    assert (why.hop.id if why.hop else None) == hop
    assert why.filled == (hop is None)
    text = report_why.as_text(why, ascii_only=True)
    assert ("[" + hop + "]" in text) if hop else text.startswith("ok ")


class Studio:
    """Answers with the newest point of each cluster name."""

    def __init__(self, newest: dict[str, float]) -> None:
        self.newest = newest

    def answers(self, asks: list[Ask], *, start_ms: int, end_ms: int) -> list[Answer]:
        tags = {"cluster_name_k8s": ""}
        series = [
            Series({**tags, "cluster_name_k8s": name}, ("time", "x"), ((at, 1.0),)) for name, at in self.newest.items()
        ]
        return [Answer(tuple(series)) for _ask in asks]


NOW_S = 1_760_000_000.0
FACTS = SimpleNamespace(
    now=lambda: NOW_S,
    cluster=SimpleNamespace(context="prod", time_scale=1.0),
    datakit=SimpleNamespace(namespace="datakit", name="datakit"),
)


@pytest.mark.parametrize(
    ("newest", "words", "command"),
    [
        ({}, "nothing has arrived of kube_pod.restarts", ""),
        ({"": NOW_S * 1000}, "without cluster_name_k8s", "ENV_CLUSTER_NAME_K8S=lab"),
        ({"other": NOW_S * 1000}, "only under cluster_name_k8s = other, not lab", "ENV_CLUSTER_NAME_K8S=lab"),
        ({"lab": (NOW_S - 7200) * 1000, "other": NOW_S * 1000}, "nothing new of kube_pod.restarts", ""),
        ({"lab": NOW_S * 1000}, "nothing that the panel's conditions let through", ""),
    ],
    ids=["never", "no cluster tag", "another name", "not any more", "other conditions"],
)
def test_what_has_arrived_tells_why_the_panel_is_empty(newest: dict[str, float], words: str, command: str) -> None:
    one = PanelFill(panel("kubernetes", "K27"), (("kube_pod", "restarts"),))
    found = panels._arrived(FACTS, Studio(newest), one, "lab")  # type: ignore[arg-type]
    assert found.status == "fail"
    assert words in found.found
    assert found.remedy
    assert command in found.command
    assert bool(command) == bool(found.command)
    assert found.causes
