"""Makes and keeps the folder of a site: authority, broker, and what every member takes with it.

::

    site.json             who is known; no secrets
    authority/            the authority's key: whoever has it can be anybody
    broker/               all that the broker's machine needs, and no more
    agents/NAME/          all that the machine of NAME needs, and no more

Run again, it adds what is new and leaves every other credential as it is. Nothing is overwritten
that this site did not make. Keys, passwords and folders are the owner's alone.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec.structs import replace

from broker import handouts, secured
from broker import site as sites
from broker.authority import Authority, Credential, ends_on, serials
from broker.private_files import read_file, remove_folder, write_folder
from broker.site import BROKER, FILE, OPERATOR, Auth, Site
from broker.start import CONFIGURATION, BrokerSettings, configuration
from shared.errors import RuntimeUnavailable, SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from broker.access import Member

ROOT: Final = "recserve"
_SOON: Final = dt.timedelta(days=60)


@dataclass(frozen=True)
class SiteChange:
    """What is wanted of a site; what is left empty stays as it is."""

    hosts: tuple[str, ...] = ()
    port: int | None = None
    root: str | None = None
    auth: Auth | None = None
    members: tuple[Member, ...] = ()
    renew: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()


def provision(folder: Path, request: SiteChange) -> list[str]:
    """Bring a site to what is wanted; return a line for each thing done or to be known.

    Raises ``SettingsError`` before anything is written when the request contradicts the site.
    """
    folder = folder.absolute()
    if (folder / FILE).exists():
        site = _agreeing(sites.read(folder), request)
    else:
        site = _found(folder, request)
    _rehearse(folder, site, request)
    workshop = _Workshop(folder, site)
    for name in request.remove:
        workshop.remove(name)
    workshop.admit((*request.members, OPERATOR))
    for name in request.renew:
        workshop.renew(name)
    workshop.equip_broker()
    return workshop.done


def _found(folder: Path, request: SiteChange) -> Site:
    """Begin a site in a folder that is new or empty."""
    if folder.exists() and any(folder.iterdir()):
        raise SettingsError(f"{folder} is not empty and holds no {FILE}; name another folder")
    if not request.hosts:
        raise SettingsError("a new site needs --broker-host, the name that members reach it by")
    return Site(
        hosts=request.hosts,
        port=request.port or secured.PORT,
        root=request.root or ROOT,
        auth=request.auth or "certificate",
    )


def _agreeing(site: Site, request: SiteChange) -> Site:
    """Return the site, with the hosts that are asked for; what members were told never changes."""
    for key in ("auth", "port", "root"):
        wanted, is_ = getattr(request, key), getattr(site, key)
        if wanted not in (None, is_):
            raise SettingsError(
                f"this site has --{key} {is_} and its members were told so; "
                f"for {wanted} make another site"
            )
    if BROKER in request.renew:
        return replace(site, hosts=request.hosts or site.hosts)
    if set(request.hosts) - set(site.hosts):
        raise SettingsError(
            f"the broker's certificate is for {', '.join(site.hosts)} only; "
            f"add --renew {BROKER} to have one for {', '.join(request.hosts)} instead"
        )
    return site


def _rehearse(folder: Path, site: Site, request: SiteChange) -> None:
    """Find what would go wrong, before anything is written."""
    before = {member.name for member in site.members}
    for name in request.remove:
        site = sites.expel(site, name)
    site = sites.admit(site, (*request.members, OPERATOR))
    for name in request.renew:
        if name != BROKER:
            site = sites.credit(site, name)
    new = {member.name for member in site.members} - before
    credentials_change = bool(new or request.remove or request.renew)
    if before and (BROKER in request.renew or (site.auth == "certificate" and credentials_change)):
        _read_authority(folder)
    for name in new:
        home = folder / "agents" / name
        if home.exists():
            raise SettingsError(f"{home} is there but belongs to no member; move it away first")


def _read_authority(folder: Path) -> Authority:
    why = "the authority must sign something; put its folder back for that"
    key, certificate = (
        read_file(folder / "authority" / name, why) for name in ("ca.key", "ca.crt")
    )
    return Authority.read(Credential(certificate, key))


class _Workshop:
    """A site's folder while it is worked on; ``site.json`` is written before each credential.

    So whatever is interrupted leaves a member without access, never access that nobody knows of,
    and ``--renew`` completes it.
    """

    def __init__(self, folder: Path, site: Site) -> None:
        self.done: list[str] = []
        self._folder = folder
        self._site = site

    def remove(self, name: str) -> None:
        """Void a member's credential, and delete it here."""
        self._site = sites.expel(self._site, name)
        self._save()
        remove_folder(self._home(name))
        self.done.append(f"{name} is a member no more")

    def admit(self, members: Iterable[Member]) -> None:
        """Let members in; those who are new get a credential."""
        self._site = sites.admit(self._site, members)
        for known in self._site.known:
            if not (known.serial or known.verifier):
                home = self._equip(known.member)
                self.done.append(f"new {known.member.role} {known.member.name}: {home}")

    def renew(self, name: str) -> None:
        """Replace the credential of a member, or of the broker."""
        if name == BROKER:
            (self._folder / "broker" / secured.CERTIFICATE).unlink(missing_ok=True)
            self.done.append(f"new certificate of the broker for {', '.join(self._site.hosts)}")
            return
        known = self._site.find(name)
        assert known is not None, "rehearsed"  # noqa: S101
        home = self._equip(known.member)
        self.done.append(f"new credential for {name}: {home}; the former one is void")

    def equip_broker(self) -> None:
        """Write all that the broker needs; its certificate stays if there is one."""
        self._save()
        home, site = self._folder / "broker", self._site
        access = msgspec.json.encode(sites.access(site))
        files = {
            secured.ACCESS: msgspec.json.format(access),
            secured.LISTENER: f"# What `recserve broker` is told.\nport: {site.port}\n".encode(),
        }
        if not (home / secured.CERTIFICATE).exists():
            made = self._authority().for_broker(site.hosts)
            files |= {secured.CERTIFICATE: made.certificate, secured.KEY: made.key}
            files[secured.AUTHORITY] = self._authority_certificate()
        void = {int(serial, 16) for serial in site.revoked}
        listed = home / secured.REVOKED
        if site.auth == "certificate" and not (listed.exists() and serials(listed) == void):
            files[secured.REVOKED] = self._authority().revoke(void)
        write_folder(home, files)
        self._configure(home)
        self._tell_what_ends()

    def _configure(self, home: Path) -> None:
        """Write Mosquitto's configuration for where the folder lies now."""
        settings = BrokerSettings(host="*", port=self._site.port, provisioned=str(home))
        try:
            text = configuration(settings, home)
        except RuntimeUnavailable as error:
            self.done.append(f"no {CONFIGURATION.name} for the broker: {error}")
        else:
            write_folder(home, {CONFIGURATION.name: text.encode()})

    def _equip(self, member: Member) -> Path:
        """Make a credential and put it, with everything it needs, into its owner's folder."""
        files = {handouts.AUTHORITY: self._authority_certificate()}
        if self._site.auth == "certificate":
            made = self._authority().for_agent(member.name)
            files |= {handouts.CERTIFICATE: made.certificate, handouts.KEY: made.key}
            self._site = sites.credit(
                self._site, member.name, serial=f"{made.serial:x}", until=ends_on(made.certificate)
            )
        else:
            secret = handouts.new_secret()
            files[handouts.PASSWORD] = secret.password.encode()
            self._site = sites.credit(self._site, member.name, verifier=secret.verifier)
        self._save()
        files[handouts.SETTINGS] = handouts.settings(self._site, member)
        home = self._home(member.name)
        write_folder(home, files)
        return home

    def _authority(self) -> Authority:
        """Take up the site's authority, or make it with the site; never a second one."""
        home = self._folder / "authority"
        if home.exists() or (self._folder / FILE).exists():
            return _read_authority(self._folder)
        authority = Authority.create(f"RecServe {self._site.hosts[0]}"[:64])
        made = authority.credential
        write_folder(home, {"ca.crt": made.certificate, "ca.key": made.key})
        self.done.append(f"new authority: {home}; put ca.key where no network reaches")
        return authority

    def _authority_certificate(self) -> bytes:
        public = self._folder / "broker" / secured.AUTHORITY
        return public.read_bytes() if public.exists() else self._authority().credential.certificate

    def _tell_what_ends(self) -> None:
        """Name certificates that run out within two months."""
        soon = (dt.datetime.now(dt.timezone.utc) + _SOON).date().isoformat()
        certificate = self._folder / "broker" / secured.CERTIFICATE
        ends = {BROKER: ends_on(certificate.read_bytes())}
        ends |= {known.member.name: known.until for known in self._site.known if known.until}
        for name, day in ends.items():
            if day <= soon:
                self.done.append(f"the certificate of {name} ends on {day}; --renew {name}")

    def _save(self) -> None:
        write_folder(self._folder, {FILE: sites.encode(self._site)})

    def _home(self, name: str) -> Path:
        return self._folder / "agents" / name
