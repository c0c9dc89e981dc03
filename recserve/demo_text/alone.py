"""What each tier's translator writes when it is asked alone: the demo's yardsticks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from experiments.evaluation.text_matrix import TextMatrix, TierTexts
from shared.errors import BundleError, PromptError
from shared.runtimes import load_model
from shared.tasks import Request
from shared.tasks.generate import Completion

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experiments.datasets.pairs import PairSet
    from experiments.testbed.processes import Agent


def ask_alone(agents: Sequence[Agent], captions: PairSet) -> TextMatrix:
    """Return what one agent's model of each tier writes, the lowest first, one text at a time.

    Raises ``BundleError`` when a model fails at one.
    """
    return TextMatrix(captions, tuple(_ask(agent, captions.texts) for agent in agents))


def _ask(agent: Agent, texts: Sequence[str]) -> TierTexts:
    settings = agent.settings
    model = load_model(settings.model)
    answers, confidences, times_us = [], [], []
    try:
        for text in texts:
            (entry,) = model.answer([Request("generate", text)])
            if isinstance(entry, PromptError):
                raise BundleError(f"{settings.model.source}: {entry}, at {text!r}") from entry
            if not isinstance(entry.answer, Completion):
                raise BundleError(f"{settings.model.source}: is no model that writes")
            answers.append(entry.answer)
            confidences.append(entry.confidence)
            times_us.append(entry.elapsed_us)
    finally:
        model.close()
    return TierTexts(settings.tier.name, tuple(answers), np.array(confidences), np.array(times_us))
