"""curl as it is in DataKit's image (7.81, OpenSSL 3): the options the wizard and a person in a workshop need.

Exit statuses and messages are curl's own: 3 malformed URL, 6 name, 7 refused, 22 -f, 23 write, 28 deadline,
35 handshake, 52 empty answer, 56 refused by the server after the handshake, 58 client certificate, 60
verification, 77 CA file.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tui.core.ports import ExecResult
from tui.lab.container import Container
from tui.lab.network import Network, NetworkError, tls_context

_VALUED = {
    "-o": "output",
    "--output": "output",
    "-w": "write_out",
    "--write-out": "write_out",
    "--cacert": "cacert",
    "--cert": "cert",
    "-E": "cert",
    "--key": "key",
    "-m": "max_time",
    "--max-time": "max_time",
    "--connect-timeout": "connect_timeout",
    "-H": "header",
    "--header": "header",
    "-X": "method",
    "--request": "method",
    "-d": "data",
    "--data": "data",
    "--data-raw": "data",
    "-A": "agent",
    "--user-agent": "agent",
    "--url": "url",
    "--noproxy": "noproxy",
}
_FLAGS = {
    "-s": "silent",
    "--silent": "silent",
    "-S": "show_error",
    "--show-error": "show_error",
    "-k": "insecure",
    "--insecure": "insecure",
    "-f": "fail",
    "--fail": "fail",
    "-L": "location",
    "--location": "location",
    "-g": "globoff",
    "--globoff": "globoff",
    "--http1.1": "http11",
    "-4": "ipv4",
}


@dataclass
class _Call:
    values: dict[str, str] = field(default_factory=dict)
    flags: set[str] = field(default_factory=set)
    headers: dict[str, str] = field(default_factory=dict)
    urls: list[str] = field(default_factory=list)

    def set(self, name: str, value: str) -> None:
        if name == "header":
            key, _, text = value.partition(":")
            self.headers[key.strip()] = text.strip()
        elif name == "url":
            self.urls.append(value)
        else:
            self.values[name] = value


class _UsageError(Exception):
    pass


def _parse(arguments: Sequence[str]) -> _Call:
    call = _Call()
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        if not word.startswith("-") or word == "-":
            call.urls.append(word)
        elif word.startswith("--"):
            _parse_option(call, word, rest)
        else:
            letters = word[1:]
            while letters:
                option, letters = f"-{letters[0]}", letters[1:]
                if option in _VALUED and letters:
                    call.set(_VALUED[option], letters)
                    break
                _parse_option(call, option, rest)
    return call


def _parse_option(call: _Call, option: str, rest: list[str]) -> None:
    if option in _FLAGS:
        call.flags.add(_FLAGS[option])
    elif option in _VALUED:
        if not rest:
            raise _UsageError(f"option {option}: requires parameter")
        call.set(_VALUED[option], rest.pop(0))
    else:
        raise _UsageError(f"option {option}: is unknown")


class _CurlError(Exception):
    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def _tls(call: _Call, container: Container) -> ssl.SSLContext:
    ca = b""
    if "cacert" in call.values and "insecure" not in call.flags:
        path = call.values["cacert"]
        try:
            ca = container.read(path)
        except OSError:
            ca = b""
        if b"BEGIN" not in ca:
            message = f"error setting certificate file: {path}"
            raise _CurlError(77, message)
    cert = call.values.get("cert", "").replace("\\:", ":")  # a bare colon would begin the password
    key = call.values.get("key", cert)
    real_cert = str(container.real(cert)) if cert else ""
    real_key = str(container.real(key)) if cert else ""
    try:
        return tls_context(ca, real_cert, real_key, insecure="insecure" in call.flags)
    except ssl.SSLError:
        # A certificate that reads well leaves the key: another one, or none.
        good = container.real(cert).is_file() and b"BEGIN CERT" in container.read(cert)
        message = f"unable to set private key file: '{key}' type PEM" if good else _bad_certificate(cert)
        raise _CurlError(58, message) from None
    except OSError:
        if not container.real(cert).is_file():
            raise _CurlError(58, _bad_certificate(cert)) from None
        raise _CurlError(58, f"unable to set private key file: '{key}' type PEM") from None


def _bad_certificate(path: str) -> str:
    return (
        f"could not load PEM client certificate from {path}, OpenSSL error error:80000002:system library::"
        "No such file or directory, (no key found, wrong pass phrase, or wrong file format?)"
    )


def _seconds(call: _Call, name: str) -> float:
    try:
        return float(call.values.get(name, 0))
    except ValueError:
        raise _UsageError(f"option {name}: expected a proper numerical parameter") from None


def _error(error: NetworkError, url: str, limit_s: float) -> _CurlError:
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or {"https": 443}.get(parts.scheme, 80)
    if error.kind == "resolve":
        return _CurlError(6, f"Could not resolve host: {host}")
    if error.kind == "refused":
        return _CurlError(7, f"Failed to connect to {host} port {port} after 0 ms: Connection refused")
    if error.kind == "timeout":
        milliseconds = int(limit_s * 1000)
        return _CurlError(28, f"Operation timed out after {milliseconds} milliseconds with 0 bytes received")
    if error.kind == "verify":
        if "expired" in error.reason:
            why = "SSL certificate problem: certificate has expired"
        elif "ismatch" in error.reason:
            why = f"SSL: no alternative certificate subject name matches target host name '{host}'"
        else:
            why = "SSL certificate problem: unable to get local issuer certificate"
        return _CurlError(60, why)
    if error.kind == "handshake":
        return _CurlError(35, "error:0A00010B:SSL routines::wrong version number")
    if error.kind == "certificate":
        alert = error.reason.rpartition("tls: ")[2]
        number = "0A00045C" if alert == "certificate required" else "0A000412"
        return _CurlError(56, f"OpenSSL SSL_read: error:{number}:SSL routines::tlsv13 alert {alert}, errno 0")
    if error.kind == "scheme":
        return _CurlError(1 if parts.scheme else 3, f'Protocol "{parts.scheme}" not supported or disabled in libcurl')
    return _CurlError(52, "Empty reply from server")


async def curl(container: Container, network: Network, arguments: Sequence[str], stdin: bytes) -> ExecResult:
    """Run curl with these arguments inside a container."""
    try:
        call = _parse(arguments)
        limit = _seconds(call, "max_time")
        connect = _seconds(call, "connect_timeout")
    except _UsageError as error:
        text = f"curl: {error}\ncurl: try 'curl --help' or 'curl --manual' for more information\n"
        return ExecResult(b"", text.encode(), 2)
    if not call.urls:
        return ExecResult(b"", b"curl: no URL specified!\n", 2)
    url = call.urls[0]
    url = url if "://" in url else f"http://{url}"
    status, body, failure = 0, b"", None
    try:
        answer = await _send(call, container, network, url, limit or connect or 300.0, stdin)
        status, body = answer
        if "fail" in call.flags and status >= 400:
            body = b""
            failure = _CurlError(22, f"The requested URL returned error: {status}")
    except _CurlError as error:
        failure = error
    stdout = b""
    output = call.values.get("output", "-")
    if output == "-":
        stdout = body
    elif output != "/dev/null" and failure is None:
        try:
            container.real(output).write_bytes(body)
        except OSError:
            failure = _CurlError(23, "Failure writing output to destination")
    template = call.values.get("write_out", "")
    for escape, character in (("\\n", "\n"), ("\\t", "\t"), ("\\r", "\r")):
        template = template.replace(escape, character)
    template = template.replace("%{http_code}", f"{status:03d}").replace("%{response_code}", f"{status:03d}")
    template = template.replace("%{size_download}", str(len(body))).replace("%%", "%")
    stdout += template.encode()
    quiet = "silent" in call.flags and "show_error" not in call.flags
    stderr = f"curl: ({failure.code}) {failure}\n" if failure and not quiet else ""
    return ExecResult(stdout, stderr.encode(), failure.code if failure else 0)


async def _send(
    call: _Call, container: Container, network: Network, url: str, limit_s: float, stdin: bytes
) -> tuple[int, bytes]:
    body = call.values.get("data", "").encode()
    if call.values.get("data") == "@-":
        body = stdin
    method = call.values.get("method") or ("POST" if "data" in call.values else "GET")
    headers = {"User-Agent": call.values.get("agent", "curl/7.81.0"), "Accept": "*/*", **call.headers}
    tls = _tls(call, container) if url.startswith("https://") else None
    try:
        answer = await network.request(
            container.node.name, method, url, tls=tls, headers=headers, body=body, timeout_s=limit_s
        )
    except NetworkError as error:
        raise _error(error, url, limit_s) from None
    return answer.status, answer.body
