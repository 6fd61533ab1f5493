"""One round of an input as DataKit 1.84.1 does it: fetch, read, filter, name, tag, send."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from tui.core.prom import exposition, urls
from tui.core.prom.exposition import Exposition
from tui.core.prom.points import Builder, Point, Tags, Value, mended
from tui.core.prom.settings import ANNOTATION, ETCD, PROM, PromInput
from tui.i18n import _

__all__ = ["Point", "Round", "Scrape", "Target", "Value", "collect", "final_up", "points_of", "up_point", "url_tags"]


@dataclass(frozen=True)
class Scrape:
    """What a target answered. `body` None: no answer, `error` says why. The collector never looks at the status."""

    body: bytes | None
    status: int = 200
    error: str = ""


@dataclass
class Target:
    """How one URL of a round went: what was read, the last up (None: none was sent), what went wrong ("" nothing)."""

    url: str
    error: str = ""
    exposition: Exposition | None = None
    up: int | None = None


@dataclass
class Round:
    """What one input sends in one round: its points, its `collector up` points in order of time, and how it went."""

    points: list[Point] = field(default_factory=list)
    ups: list[Point] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)


def final_up(targets: Iterable[Target]) -> int | None:
    """1 if every target that sent an up point ended with 1, 0 if one ended with 0, None if none was sent."""
    ups = [target.up for target in targets if target.up is not None]
    return min(ups) if ups else None


def collect(
    settings: PromInput,
    fetch: Callable[[str], Scrape],
    *,
    host_tags: Mapping[str, str],
    election_tags: Mapping[str, str],
    now_ms: int,
) -> Round:
    """Scrape every URL of an input once, in order.

    `fetch` gets each URL as it stands in the conf (a plain path means a file) and does not raise. `host_tags` and
    `election_tags` are the agent's global tags in force; without an election in the agent they are equal. `now_ms` is
    the time of sending. Files of `settings.files()` are taken to be there and good.
    """

    def say(target: Target, up: int) -> None:
        if settings.reports_up:
            target.up = up
            done.ups.append(up_point(settings, target.url, up, host_tags, election_tags))

    done = Round()
    if settings.problem or settings.output:  # Init fails, or the text goes to a file
        return done
    for url in settings.urls:
        parsed = urls.parse(url)
        # An annotation asks for everything over HTTP; the other two open what has another scheme as a file.
        is_request = parsed.scheme in ("http", "https") or settings.kind == ANNOTATION
        target = Target(url)
        done.targets.append(target)
        if is_request and _crashes(settings):
            target.error = _("[inputs.prom.auth] is incomplete: the input crashes, and is given up after six times")
            return done
        if is_request and parsed.scheme not in ("http", "https"):
            scrape = Scrape(None, error=_("no http:// or https:// in the URL"))
        elif is_request and not parsed.host:
            scrape = Scrape(None, error=_("no host in the URL"))
        elif is_request and _lacks_token(settings):
            scrape = Scrape(None, error=_("[inputs.prom.auth] has neither token nor token_file"))
        else:
            scrape = fetch(url)
        if scrape.body is None:
            target.error = scrape.error or _("no answer")
            if is_request and settings.ignore_req_err:
                continue
            say(target, 0)
            if settings.kind != PROM:
                return _broken_off(settings, done)
            continue
        target.exposition = exposition.parse(scrape.body, settings.stream_size)
        target.error = target.exposition.error
        for batch in points_of(
            settings, target.exposition, url, host_tags=host_tags, election_tags=election_tags, now_ms=now_ms
        ):
            done.points += batch
            say(target, 1)
        if target.error:
            say(target, 0)
            if settings.kind != PROM:
                return _broken_off(settings, done)
    return done


def _broken_off(settings: PromInput, done: Round) -> Round:
    """The round after a failure that ends it: `[[inputs.etcd]]` has kept its points to the end, and loses them."""
    if settings.kind == ETCD:
        done.points.clear()
    return done


def points_of(
    settings: PromInput,
    read: Exposition,
    url: str,
    *,
    host_tags: Mapping[str, str],
    election_tags: Mapping[str, str],
    now_ms: int,
) -> Iterator[list[Point]]:
    """The points of a scrape that was read already, a list for each batch that is sent (never an empty one).

    `read` must have been read with the `stream_size` of these settings.
    """
    global_tags = election_tags if settings.election else host_tags
    builder = Builder(settings, {**global_tags, **url_tags(settings, url)}, now_ms)
    for batch in read.batches:
        points = builder.batch(batch)
        if points:
            yield points


def url_tags(settings: PromInput, url: str) -> Tags:
    """The tags that an input adds to all points of one URL: its own ones, then `host` and `instance` from the URL.

    An annotation adds `instance` alone: its own tags are among those of the series.
    """
    if settings.kind == ANNOTATION:
        return {"instance": urls.parse(url).host}
    tags = dict(settings.tags)
    host = urls.host_tag(url)
    if host is not None:
        tags.setdefault("host", host)
    if not settings.disable_instance_tag:
        tags.setdefault("instance", urls.parse(url).host)
    return tags


def up_point(
    settings: PromInput, url: str, up: int, host_tags: Mapping[str, str], election_tags: Mapping[str, str]
) -> Point:
    """The point `collector up`. Its tags have an order of precedence of their own."""
    job = mended({"job": settings.source, "instance": urls.up_instance(url)})
    own = settings.tags
    tags = {**own, **election_tags, **job} if settings.election else {**host_tags, **own, **job}
    tags.pop("up", None)
    return Point("collector", tags, {"up": up})


def _lacks_token(settings: PromInput) -> bool:
    auth = settings.auth
    return auth.get("type") == "bearer_token" and "token" not in auth and "token_file" not in auth


def _crashes(settings: PromInput) -> bool:
    """Whether DataKit runs into a nil request: no type of auth, or no token where headers are to be set."""
    if not settings.auth:
        return False
    return "type" not in settings.auth or (_lacks_token(settings) and bool(settings.http_headers))
