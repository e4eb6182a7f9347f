"""Who asks, and what they may do."""

import enum
from dataclasses import dataclass

from bongsu.core.errors import Forbidden
from bongsu.server.fleet.registry import Registry
from bongsu.server.fleet.servers import ServerRecord


class Role(enum.StrEnum):
    """viewer: looks. operator: also acts on what happens (acknowledges, silences). admin: also people, tokens, rules
    of access. Each may do what those before it may."""

    viewer = "viewer"
    operator = "operator"
    admin = "admin"

    @property
    def rank(self) -> int:
        """Higher may more."""
        return list(Role).index(self)

    def includes(self, other: "Role") -> bool:
        """Whether this role may do all that ``other`` may."""
        return self.rank >= other.rank


@dataclass(frozen=True, slots=True)
class Principal:
    """A person who is logged in, or an API token.

    ``tags``: sees only servers that carry every one of them. Tags that an agent says of itself do not count: who runs
    a machine must not choose who watches it.
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
        """As in the audit log."""
        return f"{self.kind} {self.id}"

    @property
    def restricted(self) -> bool:
        """Whether there may be servers that are not shown."""
        return bool(self.tags)

    def check_sees_all(self) -> None:
        """Raises Forbidden for who sees some servers only: rules, silences and channels are about all of them."""
        if self.restricted:
            raise Forbidden("This is about all servers; you see some of them only.", code="restricted")

    def may_see(self, record: ServerRecord) -> bool:
        """Whether a server exists for them."""
        return self.tags <= record.own_tags.items()

    def view(self, registry: Registry) -> Registry:
        """The servers that exist for them: the registry itself, or one with only those (50 us for 1,000 servers)."""
        if not self.restricted:
            return registry
        return registry.only(lambda state: self.may_see(state.record))
