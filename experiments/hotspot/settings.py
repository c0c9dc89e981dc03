"""What a study of hotspots is told."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from shared.settings.base import Closed

Share = Annotated[float, Meta(ge=0, le=1)]


class HotspotSettings(Closed, frozen=True, kw_only=True):
    """Sizes and chances of the simulated days; everything drawn is drawn by ``seed``."""

    facts: Annotated[int, Meta(ge=50, le=100_000)] = 4_000
    days: Annotated[int, Meta(ge=1, le=365)] = 10
    questions_a_day: Annotated[int, Meta(ge=1, le=100_000)] = 1_000
    warm_up: Annotated[int, Meta(ge=10, le=100_000)] = 2_000
    capacity: Annotated[int, Meta(ge=10, le=1_000_000)] = 300
    zipf: Annotated[float, Meta(ge=0, le=3)] = 1.0
    churn: Share = 0.03
    typos: Share = 0.06
    seed: int = 0
    cloud_wrong: Share = 0.07
    cloud_outage: tuple[tuple[int, int, int], ...] = ()
    """Windows without the cloud: day, first question, last question."""
    cloud_mode: Literal["record", "replay", "replay-strict"] = "record"
    edge_knows: tuple[Share, Share] = (0.15, 0.40)
    edge_by_example: Share = 0.97
    edge_copies: Share = 0.5
    learned_a_night: Annotated[int, Meta(ge=0)] = 120
    learned_well: Share = 0.95
    forgotten_a_night: Share = 0.01
    probed_a_night: Share = 0.5
    """Of what was learned, asked again each night."""
    shadow: Share = 0.02
