"""Moves inline scripts and styles of pages into files: the content security policy of Bongsu allows nothing inline."""

import hashlib
import re
from pathlib import Path

_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)
_STYLE = re.compile(r"<style>(.*?)</style>", re.DOTALL)
_ATTRIBUTE = re.compile(r'(<[a-z][^<>]*?) style="([^"]*)"')
_HANDLER = re.compile(r"<[a-z][^<>]* on[a-z]+=", re.IGNORECASE)
# It makes the rule for plurals from text with `new Function`, which the policy forbids. Korean has a single form.
_BY_EVAL = "Documentation.addTranslations("
_WITHOUT_EVAL = """((catalog) => {
  Object.assign(Documentation.TRANSLATIONS, catalog.messages);
  Documentation.PLURAL_EXPR = () => 0;
  Documentation.LOCALE = catalog.locale;
})("""


class Blocked(Exception):
    """A page has what the policy blocks, and this module cannot replace."""


def without_inline(site: Path) -> None:
    """Changes all pages below ``site``; what was in them is in ``_inline`` afterwards.

    Raises:
        Blocked: see there.
    """
    files: dict[str, str] = {}
    for page in sorted(site.rglob("*.html")):
        html = _changed(page.read_text(encoding="utf-8"), "../" * (len(page.relative_to(site).parts) - 1), files)
        if handler := _HANDLER.search(html):
            raise Blocked(f"{page.relative_to(site)}: {handler[0]}")
        page.write_text(html, encoding="utf-8")
    for catalog in site.rglob("translations.js"):
        text = catalog.read_text(encoding="utf-8")
        if _BY_EVAL not in text:
            raise Blocked(f"{catalog.relative_to(site)} does not call {_BY_EVAL}")
        catalog.write_text(text.replace(_BY_EVAL, _WITHOUT_EVAL), encoding="utf-8")
    for name, content in files.items():
        file = site / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(content, encoding="utf-8")


def _changed(html: str, up: str, files: dict[str, str]) -> str:
    """The page without inline parts, which are added to ``files``. ``up``: from the page to the folder of the site."""
    html = _SCRIPT.sub(lambda match: f'<script src="{up}{_kept(files, match[1], "js")}"></script>', html)
    html = _STYLE.sub(lambda match: _link(up, _kept(files, match[1], "css")), html)
    styles = sorted({match[2] for match in _ATTRIBUTE.finditer(html)})
    html = _ATTRIBUTE.sub(lambda match: f'{match[1]} data-style="{styles.index(match[2])}"', html)
    rules = "\n".join(f'[data-style="{number}"] {{ {style} }}' for number, style in enumerate(styles))
    return html.replace("</head>", f"{_link(up, _kept(files, rules, 'css'))}</head>")


def _kept(files: dict[str, str], content: str, kind: str) -> str:
    name = f"_inline/{hashlib.sha256(content.encode()).hexdigest()[:12]}.{kind}"
    files[name] = content
    return name


def _link(up: str, name: str) -> str:
    return f'<link rel="stylesheet" href="{up}{name}">'
