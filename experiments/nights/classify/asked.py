"""What a model says to texts, asked once and kept on the disk."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from experiments.evaluation.matrix import fill_matrix
from experiments.evaluation.tier_models import TierModel
from shared.runtimes import ModelSettings

if TYPE_CHECKING:
    from experiments.datasets.sets import LabelledSet
    from experiments.evaluation.matrix import TierAnswers

BUNDLES: Final = Path(__file__).parents[3] / "models" / "bundles"
DEVICE: Final = BUNDLES / "sentiment-device"
CLOUD: Final = BUNDLES / "sentiment-cloud"


class KeptAnswers(NamedTuple):
    """Where answers are kept."""

    cache: Path

    def ask(self, bundle: Path, texts: LabelledSet) -> TierAnswers:
        """Return what a bundle says to each text."""
        tier = TierModel(tier=bundle.parent.name, model=ModelSettings(source=str(bundle)))
        return fill_matrix(texts, [tier], self.cache).tiers[0]
