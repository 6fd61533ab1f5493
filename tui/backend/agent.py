"""The DataKit in one pod, asked from inside: `curl` to its own API, `cat` and `test`, each an exec without
a shell.

From outside the agent answers whitelisted paths only; over loopback it answers all (DataKit 1.84.1).
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from tui.core.errors import UnreachableError, WizardError
from tui.core.ports import AgentInputs, ExecResult, Feed, Reader
from tui.core.prom.collector import Scrape
from tui.core.redaction import strike_secrets
from tui.i18n import N_, _

_API = "http://127.0.0.1:9529"
_CURL_S = 10
_EXEC_S = 40.0
_DATAKIT = "/usr/local/datakit/datakit"
_TIMED_OUT = 124  # timeout(1)
_SAMPLE = re.compile(r"^([A-Za-z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_STATUSES = ("success", "defeat", "disabled", "banned")

UNUSABLE_PAIR = 58
# curl's exit statuses (curl(1), 7.81); others are shown in curl's own words.
_CURL_ERRORS = {
    3: N_("the URL is malformed"),
    6: N_("the host name does not resolve"),
    7: N_("connection refused"),
    28: N_("no answer in time"),
    35: N_("the TLS handshake failed"),
    52: N_("the server closed the connection without an answer"),
    56: N_("the server broke the connection off, as it does where it wants another client certificate"),
    UNUSABLE_PAIR: N_("the client certificate and key cannot be used together"),
    60: N_("the server's certificate is not verified by this CA"),
    77: N_("the CA file cannot be read"),
}


class DataKitAgent:
    """`tui.core.ports.Agent` over one pod's container."""

    def __init__(self, cluster: Reader, namespace: str, pod: str, node: str, container: str) -> None:
        self.node = node
        self.pod = pod
        self._cluster = cluster
        self._namespace = namespace
        self._container = container

    def version(self) -> str:
        """DataKit's version, e.g. "1.84.1"."""
        return str(_content(self._json("/v1/ping")).get("version", ""))

    def inputs(self) -> AgentInputs:
        """The conf files and their inputs, and the election as this agent sees it."""
        stat = _content(self._json("/v1/dca/stat"))
        loaded: dict[str, int] = {}
        inputs = (stat.get("config_info") or {}).get("inputs") or {}
        for paths in (entry.get("config_paths") or [] for entry in inputs.values()):
            for file in paths:
                path, state = str(file.get("path", "")), int(file.get("loaded", 0))
                # One file may hold several inputs: what failed counts before what changed, that before what loaded.
                loaded[path] = min(state, loaded.get(path, state), key=(0, 2, 1).index)
        enabled = stat.get("enabled_input_list") or {}
        instances = {str(name): int(entry.get("instances", 0)) for name, entry in enabled.items()}
        elected, leader = self._election(parse_elected(str(stat.get("elected") or "")))
        return AgentInputs(loaded, instances, elected, leader)

    def host_tags(self) -> dict[str, str]:
        """The global host tags in force."""
        return _tags(self._json("/v1/global/host/tags"), "host-tags")

    def election_tags(self) -> dict[str, str]:
        """The global election tags in force."""
        return _tags(self._json("/v1/global/election/tags"), "election-tags")

    def feeds(self) -> dict[str, Feed]:
        """What each input has fed since the agent started, by feed name."""
        count: dict[str, float] = {}
        points: dict[str, float] = {}
        last: dict[str, float] = {}
        for name, labels, value in self._metrics():
            feed = labels.get("name", "")
            if name == "datakit_io_feed_total":
                count[feed] = count.get(feed, 0) + value
            elif name == "datakit_io_feed_point_sum":
                points[feed] = points.get(feed, 0) + value
            elif name == "datakit_io_last_feed_timestamp_seconds":
                last[feed] = max(last.get(feed, 0), value)
        return {feed: Feed(count[feed], points.get(feed, 0), last.get(feed, 0)) for feed in count}

    def uploads(self) -> dict[str, float]:
        """Points of category metric uploaded since the agent started, by status."""
        found: dict[str, float] = {}
        for name, labels, value in self._metrics():
            if name == "datakit_io_dataway_point_total" and labels.get("category") == "metric":
                status = labels.get("status", "")
                found[status] = found.get(status, 0) + value
        return found

    def file(self, path: str) -> bytes | None:
        """A file inside the container; None where it does not exist or is a directory. Never a private key."""
        if re.search(r"(^|[-_./])key(\.pem)?$", path):
            raise self._error(_("Private keys are not read."), path)
        result = self.run(["cat", "--", path])
        if result.code:
            said = result.stderr.decode(errors="replace").strip()
            if re.search(r"No such file|Is a directory|Not a directory", said):
                return None
            raise self._error(_("The file cannot be read."), path, said)
        if b"PRIVATE KEY-----" in result.stdout:
            raise self._error(_("Private keys are not read."), path)
        return result.stdout

    def access(self, path: str) -> bool | None:
        """Whether the agent can read a file: None where there is none."""
        if self.run(["test", "-r", path]).code == 0:
            return True
        return False if self.run(["test", "-e", path]).code == 0 else None

    def changed_s(self, path: str) -> float | None:
        """When the file that `path` leads to was last written, in unix seconds; None where nobody says."""
        said = self.run(["stat", "-L", "-c", "%Y", path]).stdout.decode(errors="replace").strip()
        return float(said) if said.isdigit() else None

    def debug(self, conf: str, *, seconds: float) -> str:
        """What `datakit debug --input-conf` prints of `conf` within `seconds`: its inputs run, nothing is sent.

        The conf lies in the container's /tmp meanwhile, and goes whatever happens. It runs until it is ended (DataKit
        1.84.1, internal/cmds), so timeout's status 124 is the good one.
        """
        text, path = conf.encode(), f"/tmp/datakit-wizard-{secrets.token_hex(8)}.conf"
        remove = ["rm", "-f", path]
        try:
            self._must(["dd", f"of={path}", "bs=1", f"count={len(text)}", "conv=excl", "status=none"], path, stdin=text)
            argv = ["timeout", f"{seconds:g}", _DATAKIT, "debug", "--input-conf", path]
            result = self.run(argv, timeout_s=seconds + _EXEC_S)
        except BaseException:
            with suppress(WizardError):
                self.run(remove)
            raise
        self._must(remove, path)
        said = (result.stdout + result.stderr).decode(errors="replace")
        if result.code not in (0, _TIMED_OUT):
            raise self._error(_("DataKit could not run the conf."), path, strike_secrets(said.strip())[-500:])
        return said

    def _must(self, argv: Sequence[str], path: str, stdin: bytes = b"") -> None:
        result = self.run(argv, stdin=stdin)
        if result.code:
            why = result.stderr.decode(errors="replace").strip()
            raise self._error(_("A temporary file in the container could not be written or removed."), path, why)

    def scrape(self, url: str, *, ca: str = "", cert: str = "", key: str = "") -> Scrape:
        """GET `url` from inside the pod; without `ca` the server is not verified, as the agent does it."""
        return self.fetch(url, ca=ca, cert=cert, key=key)[1]

    def fetch(self, url: str, *, ca: str = "", cert: str = "", key: str = "") -> tuple[int, Scrape]:
        """As scrape, with curl's exit status."""
        argv = ["curl", "-s", "-S", "-g", "--noproxy", "*", "-m", str(_CURL_S), "-w", "\\n%{http_code}"]
        argv += ["--cacert", ca] if ca else ["-k"]
        argv += ["--cert", cert.replace(":", r"\:")] if cert else []
        argv += ["--key", key] if key else []
        result = self.run([*argv, "--url", url])
        if result.code:
            return result.code, Scrape(None, status=0, error=_curl_error(result))
        body, _newline, status = result.stdout.rpartition(b"\n")
        return 0, Scrape(body, status=int(status or 0))

    def run(self, argv: Sequence[str], *, stdin: bytes = b"", timeout_s: float = _EXEC_S) -> ExecResult:
        """A command in the agent's container."""
        return self._cluster.exec(self._namespace, self.pod, self._container, argv, stdin=stdin, timeout_s=timeout_s)

    def _election(self, status: str) -> tuple[str, str]:
        """Status and leader from /metrics, whose label `elected_id` names the leader for every agent.

        Of several series the one with the status that the agent claims counts, then the newest: the value
        is the time when it was set.
        """
        series = [
            (labels.get("status", "") == status, value, labels)
            for name, labels, value in self._metrics()
            if name == "datakit_election_status"
        ]
        if not series:
            return status or "disabled", ""
        _same, _value, labels = max(series, key=lambda each: each[:2])
        return status or labels.get("status", ""), labels.get("elected_id", "")

    def _metrics(self) -> Iterator[tuple[str, Mapping[str, str], float]]:
        for line in self._get("/metrics").decode(errors="replace").splitlines():
            if match := _SAMPLE.match(line):
                labels = {key: re.sub(r"\\(.)", r"\1", value) for key, value in _LABEL.findall(match[2] or "")}
                try:
                    yield match[1], labels, float(match[3])
                except ValueError:
                    continue

    def _json(self, path: str) -> dict[str, Any]:
        try:
            answer = json.loads(self._get(path))
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise self._error(_("DataKit gave an answer that is not understood."), path)
        return answer

    def _get(self, path: str) -> bytes:
        code, answer = self.fetch(_API + path)
        if code or answer.body is None:
            raise UnreachableError(
                _("DataKit does not answer on node {node}.").format(node=self.node),
                object=f"pod {self._namespace}/{self.pod}, {_API}{path}",
                why=answer.error,
                remedy=_("It may be starting still; look at the pod's log."),
                command=f"kubectl -n {self._namespace} exec {self.pod} -c {self._container} -- curl -s {_API}{path}",
            )
        if answer.status != 200:
            said = answer.body.decode(errors="replace")[:300]
            raise self._error(_("DataKit refuses (HTTP {status}).").format(status=answer.status), path, said)
        return answer.body

    def _error(self, what: str, path: str, why: str = "") -> WizardError:
        return WizardError(what, object=f"pod {self._namespace}/{self.pod}, {path}", why=why)


