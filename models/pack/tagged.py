"""Measure a tagger on files whose entities are marked, in the form of CoNLL (``models.conll``)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from models.conll import Sentence, read_sentences
from models.pack.labelled import named, scored_or_raise
from models.spans import score_spans
from shared.errors import BundleError, DataError
from shared.runtimes.manifest import MeasuredEntities
from shared.tasks import Request
from shared.tasks.tag import Entities

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from models.conll import Place
    from shared.messages import Scored
    from shared.runtimes import Model

_CHUNK_PROMPTS: Final = 256
_DIGITS: Final = 4


@dataclass(frozen=True)
class TaggedSet:
    """Sentences of one file with their entities."""

    name: str
    path: Path
    sentences: tuple[Sentence, ...]

    @property
    def texts(self) -> tuple[str, ...]:
        """The sentences alone."""
        return tuple(sentence.text for sentence in self.sentences)

    def check(self, labels: Sequence[str]) -> None:
        """Raise ``DataError`` naming the first type of entity that none of the labels is of."""
        known = {label.partition("-")[2] or label for label in labels} - {"O"}
        for number, sentence in enumerate(self.sentences, 1):
            for kind, _, _ in sentence.places:
                if kind not in known:
                    raise DataError(
                        f"{self.path}: sentence {number} names a {kind[:40]!r}, but the model "
                        f"knows {', '.join(sorted(known))}; name its labels so by --label"
                    )

    def measure(self, model: Model) -> MeasuredEntities:
        """Answer every sentence once and compare, or raise ``BundleError`` where it fails."""
        answers = list(self._answers(model))
        found = [_places(answer) for answer in answers]
        score = score_spans(
            (places, set(sentence.places))
            for places, sentence in zip(found, self.sentences, strict=True)
        )
        sure = sum(answer.confidence for answer in answers) / len(answers)
        return MeasuredEntities(
            rows=len(answers),
            f1=round(score.f1, _DIGITS),
            precision=round(score.precision, _DIGITS),
            recall=round(score.recall, _DIGITS),
            mean_confidence=round(sure, _DIGITS),
        )

    def _answers(self, model: Model) -> Iterator[Scored]:
        for start in range(0, len(self.sentences), _CHUNK_PROMPTS):
            chunk = self.sentences[start : start + _CHUNK_PROMPTS]
            entries = model.answer([Request("tag", sentence.text) for sentence in chunk])
            for number, entry in enumerate(entries, start + 1):
                yield scored_or_raise(entry, f"{self.path}: sentence {number}")


def read_tagged(argument: str, sentences: int | None = None) -> TaggedSet:
    """Read what ``set=path`` names, the first ``sentences`` or all.

    Raises ``SettingsError`` naming the argument, or ``DataError`` the file and its line.
    """
    name, place = named(argument)
    path = Path(place)
    return TaggedSet(name, path, tuple(read_sentences(path, sentences)))


def _places(scored: Scored) -> set[Place]:
    if not isinstance(scored.answer, Entities):
        raise BundleError("the model answers something else than entities; it is no tagger")
    return {span.place for span in scored.answer.spans}
