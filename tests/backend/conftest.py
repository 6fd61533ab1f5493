"""The control planes that the contract's scenarios run against, each with its users and a namespace for each test."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest
from control_planes import NO_SERVER, ControlPlane, practice, real, real_binaries

from tui.core.ports import NAMESPACE, Cluster


@pytest.fixture(scope="module")
def practice_plane() -> Iterator[ControlPlane]:
    with practice() as plane:
        yield plane


@pytest.fixture(scope="module")
def real_plane() -> Iterator[ControlPlane]:
    binaries = real_binaries()
    if binaries is None:
        pytest.skip(NO_SERVER)
    with real(binaries) as plane:
        yield plane


@pytest.fixture(params=["lab", "real"])
def plane(request: pytest.FixtureRequest) -> ControlPlane:
    name = "practice_plane" if request.param == "lab" else "real_plane"
    found: ControlPlane = request.getfixturevalue(name)
    return found


@pytest.fixture
def admin(plane: ControlPlane) -> Cluster:
    return plane.cluster("admin")


@pytest.fixture
def viewer(plane: ControlPlane) -> Cluster:
    return plane.cluster("viewer")


@pytest.fixture
def namespace(admin: Cluster) -> str:
    """A namespace of the test's own."""
    name = f"t-{secrets.token_hex(4)}"
    admin.apply(NAMESPACE, "", name, {}, manager="setup", dry_run=False)
    return name
