"""Language models become bundles, held against their originals; what is none is refused."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from rich.console import Console

from models.pack.generator import GeneratorRequest, Tolerance, pack_generator
from recserve.cli import main
from shared.errors import BundleError, InvalidPrompt
from shared.messages import Scored
from shared.runtimes import ModelSettings, load_model
from shared.runtimes.bundle import Bundle
from shared.tasks import Request
from shared.tasks.classify import Label
from tests.support.llama_server import write_gguf
from tests.support.processes import ROOT
from tests.support.tiny_generators import CONTEXT_TOKENS, write_language_model
from tests.support.tiny_models import write_classifier
from tests.support.writing_checks import said

pytest.importorskip("torch")
pytest.importorskip("onnxruntime_genai")
QUIET = Console(quiet=True)
PROMPTS = ("the valve sticks", "a dull film")


def request(source: Path, out: Path, **changes: Any) -> GeneratorRequest:
    fields: dict[str, Any] = {"name": "tiny", "prompts": PROMPTS} | changes
    return GeneratorRequest(source=str(source), out=out, **fields)


def error_of(*words: str) -> str:
    ran = CliRunner().invoke(main, words)
    assert ran.exit_code == 2, ran.output
    return ran.output


def test_a_bundle_says_what_it_is_how_near_to_its_original_and_how_sure(generator: Path) -> None:
    manifest = Bundle.open(generator).manifest

    assert (manifest.task, manifest.runtime, manifest.precision) == ("generate", "genai", "float32")
    assert (manifest.confidence, manifest.max_tokens) == ("perplexity", CONTEXT_TOKENS)
    assert manifest.conversion is not None
    assert manifest.conversion.token_agreement >= 0.99
    assert manifest.conversion.tokens_s > 0
    known = manifest.confidences["generate"]
    assert 0 < known.quantiles[0] <= known.quantiles[-1] <= 0.5
    assert "chat_template.jinja" in manifest.files


def test_a_model_without_a_template_in_int4_goes_on_with_a_text(tmp_path: Path) -> None:
    source = write_language_model(tmp_path / "source", chats=False)
    anything = Tolerance(0.0, 100.0)
    with pytest.raises(BundleError, match=r"not its original any more: .* int4 allows 100%"):
        pack_generator(request(source, tmp_path / "strict", allowed=Tolerance(1.0, 0.0)), QUIET)
    assert not (tmp_path / "strict").exists()

    bundle = pack_generator(request(source, tmp_path / "out", allowed=anything), QUIET)

    assert bundle.manifest.precision == "int4"
    assert not bundle.chats
    model = load_model(ModelSettings(source=str(bundle.folder), runtime="genai"))
    plain, chat = model.answer(
        [
            Request("generate", "the valve", {"max_new_tokens": 5}),
            Request("generate", "the valve", {"system": "be kind"}),
        ]
    )
    assert said(plain).tokens_out == 5
    assert isinstance(chat, InvalidPrompt)
    (label,) = model.answer([Request("classify", "drip", {"labels": ["leak", "noise"]})])
    assert isinstance(label, Scored)
    model.close()


@pytest.mark.parametrize("weights", ["F32", "Q8_0"])
def test_a_gguf_file_becomes_a_bundle_that_says_what_the_file_says(
    weights: str, tmp_path: Path
) -> None:
    source = write_gguf(tmp_path / f"tiny-{weights}.gguf", weights=weights)
    bundle = pack_generator(request(source, tmp_path / "out", precision="float32"), QUIET)

    assert bundle.manifest.source == source.name
    assert bundle.manifest.conversion is not None
    assert bundle.manifest.conversion.token_agreement >= 0.99
    assert bundle.chats, "the template comes out of the file, too"
    model = load_model(ModelSettings(source=str(bundle.folder), runtime="genai"))
    (mine,) = model.answer([Request("generate", "the valve sticks", {"max_new_tokens": 12})])
    model.close()
    assert said(mine).text == _by_transformers(source, "the valve sticks", 12)


def _by_transformers(source: Path, text: str, new_tokens: int) -> str:
    """Return what the model in a GGUF file goes on with in a chat, unpacked by transformers."""
    import torch  # noqa: PLC0415 - optional
    from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: PLC0415 - optional

    named = {"gguf_file": source.name}
    tokenizer = AutoTokenizer.from_pretrained(source.parent, **named)
    network = AutoModelForCausalLM.from_pretrained(source.parent, dtype=torch.float32, **named)
    chat = [{"role": "user", "content": text}]
    read = tokenizer.apply_chat_template(
        chat, add_generation_prompt=True, return_tensors="pt", return_dict=True
    )["input_ids"]
    written = network.generate(read, max_new_tokens=new_tokens, do_sample=False)
    return str(tokenizer.decode(written[0, read.shape[1] :], skip_special_tokens=True))


def test_what_is_no_language_model_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    classifier = write_classifier(tmp_path / "classifier")
    out = tmp_path / "out"
    for source, fault in (
        (tmp_path / "nowhere", "transformers cannot load it"),
        (tmp_path / "nowhere.gguf", "there is no such file"),
        (classifier, "the builder of onnxruntime-genai does not take this model"),
    ):
        with pytest.raises(BundleError, match=fault):
            pack_generator(request(source, out), QUIET)
    assert not out.exists()


@pytest.mark.parametrize(
    ("flags", "fault"),
    [
        (["--precision", "int4"], "--precision and --confidence are for --task generate"),
        (["--task", "generate", "--label", "a"], "a language model has no labels"),
        (["--task", "generate", "--no-quantise"], "--precision in place of --no-quantise"),
    ],
)
def test_flags_that_mean_nothing_are_refused(flags: list[str], fault: str, tmp_path: Path) -> None:
    said = error_of("pack", "x", str(tmp_path / "out"), "--name", "x", *flags)
    assert fault in " ".join(said.split())


@pytest.mark.slow
def test_smollm2_as_make_smollm2_packs_it_knows_a_capital_and_picks_a_label() -> None:
    folder = Path(os.environ.get("RECSERVE_SMOLLM2", ROOT / "runs/smollm2"))
    if not folder.is_dir():
        pytest.skip("make smollm2 packs it")
    bundle = Bundle.open(folder)
    assert bundle.size_bytes < 150e6
    assert bundle.manifest.conversion is not None
    assert bundle.manifest.conversion.token_agreement >= 0.7

    model = load_model(ModelSettings(source=str(folder), runtime="genai", threads=2))
    text, seal, leak = model.answer(
        [
            Request("generate", "What is the capital of France?", {"max_new_tokens": 30}),
            Request("generate", "Name a sea animal.", {"regex": "(seal|crab)", "seed": 1}),
            Request("classify", "water drips from the joint", {"labels": ["leak", "noise"]}),
        ]
    )
    model.close()
    assert "Paris" in said(text).text
    assert said(seal).text in ("seal", "crab")
    assert isinstance(leak, Scored)
    assert leak.answer == Label("leak")
