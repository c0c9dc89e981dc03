"""What the centre and the agents of a fleet say to each other; JSON, so that people can read it.

Everything carries a version: from a newer one fields that we do not know are passed over, from ours
they are refused. Manifests of bundles have a file of their own (``shared.wire.manifest``). Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeVar

import msgspec
from msgspec import Meta

from shared.errors import MalformedMessage

if TYPE_CHECKING:
    from collections.abc import Mapping

VERSION: Final = 2
"""Of what has ``settings``, ``compares`` or ``shared``, which readers of version 1 then pass over;
all else says 1, of which a reader refuses what it does not know."""
FIRST: Final = 1
CONTROL_BYTES: Final = 64 * 1024
DETAIL_CHARACTERS: Final = 300
TOLD_CHARACTERS: Final = 500
EXPLAINED: Final = 10
"""Prompts that a device explains at a time, at most."""

_Text = Annotated[str, Meta(max_length=200)]
_Name = Annotated[str, Meta(max_length=256)]
_Amount = Annotated[int, Meta(ge=0)]
_Figure = Annotated[float, Meta(ge=0)]
Digest = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]

Changes = Annotated[dict[_Text, Annotated[str, Meta(max_length=1_000)]], Meta(max_length=20)]
"""Texts by the key of the setting that they are for: ``tier.policy.beta``, say."""
CHANGEABLE: Final = "tier.policy."
"""What keys of settings that a centre may change begin with: how much goes up, and nothing else."""

Phase = Literal[
    "idle", "fetching", "verified", "loading", "active", "refused", "failed", "rolled back"
]
"""How far an agent is with the model that is wanted of it."""


class HeldBundle(msgspec.Struct, frozen=True, omit_defaults=True):
    """A bundle that an agent has on its disk, or runs."""

    name: _Name
    digest: str = ""
    version: _Text = ""
    size_bytes: _Amount = 0
    in_use: bool = False


class NodeReport(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What an agent is: its place, its machine, what it can run and what it has.

    ``boot`` is that of its status, so that both can be told to be of one life. ``blobs`` is where
    others may fetch from it what it has of bundles; empty: nowhere.
    """

    tier: _Text
    release: _Text
    boot: _Text = ""
    version: Annotated[int, Meta(ge=1)] = FIRST
    machine: _Text = ""
    system: _Text = ""
    processor: _Text = ""
    cores: _Amount = 0
    memory_bytes: _Amount = 0
    disk_bytes: _Amount = 0
    disk_free_bytes: _Amount = 0
    accelerators: tuple[_Text, ...] = ()
    engines: dict[_Text, _Text] = {}
    bundles: Annotated[tuple[HeldBundle, ...], Meta(max_length=200)] = ()
    blobs: _Text = ""


