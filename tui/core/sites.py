"""The sites of Guance (观测云) and TrueWatch: where a workspace's Open API, DataWay and console are.

A key belongs to one workspace on one site; a right key on another site looks like a wrong one. Hosts that
no public source confirms are "": a person can give them instead. Sources: the vendor's Open API pages and
Terraform providers (2026).
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from tui.core.errors import UsageError
from tui.i18n import N_, _


@dataclass(frozen=True)
class Brand:
    """One of the two brands of the same studio. `charts` is its Helm repository, `static` the host of its manifests."""

    key: str
    name: str
    domain: str
    charts: str
    static: str


GUANCE = Brand(
    "guance",
    N_("Guance"),
    "guance.com",
    charts="https://pubrepo.guance.com/chartrepo/datakit",
    static="https://static.guance.com",
)
TRUEWATCH = Brand(
    "truewatch",
    N_("TrueWatch"),
    "truewatch.com",
    charts="https://pubrepo.truewatch.com/chartrepo/truewatch",
    static="https://static.truewatch.com",
)
BRANDS = (GUANCE, TRUEWATCH)


@dataclass(frozen=True)
class Site:
    """One site of a brand. `place` is an English msgid; addresses are without a trailing slash, "" where
    unconfirmed.
    """

    brand: Brand
    key: str
    place: str
    open_api: str
    dataway: str = ""
    console: str = ""


def _guance(key: str, place: str, prefix: str, domain: str, *confirmed: str) -> Site:
    def at(role: str) -> str:
        return f"https://{prefix}{role}.{domain}" if role == "openapi" or role in confirmed else ""

    return Site(GUANCE, key, place, at("openapi"), at("openway"), at("console"))


def _truewatch(key: str, place: str) -> Site:
    return Site(
        TRUEWATCH,
        key,
        place,
        f"https://{key}-openapi.truewatch.com",
        f"https://{key}-openway.truewatch.com",
    )


SITES = (
    _guance("cn1", N_("Hangzhou"), "", "guance.com", "openway", "console"),
    _guance("cn2", N_("Ningxia (AWS)"), "aws-", "guance.com", "openway", "console"),
    _guance("cn3", N_("Zhangjiakou"), "cn3-", "guance.com", "openway", "console"),
    _guance("cn4", N_("Guangzhou"), "cn4-", "guance.com", "console"),
    _guance("cn5", N_("21Vianet"), "cn5-", "guance.com"),
    _guance("cn6", N_("Hong Kong"), "cn6-", "guance.one"),
    _guance("us1", N_("Oregon"), "us1-", "guance.com", "openway", "console"),
    _guance("eu1", N_("Frankfurt"), "eu1-", "guance.one"),
    _guance("ap1", N_("Singapore"), "ap1-", "guance.one"),
    _guance("za1", N_("South Africa"), "za1-", "guance.com"),
    _guance("id1", N_("Jakarta"), "id1-", "guance.com"),
    _truewatch("us1", N_("Oregon")),
    _truewatch("eu1", N_("Frankfurt")),
    _truewatch("ap1", N_("Singapore")),
    _truewatch("za1", N_("South Africa")),
    _truewatch("id1", N_("Jakarta")),
)


def of_brand(brand: Brand) -> tuple[Site, ...]:
    """The sites of one brand, in the order the vendor lists them."""
    return tuple(site for site in SITES if site.brand is brand)


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""


def find(endpoint: str) -> Site | None:
    """The site whose Open API is at this address; None for a private deployment, or what is no address."""
    try:
        host = _host(endpoint)
    except ValueError:
        return None
    return next((site for site in SITES if host and _host(site.open_api) == host), None)


def site(brand: str, key: str) -> Site:
    """The site `key` ("cn1") of the brand `brand` ("guance"). Raises UsageError for a name that is not ours."""
    for known in SITES:
        if (known.brand.key, known.key) == (brand, key):
            return known
    names = ", ".join(f"{known.brand.key}/{known.key}" for known in SITES)
    raise UsageError(
        _("There is no site {name}.").format(name=f"{brand}/{key}"),
        remedy=_("Known sites: {names}").format(names=names),
    )


def is_loopback(endpoint: str) -> bool:
    """Whether the address is this machine's own."""
    host = _host(endpoint)
    return host in ("localhost", "::1") or host.startswith("127.")


