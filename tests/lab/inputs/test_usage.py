"""What containers use: within what they may, smooth, growing where it is a counter, and the same under a seed."""

from __future__ import annotations

import itertools

import pytest
from machine_stubs import NODE, NOW, Stub, limited, pod, running

from tui.lab.inputs import host
from tui.lab.inputs.usage import Load, amount, resources
from tui.lab.nodes import MEMORY_BYTES

LOAD = Load(NODE, "s", 30.0)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("200m", 0.2),
        ("2", 2),
        ("2000m", 2),
        ("1.5", 1.5),
        ("128Mi", 128 << 20),
        ("4Gi", 4 << 30),
        ("1e3", 1000),
        ("0", 0),
    ],
)
def test_quantities_are_numbers(text: str, number: float) -> None:
    assert amount(text) == pytest.approx(number)


def test_a_container_uses_part_of_what_it_asks_for_and_never_more_than_it_may() -> None:
    spec = {"name": "a", "resources": {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "400m"}}}
    [one] = running(pod("a-1", [spec]))
    assert resources(spec, "requests") == (1000, 1 << 30)
    assert resources(spec, "limits") == (400, 0)
    seen = [LOAD.container(one, NOW + second) for second in range(0, 600, 5)]
    assert all(1 <= each.millicores <= 400 for each in seen)
    assert all(0.4 * (1 << 30) < each.memory < 1 << 30 for each in seen)
    assert max(each.memory for each in seen) > min(each.memory for each in seen)


def test_values_move_smoothly_from_interval_to_interval() -> None:
    """A minute of the lab is two seconds here: nothing doubles in it."""
    [one] = running(pod("a-1", [{"name": "a"}]))
    seen = [LOAD.container(one, NOW + 2 * step).millicores for step in range(60)]
    assert len(set(seen)) > 3
    assert all(later < 1.5 * earlier + 1 for earlier, later in itertools.pairwise(seen))


def test_counters_only_grow_and_start_at_nothing() -> None:
    item = pod("a-1", [{"name": "a"}])
    assert LOAD.network(item, NOW, NOW) == (0, 0)
    seen = [LOAD.network(item, NOW, NOW + second / 10) for second in range(2000)]
    for each in zip(*seen, strict=True):
        assert list(each) == sorted(each)
        rates = [(later - earlier) * 10 for earlier, later in itertools.pairwise(each)]
        assert min(rates) > 1_000
        assert max(rates) < 50_000


def test_pods_on_the_host_share_its_network_and_others_do_not() -> None:
    first, second = (pod(name, [{"name": name}], hostNetwork=True) for name in ("a", "b"))
    second["metadata"]["ownerReferences"] = []
    own = pod("c", [{"name": "c"}])
    assert LOAD.network(first, NOW, NOW + 60) == LOAD.network(second, NOW, NOW + 60)
    assert LOAD.network(first, NOW, NOW + 60) != LOAD.network(own, NOW, NOW + 60)


def test_a_seed_gives_the_same_again_whatever_the_uids_are() -> None:
    [one], [other] = running(pod("a-1", [{"name": "a"}])), running(pod("a-1", [{"name": "a"}]))
    other.pod["metadata"]["uid"] = "another"
    assert LOAD.container(one, NOW) == LOAD.container(other, NOW)
    assert LOAD.container(one, NOW) != Load(NODE, "t", 30.0).container(one, NOW)


def test_a_host_uses_what_its_containers_do_and_more() -> None:
    machine = Stub([pod("a", [limited("a", "500m", "1Gi")])])
    used = LOAD.container(machine.containers()[0], NOW)
    points = {name: host.points(name, LOAD, machine, {"host": "worker-1"}, NOW)[0] for name in ("cpu", "mem", "system")}
    assert points["mem"].fields["total"] == MEMORY_BYTES
    assert used.memory < float(points["mem"].fields["used"]) < MEMORY_BYTES
    parts = [float(points["mem"].fields[name]) for name in ("used", "free", "cached", "buffered")]
    assert sum(parts) == pytest.approx(MEMORY_BYTES)
    assert float(points["cpu"].fields["usage_total"]) * 40 > used.millicores
    assert points["system"].fields["load15_per_core"] == float(points["system"].fields["load15"]) / 4
    assert points["system"].tags == {"host": "worker-1"}
    [disk] = host.points("disk", LOAD, machine, {}, NOW)
    assert disk.tags == {"device": "/dev/vda1", "fstype": "ext4", "mount_point": "/"}
    assert float(disk.fields["used"]) + float(disk.fields["free"]) == disk.fields["total"]
