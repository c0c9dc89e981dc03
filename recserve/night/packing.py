"""What was learned as a bundle, packed by ``models.pack`` as the one that serves was."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rich.console import Console

from models.pack.generator import GeneratorRequest, pack_generator
from models.pack.packing import pack

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from shared.runtimes.bundle import Bundle
    from shared.wire.nights import LessonBundle

_QUIET: Final = Console(quiet=True)
_PROMPTS: Final = 32


def pack_like(wanted: LessonBundle, tuned: Path, out: Path, texts: Sequence[str]) -> Bundle:
    """Pack the model in the folder ``tuned`` into ``out``, held against it on ``texts``.

    Raises ``BundleError`` when the bundle is too far from it, ``RuntimeUnavailable``.
    """
    more: dict[str, Any] = {
        "name": wanted.name,
        "version": wanted.version,
        "max_tokens": wanted.max_tokens,
        "licence": wanted.licence,
        "description": wanted.description,
    }
    if wanted.task == "generate":
        request = GeneratorRequest(
            source=str(tuned),
            out=out,
            precision=wanted.precision,  # type: ignore[arg-type] # a bundle's, made by this
            confidence=wanted.confidence,  # type: ignore[arg-type] # a text's, as checked
            prompts=tuple(texts[:_PROMPTS]),
            **more,
        )
        return pack_generator(request, _QUIET)
    quantise = wanted.precision == "int8"
    typical = {"what is learned": texts}
    return pack(str(tuned), out, quantise=quantise, typical=typical, console=_QUIET, **more)
