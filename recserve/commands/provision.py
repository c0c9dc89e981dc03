"""``recserve provision``: certificates, passwords and access rights of a site, from one line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
import msgspec

from broker.access import Member
from shared.cli import clear_errors
from shared.errors import RuntimeUnavailable, SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import ModuleType

    from broker.access import Role

_Command = TypeVar("_Command", bound="Callable[..., Any]")
_HELP = """Make the folder of a site, or add to it: an authority, the broker's certificate and
access rights, and for every member a credential with the settings that go with it.

Give DIR/broker to the broker's machine (`recserve broker --provisioned`) and DIR/agents/NAME to the
machine of NAME. Run it again to add members: nobody else's credential changes.
"""


def _names(option: str, metavar: str, text: str) -> Callable[[_Command], _Command]:
    """Return an option that may be repeated."""
    return click.option(option, multiple=True, metavar=metavar, help=text)


@click.command("provision", help=_HELP)
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@_names("--broker-host", "NAME", "Host name or address that members reach the broker by.")
@click.option("--port", type=int, help="TCP port of the broker.  [default: 8883]")
@click.option("--root", help="First level of the topics.  [default: recserve]")
@click.option(
    "--auth",
    type=click.Choice(["certificate", "password"]),
    help="What members show the broker.  [default: certificate]",
)
@_names("--device", "NAME", "A device agent.")
@_names("--edge", "NAME[:POOL]", "An edge agent, and the pool that it serves besides.")
@_names("--cloud", "NAME[:POOL]", "A cloud agent, likewise.")
@_names("--center", "NAME", "A centre that looks after the fleet.")
@_names("--asker", "NAME:DEVICE", "A program that asks a device, and hears its answers.")
@_names("--reads", "DEVICE:FILTER", "Topics of other programs that a device takes prompts from.")
@_names("--writes", "DEVICE:FILTER", "Topics of other programs that it answers on.")
@_names("--renew", "NAME", "Replace the credential of a member, or of the `broker`.")
@_names("--remove", "NAME", "Take a member out; its credential is void.")
def command(
    folder: Path,
    broker_host: tuple[str, ...],
    port: int | None,
    root: str | None,
    auth: str | None,
    device: tuple[str, ...],
    edge: tuple[str, ...],
    cloud: tuple[str, ...],
    center: tuple[str, ...],
    asker: tuple[str, ...],
    reads: tuple[str, ...],
    writes: tuple[str, ...],
    renew: tuple[str, ...],
    remove: tuple[str, ...],
) -> None:
    """Print a line for each thing done, and what is left to do."""
    with clear_errors():
        members = (
            *(Member(name=name, role="device") for name in device),
            *_with_pools("edge", edge),
            *_with_pools("cloud", cloud),
            *(Member(name=name, role="center") for name in center),
            *(_asker(text) for text in asker),
            *_with_topics("reads", reads),
            *_with_topics("writes", writes),
        )
        site = _library()
        request = site.SiteChange(
            hosts=broker_host,
            port=port,
            root=root,
            auth=auth,
            members=members,
            renew=renew,
            remove=remove,
        )
        for line in site.provision(folder, request):
            click.echo(line)
        click.echo(f"start the broker anew to let it know: recserve broker --provisioned {folder}")


def _with_pools(role: Role, texts: Iterable[str]) -> Iterator[Member]:
    for text in texts:
        name, _, pool = text.partition(":")
        yield Member(name=name, role=role, pool=pool)


def _asker(text: str) -> Member:
    name, _, device = text.partition(":")
    if not device:
        raise SettingsError(f"--asker {text!r} does not say whom it may ask: --asker NAME:DEVICE")
    return Member(name=name, role="asker", devices=(device,))


def _with_topics(right: str, texts: Iterable[str]) -> Iterator[Member]:
    for text in texts:
        name, _, topics = text.partition(":")
        if not topics:
            raise SettingsError(
                f"--{right} {text!r} does not say which topics: --{right} DEVICE:FILTER"
            )
        member = Member(name=name, role="device")
        yield msgspec.structs.replace(member, **{right: (topics,)})


def _library() -> ModuleType:
    """Import what makes certificates, which only the machine that provisions needs."""
    try:
        from broker import provision  # noqa: PLC0415 - optional
    except ModuleNotFoundError as error:
        raise RuntimeUnavailable(
            f"{error.name} is not installed; in the folder of this project: "
            'pip install -e ".[provision]"'
        ) from error
    return provision
