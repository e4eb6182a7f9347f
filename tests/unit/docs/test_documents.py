"""What the documents say can be done: links lead somewhere, commands exist, examples can be read."""

import argparse
import contextlib
import io
import json
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

from bongsu import cli
from bongsu.alerts.rules_file import parse_rules
from bongsu.server.config import Settings
from tests.support.repository import REPOSITORY

DOCUMENTS = sorted([*REPOSITORY.glob("docs/**/*.md"), *REPOSITORY.glob("*.md")])
# The changelog and the decisions also name what there was.
PRESENT = [file for file in DOCUMENTS if file.name != "CHANGELOG.md" and file.parent.name != "adr"]
FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```\s*$", re.MULTILINE | re.DOTALL)
SHELL = {"", "sh", "bash", "shell", "console", "powershell"}
LINK = re.compile(r"\]\(([^()\s]+)\)|(?:src|srcset|href)=\"([^\"]+)\"")
# Before the name of a program: a prompt, variables, sudo, the folder of an environment.
BEFORE = r"(?:\$ )?(?:[A-Z_]+=\S+ )*(?:sudo )?(?:[\w./:\\-]+[/\\])?"


def _name(file: Path) -> str:
    return file.relative_to(REPOSITORY).as_posix()


def _blocks(file: Path, languages: set[str]) -> Iterator[str]:
    for language, block in FENCE.findall(file.read_text(encoding="utf-8")):
        if language.strip() in languages:
            yield block


def _prose(file: Path) -> str:
    return FENCE.sub("", file.read_text(encoding="utf-8"))


@cache
def _anchors(file: Path) -> set[str]:
    """The anchors of its headings, as GitHub makes them."""
    titles = re.findall(r"^#+ +(.+?) *$", _prose(file), re.MULTILINE)
    plain = [re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title) for title in titles]
    return {re.sub(r"[^\w\s-]", "", title.lower()).replace(" ", "-") for title in plain}


@pytest.mark.parametrize("file", DOCUMENTS, ids=_name)
def test_every_link_leads_somewhere(file: Path) -> None:
    text = re.sub(r"`[^`\n]*`(?!\])", "", _prose(file))
    for markdown, html in LINK.findall(text):
        link = markdown or html
        if re.match(r"\w+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (file.parent / path).resolve() if path else file
        assert target.exists(), link
        if anchor:
            assert anchor in _anchors(target), link


class Parsed(Exception):
    """The command line is right; the command is not to run."""


@pytest.fixture
def only_parsing(monkeypatch: pytest.MonkeyPatch) -> None:
    parse = argparse.ArgumentParser.parse_args

    def parse_args(parser: argparse.ArgumentParser, *arguments: Any) -> None:
        parse(parser, *arguments)
        raise Parsed

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse_args)


