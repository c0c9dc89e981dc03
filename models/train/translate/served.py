"""The command `python -m models.train.translate.served`: how good packed translators are.

Each bundle translates dev and test captions as an agent would have it do, and what sacrebleu makes
of that goes into its manifest, with quantiles of its confidences on dev captions.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace
from sacrebleu import corpus_bleu, corpus_chrf

from models.pack.expected import quantiles
from models.pack.labelled import scored_or_raise
from models.train.command import data_folder, parser_of
from models.train.translate.captions import read_pairs
from shared.errors import RecServeError
from shared.runtimes import ModelSettings, load_model
from shared.runtimes.bundle import Bundle
from shared.runtimes.manifest import Confidences, MeasuredTexts
from shared.tasks import Request, to_line

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from models.train.translate.captions import CaptionPair
    from shared.messages import Scored
    from shared.runtimes import Model

PARTS: Final = ("dev", "test_2016_flickr")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure every bundle; returns 0, or 2 with one sentence on standard error."""
    options = _parser().parse_args(arguments)
    try:
        data = data_folder(options.data)
        parts = {part: read_pairs(data, part) for part in PARTS}
        for folder in options.bundles:
            bundle = measure_bundle(Bundle.open(folder), parts)
            for part, one in bundle.manifest.texts.items():
                said = f"BLEU {one.bleu}, chrF {one.chrf}, mean confidence {one.mean_confidence}"
                print(f"{bundle.manifest.name}, {part}: {said}", flush=True)
    except RecServeError as error:
        print(f"models.train.translate.served: {error}", file=sys.stderr)
        return 2
    return 0


def measure_bundle(bundle: Bundle, parts: dict[str, list[CaptionPair]]) -> Bundle:
    """Translate every part and write what came out into the manifest."""
    settings = ModelSettings(source=str(bundle.folder), runtime="genai")
    model = load_model(settings)
    try:
        answers = {part: _answers(model, pairs) for part, pairs in parts.items()}
    finally:
        model.close()
    texts = {part: _measured(answers[part], pairs) for part, pairs in parts.items()}
    sure = [answer.confidence for answer in answers[PARTS[0]]]
    known = Confidences(prompts=len(sure), of=(PARTS[0],), quantiles=tuple(quantiles(sure)))
    confidences = {**bundle.manifest.confidences, bundle.manifest.task: known}
    return Bundle.write(
        bundle.folder, replace(bundle.manifest, texts=texts, confidences=confidences)
    )


def _answers(model: Model, pairs: Sequence[CaptionPair]) -> list[Scored]:
    entries = model.answer([Request("generate", pair.source) for pair in pairs])
    return [
        scored_or_raise(entry, f"caption {pair.source[:40]!r}")
        for entry, pair in zip(entries, pairs, strict=True)
    ]


def _measured(answers: Sequence[Scored], pairs: Sequence[CaptionPair]) -> MeasuredTexts:
    found = [to_line(answer.answer) for answer in answers]
    references = [[pair.target for pair in pairs]]
    return MeasuredTexts(
        rows=len(pairs),
        bleu=round(corpus_bleu(found, references).score, 2),
        chrf=round(corpus_chrf(found, references).score, 2),
        mean_confidence=round(sum(answer.confidence for answer in answers) / len(answers), 4),
    )


def _parser() -> argparse.ArgumentParser:
    parser = parser_of("models.train.translate.served", __doc__)
    parser.add_argument("bundles", type=Path, nargs="+", help="folders of packed translators")
    return parser


if __name__ == "__main__":
    sys.exit(main())
