"""TL: a translation, held against human ones by chrF; BLEU beside it for whoever reports that."""

from __future__ import annotations

from typing import Any

from shared.errors import RuntimeUnavailable


def grade(answer: str, references: tuple[str, ...]) -> float:
    """Return chrF2 as a share. Raises ``RuntimeUnavailable`` where sacrebleu is not installed."""
    if not answer.strip():
        return 0.0
    return min(float(_sacrebleu().sentence_chrf(answer, list(references)).score) / 100, 1.0)


def bleu(answer: str, references: tuple[str, ...]) -> float:
    """Return the smoothed sentence BLEU as a share: the answer first, what it should be second."""
    if not answer.strip():
        return 0.0
    scored = _sacrebleu().sentence_bleu(answer, list(references), smooth_method="exp")
    return min(float(scored.score) / 100, 1.0)


def _sacrebleu() -> Any:
    try:
        import sacrebleu  # noqa: PLC0415 - heavy
    except ModuleNotFoundError as error:
        raise RuntimeUnavailable(
            "translations are graded with sacrebleu, which is not installed here; "
            'pip install -e ".[center]" in a checkout of this project'
        ) from error
    return sacrebleu
