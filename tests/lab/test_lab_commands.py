"""Commands in a DataKit container: coreutils, grep, curl and the agent's own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from lab_machines import Machines

from tui.lab import commands
from tui.lab.commands import ExecutableNotFoundError, Shell
from tui.lab.container import Container, Mount
from tui.lab.network import Request, Response
from tui.lab.pki import ETCD_FOLDER, Authority

API = "http://127.0.0.1:9529/v1/ping"


@pytest.fixture
async def shell(machines: Machines) -> Shell:
    """A container on the control-plane node that sees the node at /rootfs."""
    node = machines.nodes[0]
    folder = machines.folder / "container"
    (folder / "usr/local/datakit/conf.d/etcd").mkdir(parents=True)
    (folder / "usr/local/datakit/conf.d/a.conf").write_text("x = 1\ny = 2\nX = 3\n")
    (folder / "usr/local/datakit/conf.d/.hidden").touch()
    container = Container(
        "p", "ns", "datakit", "u", "", node, folder, (Mount("/rootfs", node.root),), {"A": "1", "B": "two"}
    )

    async def api(request: Request) -> Response:
        return Response(200, b'{"content":{}}') if request.loopback else Response(403, b"no")

    machines.network.listen(node.name, "0.0.0.0", 9529, api)

    async def debug(path: str) -> AsyncIterator[str]:
        yield f"[E] open {path}: no such file or directory"

    return Shell(container, machines.network, lambda: (["[I] got 1 prom input in x"], True), debug)


CASES = [
    ("cat /usr/local/datakit/conf.d/a.conf", 0, "x = 1\ny = 2\nX = 3\n", ""),
    ("cat -- /rootfs/etc/hostname", 0, "cp-1\n", ""),
    ("cat /nope", 1, "", "cat: /nope: No such file or directory\n"),
    ("cat /usr", 1, "", "cat: /usr: Is a directory\n"),
    ("ls /usr/local/datakit/conf.d", 0, "a.conf\netcd\n", ""),
    ("ls -1a /usr/local/datakit/conf.d", 0, ".\n..\n.hidden\na.conf\netcd\n", ""),
    ("ls /usr/local/datakit/conf.d/a.conf", 0, "/usr/local/datakit/conf.d/a.conf\n", ""),
    ("ls /nope", 2, "", "ls: cannot access '/nope': No such file or directory\n"),
    ("test -r /rootfs/etc/kubernetes/pki/etcd/healthcheck-client.key", 0, "", ""),
    ("test -f /usr", 1, "", ""),
    ("test -d /usr", 0, "", ""),
    ("test -e /nope", 1, "", ""),
    ("stat -c %s:%F:%n /usr/local/datakit/conf.d/a.conf", 0, "18:regular file:/usr/local/datakit/conf.d/a.conf\n", ""),
    ("stat -c %F /usr/local/datakit/conf.d", 0, "directory\n", ""),
    ("stat -c %a /rootfs/etc/kubernetes/pki/etcd/peer.key", 0, "600\n", ""),
    ("stat -c %F /nope", 1, "", "stat: cannot statx '/nope': No such file or directory\n"),
    ("wc -c /usr/local/datakit/conf.d/a.conf", 0, "18 /usr/local/datakit/conf.d/a.conf\n", ""),
    ("tail -n 1 /usr/local/datakit/conf.d/a.conf", 0, "X = 3\n", ""),
    ("tail -n2 /usr/local/datakit/conf.d/a.conf", 0, "y = 2\nX = 3\n", ""),
    ("grep x /usr/local/datakit/conf.d/a.conf", 0, "x = 1\n", ""),
    ("grep -in x /usr/local/datakit/conf.d/a.conf", 0, "1:x = 1\n3:X = 3\n", ""),
    ("grep -c = /usr/local/datakit/conf.d/a.conf", 0, "3\n", ""),
    ("grep -E x|y /usr/local/datakit/conf.d/a.conf", 0, "x = 1\ny = 2\n", ""),
    ("grep -q z /usr/local/datakit/conf.d/a.conf", 1, "", ""),
    ("grep z /nope", 2, "", "grep: /nope: No such file or directory\n"),
    ("env", 0, "A=1\nB=two\n", ""),
    ("printenv B", 0, "two\n", ""),
    ("printenv C", 1, "", ""),
    ("timeout 5 cat /rootfs/etc/hostname", 0, "cp-1\n", ""),
    ("timeout 5 nosuch", 127, "", "timeout: failed to run command 'nosuch': No such file or directory\n"),
    (f"curl -s -S -m 10 {API}", 0, '{"content":{}}', ""),
    (f"curl -sS -o /dev/null -w %{{http_code}} {API}", 0, "200", ""),
    ("curl -s http://172.16.0.229:9529/", 0, "no", ""),
    ("curl -sf http://172.16.0.229:9529/", 22, "", ""),
    (
        "curl -sS http://127.0.0.1:1/",
        7,
        "",
        "curl: (7) Failed to connect to 127.0.0.1 port 1 after 0 ms: Connection refused\n",
    ),
    ("curl -s -w %{http_code} http://127.0.0.1:1/", 7, "000", ""),
    ("curl -sS http://nowhere.example/", 6, "", "curl: (6) Could not resolve host: nowhere.example\n"),
    (
        "curl -sS --frobnicate http://x/",
        2,
        "",
        "curl: option --frobnicate: is unknown\ncurl: try 'curl --help' or 'curl --manual' for more information\n",
    ),
]


@pytest.mark.parametrize(("line", "code", "stdout", "stderr"), CASES, ids=[case[0][:60] for case in CASES])
async def test_commands(shell: Shell, line: str, code: int, stdout: str, stderr: str) -> None:
    result = await commands.run(shell, line.split())
    assert (result.code, result.stdout.decode(), result.stderr.decode()) == (code, stdout, stderr)


async def test_what_is_not_there_is_an_error_of_the_runtime(shell: Shell) -> None:
    with pytest.raises(ExecutableNotFoundError, match=r'exec: "sh": executable file not found in \$PATH'):
        await commands.run(shell, ["sh", "-c", "true"])


async def test_datakit_itself(shell: Shell) -> None:
    version = await commands.run(shell, ["datakit", "version"])
    assert "Version: 1.84.1" in version.stdout.decode()
    check = await commands.run(shell, ["datakit", "check", "--config"])
    assert (check.code, check.stdout.splitlines()[0]) == (0, b"[I] got 1 prom input in x")


ETCD = "https://127.0.0.1:2379/health"
PKI = f"/rootfs{ETCD_FOLDER}"
CA = ["--cacert", f"{PKI}/ca.crt"]
PAIR = ["--cert", f"{PKI}/healthcheck-client.crt", "--key", f"{PKI}/healthcheck-client.key"]
TLS = {
    "good": ([*CA, *PAIR, ETCD], 0),
    "by address": ([*CA, *PAIR, "https://172.16.0.229:2379/health"], 0),
    "not verified": (["-k", *PAIR, ETCD], 0),
    "unknown authority": ([*PAIR, ETCD], 60),
    "no client certificate": ([*CA, ETCD], 56),
    "another authority's": ([*CA, "--cert", "/tmp/other.crt", "--key", "/tmp/other.key", ETCD], 56),
    "key of another": ([*CA, "--cert", f"{PKI}/peer.crt", "--key", f"{PKI}/server.key", ETCD], 58),
    "missing certificate": ([*CA, "--cert", "/nope.crt", "--key", f"{PKI}/peer.key", ETCD], 58),
    "missing key": ([*CA, "--cert", f"{PKI}/peer.crt", "--key", "/nope.key", ETCD], 58),
    "missing CA": (["--cacert", "/nope.crt", *PAIR, ETCD], 77),
    "plain port": ([*CA, *PAIR, "https://127.0.0.1:2381/health"], 35),
    "http to TLS": (["http://127.0.0.1:2379/health"], 52),
}


@pytest.fixture
async def hanging(machines: Machines) -> AsyncIterator[None]:
    """A port that accepts and never answers."""
    import asyncio

    from tui.lab.network import Socket

    server = await asyncio.start_server(lambda reader, writer: reader.read(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    machines.network.listen("cp-1", "127.0.0.1", 8080, Socket("127.0.0.1", port))
    yield
    server.close()


@pytest.mark.parametrize("name", TLS)
async def test_curl_tells_tls_failures_apart(shell: Shell, machines: Machines, name: str) -> None:
    arguments, code = TLS[name]
    Authority("other").issue("other").write(shell.container.folder / "tmp", "other")
    result = await commands.run(shell, ["curl", "-sS", "-m", "5", "-w", "\\n%{http_code}", *arguments])
    assert result.code == code, result
    status = result.stdout.rpartition(b"\n")[2]
    assert status == (b"200" if code == 0 else b"000")
    assert bool(result.stderr) == (code != 0)
    assert str(machines.folder) not in result.stderr.decode()


async def test_curl_gives_up_in_time(shell: Shell, hanging: None) -> None:
    result = await commands.run(shell, ["curl", "-sS", "--max-time", "0.2", "http://127.0.0.1:8080/"])
    assert result.code == 28
    assert b"timed out" in result.stderr
