"""A rollout: something new for a few agents first, then for all or for none, by stated rules. Pure.

New is a bundle, or settings of the policy. The canaries are watched against what they did before
and against those that have not got it yet. The rules are on errors, on answers that are second
best for want of the tiers above, on latency, on how far the threshold (where the confidences lie)
has moved, and on how often the tier above says the same. Any of them broken takes all canaries
back.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Final, Literal, NamedTuple

import msgspec
from msgspec import Meta

from shared.wire.control import Desired, Telemetry

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shared.wire.control import NodeState

RolloutPhase = Literal["canary", "done", "back", "aborted"]
_Share = Annotated[float, Meta(ge=0, le=1)]
_DRIFT: Final = 0.25
_LOSS: Final = 0.1


class RolloutRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When a rollout goes on, and when back.

    ``canary`` is the share of the agents that get it first. Once they all have it they are watched
    for ``watch_s`` and until they judged ``prompts``; when all of that takes longer than
    ``patience_s`` the rollout goes back.

    ``threshold_drift`` and ``agreement_loss`` are 0.25 and 0.1 for a bundle where they are not
    given, and hold for settings only where they are: those are there to move the threshold, and
    with it which prompts the tier above gets to see at all.
    """

    canary: _Share = 0.1
    watch_s: Annotated[float, Meta(ge=0)] = 120.0
    patience_s: Annotated[float, Meta(gt=0)] = 3600.0
    prompts: Annotated[int, Meta(ge=0)] = 50
    errors: _Share = 0.02
    degraded: _Share = 0.1
    latency_ratio: Annotated[float, Meta(ge=1)] = 2.0
    threshold_drift: _Share | None = None
    agreement_loss: _Share | None = None


class Counts(msgspec.Struct, frozen=True):
    """What agents counted, from one time to another."""

    judged: int = 0
    failed: int = 0
    degraded: int = 0
    compared: int = 0
    agreed: int = 0
    mean_ms: float = 0.0
    threshold: float = math.nan


class Rollout(msgspec.Struct, frozen=True, kw_only=True):
    """One rollout as it stands: of the bundle with a ``digest``, or of ``settings``.

    ``standing`` is what was wanted of each canary before, and is again if the rollout goes back.
    ``before`` is what agents had counted when it began, ``since`` when all canaries had it, which
    was at ``watched_s``.
    """

    digest: str = ""
    settings: dict[str, str] | None = None
    standing: dict[str, Desired] = {}
    name: str
    agents: tuple[str, ...]
    canaries: tuple[str, ...]
    rules: RolloutRules
    started_s: float
    before: dict[str, Telemetry]
    watched_s: float | None = None
    since: dict[str, Telemetry] = {}
    phase: RolloutPhase = "canary"
    reason: str = ""

    def has(self, state: NodeState) -> bool:
        """Say whether an agent has come to what is rolled out."""
        if self.settings is not None:
            return state.settings == self.settings
        return state.active == self.digest

    def failed(self, state: NodeState) -> bool:
        """Say whether an agent cannot come to it."""
        meant = self.settings is not None or state.wanted == self.digest
        return meant and state.phase in ("refused", "rolled back") and not self.has(state)


class RolloutMove(NamedTuple):
    """What is to be done now, and why."""

    what: Literal["wait", "watch", "on", "back"]
    reason: str


def choose_canaries(agents: Sequence[str], share: float) -> tuple[str, ...]:
    """Return who gets it first: at least one, and never all of several."""
    count = max(1, round(share * len(agents)))
    if len(agents) > 1:
        count = min(count, len(agents) - 1)
    return tuple(sorted(agents)[:count])


def judge(
    rollout: Rollout,
    now_s: float,
    states: Mapping[str, NodeState],
    now: Mapping[str, Telemetry],
) -> RolloutMove:
    """Say what is to be done about a rollout whose canaries are out.

    ``states`` are what agents say of the latest that is wanted of them.
    """
    for name in rollout.canaries:
        state = states.get(name)
        if state is not None and rollout.failed(state):
            return RolloutMove("back", f"{name} has {state.phase}: {state.detail}")
    rules = rollout.rules
    late = now_s - rollout.started_s > rules.patience_s
    pending = [n for n in rollout.canaries if n not in states or not rollout.has(states[n])]
    if pending:
        what = "serve" if rollout.settings is None else "go by"
        reason = f"waiting for {', '.join(pending[:3])} to {what} it"
        return _later(reason, late=late)
    if rollout.watched_s is None:
        return RolloutMove("watch", "the canaries have it")
    waited_s = now_s - rollout.watched_s
    counts = count(rollout.canaries, rollout.since, now)
    broken = _broken(rollout, counts, now)
    if broken:
        return RolloutMove("back", broken)
    if counts.judged < rules.prompts or waited_s < rules.watch_s:
        waits = f"{waited_s:.0f} of {rules.watch_s:g} s"
        reason = f"{counts.judged} of {rules.prompts} prompts, {waits}"
        return _later(reason, late=late)
    told = f"{counts.judged} prompts, {counts.failed} failed, {counts.mean_ms:.1f} ms"
    return RolloutMove("on", told)


