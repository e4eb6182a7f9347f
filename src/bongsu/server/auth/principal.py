"""Principals: who makes a request, and what they may do."""

import enum
from dataclasses import dataclass

from bongsu.core.errors import Forbidden
from bongsu.server.fleet.registry import Registry
from bongsu.server.fleet.servers import ServerRecord


class Role(enum.StrEnum):
    """viewer: reads. operator: also acts on alerts (acknowledges, silences, changes rules). admin: also manages people,
    tokens, agents and channels. Each role may do everything that the roles before it may."""

    viewer = "viewer"
    operator = "operator"
    admin = "admin"

    @property
    def rank(self) -> int:
        """Its place in the order of the roles."""
        return _RANKS[self]

    def includes(self, other: "Role") -> bool:
        """Whether this role may do everything that ``other`` may."""
        return self.rank >= other.rank


_RANKS = {role: rank for rank, role in enumerate(Role)}


class Scope(enum.StrEnum):
    """What an API token may do: all that a role may, or (writer) only write samples of servers, and read nothing."""

    writer = "writer"
    viewer = "viewer"
    operator = "operator"
    admin = "admin"

    @property
    def role(self) -> Role | None:
        """The role with the same rights."""
        return None if self is Scope.writer else Role(self.value)


@dataclass(slots=True)
class Writer:
    """An API token that may write samples of servers that have all of ``tags``; new servers get them.

    ``allowance``: how many requests its rate limit allows now.
    """

    token_id: int
    name: str
    tags: frozenset[tuple[str, str]] = frozenset()
    allowance: float = -1.0
    counted_at: float = 0.0

    def may_write(self, record: ServerRecord) -> bool:
        """Whether it may write samples of this server."""
        return self.tags <= record.own_tags.items()


@dataclass(frozen=True, slots=True)
class Principal:
    """A person who is logged in, or an API token.

    ``tags``: it sees only servers that have all of them. Tags that an agent reports do not count: whoever runs a
    machine must not decide who sees it.
    """

    kind: str  # "user" or "api_token"
    id: int
    user_id: int
    name: str
    role: Role
    address: str = ""
    tags: frozenset[tuple[str, str]] = frozenset()
    session_id: str = ""
    expires_ms: int = 0  # 0: never

    @property
    def actor(self) -> str:
        """Its name in the audit log."""
        return f"{self.kind} {self.id}"

    @property
    def restricted(self) -> bool:
        """Whether it may see only some of the servers."""
        return bool(self.tags)

    def check_sees_all(self) -> None:
        """Raises Forbidden if it sees only some servers: rules, silences and users concern all of them."""
        if self.restricted:
            raise Forbidden("This applies to all servers, and you may see only some of them.", code="restricted")

    def may_see(self, record: ServerRecord) -> bool:
        """Whether it may see a server."""
        return self.tags <= record.own_tags.items()

    def view(self, registry: Registry) -> Registry:
        """The registry of the servers that it may see (50 us for 1,000 servers; nothing if it sees all of them)."""
        if not self.restricted:
            return registry
        return registry.only(lambda state: self.may_see(state.record))
