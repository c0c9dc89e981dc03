"""Escalation policies, one file each, chosen by ``kind`` in an agent's settings.

All are pure: they are given confidence, time and size, and a source of random draws.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.policies.blind import ConstantPolicy, Keep, Pass, Random, RandomPolicy
from shared.policies.contract import Policy, Returned, Seen, Verdict
from shared.policies.fixed import Fixed, FixedPolicy
from shared.policies.quantile import Quantile, QuantilePolicy

if TYPE_CHECKING:
    import random

PolicySettings = Quantile | Fixed | Random | Keep | Pass
LEARNING: tuple[type, ...] = ()
"""Kinds of policy that learn from what comes back."""

__all__ = [
    "LEARNING",
    "Fixed",
    "Keep",
    "Pass",
    "Policy",
    "PolicySettings",
    "Quantile",
    "Random",
    "Returned",
    "Seen",
    "Verdict",
    "make_policy",
]


def make_policy(settings: PolicySettings, draw: random.Random) -> Policy:
    """Return a fresh policy for one tier and task."""
    if isinstance(settings, Quantile):
        return QuantilePolicy(settings, draw)
    if isinstance(settings, Fixed):
        return FixedPolicy(settings)
    if isinstance(settings, Random):
        return RandomPolicy(settings, draw)
    return ConstantPolicy(settings)
