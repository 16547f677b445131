"""Members: what a new member is in Paheko, and how one is recognised there."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from recyclic.modules.paheko.client import PahekoClient
from recyclic.modules.paheko.settings import PahekoSettings


class NewMember(BaseModel):
    """What `member_created` tells of a member, kept until Paheko has it."""

    member_id: str
    number: int
    first_name: str
    last_name: str
    email: str | None = None

    @property
    def name(self) -> str:
        """Return the name as Paheko's one field holds it (`Nom, prénom`)."""
        return " ".join(f"{self.last_name} {self.first_name}".split())


async def find_member(client: PahekoClient, member: NewMember, taken: set[int]) -> int | None:
    """Return the member's id in Paheko: the same email, or the same name where no email says otherwise.

    `taken` are the ids that stand for other members of ours: a namesake is somebody else.
    """
    for user in await _candidates(client, member):
        if user["id"] not in taken and _is_same(user, member):
            return int(user["id"])
    return None


async def add_member(client: PahekoClient, member: NewMember, settings: PahekoSettings) -> int:
    """Add a member who is not there yet, with our number where it is free in Paheko."""
    users = await _candidates(client, member)
    fields: dict[str, Any] = {"nom": member.name}
    if member.email:
        fields["email"] = member.email
    if all(str(user["numero"]) != str(member.number) for user in users):
        fields["numero"] = str(member.number)
    if settings.member_category is not None:
        fields["id_category"] = settings.member_category
    if any(_folded(user["nom"]) == _folded(member.name) for user in users):
        fields["force_duplicate"] = 1  # a namesake, told apart by the look-up before
    return await client.add_user(fields)


async def _candidates(client: PahekoClient, member: NewMember) -> list[dict[str, Any]]:
    return await client.find_users(name=member.name, email=member.email, number=str(member.number))


def _is_same(user: dict[str, Any], member: NewMember) -> bool:
    theirs, ours = _folded(user["email"]), _folded(member.email)
    if theirs and ours:
        return theirs == ours
    return _folded(user["nom"]) == _folded(member.name)


def _folded(text: object) -> str:
    return str(text or "").strip().casefold()
