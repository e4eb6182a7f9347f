"""Dashboards that come as files: what is in the folder is shown, and one bad file costs only itself."""

import asyncio
import shutil
from pathlib import Path
from typing import Any

import pytest

from bongsu.core.errors import ConfigError
from bongsu.server.dashboards import files
from bongsu.server.dashboards.files import DashboardFiles
from tests.support.app import RunningApp, running_app
from tests.support.jobs import run_jobs

EXAMPLES = Path(__file__).parents[4] / "config" / "dashboards"


async def titles(app: RunningApp) -> dict[str, str]:
    """File -> title."""
    listed = (await app.get("/api/dashboards"))["dashboards"]
    return {one["file"]: one["title"] for one in listed}


async def look(app: RunningApp, tmp_path: Path, folder: Path | None) -> None:
    await run_jobs(app.clock, tmp_path, DashboardFiles, dashboards_dir=str(folder or ""))
    # The lease of the job's process, which is another one next time.
    app.clock.advance(61)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "dashboards"
    folder.mkdir()
    return folder


async def test_a_file_from_its_first_day_to_its_last(tmp_path: Path, folder: Path) -> None:
    async with running_app(tmp_path) as app:
        shutil.copy(EXAMPLES / "example.yml", folder)
        (folder / "plain.json").write_text('{"title": "Plain"}')
        (folder / "notes.txt").write_text("no dashboard")
        await look(app, tmp_path, folder)
        assert await titles(app) == {"example.yml": "At a glance", "plain.json": "Plain"}
        await look(app, tmp_path, folder)
        (plain,) = (one for one in (await app.get("/api/dashboards"))["dashboards"] if one["file"] == "plain.json")
        assert (plain["revision"], plain["right"], plain["shared"]) == (1, "see", True), "nothing has changed"
        body = {"dashboard": {"title": "Mine"}, "revision": 1}
        for answer in (
            await app.client.put(f"/api/dashboards/{plain['id']}", json=body),
            await app.client.delete(f"/api/dashboards/{plain['id']}"),
        ):
            assert (answer.status_code, answer.json()["error"]["code"]) == (403, "from_file")
        (folder / "plain.json").write_text('{"title": "Changed"}')
        await look(app, tmp_path, folder)
        assert (await app.get(f"/api/dashboards/{plain['id']}"))["revision"] == 2
        (folder / "plain.json").unlink()
        await look(app, tmp_path, folder)
        assert await titles(app) == {"example.yml": "At a glance"}
        assert (await app.client.get(f"/api/dashboards/{plain['id']}")).status_code == 404
        await look(app, tmp_path, None)
        assert await titles(app) == {}


@pytest.mark.parametrize(
    "content",
    [
        b"title: [",
        b"\xff\xfe\x00",
        b"[1, 2]",
        b"",
        b'{"title": "x", "widgets": [{"id": "a", "type": "chart"}]}',
        b"title: x\ncolour: red",
        b"[" * 100_000,
    ],
)
async def test_a_bad_file_leaves_the_last_version_and_the_others_alone(
    tmp_path: Path, folder: Path, content: bytes
) -> None:
    async with running_app(tmp_path) as app:
        (folder / "a.yml").write_text("title: Good")
        await look(app, tmp_path, folder)
        (folder / "a.yml").write_bytes(content)
        (folder / "b.yml").write_text("title: Other")
        job = DashboardFiles(
            app.services.settings.model_copy(update={"dashboards_dir": str(folder)}), app.services.database, app.clock
        )
        await job.run(asyncio.Event())
        assert await titles(app) == {"a.yml": "Good", "b.yml": "Other"}
        (failure,) = job.failures.oldest_first()
        assert (failure.what, "a.yml" in failure.reason) == ("the dashboard a.yml", True)
        # A file that has been mended is read at once, though others that fail wait.
        (folder / "a.yml").write_text("title: Mended")
        await job.run(asyncio.Event())
        assert (await titles(app))["a.yml"] == "Mended"
        assert job.failures.oldest_first() == []
        await job.close()


async def test_of_two_workers_one_reads_the_files(tmp_path: Path, folder: Path) -> None:
    async with running_app(tmp_path) as app:
        (folder / "a.yml").write_text("title: Once")
        settings = app.services.settings.model_copy(update={"dashboards_dir": str(folder)})
        first, second = (DashboardFiles(settings, app.services.database, app.clock) for _ in range(2))
        await asyncio.gather(first.run(asyncio.Event()), second.run(asyncio.Event()))
        assert len((await app.get("/api/dashboards"))["dashboards"]) == 1
        await first.close()
        await second.close()


async def test_a_folder_that_cannot_be_read_deletes_nothing(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_app(tmp_path) as app:
        (folder / "a.yml").write_text("title: Kept")
        await look(app, tmp_path, folder)
        monkeypatch.setattr(files, "MOST_FILES", 0)
        for gone in (folder, tmp_path / "nowhere"):
            settings: Any = app.services.settings.model_copy(update={"dashboards_dir": str(gone)})
            job = DashboardFiles(settings, app.services.database, app.clock)
            with pytest.raises(ConfigError, match="dashboards_dir"):
                await job.run(asyncio.Event())
            await job.close()
        assert await titles(app) == {"a.yml": "Kept"}
