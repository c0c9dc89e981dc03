"""Chains that make no sense, refused before any of their processes starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.errors import BundleError, SettingsError
from shared.runtimes.abilities import Abilities, abilities_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.agent.settings import AgentSettings


def check_chains(agents: Sequence[AgentSettings]) -> None:
    """Hold every agent to those of the tiers above it that are named beside it.

    Raises ``SettingsError`` where nobody above answers a task of an agent's model, or chooses among
    other labels. A bundle that cannot be read is its own agent's to complain of.
    """
    known = [(settings, found) for settings in agents if (found := _abilities(settings))]
    for lower, ours in known:
        for tier in lower.tier.above:
            above = [(upper, theirs) for upper, theirs in known if upper.tier.name == tier]
            if above and len(above) == sum(upper.tier.name == tier for upper in agents):
                _check_tasks(lower, ours, tier, above)
            for upper, theirs in above:
                _check_labels(lower, ours, upper, theirs)


def _abilities(settings: AgentSettings) -> Abilities | None:
    try:
        return abilities_of(settings.model)
    except BundleError:
        return None


def _check_tasks(
    lower: AgentSettings, ours: Abilities, tier: str, above: list[tuple[AgentSettings, Abilities]]
) -> None:
    answered = {task for _, theirs in above for task in theirs.tasks}
    if missing := sorted(ours.tasks - answered):
        raise SettingsError(
            f"{lower.agent} answers {', '.join(missing)}, but nobody of the tier {tier} above it "
            f"does: {', '.join(upper.agent for upper, _ in above)} answers "
            f"{', '.join(sorted(answered))}; give them models for one task, or leave "
            "tier.upstream out"
        )


def _check_labels(
    lower: AgentSettings, ours: Abilities, upper: AgentSettings, theirs: Abilities
) -> None:
    both = "classify" in ours.tasks & theirs.tasks or "tag" in ours.tasks & theirs.tasks
    if both and set(ours.labels) != set(theirs.labels):
        raise SettingsError(
            f"{lower.agent} chooses among {', '.join(ours.labels)}, but {upper.agent} above it "
            f"among {', '.join(theirs.labels)}: give both models the same labels, or name them "
            "under model.labels where the runtime takes that"
        )
