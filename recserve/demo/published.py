"""What RecServe, as published, would have done with the demo's prompts.

Its rule goes by the largest probability and its windows begin empty. It is replayed over the
answers of the same models, as if one device had asked, through the decision that agents use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from experiments.evaluation.burden import sent_bytes
from experiments.evaluation.offline import replay
from shared.cascade.policies import KeepAll, Quantile

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from experiments.evaluation.matrix import Matrix
    from shared.cascade.policies import PolicySettings
    from shared.wire.topics import Topics


class AsPublished(NamedTuple):
    """Which tier answered each prompt and whether rightly, shape (n,); and the bytes by link."""

    tier: NDArray[np.int64]
    right: NDArray[np.bool_]
    burden_bytes: dict[str, int]


def as_published(
    matrix: Matrix, policies: Sequence[PolicySettings], topics: Topics
) -> AsPublished | None:
    """Replay the prompts with the β of each tier's policy, the lowest first.

    None where there is nothing to compare: no model has a head, or a tier below the top has no β.
    """
    below = [policy for policy in policies[:-1] if isinstance(policy, Quantile)]
    headed = any(tier.agreement is not None for tier in matrix.tiers)
    if not headed or len(below) < len(policies) - 1:
        return None
    rule = [Quantile(beta=policy.beta, prior_prompts=0) for policy in below]
    replayed = replay(matrix.headless(), [*rule, KeepAll()])
    burden = sent_bytes(replayed, topics)
    link_bytes = (burden.up + burden.down).sum(axis=1).tolist()
    return AsPublished(
        replayed.tier, replayed.right, dict(zip(burden.links, link_bytes, strict=True))
    )
