"""Collects the documents of one language for the generator.

A document without a translation is taken in English, with a note. Links that leave docs/ point to copies of the files.
"""

import os
import re
import shutil
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
KOREAN = DOCS / "ko"
# Documents beside docs/ that are pages too.
BESIDE = ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
LINK = re.compile(r"\[(?P<text>[^\[\]]*)\]\((?P<target>[^()\s]+)\)")
# A picture that is a paragraph of its own.
PICTURE = re.compile(r"^!\[(?P<alt>[^\[\]]+)\]\((?P<target>[^()\s]+\.png)\)$", re.MULTILINE)
# The generator links a picture whose width is set to the full size. The theme narrows what is wider than the text.
FIGURE = "```{{image}} {target}\n:alt: {alt}\n:width: {width}px\n```"
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
ENGLISH_ONLY = "```{note}\n이 문서는 아직 영어로만 제공합니다.\n```"


class BrokenLink(Exception):
    """A link in a document leads nowhere."""


def sources(language: str) -> dict[str, Path]:
    """The documents by the path of their page, without .md: ``adr/0001-one-database-interface``."""
    pages = {
        file.relative_to(DOCS).with_suffix("").as_posix(): file
        for file in sorted(DOCS.rglob("*.md"))
        if KOREAN not in file.parents
    }
    # Not security.md twice on a disk that ignores case.
    pages |= {f"project/{name.lower().removesuffix('.md')}": ROOT / name for name in BESIDE}
    if language == "ko":
        pages |= {file.stem: file for file in sorted(KOREAN.glob("*.md"))}
    return pages


def stage(language: str, folder: Path) -> None:
    """Writes the pages of ``language``, and what they link to, into ``folder``.

    Raises:
        BrokenLink: a link leads to a file that does not exist.
    """
    pages = sources(language)
    places = {file: Path(f"{page}.md") for page, file in sources("en").items()}
    places |= {file: Path(f"{page}.md") for page, file in pages.items()}
    for page, file in pages.items():
        text = _with_links(file, Path(f"{page}.md"), places, folder)
        if language == "ko" and KOREAN not in file.parents:
            title, _, rest = text.partition("\n")
            text = f"{title}\n\n{ENGLISH_ONLY}\n{rest}"
        target = folder / f"{page}.md"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")


def _with_links(file: Path, place: Path, places: dict[Path, Path], folder: Path) -> str:
    """The text of a document with links that work from ``place``."""

    def link(match: re.Match[str]) -> str:
        path, hash_sign, anchor = match["target"].partition("#")
        if not path or ":" in path:
            return match[0]
        target = Path(os.path.normpath(file.parent / path))
        if target.is_dir():
            return match["text"]
        if not target.is_file():
            raise BrokenLink(f"{file.relative_to(ROOT)}: {match['target']}")
        if target not in places:
            inside = target.is_relative_to(DOCS)
            places[target] = target.relative_to(DOCS) if inside else "_files" / target.relative_to(ROOT)
            if target.suffix == ".md":  # the generator would look for a page
                places[target] = places[target].with_suffix(".txt")
            copy = folder / places[target]
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(target, copy)
        relative = Path(os.path.relpath(places[target], place.parent)).as_posix()
        return f"[{match['text']}]({relative}{hash_sign}{anchor})"

    text = file.read_text(encoding="utf-8")
    parts, end = [], 0
    for fence in FENCE.finditer(text):
        parts += [LINK.sub(link, text[end : fence.start()]), fence[0]]
        end = fence.end()
    linked = "".join([*parts, LINK.sub(link, text[end:])])

    def figure(match: re.Match[str]) -> str:
        return FIGURE.format(**match.groupdict(), width=_png_width(folder / place.parent / match["target"]))

    return PICTURE.sub(figure, linked)


def _png_width(file: Path) -> int:
    """https://www.w3.org/TR/png-3/#11IHDR: the first field of the first chunk."""
    return int.from_bytes(file.read_bytes()[16:20], "big")
