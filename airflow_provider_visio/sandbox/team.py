"""Members and invites of the Vizdom workspace."""

from dataclasses import dataclass
from typing import Literal

from . import ids
from .context import Context

Role = Literal["admin", "editor", "viewer"]

# An invite is valid for seven days (docs: the help page on access control).
INVITE_SECONDS = 7 * 86_400


@dataclass(frozen=True)
class Member:
    """A member."""

    id: str
    name: str
    email: str
    role: Role
    joined_at: str


@dataclass(frozen=True)
class Invite:
    """An invite that nobody has accepted."""

    id: str
    email: str
    role: Role
    created_at: float

    @property
    def expires_at(self) -> float:
        """When its link expires, as a Unix timestamp."""
        return self.created_at + INVITE_SECONDS


SEEDED = (
    Member("usr_ada1", "Ada Admin", "ada@example.com", "admin", "2026-01-10T08:00:00Z"),
    Member("usr_edi2", "Edi Editor", "edi@example.com", "editor", "2026-01-12T09:30:00Z"),
    Member("usr_vic3", "Vic Viewer", "vic@example.com", "viewer", "2026-02-03T14:00:00Z"),
)


class Team:
    """Members and invites."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.members = {member.id: member for member in SEEDED}
        self.invites: dict[str, Invite] = {}

    def membership_problem(self, email: str, moment: float) -> str | None:
        """Return why an address cannot be invited: it is a member's, or has a valid invite."""
        wanted = email.lower()
        if any(member.email.lower() == wanted for member in self.members.values()):
            return "is already a member"
        for invite in self.invites.values():
            if invite.email.lower() == wanted and moment < invite.expires_at:
                return "is already invited"
        return None

    def invite(self, email: str, role: Role, moment: float) -> Invite:
        """Add an invite; no e-mail is sent."""
        invite = Invite(f"inv_{ids.token(10)}", email, role, moment)
        self.invites[invite.id] = invite
        self._context.log.record(moment, "member_invited", invite.id, f"{invite.id}: invited as {role}")
        return invite
