"""What the fleet did over the last minutes: a sample now and then, and the oldest go."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final

import msgspec

from cloud_agent.center.registry.trace import NodeTrace

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cloud_agent.center.registry.members import FleetMember
    from shared.wire.control import Telemetry

SAMPLES: Final = 600
TIERS: Final = ("device", "edge", "cloud")


def in_order(tiers: Iterable[str]) -> list[str]:
    """Return names of tiers from the lowest to the highest, those with other names behind."""
    names = set(tiers)
    return [name for name in TIERS if name in names] + sorted(names - set(TIERS))


class TierSample(msgspec.Struct, frozen=True):
    """One tier at one time: rates since the sample before, and where its thresholds lie."""

    kept_s: float = 0.0
    escalated_s: float = 0.0
    degraded_s: float = 0.0
    failed_s: float = 0.0
    threshold: float | None = None
    p95_ms: float | None = None
    waiting: int = 0


class FleetSample(msgspec.Struct, frozen=True):
    """All tiers at one time, and what went over each link."""

    at: float
    tiers: dict[str, TierSample]
    link_bytes_s: dict[str, float]


class FleetHistory:
    """Samples of the whole fleet."""

    def __init__(self, samples: int = SAMPLES) -> None:
        self.samples: deque[FleetSample] = deque(maxlen=samples)
        self.traces: dict[str, NodeTrace] = {}
        """The last minutes of each agent, by name."""
        self._before: dict[str, Telemetry] = {}
        self._at = 0.0

    def sample(self, members: Iterable[FleetMember], at: float) -> FleetSample:
        """Take a sample of what the agents last counted."""
        elapsed_s = max(at - self._at, 1e-3) if self._at else 1.0
        sums: dict[str, dict[str, float]] = {}
        thresholds: dict[str, list[float]] = {}
        slowest: dict[str, float] = {}
        links: dict[str, float] = {}
        before, now, names = self._before, {}, set()
        for member in members:
            names.add(member.name)
            telemetry = member.telemetry
            if telemetry is None or member.life == "dead":
                continue
            now[member.name] = telemetry
            self.traces.setdefault(member.name, NodeTrace()).add(telemetry, at)
            early = before.get(member.name)
            if early is None or early.uptime_s > telemetry.uptime_s:
                early = telemetry if early is None else None
            row = sums.setdefault(member.tier, dict.fromkeys(_COUNTED, 0.0) | {"waiting": 0.0})
            for name in _COUNTED:
                row[name] += getattr(telemetry, name) - (getattr(early, name) if early else 0)
            row["waiting"] += telemetry.waiting
            thresholds.setdefault(member.tier, []).extend(telemetry.thresholds.values())
            slowest[member.tier] = max(slowest.get(member.tier, 0.0), telemetry.p95_ms)
            for link, size in telemetry.link_bytes.items():
                was = early.link_bytes.get(link, 0) if early else 0
                links[link] = links.get(link, 0.0) + max(size - was, 0)
        self._before, self._at = now, at
        self.traces = {name: trace for name, trace in self.traces.items() if name in names}
        sample = FleetSample(
            at,
            {tier: _tier(row, thresholds[tier], slowest[tier], elapsed_s)
             for tier, row in sums.items()},
            {link: size / elapsed_s for link, size in sorted(links.items())},
        )  # fmt: skip
        self.samples.append(sample)
        return sample

    def columns(self) -> dict[str, Any]:
        """Return the samples as columns, as charts want them."""
        samples = list(self.samples)
        tiers = in_order({name for sample in samples for name in sample.tiers})
        links = sorted({link for sample in samples for link in sample.link_bytes_s})
        empty = TierSample()
        charts = {
            chart: {
                tier: [_rounded(getattr(s.tiers.get(tier, empty), chart)) for s in samples]
                for tier in tiers
            }
            for chart in TierSample.__struct_fields__
        }
        charts["links"] = {
            link: [round(s.link_bytes_s.get(link, 0.0)) for s in samples] for link in links
        }
        return {"at": [round(sample.at, 1) for sample in samples], "charts": charts}


_COUNTED: Final = ("kept", "escalated", "degraded", "failed")


def _tier(
    row: dict[str, float], thresholds: list[float], slowest: float, elapsed_s: float
) -> TierSample:
    kept, escalated, degraded, failed = (max(row[name], 0.0) / elapsed_s for name in _COUNTED)
    return TierSample(
        kept_s=kept,
        escalated_s=escalated,
        degraded_s=degraded,
        failed_s=failed,
        threshold=sum(thresholds) / len(thresholds) if thresholds else None,
        p95_ms=slowest or None,
        waiting=int(row["waiting"]),
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
