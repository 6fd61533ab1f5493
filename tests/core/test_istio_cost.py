"""What presets cost and fill: the catalogue of panels is held against the collector."""

from __future__ import annotations

import pytest

from tests.core.mesh_objects import bookinfo, mesh, survey
from tui.core import views
from tui.core.answers import Answers, IstioAnswers
from tui.core.errors import UnreachableError
from tui.core.istio_cost import Scrapes, cost, fills, judged, promised, scrapes
from tui.core.istio_presets import PRESETS
from tui.core.prom.collector import Scrape
from tui.core.survey import AgentPod
from tui.i18n import assets

ORDER = ("tutorial", "lean", "full")
PROXY = (assets() / "samples" / "istio-proxy.txt").read_bytes()


@pytest.mark.parametrize("preset", ORDER)
def test_each_preset_fills_the_panels_that_the_catalogue_says(preset: str) -> None:
    for found in fills(preset):
        said = {p.key for p in views.view(found.key).panels if ORDER.index(p.preset) <= ORDER.index(preset)}
        assert {panel.key for panel in found.filled} == said, found.key
        assert {panel.key for panel in (*found.filled, *found.empty)} == {p.key for p in views.view(found.key).panels}


def test_lean_fills_every_latency_panel_and_the_tutorial_none() -> None:
    latency = [p.key for one in fills("lean") for p in one.filled if p.histogram]
    assert {"M5b", "C13", "S3", "W3"} <= set(latency)
    assert not [p for one in fills("tutorial") for p in one.filled if p.histogram]


def test_without_a_scrape_the_known_figures_count() -> None:
    whole = mesh()
    found = cost("lean", whole, ("prod/details-v1", "prod/ratings-v1"), Scrapes())
    assert (found.proxy, found.istiod, found.measured) == (144, 143, False)
    # two picked workloads of one pod and one gateway; istiod twice
    assert (found.proxies, found.istiods, found.whole) == (3, 2, 3 * 144 + 2 * 143)
    assert cost("tutorial", whole, (), Scrapes()).proxies == 1


def test_a_scrape_is_counted_by_the_collectors_own_rules() -> None:
    seen = Scrapes({"proxy": PROXY}, {"proxy": "details"})
    counts = [cost(preset, mesh(), (), seen).proxy for preset in ORDER]
    assert counts == [judged(preset, "proxy", PROXY).kept for preset in ORDER]
    assert counts[0] < counts[1] < counts[2] == judged("full", "proxy", PROXY).all
    assert cost("lean", mesh(), (), seen).istiod == PRESETS["lean"]["istiod"].series


def test_discovery_takes_all_series_of_all_pods_of_the_namespaces() -> None:
    one = cost("lean", mesh(), ("prod/details-v1",), Scrapes(), discovery=True)
    assert one.proxy == PRESETS["full"]["proxy"].series
    assert one.proxies == 5 + 1  # every workload of prod, and the gateway


def test_what_is_promised_follows_the_answers() -> None:
    assert promised(Answers()) == ()
    assert promised(Answers(istio=IstioAnswers("lean"))) == fills("lean")
    assert promised(Answers(istio=IstioAnswers("lean", sidecars="kubernetesprometheus"))) == fills("full")


class Near:
    """An agent that scrapes what it is asked for."""

    def __init__(self, answer: Scrape | UnreachableError) -> None:
        self.answer, self.asked = answer, []

    def scrape(self, url: str) -> Scrape:
        self.asked.append(url)
        if isinstance(self.answer, UnreachableError):
            raise self.answer
        return self.answer


def test_a_sidecar_and_istiod_are_scraped_by_the_datakit_beside_them() -> None:
    look = survey(mesh(bookinfo()))
    pods = (AgentPod("worker-1", "datakit-a", True), AgentPod("worker-2", "datakit-b", True))
    object.__setattr__(look.datakit, "pods", pods)
    near = Near(Scrape(b"# TYPE a gauge\na 1\n"))
    asked: list[str] = []
    found = scrapes(look, lambda pod: (asked.append(pod.name), near)[1])
    assert sorted(near.asked) == ["http://10.0.0.21:15014/metrics", "http://10.0.0.2:15020/stats/prometheus"]
    assert set(asked) == {"datakit-a"}
    assert set(found.bodies) == {"proxy", "istiod"}
    for answer in (Scrape(None, error="refused"), Scrape(b"no", 404), UnreachableError("gone")):
        assert scrapes(look, lambda _pod, answer=answer: Near(answer)).bodies == {}
