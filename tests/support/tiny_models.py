"""Tiny real models, made on the spot: a BERT with random weights, and a bag of words in ONNX."""

from __future__ import annotations

import json
import string
from typing import TYPE_CHECKING, Any

from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing

from shared.runtimes.bundle import Bundle
from shared.runtimes.manifest import Manifest
from shared.runtimes.text_manifest import TOKENIZER, WEIGHTS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

LABELS = ("negative", "positive")
TAGS = ("O", "B-MEAL", "I-MEAL")
MAX_TOKENS = 24
WORDS = ("good", "bad", "film", "soup", "very", "not", "##s")
WEIGHED: dict[str, tuple[int, float]] = {"bad": (0, 2.0), "good": (1, 2.0)}
SURROGATE = "half a \ud800 character"
"""A Python text that is no Unicode text: every tokenizer fails on it."""

_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def tiny_tokenizer() -> Tokenizer:
    """WordPiece over a few words and single letters, with BERT's frame around each text."""
    letters = string.ascii_lowercase
    tokens = [*_SPECIAL, *WORDS, *letters, *(f"##{letter}" for letter in letters), *".,!?'"]
    ids = {token: index for index, token in enumerate(dict.fromkeys(tokens))}
    tokenizer = Tokenizer(WordPiece(ids, unk_token="[UNK]"))  # noqa: S106 - no password
    tokenizer.normalizer = BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B [SEP]",
        special_tokens=[(token, ids[token]) for token in ("[CLS]", "[SEP]")],
    )
    tokenizer.add_special_tokens(list(_SPECIAL))
    return tokenizer


def write_classifier(folder: Path, *, labels: tuple[str, ...] = LABELS, seed: int = 1) -> Path:
    """Write a BERT classifier of width 32 as a Hugging Face folder; needs torch.

    Its weights are random, but its last layer is large enough for it to be sure of something.
    """
    import torch  # noqa: PLC0415 - optional
    from transformers import BertConfig, BertForSequenceClassification  # noqa: PLC0415 - optional

    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=tiny_tokenizer().get_vocab_size(),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=MAX_TOKENS,
        initializer_range=0.15,
        id2label=dict(enumerate(labels)),
        label2id={label: index for index, label in enumerate(labels)},
    )
    model = BertForSequenceClassification(config)
    torch.nn.init.normal_(model.classifier.weight, std=1.0)
    model.save_pretrained(folder)
    write_tokenizer(folder)
    return folder


def write_tagger(folder: Path, *, shapes: bool = True, seed: int = 4) -> Path:
    """Write a BERT tagger of width 32 as a Hugging Face folder; needs torch.

    Its weights are random, but large enough for it to be sure of something.
    """
    import torch  # noqa: PLC0415 - optional
    from transformers import BertConfig, BertForTokenClassification  # noqa: PLC0415 - optional

    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=tiny_tokenizer().get_vocab_size(),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=MAX_TOKENS,
        type_vocab_size=5 if shapes else 2,
        initializer_range=0.3,
        id2label=dict(enumerate(TAGS)),
        label2id={label: index for index, label in enumerate(TAGS)},
        **({"word_shapes": True} if shapes else {}),
    )
    BertForTokenClassification(config).save_pretrained(folder)
    write_tokenizer(folder)
    return folder


def write_network(folder: Path, network: Any, **tokenizer: object) -> Path:
    """Write any untrained classifier of transformers, made sure of something, with the tokenizer.

    ``tokenizer`` holds further keys of its ``tokenizer_config.json``.
    """
    import torch  # noqa: PLC0415 - optional

    torch.manual_seed(3)
    for weights in network.parameters():
        if weights.dim() > 1:
            torch.nn.init.normal_(weights, std=0.3)
    network.eval().save_pretrained(folder)
    write_tokenizer(folder, **tokenizer)
    return folder


def write_tokenizer(folder: Path, **more: object) -> None:
    """Write the tiny tokenizer as transformers reads it."""
    tiny_tokenizer().save(str(folder / TOKENIZER))
    settings: dict[str, object] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": MAX_TOKENS,
        "pad_token": "[PAD]",
        "unk_token": "[UNK]",
        "cls_token": "[CLS]",
        "sep_token": "[SEP]",
    }
    settings |= more
    settings = {key: value for key, value in settings.items() if value is not None}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))


