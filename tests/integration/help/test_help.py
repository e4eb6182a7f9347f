"""The help at /help, as `make docs` built it, without a login."""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from bongsu.server.api.pages import HELP
from tests.support.app import RunningApp, running_app
from tests.support.repository import REPOSITORY

PAGES = [file.relative_to(HELP).as_posix() for file in sorted(HELP.rglob("*.html"))]
QUESTIONS = {"": "Why is my server shown as down?", "ko/": "왜 서버가 “응답 없음”으로 표시됩니까?"}


@pytest_asyncio.fixture
async def app(tmp_path: Path) -> AsyncIterator[RunningApp]:
    async with running_app(tmp_path) as running:
        yield running


def test_the_help_is_built() -> None:
    assert {"index.html", "ko/index.html", "troubleshooting.html", "ko/troubleshooting.html"} <= set(PAGES)


@pytest.mark.parametrize("language", QUESTIONS)
async def test_a_newcomer_finds_why_a_server_is_down_on_the_first_page(app: RunningApp, language: str) -> None:
    question = QUESTIONS[language]
    first = await app.client.get(f"/help/{language}")
    assert first.status_code == 200
    links = re.findall(r'href="([^"]+)"[^>]*>(?:<[^>]+>)*' + re.escape(question), first.text)
    assert len(links) == 1
    page, _, anchor = links[0].partition("#")
    answer = (await app.client.get(f"/help/{language}{page}")).text
    assert re.search(rf'<section id="{anchor}">\s*(?:<span[^>]*></span>)?<h2>{re.escape(question)}', answer)


@pytest.mark.parametrize("path", ["/help", "/help/ko"])
async def test_a_folder_is_asked_for_with_a_slash_since_links_are_relative(app: RunningApp, path: str) -> None:
    answer = await app.client.get(path)
    assert (answer.status_code, answer.headers["location"]) == (308, f"{path}/")


async def test_the_help_has_the_security_headers_of_the_dashboard(app: RunningApp) -> None:
    help_page, dashboard = await app.client.get("/help/"), await app.client.get("/login")
    for name in ("content-security-policy", "x-frame-options", "x-content-type-options", "referrer-policy"):
        assert help_page.headers[name] == dashboard.headers[name]


@pytest.mark.parametrize("path", ["nothing.html", "%2e%2e/app.py", "..%2f..%2f..%2fpyproject.toml", "ko/nothing"])
async def test_what_is_no_page_is_not_found(app: RunningApp, path: str) -> None:
    assert (await app.client.get(f"/help/{path}")).status_code == 404


@pytest.mark.parametrize("page", PAGES)
def test_a_page_has_nothing_that_the_policy_blocks_or_that_comes_from_elsewhere(page: str) -> None:
    html = (HELP / page).read_text(encoding="utf-8")
    for tag in re.findall(r"<script[^>]*>", html):
        assert " src=" in tag
    assert "<style" not in html
    assert not re.search(r"<[a-z][^<>]* (style|on[a-z]+)=", html)
    sources = re.findall(r'<(?:script|img|iframe|source)\b[^>]* src="([^"]+)"', html)
    sources += re.findall(r'<link\b[^>]*rel="(?:stylesheet|shortcut icon|preload)"[^>]* href="([^"]+)"', html)
    assert sources
    for source in sources:
        assert not re.match(r"\w+:|//", source)
        assert ((HELP / page).parent / source.partition("?")[0]).is_file(), source


@pytest.mark.parametrize("script", sorted(HELP.rglob("*.css")), ids=lambda file: file.relative_to(HELP).as_posix())
def test_styles_load_nothing_from_elsewhere(script: Path) -> None:
    assert not re.search(r"url\(['\"]?(https?:)?//|@import", script.read_text(encoding="utf-8"))


def _pages_with(folder: str, word: str) -> set[str]:
    """The pages that the search index of a language names for a word."""
    text = (HELP / folder / "searchindex.js").read_text(encoding="utf-8")
    index = json.loads(text.removeprefix("Search.setIndex(").rstrip().removesuffix(")"))
    numbers: set[int] = set()
    for words in (index["terms"], index["titleterms"]):
        pages = words.get(word, [])
        numbers |= set(pages) if isinstance(pages, list) else {pages}
    return {index["docnames"][number] for number in numbers}


@pytest.mark.parametrize(
    ("folder", "word", "page"),
    [
        pytest.param("", "server", "troubleshooting", id="English"),
        pytest.param("ko", "서버", "troubleshooting", id="a noun, which has particles in the text"),
        pytest.param("ko", "증서", "troubleshooting", id="the end of a longer word"),
        pytest.param("ko", "smtp", "alerts", id="a document that is not translated"),
    ],
)
def test_the_search_index_knows(folder: str, word: str, page: str) -> None:
    assert page in _pages_with(folder, word)


@pytest.mark.parametrize(("folder", "language"), [("", "en"), ("ko/", "ko")])
async def test_the_pictures_of_the_manual_are_in_the_help_in_full_size(
    app: RunningApp, folder: str, language: str
) -> None:
    html = (HELP / folder / "manual.html").read_text(encoding="utf-8")
    pictures = re.findall(r'<a [^>]*href="([^"]+)"[^>]*><img alt="[^"]+"[^>]* src="([^"]+)"', html)
    assert len(pictures) == html.count("_images/") / 2 > 10
    for full, shown in pictures:
        assert full == shown
        answer = await app.client.get(f"/help/{folder}{full}")
        assert answer.headers["content-type"] == "image/png"
        source = REPOSITORY / "docs" / "images" / "manual" / language / Path(full).name
        assert answer.content == source.read_bytes()


def test_a_korean_page_without_a_translation_says_so() -> None:
    assert "아직 영어로만" in (HELP / "ko/capacity.html").read_text(encoding="utf-8")
    assert "아직 영어로만" not in (HELP / "ko/troubleshooting.html").read_text(encoding="utf-8")
