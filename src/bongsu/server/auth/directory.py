"""The directory: users, sessions, API tokens, agents and signing keys, in memory.

Every change goes through ``change``, which raises the revision of the part in the same transaction. This process knows
the change when ``change`` returns. The other processes compare revisions once a second, and before they refuse an
unknown token: what was granted elsewhere works at once, what was revoked stops working within a second.
"""

import asyncio
import contextlib
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from sqlalchemy import Connection

from bongsu.core.clock import Clock
from bongsu.server.auth.queries import accounts, agents
from bongsu.server.auth.queries.accounts import ApiTokenRecord, SessionRecord, UserRecord
from bongsu.server.auth.queries.agents import AgentTokenRecord
from bongsu.server.auth.queries.signing_keys import (
    StoredSigningKey,
    add_signing_key,
    delete_signing_keys,
    load_signing_keys,
)
from bongsu.server.auth.signing import AccessTokens, SigningKey, new_key
from bongsu.server.database.database import Database, Glance
from bongsu.server.database.revisions import bump_revision, load_revisions
from bongsu.server.vault import Vault, WrongSecret

logger = logging.getLogger(__name__)

T = TypeVar("T")

PEOPLE, AGENTS, KEYS = "people", "agents", "keys"
POLL_SECONDS = 1.0
# However many unknown tokens arrive, the database is asked no more often than this.
LOOK_AGAIN_SECONDS = 0.1
KEY_PURPOSE = "signing key"


@dataclass(slots=True)
class Grant:
    """An agent that may push. ``allowance``: how many pushes its rate limit allows now."""

    agent_id: str
    token_id: int
    expires_ms: int
    tags: dict[str, str] = field(default_factory=dict)
    allowance: float = -1.0
    counted_at: float = 0.0


