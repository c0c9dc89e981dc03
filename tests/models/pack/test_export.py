"""What is packed says what its original says: of long texts, and of many at a time."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from models.pack import pack
from models.pack.samples import SAMPLES, beyond
from shared.errors import BundleError, RuntimeUnavailable
from shared.messages import Scored
from shared.runtimes import ModelSettings, load_model
from shared.tasks.classify import requests
from tests.support.tiny_models import MAX_TOKENS, tiny_tokenizer, write_network

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from shared.runtimes.bundle import Bundle

pytest.importorskip("torch")
pytest.importorskip("onnxscript")

TEXTS = [
    "good",
    "not bad at all, and very good soup",
    "bad " * 60,
    "good " * 10 + "bad " * 50,
    "a film",
    "x" * 400,
    "soup soup good",
    "bad " * 11,
]


def words() -> int:
    return int(tiny_tokenizer().get_vocab_size())


def bert(**changes: Any) -> Any:
    from transformers import BertConfig, BertForSequenceClassification  # noqa: PLC0415

    return BertForSequenceClassification(BertConfig(vocab_size=words(), **small(), **changes))


def roberta() -> Any:
    """Its first two places belong to padding, so of 26 a prompt may fill 24."""
    from transformers import RobertaConfig, RobertaForSequenceClassification  # noqa: PLC0415

    sizes = small() | {"max_position_embeddings": MAX_TOKENS + 2}
    return RobertaForSequenceClassification(
        RobertaConfig(vocab_size=words(), pad_token_id=1, type_vocab_size=1, **sizes)
    )


def gpt2(padding: int) -> Any:
    from transformers import GPT2Config, GPT2ForSequenceClassification  # noqa: PLC0415

    return GPT2ForSequenceClassification(
        GPT2Config(
            vocab_size=words(),
            n_embd=32,
            n_layer=2,
            n_head=2,
            n_positions=MAX_TOKENS,
            pad_token_id=padding,
        )
    )


def small() -> dict[str, Any]:
    return {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "max_position_embeddings": MAX_TOKENS,
    }


FAMILIES: dict[str, tuple[Callable[[], Any], dict[str, object]]] = {
    "an encoder": (bert, {}),
    "an encoder whose tokenizer knows no limit": (bert, {"model_max_length": None}),
    "an encoder that reads the end of a long text": (bert, {"truncation_side": "left"}),
    "an encoder whose tokenizer fills up at the left": (bert, {"padding_side": "left"}),
    "a RoBERTa": (roberta, {"model_max_length": None}),
    "a decoder that pads with 7": (lambda: gpt2(7), {}),
    "a decoder that pads with 0, at the left": (lambda: gpt2(0), {"padding_side": "left"}),
}
TOLD: dict[str, dict[str, object]] = {
    "an encoder that reads the end of a long text": {"truncation": "left"},
    "a RoBERTa": {"truncation": "right", "max_tokens": MAX_TOKENS},
    "a decoder that pads with 7": {"pad_token": 7, "padding": "right", "max_tokens": MAX_TOKENS},
    "a decoder that pads with 0, at the left": {"pad_token": 0},
}
"""What the manifest has to tell whoever serves a model of a family."""


def answers(source: Path, runtime: str, together: int) -> list[Scored]:
    settings = {"source": str(source), "runtime": runtime, "batch_prompts": together}
    model = load_model(ModelSettings(**settings))  # type: ignore[arg-type] # two runtimes
    came = model.answer(requests(TEXTS))
    model.close()
    scored = [entry for entry in came if isinstance(entry, Scored)]
    assert len(scored) == len(TEXTS), came
    return scored


def apart(one: Sequence[Scored], other: Sequence[Scored]) -> float:
    return max(
        abs(a - b)
        for first, second in zip(one, other, strict=True)
        for a, b in zip(first.probabilities, second.probabilities, strict=True)
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_a_packed_model_says_what_its_original_says_and_its_manifest_how_to_serve_it(
    tmp_path: Path, family: str
) -> None:
    make, tokenizer = FAMILIES[family]
    source = write_network(tmp_path / "source", make(), **tokenizer)
    bundle = pack(str(source), tmp_path / "bundle", name="tiny", quantise=False)

    original = answers(source, "transformers", 1)
    assert len({scored.probabilities for scored in original}) > 3, "it tells texts apart"
    for runtime, place in (("transformers", source), ("onnx", bundle.folder)):
        for together in (1, 8):
            assert apart(original, answers(place, runtime, together)) < 1e-3, (runtime, together)
    for key, value in TOLD.get(family, {}).items():
        assert getattr(bundle.manifest, key) == value


def test_the_texts_of_the_comparison_fill_the_limit_and_go_beyond() -> None:
    made = beyond(SAMPLES, lambda text: len(text.split()), 100)
    lengths = [len(text.split()) for text in made]
    assert lengths[0] < 100 <= lengths[1] < lengths[2] < lengths[3]


def test_what_does_not_agree_names_a_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bundle that fills up with the wrong token is right alone and wrong together."""
    source = write_network(tmp_path / "source", gpt2(7))
    from shared.runtimes.bundle import Bundle  # noqa: PLC0415

    write = Bundle.write

    def wrong(folder: Path, manifest: Any) -> Bundle:
        import msgspec  # noqa: PLC0415

        return write(folder, msgspec.structs.replace(manifest, pad_token=9))

    monkeypatch.setattr(Bundle, "write", wrong)
    with pytest.raises(BundleError, match=r"16 prompts at a time.*runtime: transformers"):
        pack(str(source), tmp_path / "bundle", name="tiny", quantise=False)
    assert not (tmp_path / "bundle").exists()


