"""The dashboard in its pseudo-locale en-XA, which puts brackets around each translated text and makes it 40 % longer
(``frontend/i18n/pseudo.ts``)."""

import contextlib
import json
import re
from collections.abc import Iterator
from typing import Any

from playwright.sync_api import Error, Page, Response

_TRANSLATED = re.compile(r"⟦[^⟦⟧]*⟧")
# Between the parts of a text that is put together, such as `team=web · 12 MiB`.
_BETWEEN = re.compile(r"[·,;:()=|/<>{}\"“”–…⟦⟧]+|\s{2,}")
# Mount points come with the live stream.
_PATH = re.compile(r"(?<!\w)/[\w./*-]*")
_WORD = re.compile(r"[^\W\d_]{2,}")
# Units, and what dates and ages are written with in English.
_FORMATTED = re.compile(
    r"[KMGT]?i?B|[kMG]?bit|pp|min|ms|rpm|ago|in|Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec"
    # Names, and examples of what to type.
    r"|Bongsu|Kubernetes|team|web|site|seoul|mountpoint|data|db"
)

_TEXTS = """() => {
  const left = 'script, style, noscript, kbd, code, pre, canvas, [lang]:not(html)'
  const zones = new Set(['UTC', ...Intl.supportedValuesOf('timeZone')])
  const shown = element => element.checkVisibility({ checkVisibilityCSS: true })
  const texts = []
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const parent = node.parentElement
    if (!node.data.trim() || parent.closest(left) || !shown(parent.closest('select') ?? parent)) continue
    if (parent.tagName !== 'OPTION' || !zones.has(parent.value)) texts.push(node.data)
  }
  for (const element of document.querySelectorAll('[aria-label], [title], [placeholder], [alt]')) {
    if (!shown(element)) continue
    for (const name of ['aria-label', 'title', 'placeholder', 'alt']) {
      const text = element.getAttribute(name)
      if (text && !element.closest('[lang]:not(html)')) texts.push(text)
    }
  }
  return [...new Set(texts)]
}"""

# Texts that begin or end outside their button or heading, or that something inside it cuts off. Names of servers and
# other data may be cut off.
_CUT_OFF = """() => {
  const wrong = []
  for (const element of document.querySelectorAll('button, a, h1, h2, h3, label, th, summary, legend, [role=tab], [role=option]')) {
    if (!element.checkVisibility({ checkVisibilityCSS: true }) || element.closest('.sr-only')) continue
    const box = element.getBoundingClientRect()
    const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT)
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      if (!/^\\s*⟦/.test(node.data) || node.parentElement.closest('.sr-only') || !node.parentElement.checkVisibility()) continue
      const range = document.createRange()
      range.selectNodeContents(node)
      const text = range.getBoundingClientRect()
      let cut = text.left < box.left - 1 || text.right > box.right + 1
      for (let inner = node.parentElement; element.contains(inner); inner = inner.parentElement) {
        const style = getComputedStyle(inner)
        cut ||= style.overflowX !== 'visible' && inner.scrollWidth > inner.clientWidth + 1
        cut ||= style.overflowY !== 'visible' && inner.scrollHeight > inner.clientHeight + 1
      }
      if (cut) wrong.push(`cut off: ${node.data.trim()}`)
    }
  }
  return [...new Set(wrong)]
}"""


# Metrics are called by their names, without unit, in every language (``metricTitle``).
_METRIC = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)+")
_UNIT = re.compile(r"(_(total|bytes|ratio|seconds|celsius|bits|hertz))+$")
_ACRONYM = re.compile(r"\b(cpu|gpu|tcp|udp|oom|io|rpm)\b")


def _spoken(metric: str) -> str:
    words = _ACRONYM.sub(lambda match: match[0].upper(), _UNIT.sub("", metric).replace("_", " "))
    return words[:1].upper() + words[1:]


class Answers:
    """The JSON that a page has fetched since it was opened: data, which need no translation."""

    def __init__(self, page: Page) -> None:
        self._texts: set[str] = set()
        page.on("response", self._keep)

    def _keep(self, response: Response) -> None:
        if response.ok and "json" in response.headers.get("content-type", ""):
            # The page may have moved on.
            with contextlib.suppress(Error):
                self._texts.update(_strings(response.json()))

    def texts(self) -> str:
        """All texts of the answers, each on its line; of names of metrics also what they are called."""
        return "\n".join([*self._texts, *map(_spoken, filter(_METRIC.fullmatch, self._texts))])


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, bool):
        yield json.dumps(value)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from _strings(item)


def untranslated(page: Page, data: str) -> list[str]:
    """Texts on the page, also those for screen readers, that are neither translated nor data nor a formatted value."""
    found = []
    for text in page.evaluate(_TEXTS):
        rest = _PATH.sub(" ", text)
        # Translated texts may contain others.
        while _TRANSLATED.search(rest):
            rest = _TRANSLATED.sub("  ", rest)
        pieces = [piece.strip() for piece in _BETWEEN.split(rest)]
        if any(piece not in data and not all(map(_FORMATTED.fullmatch, _WORD.findall(piece))) for piece in pieces):
            found.append(f"not translated: {text.strip()[:80]}")
    return found


def cut_off(page: Page) -> list[str]:
    """Translated texts that their button or heading has no room for, and a page that is wider than the screen."""
    width, screen = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    wide = [f"{width} px wide"] if width > screen else []
    return [*wide, *page.evaluate(_CUT_OFF)]