def parse_elected(text: str) -> str:
    """The status in `success::namespace|node(elected: …)`; other versions write the namespace first. "" unknown."""
    words = re.split(r"::|\|", text)[:2]
    return next((word for word in words if word in _STATUSES), "")


def parse_go_map(text: str) -> dict[str, str]:
    """A Go map as `%v` prints it: `map[a:1 b:two words]`. A blank before `word:` ends a value."""
    match = re.fullmatch(r"map\[(.*)\]", text.strip(), re.S)
    if not match or not match[1]:
        return {}
    pairs = re.split(r" (?=[^\s:]+:)", match[1])
    return {key: value for key, _colon, value in (pair.partition(":") for pair in pairs)}


def _content(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    content = answer.get("content")
    return content if isinstance(content, dict) else {}


def _tags(answer: Mapping[str, Any], key: str) -> dict[str, str]:
    """Global tags: DataKit 1.84.1 prints a Go map into a string, its manual shows an object."""
    tags = answer.get(key, _content(answer).get(key))
    if isinstance(tags, dict):
        return {str(name): str(value) for name, value in tags.items()}
    return parse_go_map(str(tags or ""))


def _curl_error(result: ExecResult) -> str:
    """Why curl failed: the meaning of its exit status, then its own words."""
    said = re.sub(r"^curl: \(\d+\) ", "", result.stderr.decode(errors="replace").strip())
    meaning = _CURL_ERRORS.get(result.code)
    if meaning is None:
        return said or _("curl ended with status {code}").format(code=result.code)
    return f"{_(meaning)} ({said})" if said else _(meaning)
