"""Pack a model with an encoder that writes, such as T5, M2M or NLLB: for CTranslate2, in int8.

What its converter makes is held against the original on sample prompts: the original writes, and
the packed model says of each token how likely it calls it, and what it would have chosen there.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from models.pack.facts import read_facts
from models.pack.fidelity import TokenFidelity
from models.pack.folders import beside, put, refuse_other_folder
from models.pack.generator import ALLOWED, WRITTEN_TOKENS, hold, measured
from models.pack.needs import needs
from shared.errors import BundleError
from shared.runtimes.bundle import Bundle
from shared.runtimes.text_manifest import TOKENIZER

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from rich.console import Console

    from models.pack.generator import GeneratorRequest
    from shared.runtimes.manifest import Manifest

_LONGEST: Final = 1 << 20
_TOKENS: Final = 512


def encodes(source: str) -> bool:
    """Say whether a model has an encoder. Raises ``BundleError`` and ``RuntimeUnavailable``."""
    if source.endswith(".gguf"):
        return False
    with _libraries():
        from shared.runtimes.torch_folder import read_config, silence  # noqa: PLC0415 - heavy
    with silence():
        return bool(read_config(source).is_encoder_decoder)


def pack_translator(request: GeneratorRequest, console: Console) -> Bundle:
    """Convert, compare with the original, measure, write. Raises ``BundleError`` and others."""
    refuse_other_folder(request.out)
    if request.precision == "int4":
        raise BundleError("CTranslate2 has no int4; take --precision int8 or float32")
    with (
        console.status("loading") as status,
        beside(request.out) as work,
    ):
        network, tokenizer = _load(request.source)
        folder = work / "bundle"
        status.update(f"converting, {request.precision}")
        _convert(request, tokenizer, folder)
        bundle = Bundle.write(folder, _manifest(request, network, tokenizer))
        status.update("comparing with the original")
        found = _compare(network, tokenizer, bundle, request.prompts)
        console.print(f"packed: {found}")
        hold(found, request.allowed or ALLOWED[request.precision], request.precision)
        status.update("looking how fast and how sure it is")
        return put(measured(bundle, request, found), request.out, work)


def _load(source: str) -> tuple[Any, Any]:
    with _libraries():
        import ctranslate2  # noqa: F401, PLC0415 - heavy
        import torch  # noqa: PLC0415 - heavy
        from transformers import AutoModelForSeq2SeqLM  # noqa: PLC0415 - heavy

        from shared.runtimes.torch_folder import read_tokenizer, silence  # noqa: PLC0415 - heavy
    with silence():
        tokenizer = read_tokenizer(source)
        try:
            network = AutoModelForSeq2SeqLM.from_pretrained(source, dtype=torch.float32)
        except (OSError, ValueError, ImportError) as error:
            raise BundleError(f"{source}: transformers cannot load it: {error}") from error
    if not getattr(tokenizer, "is_fast", False):
        raise BundleError(
            f"{source}: its tokenizer cannot be written as a {TOKENIZER}, which a bundle needs; "
            "serve it with the runtime transformers"
        )
    return network.eval(), tokenizer


def _convert(request: GeneratorRequest, tokenizer: Any, folder: Path) -> None:
    """Have CTranslate2 convert the model, and keep its tokenizer."""
    from ctranslate2.converters import TransformersConverter  # noqa: PLC0415 - heavy

    from shared.runtimes.torch_folder import silence  # noqa: PLC0415 - heavy

    try:
        with silence():
            TransformersConverter(request.source).convert(
                str(folder), quantization=request.precision
            )
    except Exception as error:
        raise BundleError(
            f"{request.source}: the converter of CTranslate2 does not take this model: {error}"
        ) from error
    with tempfile.TemporaryDirectory(dir=folder.parent) as kept:
        tokenizer.save_pretrained(kept)
        shutil.copyfile(Path(kept) / TOKENIZER, folder / TOKENIZER)


def _manifest(request: GeneratorRequest, network: Any, tokenizer: Any) -> Manifest:
    config = network.generation_config
    places = getattr(network.config, "max_position_embeddings", None)
    limits = [limit for limit in (places, tokenizer.model_max_length) if limit]
    context = int(min((limit for limit in limits if limit < _LONGEST), default=_TOKENS))
    return msgspec.structs.replace(
        request.manifest("ctranslate2", context),
        source=read_facts(request.source).source,
        begins=_names(tokenizer, config.forced_bos_token_id),
        ends=_names(tokenizer, config.eos_token_id),
    )


def _names(tokenizer: Any, tokens: int | list[int] | None) -> tuple[str, ...]:
    if tokens is None:
        return ()
    numbers = tokens if isinstance(tokens, list) else [tokens]
    return tuple(tokenizer.convert_ids_to_tokens(numbers))


def _compare(network: Any, tokenizer: Any, bundle: Bundle, prompts: Sequence[str]) -> TokenFidelity:
    """Have the original answer prompts, and the packed model go behind it token by token."""
    import ctranslate2  # noqa: PLC0415 - heavy
    import torch  # noqa: PLC0415 - heavy

    engine = ctranslate2.Translator(str(bundle.folder))
    same, distances = 0, list[float]()
    for prompt in prompts:
        ids = torch.tensor([tokenizer(prompt)["input_ids"]])
        with torch.inference_mode():
            written = network.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=WRITTEN_TOKENS,
                do_sample=False,
                num_beams=1,
            )
            logits = network(input_ids=ids, decoder_input_ids=written[:, :-1]).logits[0]
        theirs = torch.log_softmax(logits.double(), -1)
        numbers = written[0, 1:].tolist()
        source = tokenizer.convert_ids_to_tokens(ids[0].tolist())
        chosen = tokenizer.convert_ids_to_tokens(numbers)
        (scored,) = engine.score_batch([source], [chosen], max_input_length=0)
        for place in range(len(bundle.manifest.begins), len(chosen)):
            distances.append(abs(float(theirs[place, numbers[place]]) - scored.log_probs[place]))
            (guess,) = engine.translate_batch(
                [source],
                [chosen[:place]] if place else None,
                beam_size=1,
                end_token=[],
                min_decoding_length=0,
                max_input_length=0,
                max_decoding_length=place + 1,
            )
            likeliest = int(theirs[place].argmax())
            same += guess.hypotheses[0][place:] == tokenizer.convert_ids_to_tokens([likeliest])
    count = max(len(distances), 1)
    return TokenFidelity(len(distances), same / count, sum(distances) / count)


def _libraries() -> AbstractContextManager[None]:
    return needs("train,generate,seq2seq", "packing a model that writes")
