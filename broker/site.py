"""A site: one broker and everybody it knows, as a value and as ``site.json``.

Pure but for reading and writing that file, which holds no secret: of a password only the salted
hash, of a certificate only the serial number. Every change returns a new site or raises
``SettingsError`` with what stands in its way.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import msgspec
from msgspec.structs import replace

from broker.access import Member, dynamic_security, rights
from shared.errors import SettingsError
from shared.wire.topics import Topics, check_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

FILE: Final = "site.json"
OPERATOR: Final = Member(name="operator", role="operator")
BROKER: Final = "broker"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")

Auth = Literal["certificate", "password"]


class Verifier(msgspec.Struct, frozen=True):
    """What the broker holds a password against: PBKDF2 with SHA-512, in base64."""

    password: str
    salt: str
    iterations: int


class Known(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A member and its credential: a certificate that is good until a day, or a password."""

    member: Member
    serial: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{0,40}$")] = ""
    until: Annotated[str, msgspec.Meta(pattern=r"^(\d{4}-\d\d-\d\d)?$")] = ""
    verifier: Verifier | None = None


class Site(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the broker is, how members log in, who they are, and whose certificate is void."""

    version: Annotated[int, msgspec.Meta(ge=1, le=1)] = 1
    hosts: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)]
    root: str
    auth: Auth
    known: tuple[Known, ...] = ()
    revoked: tuple[Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{1,40}$")], ...] = ()

    def __post_init__(self) -> None:
        """Hold everything to what certificates, topics and folders can carry."""
        Topics(self.root)
        for host in self.hosts:
            _check_host(host)
        for member in self.members:
            _check_member(member, self.root)
        _check_together(self.members)

    @property
    def members(self) -> list[Member]:
        """Everybody who may log in."""
        return [known.member for known in self.known]

    def find(self, name: str) -> Known | None:
        """Return the member of a name."""
        return next((known for known in self.known if known.member.name == name), None)


def read(folder: Path) -> Site:
    """Read the site of a folder. Raises ``SettingsError``."""
    file = folder / FILE
    try:
        return msgspec.json.decode(file.read_bytes(), type=Site)
    except OSError as error:
        raise SettingsError(f"{file}: cannot be read ({error.strerror})") from error
    except (msgspec.DecodeError, UnicodeError, RecursionError, SettingsError) as error:
        raise SettingsError(f"{file}: is not the file of a site: {error}") from error


def encode(site: Site) -> bytes:
    """Return the text of ``site.json``."""
    return msgspec.json.format(msgspec.json.encode(site)) + b"\n"


def admit(site: Site, asked: Iterable[Member]) -> Site:
    """Add members, or widen what known ones may serve and ask; nobody else changes."""
    known = {one.member.name: one for one in site.known}
    for member in asked:
        _check_member(member, site.root)
        before = known.get(member.name)
        merged = _merge(before.member, member) if before else member
        known[member.name] = replace(before, member=merged) if before else Known(member=member)
    return replace(site, known=tuple(known.values()))


def credit(
    site: Site, name: str, *, serial: str = "", until: str = "", verifier: Verifier | None = None
) -> Site:
    """Give a member a new credential; the certificate it had is revoked."""
    known = _must_find(site, name)
    revoked = (*site.revoked, known.serial) if known.serial else site.revoked
    fresh = replace(known, serial=serial, until=until, verifier=verifier)
    return replace(site, known=_in_place(site, fresh), revoked=revoked)


def expel(site: Site, name: str) -> Site:
    """Take a member out, its certificate and everybody's leave to ask it included."""
    gone = _must_find(site, name)
    if gone.member == OPERATOR:
        raise SettingsError("the operator cannot be removed; --renew operator replaces it")
    revoked = (*site.revoked, gone.serial) if gone.serial else site.revoked
    known = tuple(_without(k, name) for k in site.known if k is not gone)
    return replace(site, known=known, revoked=revoked)


def access(site: Site) -> dict[str, Any]:
    """Return the file of Mosquitto's dynamic-security plugin for this site."""
    topics = Topics(site.root)
    granted = {m.name: rights(m, site.members, topics) for m in site.members}
    verifiers = {
        known.member.name: msgspec.to_builtins(known.verifier)
        for known in site.known
        if known.verifier
    }
    return dynamic_security(granted, verifiers)


def _merge(before: Member, asked: Member) -> Member:
    if before.role != asked.role:
        raise SettingsError(
            f"{asked.name!r} is a member of this site as {before.role}, not {asked.role}; "
            f"--remove it first or choose another name"
        )
    devices = tuple(dict.fromkeys((*before.devices, *asked.devices)))
    reads = tuple(dict.fromkeys((*before.reads, *asked.reads)))
    writes = tuple(dict.fromkeys((*before.writes, *asked.writes)))
    pool = asked.pool or before.pool
    return replace(before, pool=pool, devices=devices, reads=reads, writes=writes)


def _in_place(site: Site, known: Known) -> tuple[Known, ...]:
    return tuple(known if k.member.name == known.member.name else k for k in site.known)


def _without(known: Known, device: str) -> Known:
    devices = tuple(name for name in known.member.devices if name != device)
    return replace(known, member=replace(known.member, devices=devices))


def _must_find(site: Site, name: str) -> Known:
    known = site.find(name)
    if known is None:
        names = ", ".join(member.name for member in site.members)
        raise SettingsError(f"nobody here is called {name!r}; known: {names}")
    return known


def _check_member(member: Member, root: str) -> None:
    """Names become topic levels, folders and common names of certificates."""
    for name in filter(None, (member.name, member.pool, *member.devices)):
        check_name(name, f"the name of this {member.role}")
        if not _NAME.fullmatch(name):
            raise SettingsError(
                f"the name {name!r} must be of letters, digits, '-', '_' and '.', "
                "and begin with a letter or digit"
            )
    if member.name == BROKER or (member.name == OPERATOR.name and member != OPERATOR):
        raise SettingsError(f"the name {member.name!r} is taken; choose another")
    for filter_ in (*member.reads, *member.writes):
        _check_foreign(filter_, root)


def _check_foreign(filter_: str, root: str) -> None:
    """Refuse a filter of other programs' topics that reaches into ours, or is none."""
    if any(unicodedata.category(character)[0] == "C" for character in filter_):
        raise SettingsError(f"{filter_!r} is no MQTT filter: it holds a control character")
    levels = filter_.split("/")
    mixed = [
        level for level in levels if level not in ("+", "#") and ("+" in level or "#" in level)
    ]
    if mixed or "#" in levels[:-1]:
        raise SettingsError(
            f"{filter_!r} is no MQTT filter: '+' stands for a whole level, '#' for all that is left"
        )
    ours = root.split("/", maxsplit=1)[0]
    if levels[0] in ("+", "#", "", ours) or levels[0].startswith("$"):
        raise SettingsError(
            f"{filter_!r} must begin with a level of its own, which is neither a wildcard nor "
            f"{ours!r}: it is for other programs' topics"
        )


def _check_together(members: Sequence[Member]) -> None:
    """Refuse pools that share an agent's address or span tiers, and devices nobody knows."""
    names = {member.name for member in members}
    devices = {member.name for member in members if member.role == "device"}
    tiers: dict[str, str] = {}
    for member in members:
        if member.pool in names:
            raise SettingsError(f"the pool {member.pool!r} has the name of a member; rename it")
        if member.pool and tiers.setdefault(member.pool, member.role) != member.role:
            raise SettingsError(f"the pool {member.pool!r} would span two tiers; name two pools")
        for device in member.devices:
            if device not in devices:
                raise SettingsError(
                    f"{member.name!r} is to ask {device!r}, which is no device of this site; "
                    f"add --device {device}"
                )


def _check_host(host: str) -> None:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        if not _HOST.fullmatch(host) or len(host) > 253:  # noqa: PLR2004 - longest DNS name
            raise SettingsError(f"{host!r} is neither a host name nor an address") from None
