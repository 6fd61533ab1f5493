"""What an etcd.conf makes of one scrape, before anything is changed: equal, point for point, to DataKit 1.84.1."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus

from tui.core.conf_findings import findings as findings_of
from tui.core.conf_places import ERROR
from tui.core.prom import urls
from tui.core.prom.collector import Point, Round, Scrape, Target, collect, final_up
from tui.core.prom.conf import load, load_annotation
from tui.core.prom.explain import FamilyOutcome, explain
from tui.core.prom.live import Picture, Share, picture_of
from tui.core.prom.settings import ETCD, Loaded, Pod, PromInput
from tui.i18n import _


@dataclass(frozen=True)
class Remark:
    """Something to say of the scrape or the conf. `code` is stable and never translated; `line` from 1, 0 for none.

    Codes: "scrape/…" of the scrape (its lines), "conf/…" of the conf: what `tui.core.conf_findings` says, and three of
    our own: "conf/load" and "conf/empty" (nothing comes out of it, or less than it seems), "conf/init".
    """

    code: str
    severity: str  # "error", "warning", "info"
    message: str
    line: int = 0
    remedy: str = ""


@dataclass
class Preview:
    """The outcome of a preview. `up` as DataKit reports it: 1, 0, or None where it reports nothing.

    `points` are those of one round, of which `ups` points `collector up` are not part. `picture` says what became of
    each family; a share for each scrape that was read.
    """

    loaded: bool
    error: str
    up: int | None
    points: list[Point]
    findings: list[Remark] = field(default_factory=list)
    picture: Picture = field(default_factory=Picture)
    ups: int = 0

    @property
    def families(self) -> list[FamilyOutcome]:
        """The families of each scrape in order: several scrapes give several entries for one."""
        return [one for share in self.picture.shares for one in share.families]


def preview(
    conf_text: str,
    fetch: Callable[[str], Scrape],
    *,
    url: str = "",
    host_tags: Mapping[str, str],
    election_tags: Mapping[str, str],
    env: Mapping[str, str],
    now_ms: int,
    pod: Pod | None = None,
) -> Preview:
    """One round of every input of the conf against one target.

    `url` is the address that the scrape is taken to come from; "" means the first one in the conf. An input that lists
    it scrapes it as often as it does, an input that does not is left out; where none lists it, all inputs scrape it in
    place of their own. `fetch` is asked for this address alone. `env` and the global tags are the agent's. With a `pod`
    the text is that pod's annotation `datakit/prom.instances`.
    """
    loaded = load(conf_text, env) if pod is None else load_annotation(conf_text, pod)
    findings = list(_of_conf(loaded, conf_text, known=pod is None))
    rounds: list[Round] = []
    shares: list[Share] = []
    scrapes: dict[str, Scrape] = {}

    def fetch_once(address: str) -> Scrape:
        if address not in scrapes:
            scrapes[address] = fetch(address) if _can_be_read(address) else _no_such_file(address)
        return scrapes[address]

    for one in _aimed(loaded.inputs, url):
        done = collect(one, fetch_once, host_tags=host_tags, election_tags=election_tags, now_ms=now_ms)
        rounds.append(done)
        if one.kind == ETCD and any(target.error for target in done.targets):
            continue  # nothing of that round is sent
        shares += [Share(one, tuple(explain(one, each.exposition))) for each in done.targets if each.exposition]
    targets = [target for done in rounds for target in done.targets]
    findings += _of_scrapes(targets, scrapes)
    up = final_up(targets)
    picture = picture_of(tuple(shares), up=up is not None)
    points = [point for done in rounds for point in done.points]
    ups = sum(len(done.ups) for done in rounds)
    return Preview(bool(loaded.inputs), loaded.error, up, points, findings, picture, ups)


def _aimed(inputs: tuple[PromInput, ...], url: str) -> list[PromInput]:
    """The inputs, with no other targets than `url`."""
    if not url:
        url = next((one.urls[0] for one in inputs if one.urls), "")
    if not url:
        return []
    listing = [replace(one, urls=(url,) * one.urls.count(url)) for one in inputs if url in one.urls]
    if listing:
        return listing
    try:
        urls.parse(url)
    except ValueError as error:
        return [replace(one, urls=(url,), problem=str(error)) for one in inputs]
    return [replace(one, urls=(url,)) for one in inputs]


def _can_be_read(address: str) -> bool:
    """What has no http(s) scheme is opened as a file. A relative path is looked for where DataKit runs: not there."""
    return urls.parse(address).scheme in ("http", "https") or address.startswith("/")


def _no_such_file(address: str) -> Scrape:
    return Scrape(
        None,
        error=_("{url} has no http:// and is opened as a file, which is not there").format(url=urls.shown(address)),
    )


def _of_conf(loaded: Loaded, text: str, *, known: bool) -> Iterator[Remark]:
    found = findings_of(text) if known else []
    # What keeps the file or a block from loading is said once, in the loader's words, at the line that we know.
    fatal = None
    if loaded.error or not loaded.inputs:
        fatal = next((one for one in found if one.severity == ERROR and one.code in _FATAL), None)
    line, remedy = (fatal.line, fatal.remedy) if fatal else (0, "")
    if loaded.error:
        yield Remark("conf/load", "error", loaded.error, loaded.line or line, remedy)
    elif not loaded.inputs:
        nothing = _("no [[inputs.prom]] in the conf: DataKit ignores the file")
        yield Remark("conf/empty", "error", nothing, line, remedy)
    for one in loaded.inputs:
        if one.problem:
            yield Remark(
                "conf/init",
                "error",
                _("the input {source} never starts, and nothing says so: {problem}").format(
                    source=one.source, problem=one.problem
                ),
            )
    for finding in found:
        if finding is not fatal:
            yield Remark(f"conf/{finding.code}", finding.severity, finding.message, finding.line, finding.remedy)


_FATAL = ("not-toml", "no-block", "wrong-type", "misplaced")


def _of_scrapes(targets: list[Target], scrapes: Mapping[str, Scrape]) -> Iterator[Remark]:
    for target in {target.url: target for target in targets}.values():
        scrape = scrapes.get(target.url)
        if scrape and scrape.status != HTTPStatus.OK:
            message = _("HTTP status {status}: DataKit does not look at it and reads the body")
            yield Remark("scrape/status", "warning", message.format(status=scrape.status))
        if target.error:
            line = target.exposition.line if target.exposition else 0
            yield Remark("scrape/error", "error", f"{urls.shown(target.url)}: {target.error}", line, _guess(scrape))


def _guess(scrape: Scrape | None) -> str:
    """What a body that is no exposition seems to be."""
    start = (scrape.body or b"")[:512].lstrip() if scrape else b""
    if start.startswith(b"\x1f\x8b"):
        return _("This is gzip: unpack it first.")
    if start[:1] == b"<" or b"<html" in start.lower():
        return _("This is a web page: look at the URL, and at what answers there (a login, a proxy).")
    if start[:1] in (b"{", b"["):
        return _("This is JSON, not the Prometheus text format.")
    if b"\0" in start:
        return _("This is binary data, not the Prometheus text format.")
    return ""
