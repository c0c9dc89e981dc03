"""The answer matrix of a run: what each tier said to each prompt that was played.

A run in which texts and labels were kept becomes a labelled set, in order of arrival, so that other
policies can be replayed on it offline. What the records know is taken from them: a tier that
answered a prompt of two labels gave its whole distribution (the confidence, and what is left). All
else, the answers that never left a tier that escalated, is asked of the models. ``elapsed_us`` of a
recorded answer is the time at its agent with the wait for the model's turn, as it was in the run.

``python -m experiments.replay.to_matrix RUN device=BUNDLE edge=BUNDLE cloud=BUNDLE``
writes ``RUN/set.tsv`` and ``RUN/answers``, and says how ``recserve evaluate`` is put onto them.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.console import Console

from experiments.datasets.sets import LabelledSet, Part
from experiments.evaluation.answer_store import Kept, open_store
from experiments.evaluation.matrix import Matrix, fill_matrix
from experiments.evaluation.tier_models import ModelFacts, TierModel, read_facts
from experiments.replay.records import Record, read_records
from shared.cli import clear_errors
from shared.errors import DataError
from shared.runtimes import ModelSettings
from shared.tasks.classify import Label

if TYPE_CHECKING:
    from collections.abc import Sequence


ANSWERS: Final = "answers"
SET: Final = "set.tsv"
_TWO: Final = 2


def matrix_from_records(
    folder: Path, tiers: Sequence[TierModel], console: Console | None = None
) -> Matrix:
    """Return the matrix of a run's prompts, in order of arrival; answers are kept in its folder.

    Raises ``DataError`` when texts or labels were not recorded, or a label is none of the models'.
    """
    records = read_records(folder)
    facts = {tier.tier: read_facts(tier.model) for tier in tiers}
    names = next(iter(facts.values())).labels
    data = labelled_set(folder.name, records, names)
    for tier in tiers:
        keep_known(folder / ANSWERS, tier.tier, facts[tier.tier], records)
    return fill_matrix(data, tiers, folder / ANSWERS, console)


def labelled_set(name: str, records: Sequence[Record], label_names: Sequence[str]) -> LabelledSet:
    """Return the prompts of a run as a labelled set; raises ``DataError`` that names the prompt."""
    places = {label: index for index, label in enumerate(label_names)}
    for record in records:
        if not record.text:
            raise DataError(
                f"{name}: prompt {record.number} was recorded without its text; "
                "replay with --keep-text"
            )
        if record.label not in places:
            raise DataError(
                f"{name}: prompt {record.number} has the label {record.label!r}, which is none of "
                f"{', '.join(label_names)}; use a prompt set with those labels"
            )
    return LabelledSet(
        name,
        tuple(record.text for record in records),
        tuple(places[record.label] for record in records if record.label is not None),
        tuple(label_names),
        (Part(name, len(records)),),
    )


def keep_known(folder: Path, tier: str, facts: ModelFacts, records: Sequence[Record]) -> int:
    """Add to the kept answers of a model what the records know; return how many were added.

    Nothing is known of a model with more than two labels but the largest probability, and of one
    with a head not even that: it may have had a say in the answer, too.
    """
    if len(facts.labels) != _TWO or facts.headed:
        return 0
    known: dict[bytes, Kept] = {}
    for record in records:
        given = record.given
        known_label = isinstance(given, Label) and given.label in facts.labels
        if given is not None and known_label and record.tier == tier and not record.degraded:
            hop = record.hops[-1]
            if hop.certainty_kind == "agreement":
                continue
            said, rest = hop.certainty, 1.0 - hop.certainty
            first = given == Label(facts.labels[0])
            probabilities = (said, rest) if first else (rest, said)
            known[bytes.fromhex(record.key)] = Kept(given, said, hop.elapsed_us, probabilities)
    with open_store(folder, facts.fingerprint) as store:
        fresh = {key: kept for key, kept in known.items() if key not in store.answers}
        store.append(fresh.items())
    return len(fresh)


def write_set(path: Path, data: LabelledSet) -> None:
    """Write a labelled set as ``recserve evaluate --set`` reads it."""
    rows = (
        f"{' '.join(text.split())}\t{data.label_names[label]}"
        for text, label in zip(data.texts, data.labels, strict=True)
    )
    path.write_text("\n".join(["text\tlabel", *rows]) + "\n", encoding="utf-8")


def _main(words: Sequence[str]) -> None:
    with clear_errors():
        if len(words) < _TWO or not all("=" in word for word in words[1:]):
            raise DataError("give the folder of a run, then tier=bundle for every tier")
        folder = Path(words[0])
        pairs = [word.split("=", 1) for word in words[1:]]
        tiers = [TierModel(tier=tier, model=ModelSettings(source=source)) for tier, source in pairs]
        console = Console()
        matrix = matrix_from_records(folder, tiers, console)
        write_set(folder / SET, matrix.data)
    flags = " ".join(f"--tier {word}" for word in words[1:])
    console.print(f"{len(matrix.data):,} prompts. Now compare policies on them:", soft_wrap=True)
    console.print(
        f"recserve evaluate --set {folder / SET} {flags} --cache {folder / ANSWERS} "
        "--policy 'quantile beta=0.1,0.3'",
        soft_wrap=True,
        markup=False,
    )


if __name__ == "__main__":
    _main(sys.argv[1:])