# -- what cannot be packed ---------------------------------------------------------------------

ODD_LABELS: dict[str, tuple[dict[str, object], str]] = {
    "counted from one": ({"id2label": {"1": "no", "2": "yes"}}, "numbers its labels 1, 2"),
    "with a gap": ({"id2label": {"0": "no", "2": "yes"}}, "numbers its labels 0, 2"),
    "of one name": ({"id2label": {"0": "same", "1": "same"}}, "calls two labels 'same'"),
    "without a name": ({"id2label": {"0": "", "1": "yes"}}, "a label of 0 characters"),
    "of a long name": ({"id2label": {"0": "x" * 300, "1": "yes"}}, "a label of 300 characters"),
    "of a regression": ({"problem_type": "regression"}, "measures and does not classify"),
}


@pytest.mark.parametrize("labels", ODD_LABELS)
def test_labels_that_cannot_be_served_are_refused_in_a_sentence(
    tmp_path: Path, labels: str
) -> None:
    changes, fault = ODD_LABELS[labels]
    source = write_network(tmp_path / "source", bert())
    config = json.loads((source / "config.json").read_text())
    (source / "config.json").write_text(json.dumps(config | changes))
    with pytest.raises(BundleError, match=fault) as caught:
        pack(str(source), tmp_path / "bundle", name="tiny", quantise=False)
    assert "\n" not in str(caught.value)


# -- tokenizers that are published as a sentencepiece model alone ------------------------------


def debertas_folder(folder: Path) -> Path:
    """A DeBERTa-v3 as it is published: no tokenizer.json."""
    import sentencepiece  # noqa: PLC0415 - optional
    from transformers import (  # noqa: PLC0415
        DebertaV2Config,
        DebertaV2ForSequenceClassification,
    )

    network = DebertaV2ForSequenceClassification(
        DebertaV2Config(
            vocab_size=130,
            relative_attention=True,
            position_buckets=8,
            pos_att_type=["p2c", "c2p"],
            norm_rel_ebd="layer_norm",
            share_att_key=True,
            position_biased_input=False,
            type_vocab_size=0,
            **small(),
        )
    )
    write_network(folder, network)
    (folder / "tokenizer.json").unlink()
    lines = folder.parent / "lines.txt"
    lines.write_text("\n".join([*TEXTS, *(text for text in SAMPLES if text.isascii())]))
    sentencepiece.SentencePieceTrainer.train(
        input=str(lines),
        model_prefix=str(folder / "spm"),
        vocab_size=120,
        pad_id=0,
        unk_id=3,
        bos_id=1,
        eos_id=2,
        pad_piece="[PAD]",
        unk_piece="[UNK]",
        bos_piece="[CLS]",
        eos_piece="[SEP]",
        hard_vocab_limit=False,
        minloglevel=2,
    )
    (folder / "spm.vocab").unlink()
    told = {"tokenizer_class": "DebertaV2Tokenizer", "vocab_type": "spm", "model_max_length": 24}
    (folder / "tokenizer_config.json").write_text(json.dumps(told))
    return folder


def test_a_tokenizer_that_is_a_sentencepiece_model_alone_is_packed(tmp_path: Path) -> None:
    pytest.importorskip("sentencepiece")
    source = debertas_folder(tmp_path / "source")
    bundle = pack(str(source), tmp_path / "bundle", name="tiny", quantise=False)
    assert apart(answers(source, "transformers", 1), answers(bundle.folder, "onnx", 8)) < 1e-3


def test_what_is_missing_to_read_it_is_named_and_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("sentencepiece")
    from transformers import AutoTokenizer  # noqa: PLC0415

    from shared.runtimes import torch_folder  # noqa: PLC0415

    source = debertas_folder(tmp_path / "source")

    def cannot(_source: str) -> Any:
        raise ValueError("`tiktoken` is required")

    monkeypatch.setattr(AutoTokenizer, "from_pretrained", cannot)
    monkeypatch.setattr(torch_folder, "_CONVERTERS", ("no_such_module",))
    with pytest.raises(RuntimeUnavailable, match=r"sentencepiece.*pip install -e"):
        pack(str(source), tmp_path / "bundle", name="tiny", quantise=False)
