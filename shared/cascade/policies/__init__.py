"""Escalation policies, one file each, chosen by ``kind`` in an agent's settings.

All are pure: they are given confidence, time and size, and a source of random draws.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from shared.cascade.policies.base import Feedback, Observation, Policy, Routing
from shared.cascade.policies.baselines import ConstantPolicy, KeepAll, PassAll, Random, RandomPolicy
from shared.cascade.policies.budget import Budget, BudgetPolicy
from shared.cascade.policies.fixed import Fixed, FixedPolicy
from shared.cascade.policies.quality import Quality, QualityPolicy
from shared.cascade.policies.quantile import Quantile, QuantilePolicy
from shared.cascade.policies.skip import Skip, SkipPolicy

if TYPE_CHECKING:
    import random

PolicySettings: TypeAlias = Quantile | Fixed | Random | KeepAll | PassAll | Budget | Quality | Skip
LEARNING = (Quality, Skip)
"""Kinds of policy that learn from what comes back."""

__all__ = [
    "LEARNING",
    "Budget",
    "Feedback",
    "Fixed",
    "KeepAll",
    "Observation",
    "PassAll",
    "Policy",
    "PolicySettings",
    "Quality",
    "Quantile",
    "Random",
    "Routing",
    "Skip",
    "make_policy",
]


def make_policy(  # noqa: PLR0911 - one return for each kind
    settings: PolicySettings, draw: random.Random, tiers_above: int
) -> Policy:
    """Return a fresh policy for one task of a tier with so many tiers above it."""
    if isinstance(settings, Quantile):
        return QuantilePolicy(settings, draw)
    if isinstance(settings, Fixed):
        return FixedPolicy(settings)
    if isinstance(settings, Random):
        return RandomPolicy(settings, draw)
    if isinstance(settings, Budget):
        return BudgetPolicy(settings)
    if isinstance(settings, Quality):
        return QualityPolicy(settings, draw)
    if isinstance(settings, Skip):
        return SkipPolicy(settings, draw, tiers_above)
    return ConstantPolicy(settings)
