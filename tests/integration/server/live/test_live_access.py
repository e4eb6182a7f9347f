"""Who may watch: tokens, rights that change, pages of other sites."""

from pathlib import Path

import pytest

from bongsu.server.fleet.servers import set_tags
from bongsu.server.live import conversation, hub
from bongsu.wire import live
from tests.support.app import api_token, running_app
from tests.support.clock import FakeClock
from tests.support.live import EVERYTHING, LiveClient, at_once, connected, push, server_id
from tests.support.people import add_person, person_token

__all__ = ["at_once"]

NOW = 1_790_000_000_000


async def test_only_servers_that_one_may_see(tmp_path: Path) -> None:
    async with running_app(tmp_path, clock=FakeClock(NOW)) as app:
        for name, team in (("web-1", "a"), ("web-2", "b")):
            await push(app, name=name)
            identity = await server_id(app, name)
            await app.services.fleet.change(
                lambda connection, identity=identity, team=team: set_tags(connection, identity, {"team": team})
            )
        first, second = await server_id(app, "web-1"), await server_id(app, "web-2")
        user = await add_person(app, "viewer", tags={"team": "a"})
        token = await api_token(app.services, user.id, "viewer")
        async with connected(app, token) as client:
            await client.say(EVERYTHING)
            await client.until(lambda seen: seen.samples)
            assert client.seen.subscriptions[1][1] == [first]
            await client.say(live.Subscribe(2, server_ids=(second,), values=True))
            await client.until(lambda seen: seen.refusals)
            ((subscription, error),) = client.seen.refusals
            assert (subscription, error.code) == (2, "unknown_server")
            app.clock.advance(10)
            await push(app, name="web-2")
            await push(app, name="web-1")
            await client.until(lambda seen: len(seen.times(first)) == 2)
            assert not client.seen.times(second)
            # The server is given to the other team while the connection is open.
            await app.services.fleet.change(lambda connection: set_tags(connection, first, {"team": "b"}))
            await app.services.live.look()
            await client.until(lambda seen: seen.subscriptions[1] == ([], []))
            assert client.seen.states[first] is live.State.GONE
            app.clock.advance(10)
            await push(app, name="web-1")
            await client.settled()
            assert len(client.seen.times(first)) == 2


async def test_changed_rights_take_effect_on_the_open_connection(tmp_path: Path) -> None:
    async with running_app(tmp_path, clock=FakeClock(NOW)) as app:
        await push(app)
        first = await server_id(app)
        user = await add_person(app, "viewer")
        token = await api_token(app.services, user.id, "viewer")
        async with connected(app, token) as client:
            await client.say(EVERYTHING)
            await client.until(lambda seen: seen.samples)
            admin = app.services.auth.directory.users[1]
            app.client.headers["Authorization"] = f"Bearer {await person_token(app, admin)}"
            answer = await app.client.patch(f"/api/users/{user.id}", json={"tags": {"team": "a"}})
            assert answer.status_code == 200, answer.text
            await app.services.live.look()
            await client.until(lambda seen: seen.subscriptions[1][1] == [])
            await app.client.patch(f"/api/users/{user.id}", json={"tags": {}})
            await app.services.live.look()
            await client.until(lambda seen: seen.subscriptions[1][1] == [first])
            answer = await app.client.patch(f"/api/users/{user.id}", json={"disabled": True})
            assert answer.status_code == 200, answer.text
            await app.services.live.look()
            assert (await client.until_closed())[0] == hub.UNAUTHENTICATED


async def test_a_token_is_renewed_or_the_connection_ends(tmp_path: Path) -> None:
    async with running_app(tmp_path, clock=FakeClock(NOW)) as app:
        user, other = await add_person(app, "viewer"), await add_person(app, "viewer")
        async with connected(app, await person_token(app, user)) as client:
            (expires_ms,) = client.seen.welcomes
            assert expires_ms == NOW + 15 * 60_000
            app.clock.advance(14 * 60)
            await client.say(live.Authenticate(live.PROTOCOL, await person_token(app, user)))
            await client.until(lambda seen: len(seen.welcomes) == 2)
            app.clock.advance(2 * 60)
            await app.services.live.look()
            await client.settled()
            app.clock.advance(14 * 60)
            await app.services.live.look()
            assert await client.until_closed() == (hub.UNAUTHENTICATED, "The token has expired.")
        async with connected(app, await person_token(app, user)) as client:
            await client.say(live.Authenticate(live.PROTOCOL, await person_token(app, other)))
            assert (await client.until_closed())[0] == hub.UNAUTHENTICATED


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (b"\xff\xff garbage", conversation.MALFORMED),
        (b"", conversation.MALFORMED),
        (live.encode_client(live.Authenticate(live.PROTOCOL, "nonsense")), hub.UNAUTHENTICATED),
        (live.encode_client(live.Authenticate(live.PROTOCOL, "")), hub.UNAUTHENTICATED),
        (live.encode_client(live.Authenticate(99, "nonsense")), conversation.UNKNOWN_PROTOCOL),
        (live.encode_client(EVERYTHING), hub.UNAUTHENTICATED),
    ],
)
async def test_whoever_does_not_authenticate_is_closed(tmp_path: Path, said: bytes, code: int) -> None:
    async with running_app(tmp_path, clock=FakeClock(NOW)) as app:
        client = LiveClient(app)
        await client.say_bytes(said)
        closed, reason = await client.until_closed()
        assert closed == code
        assert reason
        await client.leave()
        assert not app.services.live.clients


@pytest.mark.parametrize("whose", ["agent", "expired"])
async def test_other_tokens_do_not_open_the_stream(tmp_path: Path, whose: str) -> None:
    async with running_app(tmp_path, clock=FakeClock(NOW)) as app:
        user = await add_person(app, "viewer")
        token = await app.agent_token("agent-web-1") if whose == "agent" else await person_token(app, user)
        app.clock.advance(16 * 60)
        client = LiveClient(app)
        await client.say(live.Authenticate(live.PROTOCOL, token))
        assert (await client.until_closed())[0] == hub.UNAUTHENTICATED
        await client.leave()


async def test_whoever_says_nothing_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversation, "AUTHENTICATION_SECONDS", 0.05)
    async with running_app(tmp_path, clock=FakeClock(NOW)) as app:
        client = LiveClient(app)
        assert await client.until_closed() == (hub.UNAUTHENTICATED, "Send a token first.")
        await client.leave()


async def test_pages_of_other_sites_are_refused(tmp_path: Path) -> None:
    async with running_app(tmp_path, clock=FakeClock(NOW), cors_origins=["https://wall.example.com"]) as app:
        client = LiveClient(app, {"origin": "https://evil.example.com"})
        assert (await client.until_closed())[0] == 4403
        await client.leave()
        for origin in ("http://127.0.0.1", "https://wall.example.com"):
            async with connected(app, origin=origin) as client:
                await client.settled()