def _complaint(words: list[str]) -> str:
    """What bongsu says of this command line; empty if it would run it."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
            status = cli.main(words)
    except Parsed:
        return ""
    except SystemExit as error:
        status = error.code
    return "" if status == 0 else said.getvalue() or "refused"


def _commands(file: Path) -> Iterator[str]:
    """The lines of shell blocks that call bongsu, without comments and what follows the command."""
    for block in _blocks(file, SHELL):
        for line in block.replace("\\\n", " ").splitlines():
            if match := re.match(BEFORE + r"bongsu (.+)", line):
                yield re.split(r" +#| {2,}| [|>&] ?| && ", match[1])[0]


@pytest.mark.parametrize("file", PRESENT, ids=_name)
@pytest.mark.usefixtures("only_parsing")
def test_every_command_in_a_block_can_be_called(file: Path) -> None:
    for command in _commands(file):
        assert not _complaint(shlex.split(command)), command


@pytest.mark.parametrize("file", PRESENT, ids=_name)
@pytest.mark.usefixtures("only_parsing")
def test_every_command_in_a_sentence_exists(file: Path) -> None:
    for command in re.findall(r"`bongsu ([a-z][^`]*)`", _prose(file)):
        # `bongsu user list | create`, `[--yes]` and `...` describe commands; the words before are one.
        words = re.split(r" [|\[]| \.\.\.| --\w+ \.\.\.", command)[0].split()
        complaint = _complaint(words)
        incomplete = re.search("the following arguments are required|expected one argument", complaint)
        assert not complaint or incomplete, command


def test_the_documents_name_many_commands() -> None:
    assert len({command for file in DOCUMENTS for command in _commands(file)}) > 30


def test_a_wrong_command_would_be_found(only_parsing: None) -> None:
    assert _complaint(["db", "backup", "--no-such-option", "FILE"])
    assert _complaint(["nothing"])
    assert not _complaint(["db", "backup", "FILE"])


@pytest.mark.parametrize("file", PRESENT, ids=_name)
def test_every_target_of_make_exists(file: Path) -> None:
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z0-9-]+):", makefile, re.MULTILINE))
    text = "\n".join([*_blocks(file, SHELL), *re.findall(r"`([^`\n]+)`", _prose(file))])
    assert set(re.findall(r"^(?:\$ )?make ([a-z0-9-]+)", text, re.MULTILINE)) <= targets


@pytest.mark.parametrize("file", DOCUMENTS, ids=_name)
def test_every_example_of_yaml_and_json_can_be_read(file: Path) -> None:
    for block in _blocks(file, {"yaml", "yml"}):
        assert list(yaml.safe_load_all(block))
    for block in _blocks(file, {"json"}):
        json.loads(block)


def _rules(file: str) -> str:
    return "rules:\n" + "".join(_blocks(REPOSITORY / file, {"yaml"}))


def test_the_rules_of_the_cookbook_can_be_imported() -> None:
    rules = parse_rules(_rules("docs/cookbook.md"))
    assert len(rules) == 12
    assert {rule.condition.type for rule in rules} == {
        "threshold", "change", "forecast", "no_data", "server_down", "promql",
    }  # fmt: skip
    assert _rules("docs/ko/cookbook.md") == _rules("docs/cookbook.md")


@pytest.mark.parametrize("file", ["docs/admin.md", "docs/ko/admin.md"])
def test_the_settings_of_the_administrator_guide_exist(file: str) -> None:
    for block in _blocks(REPOSITORY / file, {"yaml"}):
        assert set(yaml.safe_load(block)) <= set(Settings.model_fields)


@cache
def _sources() -> str:
    files = [file for file in REPOSITORY.glob("src/bongsu/**/*.py") if "_pb2" not in file.name]
    return "\n".join(file.read_text(encoding="utf-8") for file in [*files, REPOSITORY / "config" / "agent.yml"])


@pytest.mark.parametrize("file", ["docs/troubleshooting.md", "docs/ko/troubleshooting.md"])
def test_the_codes_and_settings_of_troubleshooting_exist(file: str) -> None:
    names = set(re.findall(r"`([a-z0-9]+(?:_[a-z0-9]+)+)`", _prose(REPOSITORY / file)))
    names.discard("client_max_body_size")  # of nginx
    assert len(names) > 15
    assert [name for name in sorted(names) if not re.search(rf"\b{name}\b", _sources(), re.I)] == []


MANUAL_PICTURES = REPOSITORY / "docs" / "images" / "manual"
MANUALS = {"en": REPOSITORY / "docs" / "manual.md", "ko": REPOSITORY / "docs" / "ko" / "manual.md"}


def _pictures(language: str) -> dict[str, str]:
    """The pictures of the manual with their alternative texts, in the order of the text."""
    text = MANUALS[language].read_text(encoding="utf-8")
    folder = "../" if language == "ko" else ""
    found = re.findall(rf"^!\[(.*)\]\({folder}images/manual/{language}/(\S+)\)$", text, re.MULTILINE)
    assert len(found) == text.count("![")
    return {name: alt for alt, name in found}


@pytest.mark.parametrize("language", MANUALS)
def test_the_manual_names_every_picture_that_there_is_and_no_other(language: str) -> None:
    assert {file.name for file in (MANUAL_PICTURES / language).iterdir()} == set(_pictures(language))


def test_the_manuals_show_the_same_pictures_each_with_a_text_of_its_own_language() -> None:
    english, korean = _pictures("en"), _pictures("ko")
    assert list(english) == list(korean)
    assert all(alt.isascii() for alt in english.values())
    assert all(re.search("[가-힣]", alt) for alt in korean.values())
    for alts in (english, korean):
        assert all(len(alt) >= 5 for alt in alts.values())
        assert len(set(alts.values())) == len(alts)


def test_the_pictures_of_the_manual_are_small() -> None:
    assert sum(file.stat().st_size for file in MANUAL_PICTURES.rglob("*.png")) < 2_500_000


DIAGRAMS = sorted(REPOSITORY.glob("docs/images/**/*.svg"))


def test_every_picture_is_in_a_document() -> None:
    named = {
        (file.parent / path).resolve()
        for file in DOCUMENTS
        for path in re.findall(r"[\w./-]+\.(?:png|svg)", file.read_text(encoding="utf-8"))
    }
    assert {file for file in REPOSITORY.glob("docs/images/**/*") if file.is_file()} <= named


@pytest.mark.parametrize("file", DIAGRAMS, ids=_name)
def test_a_diagram_can_be_read_in_the_dark_and_loads_nothing(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    root = ElementTree.fromstring(text)
    style = root.findtext("{*}style") or ""
    assert "prefers-color-scheme: dark" in style
    for element in root.iter():
        if "fill" in element.attrib and element.get("fill") != "none":
            kind = element.get("class") or element.tag.rpartition("}")[2]
            assert re.search(rf"^ *\.?{kind} \{{[^}}]*fill:", style, re.MULTILINE), kind
    assert root.findtext("{*}title")
    assert root.findtext("{*}desc")
    assert not re.search(r"href|url\((?!#)|@import", text)


def test_korean_documents_have_the_sections_of_the_english_ones() -> None:
    for korean in REPOSITORY.glob("docs/ko/*.md"):
        english = REPOSITORY / "docs" / korean.name
        assert len(_anchors(korean)) == len(_anchors(english)), korean.name