class Telemetry(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What an agent counts since it started, and how busy it is now."""

    version: Annotated[int, Meta(ge=1)] = FIRST
    uptime_s: _Figure = 0.0
    kept: _Amount = 0
    escalated: _Amount = 0
    degraded: _Amount = 0
    failed: _Amount = 0
    answered: _Amount = 0
    compared: _Amount = 0
    agreed: _Amount = 0
    waiting: _Amount = 0
    wait_ms: _Figure = 0.0
    service_ms: _Figure = 0.0
    decided: _Amount = 0
    decided_ms: _Figure = 0.0
    mean_ms: _Figure = 0.0
    p95_ms: _Figure = 0.0
    thresholds: dict[_Text, float] = {}
    link_bytes: dict[_Text, _Amount] = {}
    processor_share: _Figure = 0.0
    memory_bytes: _Amount = 0
    temperature_c: float | None = None


class ExplainedHop(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What one tier made of a prompt: how sure it was, what that was held against, and its time."""

    tier: _Text
    agent: _Name
    confidence: float
    threshold: float
    elapsed_us: _Amount = 0


class ExplainedPrompt(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One prompt that a device has answered: which it was, and why it was answered where it was.

    ``sha256`` is that of its text, which is told itself only where the device's settings allow it,
    as is the ``answer``. ``degraded`` and ``failure`` say why it is no better one, or none.
    """

    id: _Text
    task: _Text
    sha256: Digest
    size_bytes: _Amount
    waited_ms: _Figure
    hops: Annotated[tuple[ExplainedHop, ...], Meta(max_length=16)] = ()
    degraded: _Text = ""
    failure: _Text = ""
    text: Annotated[str, Meta(max_length=TOLD_CHARACTERS)] = ""
    answer: Annotated[str, Meta(max_length=TOLD_CHARACTERS)] = ""


class Explained(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The last prompts of a device, since it told of some before."""

    prompts: Annotated[tuple[ExplainedPrompt, ...], Meta(max_length=EXPLAINED)]
    version: Annotated[int, Meta(ge=1)] = FIRST


class Desired(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What the centre wants of one agent; a later ``generation`` replaces an earlier one.

    ``active`` is the digest of the bundle to serve; empty: whatever its settings name. ``keep`` are
    not to be dropped and ``evict`` are, as far as they are not in use. ``settings`` are texts by
    key, as after ``--set``, to stand over the agent's own. An agent that ``compares`` wants to hear
    what came of every prompt that it sent up, and counts how often that agrees. ``shared`` says
    that others fetch the bundle now too: over the broker the centre sends it once for all of them.
    """

    generation: _Amount
    version: Annotated[int, Meta(ge=1)] = FIRST
    active: str = ""
    settings: Changes = {}
    compares: bool = False
    keep: tuple[Digest, ...] = ()
    evict: tuple[Digest, ...] = ()
    sources: tuple[_Text, ...] = ()
    shared: bool = False
    reason: _Text = ""


class NodeState(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """How far an agent is with what is wanted of it.

    ``active`` and ``settings`` are what is in force, whatever is wanted.
    """

    version: Annotated[int, Meta(ge=1)] = FIRST
    generation: _Amount = 0
    active: str = ""
    settings: Changes = {}
    wanted: str = ""
    phase: Phase = "idle"
    bytes_done: _Amount = 0
    bytes_total: _Amount = 0
    bytes_s: _Figure = 0.0
    repaired: _Amount = 0
    source: _Text = ""
    detail: Annotated[str, Meta(max_length=DETAIL_CHARACTERS)] = ""


class CenterWord(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """That a centre is there, how often it wants telemetry, and where it has blobs.

    ``explain`` is how many prompts it wants explained with each telemetry of a device.
    """

    state: Literal["online", "offline"]
    version: Annotated[int, Meta(ge=1)] = FIRST
    epoch: _Amount = 0
    telemetry_s: Annotated[float, Meta(ge=0.1, le=3600)] = 2.0
    blobs: _Text = ""
    explain: Annotated[int, Meta(ge=0, le=EXPLAINED)] = 0


class PieceWanted(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of a file that an agent asks for over MQTT.

    ``length`` is for senders of before; today's send the whole piece that begins at ``offset``.
    """

    sha256: Digest
    offset: _Amount
    length: Annotated[int, Meta(ge=1, le=1 << 20)]


Word = TypeVar(
    "Word", NodeReport, Telemetry, Explained, Desired, NodeState, CenterWord, PieceWanted
)
_decoders: dict[Any, msgspec.json.Decoder[Any]] = {}
_known: dict[Any, frozenset[str]] = {}


def encode_word(word: msgspec.Struct) -> bytes:
    """Return the payload of anything above."""
    return msgspec.json.encode(word)


def version_of(settings: Mapping[str, str], *, compares: bool = False, shared: bool = False) -> int:
    """Return the version of a wish or a state with these: the least that has them."""
    return VERSION if settings or compares or shared else FIRST


def decode_word(kind: type[Word], payload: bytes) -> Word:
    """Read a message of one kind. Raises ``MalformedMessage``."""
    if len(payload) > CONTROL_BYTES:
        raise MalformedMessage(f"{len(payload)} bytes exceed {CONTROL_BYTES}")
    decoder = _decoders.get(kind)
    if decoder is None:
        decoder = _decoders[kind] = msgspec.json.Decoder(kind)
    try:
        word: Word = decoder.decode(payload)
        if getattr(word, "version", VERSION) <= VERSION:
            _refuse_unknown(kind, payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedMessage(f"not a {kind.__name__}: {error}") from error
    return word


def _refuse_unknown(kind: Any, payload: bytes) -> None:
    names = _known.get(kind)
    if names is None:
        names = _known[kind] = frozenset(kind.__struct_encode_fields__)
    unknown = msgspec.json.decode(payload, type=dict[str, msgspec.Raw]).keys() - names
    if unknown:
        raise MalformedMessage(f"not a {kind.__name__}: unknown field {min(unknown)!r}")
