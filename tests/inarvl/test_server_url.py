"""The URL of a server is one that a connection can be tried to, or the problem is named."""

from __future__ import annotations

import pytest
import yarl
from hypothesis import given
from hypothesis import strategies as st

from inarvl.server_url import MAX_LENGTH, socket_problem, url_problem

HTTP = ("http", "https")


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost",
        "http://10.0.0.1:8020",
        "https://gpu-1.example.org./v1beta/openai/",
        "http://[::1]:80",
        "http://[fe80::1%eth0]:80",
        "http://müller.example",
        "http://my_host:1/v1/a%20b",
    ],
)
def test_a_url_that_can_be_called_has_no_problem(url: str) -> None:
    assert url_problem(url, HTTP) is None
    assert yarl.URL(url).host


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("", "http://host:port"),
        ("HTTP://x", "http://host:port"),
        ("ftp://x", "http://host:port"),
        ("http://", "http://host:port"),
        ("http://[::1", "http://host:port"),
        ("http://u:p@x", "credentials"),
        ("http://x/?", "query"),
        ("http://x/\n", "control characters"),
        ("http://x/ y", "blanks"),
        ("http://a..b", "name a host"),
        ("http://.", "name a host"),
        ("http://-a", "name a host"),
        ("http://" + "a" * 64, "name a host"),
        ("http://" + ".".join(["a" * 60] * 5), "name a host"),
        ("http://1.2.3", "name a host"),
        ("http://256.1.1.1", "name a host"),
        ("http://x:", "port"),
        ("http://x:0", "port"),
        ("http://x:65536", "port"),
        ("http://x:٣", "port"),
        ("http://x/" + "a" * MAX_LENGTH, "at most"),
    ],
)
def test_the_problem_of_a_url_is_named(url: str, problem: str) -> None:
    assert problem in (url_problem(url, HTTP) or "")


@given(st.text(max_size=80) | st.text(alphabet="ab.:/[]@%1-\u0663é", max_size=40))
def test_any_other_text_has_a_problem_or_can_be_called(text: str) -> None:
    for url in (text, f"http://{text}"):
        if url_problem(url, HTTP) is None:
            yarl.URL(url)


@pytest.mark.parametrize("url", ["unix:x", "unix:", "UNIX:/x", "unix:/a\0b", "unix:/" + "a" * 107])
def test_a_socket_has_an_absolute_path_that_linux_accepts(url: str) -> None:
    assert socket_problem(url) is not None
    assert socket_problem("unix:/run/inarvl/vlm.sock") is None