class Directory:
    """One per process."""

    def __init__(self, database: Database, vault: Vault, clock: Clock, tokens: AccessTokens) -> None:
        self.users: dict[int, UserRecord] = {}
        self.sessions: dict[str, SessionRecord] = {}
        self.api_tokens: dict[bytes, ApiTokenRecord] = {}
        self.api_tokens_used_ms: dict[int, int] = {}
        # sha256 of the token -> its agent, for the hot path.
        self.agents: dict[bytes, Grant] = {}
        self.tokens = tokens
        self._database = database
        self._glance = Glance(database)
        self._vault = vault
        self._clock = clock
        self._revisions: dict[str, int] = {}
        self._loading = asyncio.Lock()
        self._refreshed_at = 0.0

    @property
    def set_up(self) -> bool:
        """Whether there are any users."""
        return bool(self.users)

    async def start(self) -> None:
        """Loads everything, and makes the first signing key."""
        now_ms = self._clock.now_ms()
        key = new_key(now_ms)
        stored = StoredSigningKey(key.id, self._vault.encrypt(key.secret, KEY_PURPOSE), now_ms)

        def prepare(connection: Connection) -> None:
            agents.forget_expired_agent_tokens(connection, now_ms)
            add_signing_key(connection, stored, only_if_none=True)
            for part in (PEOPLE, AGENTS, KEYS):
                bump_revision(connection, part)

        await self._database.write(prepare)
        await self.refresh()
        if not self.tokens.keys:
            logger.warning(
                "no signing key can be decrypted with this secret key: making a new one; everybody must log in again"
            )
            await self.rotate_keys()

    async def change(self, part: str, function: Callable[[Connection], T]) -> T:
        """Runs ``function`` in a transaction that changes a part."""

        def run(connection: Connection) -> T:
            result = function(connection)
            bump_revision(connection, part)
            return result

        result = await self._database.write(run)
        await self.refresh()
        return result

    @property
    def people_revision(self) -> int:
        """Rises when users, sessions or API tokens change."""
        return self._revisions.get(PEOPLE, 0)

    async def refresh(self, after: float = math.inf) -> None:
        """Loads the parts that have changed, unless that was begun after a time of the event loop's clock."""
        async with self._loading:
            if self._refreshed_at > after:
                return
            began = asyncio.get_running_loop().time()
            now_ms, known = self._clock.now_ms(), self._revisions

            def load(connection: Connection) -> "_Loaded":
                loaded = _Loaded(load_revisions(connection))
                changed = {part for part, revision in loaded.revisions.items() if known.get(part) != revision}
                if PEOPLE in changed:
                    loaded.users = accounts.load_users(connection)
                    loaded.sessions = accounts.load_sessions(connection, now_ms)
                    loaded.api_tokens = accounts.load_api_tokens(connection)
                if AGENTS in changed:
                    loaded.agents = agents.load_agent_tokens(connection)
                if KEYS in changed:
                    loaded.keys = load_signing_keys(connection)
                return loaded

            loaded = await self._glance.read(load)
            if loaded is not None:
                self._take(loaded)
            self._refreshed_at = began

    async def look_again(self) -> None:
        """Refreshes before an unknown token is refused: another process may have issued it."""
        loop = asyncio.get_running_loop()
        asked_at = loop.time()
        await asyncio.sleep(max(0.0, self._refreshed_at + LOOK_AGAIN_SECONDS - asked_at))
        await self.refresh(after=asked_at)  # not if another waiting task has done so meanwhile

    async def poll(self) -> None:
        """Keeps up with other processes and stores when tokens were used, until cancelled."""
        rounds = 0
        while True:
            await asyncio.sleep(POLL_SECONDS)
            rounds += 1
            # The next round tries again; health reports a database that cannot be reached.
            with contextlib.suppress(Exception):
                await self.refresh()
                if rounds % 60 == 0:
                    await self.store_usage()

    async def store_usage(self) -> None:
        """Stores when API tokens were last used; once a minute is enough."""
        used, self.api_tokens_used_ms = self.api_tokens_used_ms, {}
        if used:
            await self._database.write(lambda connection: accounts.touch_api_tokens(connection, used))

    async def rotate_keys(self, *, at_once: bool = False) -> str:
        """Signs with a new key from now on. ``at_once``: tokens signed with older keys are no longer accepted."""
        return await self.change(KEYS, lambda connection: rotate(connection, self._vault, self._clock, at_once=at_once))

    def _take(self, loaded: "_Loaded") -> None:
        if loaded.users is not None:
            self.users = {user.id: user for user in loaded.users}
            self.sessions = {session.id: session for session in loaded.sessions}
            self.api_tokens = {token.token_hash: token for token in loaded.api_tokens}
        if loaded.agents is not None:
            before = self.agents
            self.agents = {}
            for token in loaded.agents:
                if token.token_hash is None:
                    continue
                grant = before.get(token.token_hash) or Grant(token.agent_id, token.id, token.expires_ms, token.tags)
                grant.expires_ms = token.expires_ms
                self.agents[token.token_hash] = grant
        if loaded.keys is not None:
            self.tokens.keys = self._decrypted(loaded.keys)
        self._revisions = loaded.revisions

    def _decrypted(self, stored: list[StoredSigningKey]) -> list[SigningKey]:
        keys = []
        for key in stored:
            # A key that was encrypted with another secret key is of no use.
            with contextlib.suppress(WrongSecret):
                keys.append(SigningKey(key.id, self._vault.decrypt(key.secret, KEY_PURPOSE), key.created_ms))
        return keys


@dataclass(slots=True)
class _Loaded:
    """What ``refresh`` loads; None: not changed."""

    revisions: dict[str, int]
    users: list[UserRecord] | None = None
    sessions: list[SessionRecord] = field(default_factory=list)
    api_tokens: list[ApiTokenRecord] = field(default_factory=list)
    agents: list[AgentTokenRecord] | None = None
    keys: list[StoredSigningKey] | None = None


def rotate(connection: Connection, vault: Vault, clock: Clock, *, at_once: bool) -> str:
    """Stores a new signing key and returns its id. The previous key stays until the tokens it signed have expired."""
    stored = load_signing_keys(connection)
    now_ms = max(clock.now_ms(), stored[0].created_ms + 1 if stored else 0)
    key = new_key(now_ms)
    delete_signing_keys(connection, [old.id for old in (stored if at_once else stored[1:])])
    add_signing_key(connection, StoredSigningKey(key.id, vault.encrypt(key.secret, KEY_PURPOSE), now_ms))
    return key.id
