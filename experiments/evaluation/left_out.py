"""What a head is worth on a domain that it never saw, and what adapting to it on the way adds.

For each set a head is fitted anew without any text or label of the set's domain; device and cloud
stay as they are, and were trained on rows of all five. Sets that tell of the same things are one
domain: SST-2, Rotten Tomatoes and IMDB are all of films.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
import numpy as np

from experiments.evaluation.answer_store import open_store, prompt_key
from experiments.evaluation.answering import answer_missing
from experiments.evaluation.offline import replay
from experiments.evaluation.tier_models import read_facts
from models.pack.head import Answered, fit_head
from models.train.head_texts import head_texts
from shared.runtimes.agreement_head import AgreementHead
from shared.tasks.classify import requests

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from experiments.evaluation.evaluate import PolicyRun, SetResult
    from experiments.evaluation.matrix import Matrix
    from experiments.evaluation.tier_models import ModelFacts, TierModel

_FILMS: Final = ("sst2", "rotten_tomatoes", "imdb")
DOMAINS: Final = {
    **dict.fromkeys(_FILMS, _FILMS),
    "yelp": ("yelp_polarity",),
    "amazon": ("amazon_multidomain",),
}
"""Names of the sets of the main study, and the training sets of the same domain."""
ADAPTING: Final = "adapting"
LEFT_OUT: Final = "left out"
LEFT_OUT_ADAPTING: Final = "left out, adapting"


class LeftOutHead(NamedTuple):
    """A head that was fitted without a domain, and to how many texts."""

    head: AgreementHead
    texts: int


def head_without(
    domain: Sequence[str], data: Path, device: TierModel, cloud: TierModel, cache: Path
) -> LeftOutHead:
    """Fit a head for the device to what is left of the texts without a domain.

    What the models say to the texts is kept in ``cache``, as all answers are. Raises ``DataError``
    naming a file of ``data`` that is bad, and ``BundleError`` for a model that is not there.
    """
    corpus = head_texts(data, without=domain)
    student, teacher = read_facts(device.model), read_facts(cloud.model)
    labels = student.labels
    answered = Answered(
        corpus.texts,
        _said(student, labels, corpus.texts, cache),
        _said(teacher, labels, corpus.texts, cache),
        {row.text: row.label for row in corpus.labelled},
    )
    fitted = fit_head(answered)
    return LeftOutHead(AgreementHead(fitted.table.expert(), fitted.weights), len(corpus.texts))


def run_with(head: AgreementHead, result: SetResult, policy: str) -> SetResult:
    """Return the runs of ``result`` and, beside, those of ``policy`` by another head.

    They are called ``LEFT_OUT``, ``LEFT_OUT_ADAPTING`` where the device learns on the way, and
    ``ADAPTING`` where it does so going by its own head.
    """
    own, other = result.matrix, _headed(result.matrix, head)
    ways = ((ADAPTING, own, True), (LEFT_OUT, other, False), (LEFT_OUT_ADAPTING, other, True))
    runs = [
        _run(run, name, matrix.take(run.rows), learn=learn)
        for run in result.runs
        if run.candidate.name == policy
        for name, matrix, learn in ways
    ]
    return result._replace(runs=(*result.runs, *runs))


def _run(run: PolicyRun, name: str, ordered: Matrix, *, learn: bool) -> PolicyRun:
    device, *above = run.candidate.policies
    policies = (msgspec.structs.replace(device, learn=learn), *above)
    candidate = run.candidate._replace(name=name, policies=policies)
    return run._replace(candidate=candidate, replay=replay(ordered, policies, seed=run.seed))


def _headed(matrix: Matrix, head: AgreementHead) -> Matrix:
    """Return the matrix with another head on its lowest tier, whose answers stay as they are."""
    lowest, *above = matrix.tiers
    asked = zip(matrix.data.texts, lowest.probabilities.tolist(), lowest.labels, strict=True)
    agreement = np.array([head.confidence(text, said, label) for text, said, label in asked])
    return replace(matrix, tiers=(replace(lowest, agreement=agreement), *above))


def _said(
    facts: ModelFacts, labels: Sequence[str], texts: Sequence[str], cache: Path
) -> NDArray[np.float64]:
    """Return what a model says to texts, in the order of ``labels``; shape (texts, labels)."""
    with open_store(cache, facts.fingerprint) as store:
        answer_missing("texts for a head", requests(texts), facts, store, lambda _: None)
        said = np.array([store.answers[prompt_key(text)].probabilities for text in texts])
    return said[:, [facts.labels.index(label) for label in labels]]
