"""Who may see and change a dashboard: its owner and admins everything, others what was granted to them."""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from bongsu.server.auth.principal import Principal, Role

Right = Literal["see", "change"]


class Grant(BaseModel):
    """A right of a user, or of all who have a role or a higher one. Whoever may change a dashboard may see it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    role: Role | None = None
    user_id: int | None = Field(None, ge=1, le=2**31 - 1)
    right: Right

    @model_validator(mode="after")
    def _one(self) -> "Grant":
        if (self.role is None) is (self.user_id is None):
            raise ValueError("a grant is for a role or for a user")
        return self


Grants = Annotated[list[Grant], Field(max_length=100)]
GRANTS: TypeAdapter[list[Grant]] = TypeAdapter(list[Grant])
EVERYBODY = [Grant(role=Role.viewer, right="see"), Grant(role=Role.operator, right="change")]


def right_of(principal: Principal, owner_id: int, grants: Sequence[Grant]) -> Right | None:
    """What a principal may do with a dashboard; None: it does not exist for it.

    An API token has the rights of its user, but changes nothing beyond its own role: a viewer's token only sees.
    """
    changes = principal.kind == "user" or principal.role.includes(Role.operator)
    if principal.role.includes(Role.admin) or (principal.user_id == owner_id and changes):
        return "change"
    granted = {
        grant.right
        for grant in grants
        if (grant.user_id == principal.user_id if grant.role is None else principal.role.includes(grant.role))
    }
    if "change" in granted and changes:
        return "change"
    return "see" if granted or principal.user_id == owner_id else None
