"""Where a labelled set is, and one row as it stands there."""

from __future__ import annotations

from typing import Annotated, Final, Literal, NamedTuple

import msgspec
from msgspec import Meta

from shared.errors import DataError

HUB: Final = "hub:"
"""What a place begins with that is a set of the Hugging Face hub."""


class Source(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a labelled set is and which of its rows are wanted."""

    place: Annotated[
        str,
        Meta(min_length=1, description="file .tsv or .jsonl, also packed; or hub:dataset@split"),
    ]
    name: Annotated[str, Meta(description="name for people; empty: made from the place")] = ""
    text: Annotated[str, Meta(min_length=1, description="column with the prompts")] = "text"
    label: Annotated[str, Meta(min_length=1, description="column with the labels")] = "label"
    rows: Annotated[
        Annotated[int, Meta(ge=1)] | None, Meta(description="how many rows at most; none: all")
    ] = None
    pick: Annotated[
        Literal["first", "drawn"], Meta(description="which rows, when not all are wanted")
    ] = "first"
    seed: Annotated[int, Meta(description="of the draw")] = 0


class RawRow(NamedTuple):
    """One row as it stands in its file; ``number`` counts lines from 1."""

    number: int
    text: object
    label: object


def parse_source(argument: str) -> Source:
    """Read ``place`` or ``name=place``, as given on a command line."""
    name, separator, place = argument.partition("=")
    if not separator:
        name, place = "", argument
    if not place or (separator and not name):
        raise DataError(f"the set {argument!r} is not of the form place or name=place")
    return Source(place=place, name=name)
