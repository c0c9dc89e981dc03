"""A language model as it was published: in a folder that its engine's builder reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, NamedTuple

from models.pack.facts import read_facts
from models.pack.needs import needs
from shared.errors import BundleError

GGUF: Final = ".gguf"
_LICENCE: Final = "general.license"


class Original(NamedTuple):
    """The model and its tokenizer, loaded, and the folder in which they lie."""

    source: str
    folder: Path
    network: Any
    tokenizer: Any
    licence: str = ""


def load_original(source: str, folder: Path) -> Original:
    """Load a model from a hub id, a folder or a GGUF file.

    ``folder`` is where it is written unless it lies in one. Raises ``BundleError`` when it is
    none, ``RuntimeUnavailable`` when a library is missing.
    """
    with needs("train,generate"):
        import torch  # noqa: PLC0415 - heavy
        from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: PLC0415 - heavy
    place, options, licence = source, dict[str, Any](), ""
    if source.endswith(GGUF):
        path = Path(source)
        if not path.is_file():
            raise BundleError(f"{source}: there is no such file")
        place, options, licence = str(path.parent), _unpacked(path.name), _licence_of(path)
    try:
        named = {"gguf_file": options["gguf_file"]} if options else {}
        tokenizer = AutoTokenizer.from_pretrained(place, **named)
        network = AutoModelForCausalLM.from_pretrained(place, dtype=torch.float32, **options)
    except Exception as error:  # a tokenizer raises no narrower one
        raise BundleError(f"{source}: transformers cannot load it: {error}") from error
    network.eval()
    name = Path(source).name if source.endswith(GGUF) else read_facts(source).source
    if not source.endswith(GGUF) and Path(source).is_dir():
        return Original(name, Path(source), network, tokenizer)
    _write(network, tokenizer, folder)
    return Original(name, folder, network, tokenizer, licence)


def _unpacked(name: str) -> dict[str, Any]:
    """Return what has transformers unpack every weight of a GGUF file."""
    try:
        from transformers import GgufConfig  # noqa: PLC0415 - heavy, and not in every version
    except ImportError:
        return {"gguf_file": name}
    return {"gguf_file": name, "quantization_config": GgufConfig(dequantize=True)}


def _licence_of(path: Path) -> str:
    """Return the licence that a GGUF file names, empty if it names none."""
    from gguf import GGUFReader  # noqa: PLC0415 - heavy

    field = GGUFReader(path).get_field(_LICENCE)
    return str(field.contents()) if field is not None else ""


def _write(network: Any, tokenizer: Any, folder: Path) -> None:
    if getattr(network.config, "quantization_config", None) is not None:
        network.hf_quantizer = None  # what was unpacked is quantised no more
        del network.config.quantization_config
    network.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
