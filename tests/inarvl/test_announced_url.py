"""A URL that a stranger announces leads to no service that trusts this machine, however it is written."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from inarvl.announced_url import address_problem, announced_url, announced_url_problem

REFUSED = {
    "loopback": "http://127.0.0.1:80",
    "another loopback": "http://127.9.9.9:80",
    "loopback in IPv6": "http://[::1]:80",
    "long loopback in IPv6": "http://[0:0:0:0:0:0:0:1]:80",
    "loopback mapped": "http://[::ffff:127.0.0.1]:80",
    "loopback mapped in hex": "http://[::ffff:7f00:1]:80",
    "loopback compatible": "http://[::127.0.0.1]:80",
    "loopback in NAT64": "http://[64:ff9b::127.0.0.1]:80",
    "loopback in 6to4": "http://[2002:7f00:1::]:80",
    "loopback by name": "http://localhost:80",
    "loopback by upper-case name": "http://LocalHost:80",
    "loopback below localhost": "http://a.localhost:80",
    "loopback by a long name": "http://localhost.localdomain:80",
    "loopback by a Debian name": "http://ip6-loopback:80",
    "loopback with a dot": "http://localhost.:80",
    "decimal": "http://2130706433:80",
    "octal": "http://0177.0.0.1:80",
    "one octal number": "http://017700000001:80",
    "hexadecimal": "http://0x7f000001:80",
    "hexadecimal parts": "http://0x7f.0x0.0x0.0x1:80",
    "short": "http://127.1:80",
    "full-width digits": "http://\uff11\uff12\uff17.0.0.1:80",
    "circled letters": "http://\u24db\u24de\u24d2\u24d0\u24db\u24d7\u24de\u24e2\u24e3:80",
    "unspecified": "http://0.0.0.0:80",
    "this network": "http://0.1.2.3:80",
    "unspecified in IPv6": "http://[::]:80",
    "zero": "http://0:80",
    "link-local": "http://169.254.7.7:80",
    "link-local in IPv6": "http://[fe80::1]:80",
    "link-local with a scope": "http://[fe80::1%25eth0]:80",
    "site-local": "http://[fec0::1]:80",
    "multicast": "http://224.0.0.251:80",
    "multicast in IPv6": "http://[ff02::fb]:80",
    "broadcast": "http://255.255.255.255:80",
    "metadata": "http://169.254.169.254:80",
    "metadata mapped": "http://[::ffff:169.254.169.254]:80",
    "metadata in NAT64": "http://[64:ff9b::a9fe:a9fe]:80",
    "metadata of AWS in IPv6": "http://[fd00:ec2::254]:80",
    "metadata of Alibaba": "http://100.100.100.200:80",
    "metadata of Google": "http://metadata.google.internal:80",
    "metadata in decimal": "http://2852039166:80",
    "a path": "http://10.0.0.1:80/latest/meta-data",
    "a slash": "http://10.0.0.1:80/",
    "a path with dots": "http://10.0.0.1:80/v1/../admin",
    "a query": "http://10.0.0.1:80?a=b",
    "an empty query": "http://10.0.0.1:80?",
    "a fragment": "http://10.0.0.1:80#a",
    "a user": "http://admin@10.0.0.1:80",
    "a user and password": "http://admin:secret@10.0.0.1:80",
    "a host as user": "http://10.0.0.1:80@127.0.0.1:80",
    "a backslash": "http://10.0.0.1:80\\@127.0.0.1",
    "an encoded slash": "http://10.0.0.1%2f:80",
    "a line break": "http://10.0.0.1:80\r\nX: y",
    "a blank": "http://10.0.0.1 :80",
    "upper-case scheme": "HTTP://10.0.0.1:80",
    "another scheme": "ftp://10.0.0.1:80",
    "a file": "file:///etc/passwd",
    "a socket": "unix:/run/docker.sock",
    "gopher": "gopher://10.0.0.1:6379/_FLUSHALL",
    "no scheme": "10.0.0.1:80",
    "no port": "http://10.0.0.1",
    "port 0": "http://10.0.0.1:0",
    "a large port": "http://10.0.0.1:65536",
}


@pytest.mark.parametrize("url", REFUSED.values(), ids=REFUSED)
def test_an_announced_url_is_refused(url: str) -> None:
    assert announced_url_problem(url) is not None


@pytest.mark.parametrize(
    ("url", "canonical"),
    [
        ("http://10.0.0.1:8020", "http://10.0.0.1:8020"),
        ("https://192.168.1.7:443", "https://192.168.1.7:443"),
        ("https://GPU-1.example.net:8020", "https://gpu-1.example.net:8020"),
        ("http://[fd00:0:0::2]:8020", "http://[fd00::2]:8020"),
        ("http://gpu.local:8020/v1", "http://gpu.local:8020"),
        ("http://100.64.1.1:8020", "http://100.64.1.1:8020"),
    ],
)
def test_host_and_port_are_accepted_and_have_one_form(url: str, canonical: str) -> None:
    assert announced_url_problem(url) is None
    assert announced_url(url) == canonical


LOOPBACK = [name for name in REFUSED if name in ("loopback", "loopback in IPv6", "loopback by name")]


@pytest.mark.parametrize("name", REFUSED)
def test_nothing_but_loopback_is_allowed_where_loopback_is(name: str) -> None:
    allowed = announced_url_problem(REFUSED[name], loopback=True) is None
    assert allowed is (name.startswith(("loopback", "another loopback", "long loopback")) and allowed)
    if name in LOOPBACK:
        assert allowed


@pytest.mark.parametrize(
    "address",
    ["::ffff:127.0.0.1", "127.0.0.1", "::1", "169.254.169.254", "fe80::1%2", "::ffff:169.254.169.254"],
)
def test_an_address_that_a_name_resolves_to_is_refused(address: str) -> None:
    assert address_problem(ip_address(address)) is not None


@pytest.mark.parametrize("address", ["10.0.0.1", "fd00::2", "93.184.216.34", "::ffff:10.0.0.1"])
def test_other_addresses_are_accepted(address: str) -> None:
    assert address_problem(ip_address(address)) is None
