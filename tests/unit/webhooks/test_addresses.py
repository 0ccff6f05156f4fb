"""Where a webhook may lead."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpupool.errors import ValidationFailed
from gpupool.webhooks.addresses import check_url, is_public

# Every block of IANA's special-purpose registries that no request of ours may go to.
SPECIAL = [
    *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24"),
    *("192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24"),
    *("192.31.196.0/24", "192.52.193.0/24", "192.175.48.0/24", "224.0.0.0/4", "240.0.0.0/4", "255.255.255.255/32"),
    *("169.254.169.254/32", "169.254.170.2/32", "100.100.100.200/32", "192.0.0.192/32", "168.63.129.16/32", "::/96"),
    *("2001::/23", "2001:20::/28", "2001:30::/28", "2620:4f:8000::/48", "fec0::/10", "fd00:ec2::254/128"),
    *("::/128", "::1/128", "::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/32", "2001:2::/48"),
    *("2001:10::/28", "2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10", "ff00::/8"),
]


@pytest.mark.parametrize("block", SPECIAL)
@given(data=st.data())
def test_no_address_of_a_special_block_is_public(block: str, data: st.DataObject) -> None:
    network = ipaddress.ip_network(block)
    offset = data.draw(st.integers(0, network.num_addresses - 1))
    for address in (network[0], network[-1], network[offset]):
        assert not is_public(address)
        shown = f"[{address}]" if address.version == 6 else str(address)
        with pytest.raises(ValidationFailed):
            check_url(f"https://{shown}/hook")


@pytest.mark.parametrize("address", ["1.1.1.1", "8.8.8.8", "172.15.255.255", "172.32.0.0", "2606:4700::1111", "2a00:1450::1"])
def test_addresses_of_the_internet_are_public(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://your-receiver.example.com/gpu-agent", "https://your-receiver.example.com/gpu-agent"),
        ("https://Example.COM", "https://example.com/"),
        ("https://example.com.:8443/a?b=c&d", "https://example.com:8443/a?b=c&d"),
        ("https://xn--bcher-kva.example/", "https://xn--bcher-kva.example/"),
        ("https://8.8.8.8/hook", "https://8.8.8.8/hook"),
        ("https://[2606:4700::1111]:443/x", "https://[2606:4700::1111]:443/x"),
    ],
)
def test_public_https_is_taken(url: str, kept: str) -> None:
    assert check_url(url) == kept


@pytest.mark.parametrize(
    "url",
    [
        *("http://example.com/", "ftp://example.com/", "example.com", "", "https://", "https:///path", "//example.com/"),
        *("https://user:pass@example.com/", "https://@example.com/", "https://example.com/#part", "https://example.com/#"),
        *(
            "https://localhost/",
            "https://LOCALHOST./",
            "https://a.localhost/",
            "https://printer.local/",
            "https://db.internal/",
        ),
        *(
            "https://intranet/",
            "https://router.home.arpa/",
            "https://-a.example/",
            "https://a..example/",
            "https://" + "a" * 64 + ".com/",
        ),
        *(
            "https://127.1/",
            "https://0x7f.1/",
            "https://2130706433/",
            "https://0177.0.0.1/",
            "https://0x7f000001/",
            "https://127.0.0.1./",
        ),
        *("https://169.254.169.254/latest/meta-data/", "https://[::ffff:169.254.169.254]/", "https://[fd00:ec2::254]/"),
        *("https://[::ffff:7f00:1]/", "https://[64:ff9b::a9fe:a9fe]/", "https://[2002:7f00:1::]/", "https://[fe80::1%25eth0]/"),
        *(
            "https://example.com:22/",
            "https://example.com:25/",
            "https://example.com:0/",
            "https://example.com:99999/",
            "https://a.example:b/",
        ),
        *(
            "https://exa mple.com/",
            "https://example.com\\@evil.example/",
            "https://example.com/\n",
            "https://b\u00fccher.example/",
        ),
        *(
            "https://[2606:4700::1%25eth0]/",
            "https://[v1.x]/",
            "https://[example.com]/",
            "https://8.8.8.08/",
            "https://1.2.3.4.5/",
        ),
        "https://example.com/" + "a" * 2048,
    ],
)
def test_everything_else_is_refused_with_the_field(url: str) -> None:
    with pytest.raises(ValidationFailed) as refused:
        check_url(url)
    assert (refused.value.code, refused.value.details["field"]) == ("WEBHOOK_INVALID_URL", "/url")


def test_a_developers_own_receivers_are_exempt_by_name_only() -> None:
    mine = frozenset({"127.0.0.1"})
    assert check_url("http://127.0.0.1:8080/hook", insecure_hosts=mine) == "http://127.0.0.1:8080/hook"
    for url in ("http://127.0.0.2:8080/", "file://127.0.0.1/etc/passwd", "http://localhost/"):
        with pytest.raises(ValidationFailed):
            check_url(url, insecure_hosts=mine)


@given(st.text())
def test_any_text_is_kept_in_a_form_that_stays_or_refused(text: str) -> None:
    for url in (text, f"https://{text}", f"https://example.com{text}", f"https://example.com/{text}"):
        try:
            kept = check_url(url)
        except ValidationFailed:
            continue
        assert check_url(kept) == kept


@given(st.ip_addresses())
def test_what_python_calls_private_is_not_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    if address.is_private or address.is_reserved or address.is_multicast or address.is_link_local or address.is_unspecified:
        assert not is_public(address)


@given(st.ip_addresses(v=4))
def test_no_ipv4_address_within_an_ipv6_address_is_public(inner: ipaddress.IPv4Address) -> None:
    number = int(inner)
    forms = (f"::ffff:{inner}", f"64:ff9b::{inner}", f"::{inner}", f"2002:{number >> 16:x}:{number & 0xFFFF:x}::1")
    assert not any(is_public(ipaddress.ip_address(form)) for form in forms)
