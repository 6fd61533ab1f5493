"""How long a scrape took until it could be queried, and whether anybody saw it come."""

from __future__ import annotations

import pytest

from tui.core.checks.arrivals import Arrivals, member_of
from tui.core.ports import Series


def series(member: str, time_s: float) -> Series:
    return Series({"instance": member}, ("time", "value"), ((time_s * 1000, 1.0),))


def test_what_was_there_at_the_first_look_took_at_most_that_long() -> None:
    arrivals = Arrivals()
    arrivals.look("etcd", [series("a", 100.0)], 130.0)
    first = arrivals.of("etcd", "a")
    assert first is not None
    assert (first.scraped_s, first.delay_s, first.witnessed) == (100.0, 30.0, False)
    arrivals.look("etcd", [series("a", 100.0)], 145.0)  # nothing new: it stays when it was first seen
    assert arrivals.of("etcd", "a") == first


def test_what_came_after_a_look_was_witnessed() -> None:
    arrivals = Arrivals()
    arrivals.look("etcd", [], 100.0)
    arrivals.look("etcd", [series("a", 101.0)], 105.0)
    arrivals.look("etcd", [series("a", 161.0), series("b", 162.0)], 166.0)
    found = [arrivals.of("etcd", member) for member in "ab"]
    assert [(one.delay_s, one.witnessed) for one in found if one] == [(pytest.approx(5.0), True), (4.0, True)]


def test_each_measurement_is_looked_at_by_itself() -> None:
    arrivals = Arrivals()
    arrivals.look("etcd", [series("a", 1.0)], 2.0)
    arrivals.look("istio_prom", [series("a", 1.5)], 3.0)
    one = arrivals.of("istio_prom", "a")
    assert one is not None
    assert not one.witnessed
    assert arrivals.of("docker_containers", "a") is None


def test_a_clock_that_is_behind_makes_no_negative_delay() -> None:
    arrivals = Arrivals()
    arrivals.look("etcd", [series("a", 10.0)], 9.0)
    found = arrivals.of("etcd", "a")
    assert found is not None
    assert found.delay_s == 0.0


@pytest.mark.parametrize(
    ("tags", "member"),
    [({"instance": "x:1", "host": "n"}, "x:1"), ({"host": "n"}, "n"), ({"node": "m"}, "m"), ({}, "")],
)
def test_a_member_is_an_address_or_a_node(tags: dict[str, str], member: str) -> None:
    assert member_of(Series(tags, (), ())) == member
