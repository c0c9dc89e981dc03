"""An entry as one edge offers it to others, and as those begin with it: JSON, pure.

What its own uses came to stays where it was made. Whoever takes it over has one answer from above
for it, as if it had asked once itself.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from edge_agent.memory.entries import WORDINGS, Entry
from edge_agent.memory.fast_path import LONGEST_CHARACTERS
from shared.errors import MalformedMessage
from shared.messages import MODEL_CHARACTERS
from shared.tasks import Task

OFFER_BYTES: Final = 64 * 1024
_Text = Annotated[str, Meta(max_length=LONGEST_CHARACTERS)]
_Name = Annotated[str, Meta(max_length=MODEL_CHARACTERS)]


class EntryOffer(msgspec.Struct, frozen=True, omit_defaults=True):
    """A question with its wordings and its answer, and who gave that; ``options`` are a digest."""

    task: Task
    wordings: Annotated[tuple[_Text, ...], Meta(min_length=1, max_length=WORDINGS)]
    answer: _Text
    created_s: Annotated[float, Meta(ge=0)]
    model: _Name = ""
    version: _Name = ""
    options: Annotated[str, Meta(pattern="^(#[0-9a-f]{16})?$")] = ""
    expires_s: float | None = None

    def entry(self, now_s: float) -> Entry:
        """Return the entry that whoever takes it over begins with; it is not from the future."""
        return Entry(
            id=0,
            task=self.task,
            wordings=list(self.wordings),
            answer=self.answer,
            created_s=min(self.created_s, now_s),
            used_s=now_s,
            hot_s=now_s,
            model=self.model,
            version=self.version,
            owner=self.options,
            expires_s=self.expires_s,
        )


_offers = msgspec.json.Decoder(EntryOffer)


def encode_offer(entry: Entry) -> bytes:
    """Write an entry as it is offered; one of a device, or that is too long, is not: empty."""
    if entry.owner and not entry.owner.startswith("#"):
        return b""
    offer = msgspec.json.encode(
        EntryOffer(
            entry.task,
            tuple(entry.wordings),
            entry.answer,
            entry.created_s,
            entry.model,
            entry.version,
            entry.owner,
            entry.expires_s,
        )
    )
    return offer if len(offer) <= OFFER_BYTES else b""


def decode_offer(payload: bytes) -> EntryOffer:
    """Read an offer. Raises ``MalformedMessage``."""
    if len(payload) > OFFER_BYTES:
        raise MalformedMessage(f"an offer of {len(payload)} bytes exceeds {OFFER_BYTES}")
    try:
        return _offers.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedMessage(f"not an offer of an entry: {error}") from error
