"""What each tier's model says when it is asked alone: the demo's yardsticks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from experiments.datasets.sets import LabelledSet, Part
from experiments.evaluation.matrix import Matrix, TierAnswers
from shared.errors import BundleError, PromptError
from shared.runtimes import labels_of, load_model
from shared.tasks.classify import requests

if TYPE_CHECKING:
    from collections.abc import Sequence

    from experiments.datasets.bundled import LabelledPrompt
    from experiments.testbed.processes import Agent


def ask_alone(agents: Sequence[Agent], prompts: Sequence[LabelledPrompt]) -> Matrix:
    """Return the answers of one agent's model of each tier, the lowest first, to all prompts.

    Raises ``BundleError`` when a model knows other labels than the prompts, or fails at one.
    """
    names = tuple(sorted({prompt.label for prompt in prompts}))
    data = LabelledSet(
        "prompts",
        tuple(prompt.text for prompt in prompts),
        tuple(names.index(prompt.label) for prompt in prompts),
        names,
        (Part("prompts", len(prompts)),),
    )
    return Matrix(data, tuple(_ask(agent, data) for agent in agents))


def _ask(agent: Agent, data: LabelledSet) -> TierAnswers:
    settings = agent.settings
    model = load_model(settings.model)
    try:
        known = labels_of(model)
        if sorted(known) != list(data.label_names):
            raise BundleError(
                f"{settings.model.source}: the model knows {', '.join(known)}, but the demo's "
                f"prompts are {' or '.join(data.label_names)}"
            )
        answers = model.answer(requests(data.texts))
    finally:
        model.close()
    scored = []
    for text, answer in zip(data.texts, answers, strict=True):
        if isinstance(answer, PromptError):
            raise BundleError(f"{settings.model.source}: {answer}, at {text!r}") from answer
        scored.append(answer)
    order = [known.index(name) for name in data.label_names]
    headed = any(answer.confidence_kind == "agreement" for answer in scored)
    return TierAnswers(
        settings.tier.name,
        np.array([answer.probabilities for answer in scored])[:, order],
        np.array([answer.elapsed_us for answer in scored]),
        np.array([answer.confidence for answer in scored]) if headed else None,
    )
