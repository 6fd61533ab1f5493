"""The table of addresses and the HTTP client over it, with the stand-in for etcd behind."""

from __future__ import annotations

import pytest
from lab_machines import Machines, client_tls

from tui.lab.network import NetworkError, Request, Response, tls_context
from tui.lab.pki import ETCD_FOLDER, Authority


@pytest.mark.parametrize(
    ("node", "url"),
    [
        ("cp-1", "https://127.0.0.1:2379/metrics"),
        ("cp-1", "https://localhost:2379/metrics"),
        ("cp-1", "https://172.16.0.229:2379/metrics"),
        ("worker-1", "https://172.16.0.229:2379/metrics"),
        ("worker-1", "https://cp-1:2379/metrics"),
        ("cp-1", "http://127.0.0.1:2381/metrics"),
    ],
)
async def test_etcd_answers_where_a_real_one_would(machines: Machines, node: str, url: str) -> None:
    answer = await machines.network.request(node, "GET", url, tls=client_tls(machines.nodes[0]))
    assert answer.status == 200
    assert b"\netcd_server_has_leader 1\n" in answer.body


@pytest.mark.parametrize(
    ("node", "url", "kind"),
    [
        ("worker-1", "http://127.0.0.1:2381/metrics", "refused"),
        ("worker-1", "http://172.16.0.229:2381/metrics", "refused"),
        ("worker-1", "https://127.0.0.1:2379/metrics", "refused"),
        ("cp-1", "http://10.0.0.1:80/", "refused"),
        ("cp-1", "http://nowhere.example:80/", "resolve"),
        ("cp-1", "https://127.0.0.1:2381/metrics", "handshake"),
        ("cp-1", "http://127.0.0.1:2379/metrics", "receive"),
        ("cp-1", "ftp://127.0.0.1/", "scheme"),
        ("cp-1", "http://127.0.0.1:notaport/", "scheme"),
    ],
)
async def test_what_does_not_answer_says_why(machines: Machines, node: str, url: str, kind: str) -> None:
    with pytest.raises(NetworkError) as caught:
        await machines.network.request(node, "GET", url, tls=client_tls(machines.nodes[0]))
    assert caught.value.kind == kind


async def test_etcd_wants_a_client_certificate_of_its_own_authority(machines: Machines) -> None:
    url = "https://127.0.0.1:2379/metrics"
    ca = machines.pki.etcd.pem
    foreign = Authority("other").issue("other").write(machines.folder, "other")
    for tls in (tls_context(ca), tls_context(ca, *map(str, foreign))):
        with pytest.raises(NetworkError) as caught:
            await machines.network.request("cp-1", "GET", url, tls=tls)
        assert caught.value.kind == "certificate"


async def test_the_server_is_verified_by_the_host_of_the_url(machines: Machines) -> None:
    url, good = "https://127.0.0.1:2379/metrics", client_tls(machines.nodes[0])
    with pytest.raises(NetworkError) as caught:
        await machines.network.request("cp-1", "GET", url, tls=good, server_name="elsewhere")
    assert caught.value.kind == "verify"
    with pytest.raises(NetworkError) as caught:
        await machines.network.request("cp-1", "GET", url)  # the system's roots do not know etcd's authority
    assert caught.value.kind == "verify"
    skipped = tls_context(
        cert=str(machines.nodes[0].path(f"{ETCD_FOLDER}/peer.crt")),
        key=str(machines.nodes[0].path(f"{ETCD_FOLDER}/peer.key")),
        insecure=True,
    )
    assert (await machines.network.request("cp-1", "GET", url, tls=skipped)).status == 200


async def test_functions_can_listen_and_know_who_is_local(machines: Machines) -> None:
    async def answer(request: Request) -> Response:
        return Response(200 if request.loopback else 403, f"{request.path}?{request.query}".encode())

    machines.network.listen("worker-1", "0.0.0.0", 9529, answer)
    local = await machines.network.request("worker-1", "GET", "http://127.0.0.1:9529/v1/ping?a=b")
    assert (local.status, local.body) == (200, b"/v1/ping?a=b")
    other = await machines.network.request("cp-1", "GET", "http://172.16.0.230:9529/v1/ping")
    assert other.status == 403
    machines.network.close_port("worker-1", 9529)
    with pytest.raises(NetworkError, match="refused"):
        await machines.network.request("worker-1", "GET", "http://127.0.0.1:9529/v1/ping")