def endpoint(text: str) -> str:
    """The address of an Open API as the client wants it: scheme and host, no trailing slash.

    A path `/api` or `/api/v1` is taken off. Raises UsageError with what to write instead where it can be
    told: a console's or DataWay's address, a missing scheme, or plain HTTP to a public site, which would
    send the key in the clear.
    """
    given = text.strip()

    def wrong(why: str, remedy: str = "") -> UsageError:
        return UsageError(_("The studio's address cannot be used."), object=_shown(given), why=why, remedy=remedy)

    example = _("Write it like {example}.").format(example=SITES[0].open_api)
    if not given:
        raise wrong(_("It is empty."), example)
    if any(character.isspace() or not character.isprintable() for character in given):
        raise wrong(_("It holds blanks or control characters."), example)
    if "://" not in given:
        raise wrong(
            _("The scheme is missing."),
            _("Write it like {example}.").format(example=f"https://{_shown(given)}"),
        )
    try:
        parts = urlsplit(given)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise wrong(_("It is not a URL."), example) from None
    if parts.scheme not in ("http", "https"):
        raise wrong(_("The scheme is {scheme}, not https.").format(scheme=parts.scheme), example)
    if not host:
        raise wrong(_("The host is missing."), example)
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise wrong(_("It holds more than scheme, host and port."), _("The key is asked for separately."))
    if parts.path.rstrip("/") not in ("", "/api", "/api/v1"):
        raise wrong(_("It holds a path."), _("Give scheme and host alone."))
    for known in SITES:
        if host in (_host(known.dataway), _host(known.console)):
            role = _("console") if host == _host(known.console) else _("DataWay")
            raise wrong(
                _("This is the {role} of {site}.").format(role=role, site=title(known)),
                _("Its Open API is {address}.").format(address=known.open_api),
            )
    vendor = any(host.endswith(f".{domain}") for domain in ("guance.com", "guance.one", "truewatch.com"))
    if parts.scheme == "http" and vendor:
        raise wrong(
            _("Plain HTTP would send the key in the clear."),
            _("Write it like {example}.").format(example=f"https://{host}"),
        )
    name = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{name}" + (f":{port}" if port else "")


def _shown(text: str) -> str:
    """An address as it may be printed: what stands before an `@` or after a `?` can be a credential."""
    scheme, separator, rest = text.partition("://")
    if not separator:
        scheme, rest = "", text
    return scheme + separator + rest.rpartition("@")[2].partition("?")[0]


def title(site: Site) -> str:
    """A site as a person reads it: brand, short name and place."""
    return f"{_(site.brand.name)} {site.key.upper()} {_(site.place)}"


def install_lines(brand: Brand, site: Site | None = None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The vendor's two ways to install DataKit: with Helm, and with kubectl. The token stands as `$TOKEN`.

    Sources: doc/zh/datakit-helm.md and datakit-daemonset-deploy.md of DataKit 1.84.1. Without a site the
    DataWay is the brand's placeholder `$DATAWAY`.
    """
    dataway = site.dataway if site is not None and site.dataway else "$DATAWAY"
    url = f"{dataway}?token=$TOKEN"
    helm = (
        "helm install datakit datakit \\",
        f"  --repo {brand.charts} \\",
        "  --namespace datakit --create-namespace \\",
        f'  --set datakit.dataway_url="{url}"',
    )
    kubectl = (
        f"curl -fsSLO {brand.static}/datakit/datakit.yaml",
        f'sed -i "s|https://openway.{brand.domain}?token=<your-token>|{url}|" datakit.yaml',
        "kubectl apply -f datakit.yaml",
    )
    return helm, kubectl
