"""Settings of an edge's memory: the key ``memory`` of its settings."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from edge_agent.nights.settings import NightSettings
from shared.settings.base import Closed


class MemorySettings(Closed, frozen=True, kw_only=True):
    """What an edge remembers, and for whom."""

    embedder: Annotated[
        str, Meta(description="folder of the bundle that embeds (recserve pack --task embed)")
    ] = ""
    folder: Annotated[
        str,
        Meta(description="where it is kept; empty: in `state`, and without that in memory only"),
    ] = ""
    tasks: Annotated[
        tuple[Literal["classify", "generate"], ...],
        Meta(min_length=1, description="tasks whose answers are remembered"),
    ] = ("classify", "generate")
    check_share: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            description="share of the answers known that go up all the same, drawn by lot, to "
            "count how often they are wrong; with the policy recall, of all answers",
        ),
    ] = 0.02
    patience_s: Annotated[
        float,
        Meta(gt=0, le=60, description="longest time to look a question up; then the model answers"),
    ] = 0.25
    day_s: Annotated[
        float,
        Meta(gt=0, le=86_400, description="length of a day in reports; shorter ones to rehearse"),
    ] = 86_400.0
    entries: Annotated[
        int, Meta(ge=1, le=10_000_000, description="questions remembered, at most")
    ] = 10_000
    rule: Annotated[
        Literal["readable", "worth"],
        Meta(
            description="what decides: a readable rule, or the most worth among the ways that are "
            "good enough"
        ),
    ] = "readable"
    owners: Annotated[
        Literal["together", "apart"],
        Meta(description="whether devices share what is remembered, or each has its own"),
    ] = "together"
    share: Annotated[
        bool,
        Meta(
            description="whether entries whose answer a second answer from above confirmed are "
            "offered to the other edges on the broker, and theirs are taken in"
        ),
    ] = False
    examples: Annotated[
        int, Meta(ge=0, le=16, description="remembered answers shown to the edge's model, at most")
    ] = 4
    example_tokens: Annotated[
        int,
        Meta(
            ge=0,
            le=1 << 20,
            description="tokens of the edge's model that these take, at most; 1,024 for sums and "
            "SQL",
        ),
    ] = 512
    only_version: Annotated[
        str, Meta(description="digest of the model above whose answers count; empty: any")
    ] = ""
    not_before_s: Annotated[
        float, Meta(ge=0, description="answers from before, in seconds since 1970, do not count")
    ] = 0.0
    night: Annotated[
        NightSettings | None, Meta(description="when the edge's model learns; none: never")
    ] = None
