"""Escalation policies, one file each, chosen by ``kind`` in an agent's settings.

All are pure: they are given confidence, time and size, and a source of random draws.
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias

from shared.cascade.policies.adapting import AdaptingPolicy
from shared.cascade.policies.base import (
    Feedback,
    Observation,
    Policy,
    PolicyContext,
    Remembering,
    Routing,
)
from shared.cascade.policies.baselines import ConstantPolicy, KeepAll, PassAll, Random, RandomPolicy
from shared.cascade.policies.budget import Budget, BudgetPolicy
from shared.cascade.policies.fixed import Fixed, FixedPolicy
from shared.cascade.policies.handing_over import hand_over
from shared.cascade.policies.quality import Quality, QualityPolicy
from shared.cascade.policies.quantile import Quantile, QuantilePolicy
from shared.cascade.policies.recall import RecallPolicy, RecallRule
from shared.cascade.policies.skip import Skip, SkipPolicy

PolicySettings: TypeAlias = (
    Quantile | Fixed | Random | KeepAll | PassAll | Budget | Quality | Skip | RecallRule
)

__all__ = [
    "Budget",
    "Feedback",
    "Fixed",
    "KeepAll",
    "Observation",
    "PassAll",
    "Policy",
    "PolicyContext",
    "PolicySettings",
    "Quality",
    "Quantile",
    "Random",
    "RecallRule",
    "Remembering",
    "Routing",
    "Skip",
    "adapts",
    "hand_over",
    "judges_memories",
    "learns",
    "make_policy",
]

_POLICIES: Final[dict[type, Any]] = {
    Budget: BudgetPolicy,
    Fixed: FixedPolicy,
    KeepAll: ConstantPolicy,
    PassAll: ConstantPolicy,
    Quality: QualityPolicy,
    Quantile: QuantilePolicy,
    Random: RandomPolicy,
    RecallRule: RecallPolicy,
    Skip: SkipPolicy,
}


def learns(settings: PolicySettings) -> bool:
    """Say whether such a policy wants to know what became of the prompts it sent up."""
    return adapts(settings) or bool(_POLICIES[type(settings)].learns)


def adapts(settings: PolicySettings) -> bool:
    """Say whether such a policy goes by forecasts that it adapts to the texts that are served."""
    return bool(getattr(settings, "learn", False))


def judges_memories(settings: PolicySettings) -> bool:
    """Say whether such a policy decides on remembered answers, too; for others they are kept."""
    return isinstance(settings, RecallRule)


def make_policy(settings: PolicySettings, context: PolicyContext) -> Policy:
    """Return a fresh policy for one task of a tier."""
    policy: Policy = _POLICIES[type(settings)](settings, context)
    return AdaptingPolicy(policy) if adapts(settings) else policy
