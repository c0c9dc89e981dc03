"""What an agent's settings ask of its model, refused before anything starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.cascade.policies import adapts, judges_memories
from shared.errors import SettingsError
from shared.runtimes import Remote, confidence_kind_of

if TYPE_CHECKING:
    from shared.agent.settings import AgentSettings
    from shared.runtimes import Model


def refuse_unfit(settings: AgentSettings, model: Model, *, remembers: bool) -> None:
    """Raise ``SettingsError`` where the tier cannot go by what this model says.

    ``remembers`` says whether a memory stands before the model.
    """
    policy = settings.tier.policy
    if adapts(policy) and confidence_kind_of(model) != "agreement":
        raise SettingsError(
            "tier.policy.learn adapts the forecasts of an agreement head, and the model "
            f"{model.name} has none; remove it, or give the bundle a head: "
            "recserve pack --refit-head"
        )
    if settings.tier.upstream and isinstance(model, Remote) and not model.certain:
        raise SettingsError(
            f"the server of {model.name} tells no log probabilities, so nobody knows how sure the "
            "model is, and every answer would be kept: such a model can only be at the top of the "
            "cascade; remove tier.upstream, or take a server that tells them"
        )
    if judges_memories(policy) and not remembers:
        raise SettingsError(
            "tier.policy.kind recall is for an edge with a memory, which sends a share of its "
            "answers up to be compared; add memory, or take quality, which does so by itself"
        )
