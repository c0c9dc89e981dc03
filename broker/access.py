"""Who may say and hear what: the rights of every role, and Mosquitto's file that enforces them.

Every topic below comes from ``shared.wire.topics``. What is not listed here is denied, for
publishing, for subscribing and for delivery alike. Rights are per name, never per tier: a member
that is taken over can do what its own role lists, in its own name, and nothing else;
``docs/security.md`` says what that leaves. This file knows no passwords, certificates or folders.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, get_args

import msgspec

from shared.wire.filters import split_pool
from shared.wire.topics import Topics

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Role = Literal["device", "edge", "cloud", "center", "asker", "operator"]
ROLES: Final[tuple[Role, ...]] = get_args(Role)
TIERS: Final[tuple[Role, ...]] = ("device", "edge", "cloud")
"""Roles whose members are agents of the tier of that name, lowest first."""


class Member(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Somebody whom the broker knows: ``pool`` is served besides, ``devices`` may be asked.

    ``reads`` and ``writes`` are filters of other programs' topics, for the sources of a device.
    """

    name: str
    role: Role
    pool: str = ""
    devices: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()


class Right(NamedTuple):
    """Leave to publish on, or to read, every topic that a filter matches."""

    verb: Literal["publish", "read"]
    topics: str
    purpose: str


def rights(member: Member, everyone: Sequence[Member], topics: Topics) -> list[Right]:
    """Return all that a member of a site may do; ``everyone`` holds its other members, too."""
    own = topics.answers(member.name)
    answers = "answers to whoever asks it" if member.role == "device" else "as an echo to itself"
    echo = [Right("publish", own, answers), Right("read", own, "as an echo, for its round trip")]
    if member.role == "operator":
        return _operator(member, topics)
    if member.role == "center":
        return [*_center(member, topics), *echo]
    if member.role == "asker":
        return [*_asking(member, topics), *echo]
    above = TIERS[TIERS.index(member.role) + 1 :]
    alive = [Right("read", topics.status(tier, "+"), "who is alive above") for tier in above]
    mine = topics.status(member.role, member.name)
    status = [
        Right("publish", mine, "its own status, and its last will"),
        Right("read", mine, "what stands there, as an echo"),
    ]
    if member.role == "device":
        explained = Right("publish", topics.control(member.name, "explained"), "its last prompts")
        return [*_device(member, topics), *status, *alive, *echo, *_node(member, topics), explained]
    serving = [*_serving(member, everyone, topics), *status, *alive, *echo, *_node(member, topics)]
    if member.role == "edge":
        return [*serving, *_memory(member, topics), *_learning(member, everyone, topics)]
    return [*serving, *_training(member, topics)]


def _operator(member: Member, topics: Topics) -> list[Right]:
    own = topics.answers(member.name)
    return [
        Right("read", topics.statuses, "who is alive"),
        Right("publish", topics.ask("+"), "asks any device"),
        Right("read", topics.answers("+"), "its answers, and an echo for a round trip"),
        Right("read", topics.answers("+", member.name), "its answers to the operator alone"),
        Right("publish", own, "as an echo to itself"),
        Right("read", topics.control("+", "report"), "what every agent is"),
        Right("read", topics.control("+", "state"), "which models they have"),
        Right("read", topics.manifest("+"), "which models there are"),
        Right("publish", topics.memory_ask("+"), "asks the memory of any edge"),
        Right("read", topics.memory_answers("+"), "what those answer"),
        Right("publish", topics.memory_epoch, "before when no remembered answer counts"),
        Right("read", topics.memory_epoch, "what stands there"),
        Right("read", topics.center, "whether the centre is there"),
        Right("read", topics.plan, "which model is to lie where, and why"),
        Right("read", topics.rounds, "what rounds of jobs came to"),
    ]


