"""docs/extending.md, followed for a widget: the config on the API server, the component in the dashboard."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.repository import REPOSITORY
from tests.support.typescript import run

DOCUMENT = (REPOSITORY / "docs" / "extending.md").read_text(encoding="utf-8").partition("## A widget")[2]
WIDGETS = Path("src/bongsu/server/dashboards/widgets.py")
COMPONENT = "countdown.vue"
KNOWN, TAG = '"countdown": CountdownWidget', 'Annotated[CountdownWidget, Tag("countdown")]'
MADE = ("node_modules", ".nuxt", ".output", "dist", "generated", "help", "static", "__pycache__")
CHECK = """
import sys
from bongsu.server.dashboards.document import Dashboard
place = {"x": 0, "y": 0, "w": 3, "h": 2}
for config in ({}, {"day": "2027-01-01"}, {"day": "soon"}, {"days": 1}):
    widget = {"id": "a", "type": "countdown", "place": place, "config": config}
    try:
        shown = Dashboard.model_validate({"title": "T", "widgets": [widget]})
        print(type(shown.widgets[0]).__name__, shown.widgets[0].config)
    except ValueError as error:
        print("refused")
"""
MOUNTED = """
import { mountSuspended } from '@nuxt/test-utils/runtime'
import { expect, it } from 'vitest'
import { KINDS, WIDGETS } from '~/widgets'

const place = { x: 0, y: 0, w: 3, h: 2 }

async function textFor(config: { day?: string }): Promise<string> {
  const widget = { id: 'a', type: 'countdown' as const, version: 1 as const, title: '', place, config }
  return (await mountSuspended(WIDGETS.countdown, { props: { widget, title: 'Release' } })).text()
}

it('counts down, and stops at the day', async () => {
  expect(await textFor({ day: `${new Date().getFullYear() + 2}-12-31` })).toMatch(/^[\\d,]+d/)
  expect(await textFor({ day: '2020-01-01' })).toBe('0s')
})

it('begins without a day', async () => {
  expect(await textFor(KINDS.countdown.config())).toBe('No day has been chosen yet.')
})
"""


def block(language: str, name: str) -> str:
    """An example of the document, without the line that names its file."""
    (found,) = re.findall(rf"^```{language}\n[^\n]*{re.escape(name)}[^\n]*\n(.*?)^```", DOCUMENT, re.M | re.S)
    return str(found)


def changed(file: Path, *changes: tuple[str, str]) -> None:
    """Replaces texts, each of which is there once."""
    text = file.read_text(encoding="utf-8")
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    file.write_text(text, encoding="utf-8")


def merged(into: dict[str, object], new: dict[str, object]) -> None:
    for key, value in new.items():
        there = into.get(key)
        if isinstance(there, dict) and isinstance(value, dict):
            merged(there, value)
        else:
            assert key not in into
            into[key] = value


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository with the widget, as the document says."""
    folder = tmp_path_factory.mktemp("widget")
    for name in ("src", "frontend", "scripts"):
        shutil.copytree(REPOSITORY / name, folder / name, ignore=shutil.ignore_patterns(*MADE))
    (folder / "frontend" / "node_modules").symlink_to(REPOSITORY / "frontend" / "node_modules")
    # The packages are outside of the copy.
    here = "await defineVitestProject({\n"
    changed(folder / "frontend" / "vitest.config.ts", (here, f"{here}        server: {{ fs: {{ strict: false }} }},\n"))
    for words in (KNOWN, TAG):
        assert f"`{words}`" in DOCUMENT
    changed(
        folder / WIDGETS,
        ("def _bounded(", f"{block('python', WIDGETS.as_posix())}\n\ndef _bounded("),
        ('"clock": ClockWidget,\n', f'"clock": ClockWidget,\n    {KNOWN},\n'),
        ('Tag("clock")]\n', f'Tag("clock")]\n    | {TAG}\n'),
    )
    widgets = folder / "frontend" / "app" / "widgets"
    (widgets / COMPONENT).write_text(block("vue", COMPONENT), encoding="utf-8")
    changed(widgets / "kinds.ts", ("'text' | 'clock'", "'text' | 'clock' | 'countdown'"))
    changed(
        widgets / "index.ts",
        ("import Gauge", "import Countdown from './countdown.vue'\nimport Gauge"),
        ("  clock: {\n", f"{block('ts', 'index.ts')}  clock: {{\n"),
        ("clock: Clock,", "clock: Clock, countdown: Countdown,"),
    )
    (texts,) = re.findall(r"^```json\n(.*?)^```", DOCUMENT, re.M | re.S)
    for locale in (folder / "frontend" / "i18n" / "locales").glob("*.json"):
        content = json.loads(locale.read_text(encoding="utf-8"))
        merged(content["dashboards"], json.loads(texts))
        locale.write_text(json.dumps(content), encoding="utf-8")
    return folder


def python(copy: Path, *arguments: str) -> str:
    """Runs Python with the changed package."""
    environment = os.environ | {"PYTHONPATH": f"{copy / 'src'}{os.pathsep}{copy}"}
    done = subprocess.run([sys.executable, *arguments], cwd=copy, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    return done.stdout


def test_the_api_server_knows_the_config(copy: Path) -> None:
    assert python(copy, "-c", CHECK).splitlines() == [
        "CountdownWidget day=''",
        "CountdownWidget day='2027-01-01'",
        "refused",
        "refused",
    ]


def test_the_dashboard_draws_it(copy: Path) -> None:
    frontend = copy / "frontend"
    python(copy, "-m", "scripts.openapi", str(frontend / "openapi.json"))
    run(frontend, "npm", "run", "--silent", "gen:api")
    run(frontend, "npm", "run", "--silent", "typecheck")
    run(frontend, "npx", "eslint", "app/widgets")
    (frontend / "tests" / "nuxt" / "countdown.test.ts").write_text(MOUNTED, encoding="utf-8")
    assert "2 passed" in run(frontend, "npx", "vitest", "run", "--project", "nuxt", "tests/nuxt/countdown.test.ts")