def _later(reason: str, *, late: bool) -> RolloutMove:
    return RolloutMove("back", f"not in time: {reason}") if late else RolloutMove("wait", reason)


def count(
    names: Sequence[str], before: Mapping[str, Telemetry], now: Mapping[str, Telemetry]
) -> Counts:
    """Sum up what agents counted since; one that was started again counts from its start."""
    judged = failed = degraded = compared = agreed = decided = 0
    spent_ms = 0.0
    thresholds: list[float] = []
    for name in names:
        late = now.get(name)
        if late is None:
            continue
        early = before.get(name)
        if early is not None and early.uptime_s > late.uptime_s:
            early = None
        here = _judged(late) - (_judged(early) if early else 0)
        judged += here
        failed += late.failed - (early.failed if early else 0)
        degraded += late.degraded - (early.degraded if early else 0)
        compared += late.compared - (early.compared if early else 0)
        agreed += late.agreed - (early.agreed if early else 0)
        spent_ms += late.decided_ms - (early.decided_ms if early else 0)
        decided += late.decided - (early.decided if early else 0)
        thresholds += late.thresholds.values()
    threshold = sum(thresholds) / len(thresholds) if thresholds else math.nan
    return Counts(
        judged=judged,
        failed=failed,
        degraded=degraded,
        compared=compared,
        agreed=agreed,
        mean_ms=spent_ms / decided if decided else 0.0,
        threshold=threshold,
    )


def _broken(rollout: Rollout, counts: Counts, now: Mapping[str, Telemetry]) -> str:
    """Return the rule that the canaries break, in words; empty while they break none.

    A few prompts break nothing: they would as well be chance.
    """
    rules = rollout.rules
    enough = max(10, rules.prompts // 5)
    if counts.judged < enough:
        return ""
    if counts.failed > rules.errors * counts.judged:
        return f"{counts.failed} of {counts.judged} prompts failed, more than {rules.errors:.1%}"
    usual = count(rollout.canaries, {}, rollout.before)
    more = counts.degraded / counts.judged - usual.degraded / max(usual.judged, 1)
    if more > rules.degraded:
        most = f"more than {rules.degraded:.1%}"
        return f"{more:.1%} more prompts are answered here for want of the tiers above, {most}"
    others = count([n for n in rollout.agents if n not in rollout.canaries], {}, now)
    for what, other in (("before", usual), ("the others", others)):
        if other.mean_ms and counts.mean_ms > rules.latency_ratio * other.mean_ms:
            return (
                f"{counts.mean_ms:.1f} ms a prompt, {what} {other.mean_ms:.1f} ms: more than "
                f"{rules.latency_ratio:g} times"
            )
    return _moved(rollout, counts, usual, now, enough)


def _moved(
    rollout: Rollout, counts: Counts, usual: Counts, now: Mapping[str, Telemetry], enough: int
) -> str:
    """Return the rule on thresholds or agreement that is broken, in words, or nothing.

    Agents between two tiers compare only during rollouts: those who have nothing from before are
    held against the others.
    """
    rules, unsaid = rollout.rules, (_DRIFT, _LOSS) if rollout.settings is None else (1.0, 1.0)
    allowed = unsaid[0] if rules.threshold_drift is None else rules.threshold_drift
    drift = abs(counts.threshold - usual.threshold)
    if drift > allowed:
        return f"the threshold moved by {drift:.2f}, more than {allowed:g}"
    allowed = unsaid[1] if rules.agreement_loss is None else rules.agreement_loss
    if usual.compared < enough:
        usual = count([n for n in rollout.agents if n not in rollout.canaries], rollout.since, now)
    if min(counts.compared, usual.compared) >= enough:
        lost = usual.agreed / usual.compared - counts.agreed / counts.compared
        if lost > allowed:
            return f"the tier above agrees {lost:.1%} less often, more than {allowed:.1%}"
    return ""


def _judged(telemetry: Telemetry) -> int:
    return telemetry.kept + telemetry.escalated + telemetry.failed
