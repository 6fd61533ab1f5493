"""Driving the app as a person would: keys in, text out, waiting for states and never for time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any
from unittest import mock

from textual._compositor import Compositor
from textual._context import visible_screen_stack
from textual.pilot import Pilot

from tests.screens.fakes import API_KEY, FakeBackend, World
from tui import app as wizard
from tui.terminal import Look
from tui.widgets import background
from tui.widgets.given import Given, Secret
from tui.widgets.step_screen import StepScreen

DEADLINE_S = 20.0


class Drive:
    """One running wizard over a world in memory."""

    def __init__(self, app: wizard.WizardApp, pilot: Pilot[int], world: World) -> None:
        self.app = app
        self.pilot = pilot
        self.world = world

    @property
    def screen(self) -> StepScreen:
        """The step on top."""
        assert isinstance(self.app.screen, StepScreen), self.app.screen
        return self.app.screen

    @property
    def text(self) -> str:
        """What the terminal shows, line by line, blanks at the ends removed."""
        strips = self.app.screen._compositor.render_strips()
        return "\n".join(strip.text.rstrip() for strip in strips)

    @property
    def next(self) -> str:
        """What the last line says that Enter does."""
        return self.screen.go_on.text

    async def until(self, true: Callable[[], object], what: str = "") -> None:
        """Wait until a condition holds; fail with the screen's text after a deadline."""
        deadline = time.monotonic() + DEADLINE_S
        while not true():
            assert time.monotonic() < deadline, f"{what or 'the state never came'}\n{self.text}"
            await self.pilot.pause()
            await asyncio.sleep(0.005)
        await self.pilot.pause()

    async def press(self, *keys: str) -> None:
        """Press keys; after each wait until nothing is under way."""
        for key in keys:
            await self.pilot.press(key)
            await self.rest()

    async def type(self, text: str) -> None:
        """Type text, character by character."""
        for character in text:
            await self.pilot.press(character)

    def busy(self) -> bool:
        """Whether a worker runs that will end by itself."""
        return any(worker.is_running and worker.group != "follow" for worker in self.app.workers)

    async def rest(self) -> None:
        """Wait until no work is under way."""
        await self.pilot.pause()
        await self.until(lambda: not self.busy(), "work never ended")

    async def to(self, step: str) -> None:
        """Go on with Enter until this step is shown."""
        for _press in range(40):  # each view takes two: make it, go on
            if self.app.current == step and isinstance(self.app.screen, StepScreen) and step == self.screen.STEP:
                return
            await self.press("enter")
        raise AssertionError(f"{step} was never reached:\n{self.text}")


@asynccontextmanager
async def driving(
    tmp_path: Path,
    world: World | None = None,
    *,
    size: tuple[int, int] = (80, 24),
    key: str = API_KEY,
    look: Look | None = None,
    open_world: Callable[[], wizard.World] | None = None,
    endpoint: str = "https://studio.example",
    paint: bool = False,
) -> AsyncIterator[Drive]:
    """A wizard at its first screen. The API key is given as by the environment, unless `key` is "".

    Without `paint` nothing is painted but what `Drive.text` asks for: no one looks at the frames between, and they
    are a third of the work.
    """
    background.reset()
    world = world or World.fresh()
    state = tmp_path / "state"
    given = Given(endpoint=endpoint, key=Secret(key), key_source="GUANCE_ACCESS_TOKEN" if key else "")
    options = wizard.Options(
        open_world or (lambda: wizard.World(FakeBackend(world), state)), look or Look(False, False), state, given=given
    )
    app = wizard.WizardApp(options)
    unpainted = mock.patch.object(Compositor, "render_update", _paint_nothing)
    with nullcontext() if paint else unpainted:
        async with app.run_test(size=size) as pilot:
            drive = Drive(app, pilot, world)
            await drive.rest()
            yield drive


def _paint_nothing(self: Compositor, screen_stack: Any = None, **_options: Any) -> None:
    """Compositor.render_update without its frame: what is below a page stays known, and what is dirty is done."""
    visible_screen_stack.set(screen_stack or [])
    self._dirty_regions.clear()
