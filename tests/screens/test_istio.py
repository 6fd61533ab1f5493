"""The step Istio: shown where a mesh is, what its rows say, and what is picked reaches the plan."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.cells import cell_len

from tests.core.mesh_objects import bookinfo, deployment, pod
from tests.screens.drive import Drive, driving
from tests.screens.fakes import World
from tui import i18n
from tui.core.mesh import INSTANCES
from tui.core.ports import Access


def meshed() -> World:
    """The world with the tutorial's mesh in it."""
    world = World.fresh()
    seen = bookinfo()
    for item in seen.namespaces:
        world.put({"apiVersion": "v1", "kind": "Namespace", **item})
    for item in seen.services:
        world.put({"apiVersion": "v1", "kind": "Service", **item})
    for item in [*seen.deployments, *seen.pods]:
        world.put(item)
    for item in seen.deployments:
        counts = dict.fromkeys(("replicas", "updatedReplicas", "availableReplicas"), item["spec"]["replicas"])
        item["status"] = {**counts, "observedGeneration": 99}
    return world


def annotation(world: World, name: str, space: str = "prod") -> str | None:
    metadata = world.objects["Deployment", space, name]["spec"]["template"]["metadata"]
    return (metadata.get("annotations") or {}).get(INSTANCES)


def flat(drive: Drive) -> str:
    return " ".join(drive.text.replace("│", " ").split())


async def test_without_a_mesh_the_step_is_neither_shown_nor_entered(tmp_path: Path) -> None:
    async with driving(tmp_path) as drive:
        await drive.to("datakit")
        assert "Istio" not in [line[3:17].strip() for line in drive.text.splitlines()]
        await drive.press("enter")
        assert drive.app.current == "review"
        assert drive.app.session.answers.istio.preset == "none"


async def test_enter_alone_picks_nothing(tmp_path: Path) -> None:
    world = meshed()
    async with driving(tmp_path, world=world) as drive:
        await drive.to("istio")
        assert "● lean" in drive.text
        assert drive.next == "Go on to the review, with nothing picked"
        await drive.press("enter", "enter")
        assert annotation(world, "productpage-v1") is None
        assert drive.app.session.answers.istio.workloads == ()
        assert 'preset = "lean"' in (tmp_path / "state" / "answers.toml").read_text()


async def test_rows_say_what_a_pick_leads_to(tmp_path: Path) -> None:
    async with driving(tmp_path, world=meshed()) as drive:
        await drive.to("istio")
        text = drive.text
        assert "Istio 1.13.2: istiod ×2, gateways ×1, sidecars ×4" in flat(drive)
        lines = [line.partition("│")[2].strip() for line in text.splitlines()]
        assert any(line.startswith("[ ] prod/productpage-v1") and "1 pod restarts" in line for line in lines)
        assert any(line.startswith("[ ] prod/details-v1") and "replaces theirs" in line for line in lines)
        await drive.press("up", "end")
        assert "prod/sleep" in drive.text
        assert "no ready sidecar" in drive.text
        assert "Label its namespace" in flat(drive)
        await drive.press("space")
        assert drive.app.session.answers.istio.workloads == ()


async def test_what_is_picked_is_applied_and_the_review_gathers_it(tmp_path: Path) -> None:
    world = meshed()
    async with driving(tmp_path, world=world) as drive:
        await drive.to("istio")
        await drive.press("a")
        given = drive.app.session.answers.istio
        assert len(given.workloads) == 6
        assert given.replace == ("prod/details-v1", "prod/ratings-v1", "prod/reviews-v1")
        assert drive.next == "Go on to the review; 6 workloads restart"
        await drive.press("enter")
        assert "Deployment prod/ ×4" in drive.text
        assert "7 pods of 6 workloads restart" in flat(drive)
        await drive.press("enter")
        await drive.until(lambda: "Go on to the views" in drive.next)
        for name in ("productpage-v1", "details-v1", "ratings-v1", "reviews-v1"):
            assert "istio_prom" in (annotation(world, name) or "")
        assert annotation(world, "sleep") is None
        assert "app_id" in (annotation(world, "istiod", "istio-system") or "")


async def test_all_again_picks_none_and_none_collects_nothing(tmp_path: Path) -> None:
    async with driving(tmp_path, world=meshed()) as drive:
        await drive.to("istio")
        await drive.press("a", "a")
        assert drive.app.session.answers.istio.workloads == ()
        assert drive.app.session.answers.istio.replace == ()
        screen = drive.screen
        screen.query_one("#presets").focus()
        await drive.press("end", "enter")
        assert drive.app.session.answers.istio.preset == "none"
        assert drive.next == "Go on to the review without Istio"
        assert "prod/productpage-v1" not in drive.text


async def test_the_other_way_restarts_nothing_and_says_its_cost(tmp_path: Path) -> None:
    async with driving(tmp_path, world=meshed()) as drive:
        await drive.to("istio")
        await drive.press("w", "a")
        assert drive.app.session.answers.istio.sidecars == "kubernetesprometheus"
        assert "821 a sidecar" in drive.text
        assert "nothing is filtered" in flat(drive)
        assert drive.next == "Go on to the review; 2 workloads restart"  # istiod and the gateway


async def test_the_reveal_shows_the_row_under_the_cursor(tmp_path: Path) -> None:
    async with driving(tmp_path, world=meshed()) as drive:
        await drive.to("istio")
        await drive.press("c")
        assert "Deployment istio-system/istiod" in drive.text
        assert "--server-side" in flat(drive)


async def test_a_namespace_without_rights_is_told_on_the_review(tmp_path: Path) -> None:
    world = meshed()

    def granted(access: Access) -> bool:
        return not (access.verb == "patch" and access.namespace == "prod")

    world.granted = granted
    async with driving(tmp_path, world=world) as drive:
        await drive.to("istio")
        await drive.press("a", "enter")
        assert "Left out: Deployment prod/details-v1" in flat(drive)
        assert annotation(world, "productpage-v1") is None


async def test_other_kinds_have_a_row_of_their_own(tmp_path: Path) -> None:
    world = meshed()
    bare = pod(deployment("batch"), 44)
    bare["metadata"]["ownerReferences"] = []
    world.put(bare)
    async with driving(tmp_path, world=world, size=(80, 40)) as drive:
        await drive.to("istio")
        assert "Pod prod/batch-5d8-44" in drive.text
        assert "no Deployment" in drive.text


@pytest.mark.parametrize("language", i18n.LANGUAGES)
async def test_it_is_readable_in_80_columns(tmp_path: Path, language: str) -> None:
    i18n.use_language(language)
    try:
        async with driving(tmp_path, world=meshed()) as drive:
            await drive.to("istio")
            await drive.press("a")
            lines = drive.text.splitlines()
            assert len(lines) == 24
            assert all(cell_len(line) <= 80 for line in lines)
            for name in ("tutorial", "lean", "full", "none", "prod/details-v1", "71/80"):
                assert name in drive.text, name
    finally:
        i18n.use_language("en")
