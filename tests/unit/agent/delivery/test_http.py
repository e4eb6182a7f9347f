"""URLs."""

import pytest

from bongsu.agent.http import Url


@pytest.mark.parametrize(
    ("text", "url", "authority"),
    [
        ("http://example.org", Url(False, "example.org", 80, "/"), "example.org"),
        ("https://example.org:8443/bongsu", Url(True, "example.org", 8443, "/bongsu"), "example.org:8443"),
        ("http://[::1]:8600", Url(False, "::1", 8600, "/"), "[::1]:8600"),
        ("HTTPS://user:secret@host", Url(True, "host", 443, "/"), "host"),
    ],
)
def test_urls(text: str, url: Url, authority: str) -> None:
    assert Url.parse(text) == url
    assert Url.parse(text).authority == authority


@pytest.mark.parametrize("text", ["http://", "http://host:port", "http://host:0", "http://host:70000"])
def test_what_is_not_a_url(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a URL|invalid literal"):
        Url.parse(text)