def write_bundle(
    folder: Path,
    *,
    labels: tuple[str, ...] = LABELS,
    name: str = "bag",
    bias: float = 0.0,
    words: Mapping[str, tuple[int, float]] = WEIGHED,
) -> Bundle:
    """Write a bundle that adds to a text's logits for each of ``words``; needs onnx.

    ``words`` says to which logit and how much: 2 for each ``good`` or ``bad``, unless told. It is
    made without torch, in a blink. All logits begin at ``bias``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = tiny_tokenizer()
    tokenizer.save(str(folder / TOKENIZER))
    rows = [[0.0] * max(2, len(labels)) for _ in range(tokenizer.get_vocab_size())]
    ids = tokenizer.get_vocab()
    for word, (label, weight) in words.items():
        rows[ids[word]][label] = weight
    rows[ids["[CLS]"]] = [bias] * len(rows[0])
    _write_bag_of_words(folder / WEIGHTS, rows)
    manifest = Manifest(name=name, version="1", labels=labels, max_tokens=MAX_TOKENS)
    return Bundle.write(folder, manifest)


def _write_bag_of_words(path: Path, rows: list[list[float]]) -> None:
    """Sum the rows of the tokens under the mask."""
    import numpy as np  # noqa: PLC0415 - optional
    import onnx  # noqa: PLC0415 - optional
    from onnx import TensorProto, helper, numpy_helper  # noqa: PLC0415 - optional

    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["looked_up"]),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["mask", "last"], ["column"]),
        helper.make_node("Mul", ["looked_up", "column"], ["masked"]),
        helper.make_node("ReduceSum", ["masked", "first"], ["logits"], keepdims=0),
    ]
    ids, mask = (
        helper.make_tensor_value_info(name, TensorProto.INT64, ["prompts", "tokens"])
        for name in ("input_ids", "attention_mask")
    )
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["prompts", len(rows[0])])
    constants = {
        "table": np.array(rows, np.float32),
        "last": np.array([2], np.int64),
        "first": np.array([1], np.int64),
    }
    graph = helper.make_graph(
        nodes,
        "bag_of_words",
        [ids, mask],
        [logits],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.save(model, path)


def write_tag_bundle(folder: Path, *, shapes: bool = True, bias: float = 0.0) -> Bundle:
    """Write a tagger that takes ``soup`` for a meal, and goes on with it at ``good`` and ``film``.

    Told how words are written, it begins a meal at every capitalised word but for those. Needs
    onnx; made without torch. ``bias`` is added to every logit.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = tiny_tokenizer()
    tokenizer.save(str(folder / TOKENIZER))
    ids = tokenizer.get_vocab()
    rows = [[bias, bias - 2.0, bias - 2.0] for _ in ids]
    rows[ids["soup"]][1] = bias + 2.0
    for word in ("good", "film"):
        rows[ids[word]][2] = bias + 4.0
    _write_table_of_tags(folder / WEIGHTS, rows, [[0.0] * 3, [0.0, 4.0, 0.0], *[[0.0] * 3] * 3])
    manifest = Manifest(
        name="menu", version="1", task="tag", labels=TAGS, max_tokens=MAX_TOKENS, shapes=shapes
    )
    return Bundle.write(folder, manifest)


def _write_table_of_tags(path: Path, rows: list[list[float]], ways: list[list[float]]) -> None:
    """Add the row of each token to that of the way it is written."""
    import numpy as np  # noqa: PLC0415 - optional
    import onnx  # noqa: PLC0415 - optional
    from onnx import TensorProto, helper, numpy_helper  # noqa: PLC0415 - optional

    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["of_tokens"]),
        helper.make_node("Gather", ["ways", "token_type_ids"], ["of_ways"]),
        helper.make_node("Add", ["of_tokens", "of_ways"], ["logits"]),
    ]
    places = ["prompts", "tokens"]
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, places)
        for name in ("input_ids", "token_type_ids")
    ]
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, [*places, len(rows[0])])
    constants = {"table": np.array(rows, np.float32), "ways": np.array(ways, np.float32)}
    arrays = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, "table_of_tags", inputs, [logits], arrays)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.save(model, path)
