"""What a bundle's manifest says of a model that writes, and what fits a task or an engine."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
from msgspec import Meta

from shared.errors import BundleError

if TYPE_CHECKING:
    from pathlib import Path

    from shared.messages import ConfidenceKind
    from shared.runtimes.model_settings import ModelSettings
    from shared.tasks import Task

WEIGHTS: Final = "model.onnx"
TOKENIZER: Final = "tokenizer.json"
GENAI_CONFIG: Final = "genai_config.json"
CT2_WEIGHTS: Final = "model.bin"
CT2_CONFIG: Final = "config.json"
CHAT_TEMPLATE: Final = "chat_template.jinja"

FILES: Final = {
    "onnx": (WEIGHTS, TOKENIZER),
    "ctranslate2": (CT2_WEIGHTS, CT2_CONFIG, TOKENIZER),
    "genai": (WEIGHTS, TOKENIZER, GENAI_CONFIG),
}
"""What each engine cannot do without."""
_KINDS: Final[dict[Task, tuple[ConfidenceKind, ...]]] = {
    "classify": ("max_probability", "agreement"),
    "tag": ("max_probability",),  # its certainty says which
    "generate": ("perplexity", "mean", "least"),
}
_FEWEST_LABELS: Final = 2


class Conversion(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How near a packed model is to the one that it was made from, on sample prompts.

    ``token_agreement`` is the share of the original's tokens that the packed one would have chosen,
    too, given what came before them; ``log_probability_distance`` is the mean distance between what
    the two call the chance of a token. ``tokens_s`` is how fast it wrote where it was packed.
    """

    prompts: Annotated[int, Meta(ge=1)]
    token_agreement: Annotated[float, Meta(ge=0, le=1)]
    log_probability_distance: Annotated[float, Meta(ge=0)]
    tokens_s: Annotated[float, Meta(ge=0)]
    threads: Annotated[int, Meta(ge=0)] = 0


def check_task(
    place: Path, *, task: Task, confidence: ConfidenceKind, labels: tuple[str, ...]
) -> None:
    """Refuse labels or a confidence that a task does not have. Raises ``BundleError``."""
    kinds = _KINDS[task]
    if confidence not in kinds:
        raise BundleError(
            f"{place}: confidence is {confidence}, which nothing of the task {task} has; "
            f"known: {', '.join(kinds)}"
        )
    if task == "generate" and labels:
        raise BundleError(f"{place}: a model that writes has no labels; remove them")
    if task != "generate" and len(labels) < _FEWEST_LABELS:
        raise BundleError(f"{place}: labels has to name at least two; pack the model again")


def check_files(place: Path, *, runtime: str, files: dict[str, str]) -> None:
    """Refuse a bundle without a file that its engine needs. Raises ``BundleError``."""
    for name in FILES[runtime]:
        if name not in files:
            raise BundleError(f"{place}: files does not list {name}; pack it again")


def served_digest(digest: str, settings: ModelSettings) -> str:
    """Return the digest of what is served: the bundle's own unless settings change its answers."""
    changed = (settings.instruction, settings.max_new_tokens, settings.labels)
    if changed == ("", None, ()):
        return digest
    return hashlib.sha256(f"{digest} {changed}".encode()).hexdigest()
