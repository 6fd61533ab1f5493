"""A certificate that was renewed under a running DataKit is told by the time of its file."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from tui.core.checks import certificates
from tui.core.checks.facts import Facts
from tui.core.errors import ForbiddenError, NotFoundError
from tui.core.ports import CertificateFile, NodeCertificates
from tui.core.prom.settings import TLS, PromInput
from tui.core.survey import AgentPod

STARTED_S = 1_800_000_000.0
POD = AgentPod("cp-1", "datakit-a", True)
INPUT = PromInput(urls=("https://127.0.0.1:2379/metrics",), tls=TLS(ca=("/pki/ca.crt",), cert="/pki/a.crt", key="/k"))


def facts(changed_s: float | None, started_s: float | None = STARTED_S, *, found: PromInput = INPUT) -> Any:
    ca, cert = (CertificateFile(path, True, True, changed_s=changed_s) for path in ("/pki/ca.crt", "/pki/a.crt"))
    seen = NodeCertificates(
        "cp-1", replace(ca, changed_s=STARTED_S - 9), cert, CertificateFile("/k", True, True), True, 200
    )
    return SimpleNamespace(
        may_exec=True,
        collecting_pods=[POD],
        etcd_inputs=lambda _node="": [found],
        certificates=lambda *_what: seen,
        started_s=lambda _pod: started_s,
        cluster=SimpleNamespace(context="lab"),
        datakit=SimpleNamespace(namespace="datakit", name="datakit"),
    )


def test_a_file_newer_than_its_reader_is_told_with_the_restart() -> None:
    told = certificates.renewed(facts(STARTED_S + 60))
    assert told.status == "fail"
    assert "/pki/a.crt" in told.found
    assert "/pki/ca.crt" not in told.found
    assert told.object == "cp-1"
    assert told.command == "kubectl --context lab -n datakit rollout restart daemonset/datakit"


@pytest.mark.parametrize("changed_s", [STARTED_S - 60, STARTED_S, STARTED_S + 1])  # both are whole seconds
def test_a_file_as_old_as_its_reader_is_well(changed_s: float) -> None:
    assert certificates.renewed(facts(changed_s)).status == "pass"


def test_where_the_times_are_not_known_nothing_is_said() -> None:
    for one in (facts(STARTED_S + 60, None), facts(STARTED_S + 60, found=PromInput(urls=("http://127.0.0.1:2381/",)))):
        told = certificates.renewed(one)
        assert (told.status, told.needed) == ("skip", False)


class Cluster:
    """Pods that may be read one by one, or only listed."""

    def __init__(self, refused: Exception | None = None) -> None:
        self.refused = refused
        state = {"running": {"startedAt": "2027-01-15T08:00:00Z"}}
        statuses = [{"name": "other", "state": {}}, {"name": "datakit", "state": state}]
        self.pod = {"metadata": {"name": "datakit-a"}, "status": {"containerStatuses": statuses}}

    def get(self, *_what: object) -> Any:
        if self.refused is not None:
            raise self.refused
        return self.pod

    def list(self, *_what: object, labels: str) -> Any:
        assert labels == "app=datakit"
        return [self.pod]


@pytest.mark.parametrize(
    ("refused", "started_s"), [(None, STARTED_S), (ForbiddenError("no"), STARTED_S), (NotFoundError("gone"), None)]
)
def test_when_the_container_started(refused: Exception | None, started_s: float | None) -> None:
    cluster: Any = Cluster(refused)
    seen = Facts(SimpleNamespace(), cluster)  # type: ignore[arg-type]
    item = {"spec": {"selector": {"matchLabels": {"app": "datakit"}}}}
    seen._kept["datakit"] = SimpleNamespace(namespace="datakit", container="datakit", object=item)
    assert seen.started_s(POD) == started_s
