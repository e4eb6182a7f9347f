"""docs/extending.md, followed: its files are registered as it says, and used."""

import importlib.util
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import httpx
import pytest

from bongsu.agent.collectors.base import Options
from bongsu.alerts.channels import CHANNELS, ChannelError
from bongsu.alerts.channels.addresses import Addresses
from bongsu.core.samples import HostFacts
from bongsu.server.api import ROUTERS
from tests.support.agent_fakes import fake_ps
from tests.support.app import api_token, running_app
from tests.support.endpoints import endpoint
from tests.support.messages import a_message
from tests.support.people import add_person
from tests.support.pushes import a_frame, a_push
from tests.support.repository import REPOSITORY

FILES = dict(
    re.findall(r"^```python\n# (src/\S+)\n(.*?)^```", (REPOSITORY / "docs/extending.md").read_text(), re.M | re.S)
)


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """Imports a file of the document."""

    def write(path: str) -> ModuleType:
        name = path.removeprefix("src/").removesuffix(".py").replace("/", ".")
        file = tmp_path / Path(path).name
        file.write_text(FILES[path], encoding="utf-8")
        spec = importlib.util.spec_from_file_location(name, file)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, module)
        spec.loader.exec_module(module)
        return module

    return write


def test_the_files_are_new() -> None:
    assert len(FILES) == 3
    assert not [path for path in FILES if (REPOSITORY / path).exists()]


def test_the_collector(written: Callable[[str], ModuleType], tmp_path: Path) -> None:
    collector = written("src/bongsu/agent/collectors/conntrack.py").ConntrackCollector
    folder = tmp_path / "sys/net/netfilter"
    folder.mkdir(parents=True)
    (folder / "nf_conntrack_count").write_text("213\n")
    (folder / "nf_conntrack_max").write_text("262144\n")
    readings = list(collector(fake_ps(), Options(proc=str(tmp_path))).collect())
    assert {reading.metric: reading.value for reading in readings} == {
        "conntrack_entries": 213,
        "conntrack_entries_limit": 262_144,
    }
    assert {reading.metric for reading in readings} == {metric.name for metric in collector.metrics}
    assert list(collector(fake_ps(), Options(proc=str(tmp_path / "none"))).collect()) == []


async def test_the_channel(written: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch) -> None:
    new = written("src/bongsu/alerts/channels/ntfy.py").NtfyChannel
    monkeypatch.setitem(CHANNELS, new.type, new)
    kind = CHANNELS["ntfy"]
    with endpoint() as service:
        config = kind.Config.model_validate({"url": service.url, "topic": "secret-topic"})
        assert config.secrets() == {"topic": "secret-topic"}
        assert "secret-topic" not in str(config.shown())
        async with httpx.AsyncClient() as http:
            channel = kind(config, http, Addresses())
            assert await channel.send(a_message()) == "200"
            service.answers.append((503, {}, "later"))
            with pytest.raises(ChannelError) as error:
                await channel.send(a_message())
    assert error.value.retryable
    assert service.received[0].json["title"] == a_message().title
    assert service.received[0].json["priority"] == 5


async def test_the_endpoint(
    written: Callable[[str], ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = written("src/bongsu/server/api/kernels.py").router
    monkeypatch.setattr("bongsu.server.app.ROUTERS", (*ROUTERS, new))
    async with running_app(tmp_path) as app:
        now_ms = app.clock.now_ms()
        for name, kernel in (("web-1", "6.12.0"), ("web-2", "6.12.0"), ("db-1", "6.1.0"), ("other", "")):
            push = a_push([a_frame(now_ms)], name=name, host=HostFacts(hostname=name, kernel=kernel))
            assert (await app.push(push)).status_code == 200
        assert await app.get("/api/kernels") == {"kernels": {"6.12.0": 2, "6.1.0": 1}}
        anonymous = await app.client.get("/api/kernels", headers={"Authorization": ""})
        assert anonymous.status_code == 401
        person = await add_person(app, "viewer")
        token = await api_token(app.services, person.id, "viewer", {"team": "nobody"})
        answer = await app.client.get("/api/kernels", headers={"Authorization": f"Bearer {token}"})
        assert answer.json() == {"kernels": {}}