def dynamic_security(
    granted: Mapping[str, Iterable[Right]], verifiers: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """Return the file of Mosquitto's dynamic-security plugin: one role for each name.

    ``verifiers`` holds the salted hashes of those who show a password. Nobody may use the plugin's
    own control topics, so nothing but this project's provisioning ever changes the file.
    """
    return {
        "defaultACLAccess": {
            "publishClientSend": False,
            "publishClientReceive": False,
            "subscribe": False,
            "unsubscribe": True,
        },
        "clients": [
            {"username": name, "roles": [{"rolename": name}], **verifiers.get(name, {})}
            for name in granted
        ],
        "groups": [],
        "roles": [
            {"rolename": name, "acls": [entry for right in held for entry in _entries(right)]}
            for name, held in granted.items()
        ],
    }


def table() -> str:
    """Return all rights as a Markdown table, for ``docs/security.md``."""
    topics = Topics("{root}")
    above = Member(name="{agent-above}", role="cloud", pool="{pool-above}")
    lines = ["| role | may | topics | for |", "|---|---|---|---|"]
    for role in ROLES:
        member = Member(
            name="{name}",
            role=role,
            pool="{pool}",
            devices=("{device}",),
            reads=("{reads}",),
            writes=("{writes}",),
        )
        rows: dict[tuple[str, str], list[str]] = {}
        for right in rights(member, [member, above], topics):
            rows.setdefault((right.verb, right.purpose), []).append(f"`{right.topics}`")
        for (verb, purpose), filters in rows.items():
            lines.append(f"| {role} | {verb} | {'<br>'.join(filters)} | {purpose} |")
    return "\n".join(lines) + "\n"


def _node(member: Member, topics: Topics) -> list[Right]:
    """Return what every agent may do as one of the fleet: speak of itself, and be told."""
    name = member.name
    return [
        Right("publish", topics.control(name, "report"), "what it is, to the centre"),
        Right("publish", topics.control(name, "state"), "how far it is with what is wanted of it"),
        Right("publish", topics.control(name, "telemetry"), "its counts and loads"),
        Right("read", topics.control(name, "desired"), "its model, and the settings of its policy"),
        Right("read", topics.center, "whether a centre is there"),
        Right("read", topics.manifest("+"), "signed manifests of bundles"),
        Right("publish", topics.pieces_asked(name), "asks for pieces of bundles"),
        Right("read", topics.pieces("+"), "those pieces, whoever asked for them"),
    ]


def _memory(member: Member, topics: Topics) -> list[Right]:
    """Return what an edge may do for its memory: be asked of it, be told to forget, and share."""
    return [
        Right("read", topics.memory_ask(member.name), "what is asked of its memory"),
        Right("publish", topics.memory_answers(member.name), "what that answers"),
        Right("read", topics.memory_epoch, "before when no remembered answer counts"),
        Right("publish", topics.memory_offers(member.name), "entries that it shares"),
        Right("read", topics.memory_offers("+"), "entries that others share"),
    ]


def _learning(member: Member, everyone: Sequence[Member], topics: Topics) -> list[Right]:
    """Return what an edge may do for its nights: have its model trained by an agent above."""
    name = member.name
    trainers = sorted(other.name for other in everyone if other.role == "cloud")
    return [
        *(
            Right(
                "publish",
                topics.night(name, trainer, "+"),
                "lessons for who trains, piece by piece",
            )
            for trainer in trainers
        ),
        Right("read", topics.night("+", name, "+"), "how far those are, and what came of them"),
    ]


def _training(member: Member, topics: Topics) -> list[Right]:
    """Return what a cloud agent may do for the nights of edges: train their models."""
    name = member.name
    return [
        Right("read", topics.night("+", name, "+"), "lessons of edges, piece by piece"),
        Right("publish", topics.night(name, "+", "+"), "how far those are, and what came of them"),
    ]


def _center(member: Member, topics: Topics) -> list[Right]:
    """Return what the centre may do: see the whole fleet, and say what is wanted of it."""
    return [
        Right("read", topics.statuses, "who is alive"),
        Right("read", topics.control("+", "report"), "what every agent is"),
        Right("read", topics.control("+", "state"), "which models they have"),
        Right("read", topics.control("+", "telemetry"), "their counts and loads"),
        Right("read", topics.control("+", "explained"), "the last prompts of devices"),
        Right("publish", topics.control("+", "desired"), "which model and policy each is to have"),
        Right("read", topics.control("+", "desired"), "what it said of that before"),
        Right("publish", topics.center, "that it is there, and its last will"),
        Right("read", topics.center, "what stands there"),
        Right("publish", topics.prompts_of(member.name), "gives jobs to any agent"),
        Right("read", topics.results(member.name), "their answers"),
        Right("publish", topics.plan, "which model is to lie where"),
        Right("publish", topics.rounds, "what rounds of jobs came to"),
        Right("publish", topics.manifest("+"), "signed manifests of bundles"),
        Right("read", topics.manifest("+"), "those that stand there"),
        Right("read", topics.pieces_asked("+"), "who asks for pieces of bundles"),
        Right("publish", topics.pieces("+"), "those pieces"),
    ]


def _asking(member: Member, topics: Topics) -> list[Right]:
    asked = [Right("publish", topics.ask(device), "asks a device") for device in member.devices]
    heard = [Right("read", topics.answers(device), "its answers") for device in member.devices]
    alone = [
        Right("read", topics.answers(device, member.name), "its answers to this asker alone")
        for device in member.devices
    ]
    return [*asked, *heard, *alone]


def _device(member: Member, topics: Topics) -> list[Right]:
    return [
        Right("publish", topics.prompts_of(member.name), "escalates prompts of its own"),
        Right("read", topics.results(member.name), "results of its own prompts"),
        Right("read", topics.ask(member.name), "what it is asked"),
        Right("publish", topics.answers(member.name, "+"), "answers to one asker alone"),
        *(Right("read", filter_, "messages of other programs") for filter_ in member.reads),
        *(Right("publish", filter_, "answers to those") for filter_ in member.writes),
    ]


def _serving(member: Member, everyone: Sequence[Member], topics: Topics) -> list[Right]:
    given = [Right("read", topics.prompts(member.name), "prompts addressed to it")]
    if member.pool:
        shared = topics.prompts(member.pool, pool=member.pool)
        given.append(Right("read", shared, "its share of the prompts addressed to its pool"))
    given.append(Right("publish", topics.results("+"), "results, to any origin"))
    higher = TIERS[TIERS.index(member.role) + 1 :]
    if higher:
        own = topics.results(member.name)
        given.append(Right("read", own, "refusals and copies of what it sent on"))
    addresses = {name for m in everyone if m.role in higher for name in (m.name, m.pool) if name}
    passed = [topics.prompts_through(member.name, address) for address in sorted(addresses)]
    purpose = "passes prompts on, of any origin, as their sender"
    return [
        *given,
        *(Right("publish", filter_, purpose) for filter_ in passed),
        *(
            Right("publish", topics.prompts_of(member.name, address), "prompts of its own, too")
            for address in sorted(addresses)
        ),
    ]


def _entries(right: Right) -> list[dict[str, Any]]:
    """Return the plugin's entries for one right; reading takes the subscription and delivery."""
    if right.verb == "publish":
        return [{"acltype": "publishClientSend", "topic": right.topics, "allow": True}]
    delivered = split_pool(right.topics)[1]
    return [
        {"acltype": "subscribePattern", "topic": right.topics, "allow": True},
        {"acltype": "publishClientReceive", "topic": delivered, "allow": True},
    ]
