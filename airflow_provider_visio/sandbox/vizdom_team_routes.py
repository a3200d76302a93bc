"""Vizdom's team: what the help page on access control shows in the app, as calls that this project assumes."""

import re
from typing import Annotated, Any

from fastapi import APIRouter, Response
from pydantic import AfterValidator, Field

from .clock import iso
from .evidence import known
from .options import Strict
from .team import Invite, Member, Role
from .visiono_routes import CurrentWorkspace
from .vizdom_replies import error, reply
from .vizdom_routes import PROPOSAL

ACCESS = "docs.flowstatehq.com/configuration/access-control"

router = APIRouter()

_EMAIL = re.compile(r"[!-?A-~]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}")


def _email(value: str) -> str:
    if not _EMAIL.fullmatch(value):
        raise ValueError("this is no e-mail address")
    return value


class InviteMember(Strict):
    """POST /invites."""

    email: Annotated[str, Field(max_length=255), AfterValidator(_email)]
    role: Role


@router.get("/members", **known("assumed", PROPOSAL))
async def list_members(workspace: CurrentWorkspace) -> Response:
    """Everybody who has joined the workspace; invites are not among them."""
    found = [_member_view(member) for member in workspace.team.members.values()]
    return reply(workspace.context, found, total=len(found))


@router.post(
    "/invites",
    **known(
        "assumed", f"{ACCESS} for roles, the seven days and who may; {PROPOSAL}", status=201, role="admin"
    ),
)
async def invite_member(workspace: CurrentWorkspace, body: InviteMember) -> Response:
    """Invite somebody; 422 for one who is there already, as 409 is not in the reference's table."""
    problem = workspace.team.membership_problem(body.email, workspace.now())
    if problem:
        raise error(422, "validation_failed", f"Field 'email': {body.email} {problem}.")
    invite = workspace.team.invite(body.email, body.role, workspace.now())
    return reply(workspace.context, _invite_view(invite), 201)


def _member_view(member: Member) -> dict[str, Any]:
    return {
        "id": member.id,
        "name": member.name,
        "email": member.email,
        "role": member.role,
        "joined_at": member.joined_at,
    }


def _invite_view(invite: Invite) -> dict[str, Any]:
    return {
        "id": invite.id,
        "email": invite.email,
        "role": invite.role,
        "status": "pending",
        "created_at": iso(invite.created_at),
        "expires_at": iso(invite.expires_at),
    }
