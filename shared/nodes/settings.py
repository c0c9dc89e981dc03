"""What an agent lets a centre know, and take care of."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from shared.errors import SettingsError
from shared.settings.base import Closed, Count


class NodeSettings(Closed, frozen=True, kw_only=True):
    """An agent as one of a fleet that a centre sees."""

    report: Annotated[
        bool, Meta(description="tell the centre of the machine, its engines and bundles")
    ] = True
    explain: Annotated[
        Literal["hashes", "texts", "nothing"],
        Meta(
            description="what a device tells the centre of its last prompts: by which hops they "
            "went, with the hash of the text, or with text and answer; or nothing"
        ),
    ] = "hashes"
    authority: Annotated[
        str,
        Meta(
            description="public key (models.pub) whose bundles are taken from the centre; "
            "empty: none are"
        ),
    ] = ""
    site: Annotated[str, Meta(description="name of the site that bundles must be signed for")] = (
        "recserve"
    )
    store: Annotated[
        str,
        Meta(description="folder for bundles from the centre; empty: models in the state folder"),
    ] = ""
    quota_megabytes: Annotated[
        Count, Meta(description="disk for bundles from the centre; the longest unused go first")
    ] = 20_000
    memory_megabytes: Annotated[
        int,
        Meta(
            ge=0,
            le=1 << 24,
            description="memory for models, by the size of their files: one that does not fit "
            "beside the one that serves takes its place, and prompts go to others meanwhile; 0: "
            "there is room for two",
        ),
    ] = 0
    reserve_megabytes: Annotated[
        int, Meta(ge=0, le=10_000_000, description="disk that stays free, whatever is wanted")
    ] = 200
    serve_host: Annotated[str, Meta(description="address on which others may fetch bundles")] = (
        "127.0.0.1"
    )
    serve_port: Annotated[
        int, Meta(ge=0, le=65535, description="TCP port for that; 0: others cannot")
    ] = 0
    sources: Annotated[
        tuple[str, ...],
        Meta(description="further places to fetch from, http(s)://…/; they must answer ranges"),
    ] = ()
    busy_bytes_s: Annotated[
        Count, Meta(description="bytes fetched per second, at most, while prompts wait")
    ] = 1_000_000

    def __post_init__(self) -> None:
        """Hold sources to what can be fetched from."""
        for source in self.sources:
            if not source.startswith(("http://", "https://")):
                raise SettingsError(f"node.sources: {source!r} must begin with http:// or https://")
