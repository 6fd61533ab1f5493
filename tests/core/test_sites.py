"""Brands and sites as data, and what may be an endpoint."""

from __future__ import annotations

import pytest

from tui.core import sites
from tui.core.errors import UsageError


def test_every_site_is_https_without_a_slash_and_known_by_its_address() -> None:
    assert len(sites.SITES) == 16
    for site in sites.SITES:
        for address in filter(None, (site.open_api, site.dataway, site.console)):
            assert address.startswith("https://")
            assert not address.endswith("/")
        assert sites.find(site.open_api) is site
        assert sites.endpoint(site.open_api) == site.open_api
        assert sites.site(site.brand.key, site.key) is site


def test_addresses_follow_the_vendors_pattern() -> None:
    hangzhou, ningxia = sites.of_brand(sites.GUANCE)[:2]
    assert (hangzhou.open_api, hangzhou.dataway, hangzhou.console) == (
        "https://openapi.guance.com",
        "https://openway.guance.com",
        "https://console.guance.com",
    )
    assert ningxia.open_api == "https://aws-openapi.guance.com"
    assert sites.site("guance", "cn6").open_api == "https://cn6-openapi.guance.one"
    assert sites.site("guance", "cn6").console == ""  # no public source confirms one
    assert {site.open_api for site in sites.of_brand(sites.TRUEWATCH)} == {
        f"https://{key}-openapi.truewatch.com" for key in ("us1", "eu1", "ap1", "za1", "id1")
    }


def test_an_unknown_site_names_the_known() -> None:
    with pytest.raises(UsageError, match="guance/cn1"):
        sites.site("guance", "mars")


@pytest.mark.parametrize("text", ["", "not an address", "https://studio.example.com", "http://[::1"])
def test_other_addresses_are_of_no_site(text: str) -> None:
    assert sites.find(text) is None


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("https://openapi.guance.com/", "https://openapi.guance.com"),
        ("  https://openapi.guance.com/api/v1/ ", "https://openapi.guance.com"),
        ("https://OpenAPI.Guance.com", "https://openapi.guance.com"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://[::1]:8080/", "http://[::1]:8080"),
        ("http://studio.corp.example:9000", "http://studio.corp.example:9000"),
    ],
)
def test_endpoint_is_brought_to_scheme_and_host(text: str, address: str) -> None:
    assert sites.endpoint(text) == address


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "empty"),
        ("openapi.guance.com", "https://openapi.guance.com"),
        ("ftp://openapi.guance.com", "ftp"),
        ("https://", "host is missing"),
        ("https://open api.guance.com", "blanks"),
        ("https://openapi.guance.com:port", "not a URL"),
        ("https://openapi.guance.com/dashboards", "path"),
        ("https://openapi.guance.com?token=x", "more than scheme"),
        ("https://console.guance.com", "https://openapi.guance.com"),
        ("https://us1-openway.truewatch.com", "https://us1-openapi.truewatch.com"),
        ("http://openapi.guance.com", "in the clear"),
    ],
)
def test_a_wrong_endpoint_says_what_is_wrong(text: str, told: str) -> None:
    with pytest.raises(UsageError) as error:
        sites.endpoint(text)
    assert told in str(error.value)


@pytest.mark.parametrize("text", ["https://me:sesame@studio.example", "https://studio.example/?token=sesame"])
def test_a_credential_in_the_address_is_not_repeated(text: str) -> None:
    with pytest.raises(UsageError) as error:
        sites.endpoint(text)
    assert "sesame" not in str(error.value)


def test_loopback() -> None:
    assert all(map(sites.is_loopback, ("http://127.0.0.1:1", "http://localhost", "http://[::1]:5", "http://127.1.2.3")))
    assert not any(map(sites.is_loopback, ("https://openapi.guance.com", "http://10.0.0.1", "https://127-0.example")))


@pytest.mark.parametrize("brand", sites.BRANDS)
def test_install_lines_name_the_brands_hosts_and_no_token(brand: sites.Brand) -> None:
    site = next(site for site in sites.of_brand(brand) if site.dataway)
    helm, kubectl = (" ".join(lines) for lines in sites.install_lines(brand, site))
    assert brand.charts in helm
    assert f'"{site.dataway}?token=$TOKEN"' in helm
    assert f"{brand.static}/datakit/datakit.yaml" in kubectl
    assert "kubectl apply -f datakit.yaml" in kubectl
    assert "$DATAWAY?token=$TOKEN" in " ".join(sites.install_lines(brand)[0])
