"""Classification with PyTorch and Hugging Face transformers: what a cloud tier runs.

Reads a local folder or a model of the Hugging Face hub that was trained for sequence
classification. Leaves out every other head: a model without a trained one would answer at random.
"""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch
import transformers

from shared.errors import BundleError, ModelFailed, RuntimeUnavailable, SettingsError
from shared.runtimes.batches import Batches, Tokens

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from shared.messages import Scored, Task
    from shared.runtimes.model import ModelSettings

_HEAD: Final = "ForSequenceClassification"
_ABSURD_TOKENS: Final = 1 << 20
"""Tokenizers without a limit of their own report a number far above this one."""
_DEFAULT_TOKENS: Final = 512


class TorchClassifier:
    """A ``Model`` for a Hugging Face sequence classifier."""

    tasks: frozenset[Task] = frozenset({"classify"})

    def __init__(self, settings: ModelSettings) -> None:
        self.name = settings.source
        if settings.threads:
            torch.set_num_threads(settings.threads)
        self._device = _device(settings.device)
        with _silence():
            config = _load_config(settings.source)
            self.labels = _labels(config, settings)
            self.tokenizer = _load_tokenizer(settings.source)
            self.network = _load_weights(settings, self._device)
        self.max_tokens = _limit(config, self.tokenizer, settings.max_tokens)
        self._batches = Batches(
            self.labels,
            tokenise=self._tokenise,
            forward=self._forward,
            batch_prompts=settings.batch_prompts,
        )

    def answer(self, texts: Sequence[str]) -> list[Scored | ModelFailed]:
        """Return exactly one entry per text, in order; see ``Model.answer``."""
        if self.network is None:
            raise RuntimeUnavailable(f"the model {self.name} is closed; load it again")
        return self._batches.answer(texts)

    def close(self) -> None:
        """Let go of the weights, and of the GPU memory they held."""
        self.network = None
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    def _tokenise(self, text: str) -> Tokens:
        ids: Tokens = self.tokenizer(text, truncation=True, max_length=self.max_tokens)["input_ids"]
        return ids

    def _forward(self, batch: list[Tokens]) -> list[list[float]]:
        ids, mask = _pad(batch, self.tokenizer.pad_token_id or 0)
        with torch.inference_mode():
            output = self.network(
                input_ids=ids.to(self._device), attention_mask=mask.to(self._device)
            )
            logits: list[list[float]] = output.logits.float().tolist()
        return logits


def _pad(batch: list[Tokens], padding: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return ids and mask of shape (prompts, longest prompt), padded on the right."""
    longest = max(map(len, batch))
    ids = torch.full((len(batch), longest), padding)
    mask = torch.zeros_like(ids)
    for row, tokens in enumerate(batch):
        ids[row, : len(tokens)] = torch.tensor(tokens)
        mask[row, : len(tokens)] = 1
    return ids, mask


def _device(name: str) -> torch.device:
    if name != "auto":
        device = torch.device(name)
        if device.type == "cuda" and not torch.cuda.is_available():
            raise RuntimeUnavailable(
                f"model.device is {name}, but PyTorch finds no CUDA GPU here; "
                "check the driver, or set model.device to auto"
            )
        return device
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@contextmanager
def _silence() -> Iterator[None]:
    """Keep loading quiet; what matters is raised."""
    logging = transformers.logging
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def _load_config(source: str) -> Any:
    if source.startswith((".", "/", "~")) and not Path(source).is_dir():
        raise BundleError(f"{source}: there is no such model folder; check model.source")
    try:
        config = transformers.AutoConfig.from_pretrained(source)
    except (OSError, ValueError) as error:
        raise BundleError(_unreadable(source, error)) from error
    architectures = config.architectures or []
    if not any(_HEAD in name for name in architectures):
        kind = ", ".join(architectures) or "nothing named"
        raise BundleError(
            f"{source}: is no sequence classifier (its config.json says {kind}); "
            "choose a model that was trained to classify"
        )
    if config.problem_type == "multi_label_classification" or config.num_labels < 2:  # noqa: PLR2004
        raise BundleError(
            f"{source}: does not choose one of several labels, so its largest probability is no "
            "confidence; choose a single-label classifier"
        )
    return config


def _unreadable(source: str, error: Exception) -> str:
    reason = str(error).split("\n", 1)[0]
    if Path(source).is_dir():
        return f"{source}: is no model folder that transformers reads: {reason}"
    return (
        f"{source}: is neither a folder here nor a model that could be fetched from the Hugging "
        f"Face hub ({reason}); check the name and the network, or give a local folder"
    )


def _labels(config: Any, settings: ModelSettings) -> tuple[str, ...]:
    own = tuple(str(config.id2label[index]) for index in range(config.num_labels))
    if settings.labels and len(settings.labels) != len(own):
        raise SettingsError(
            f"model.labels has {len(settings.labels)} names, but {settings.source} has "
            f"{len(own)} labels ({', '.join(own)})"
        )
    return settings.labels or own


def _load_tokenizer(source: str) -> Any:
    try:
        return transformers.AutoTokenizer.from_pretrained(source)
    except (OSError, ValueError) as error:
        raise BundleError(_unreadable(source, error)) from error


def _load_weights(settings: ModelSettings, device: torch.device) -> Any:
    precision = settings.precision
    if precision == "auto" and device.type == "cpu":
        precision = "float32"
    try:
        model, loading = transformers.AutoModelForSequenceClassification.from_pretrained(
            settings.source, dtype=precision, output_loading_info=True
        )
    except (OSError, ValueError) as error:
        raise BundleError(_unreadable(settings.source, error)) from error
    if loading["missing_keys"]:
        missing = ", ".join(sorted(loading["missing_keys"]))
        raise BundleError(
            f"{settings.source}: its weights lack {missing}; choose a model that was trained to "
            "classify"
        )
    return model.eval().to(device)


def _limit(config: Any, tokenizer: Any, wanted: int | None) -> int:
    """Return how many tokens the model reads: the least of what it, its tokenizer and we allow."""
    known = [
        int(limit)
        for limit in (getattr(config, "max_position_embeddings", None), tokenizer.model_max_length)
        if limit and 0 < limit < _ABSURD_TOKENS
    ]
    limit = min(known, default=_DEFAULT_TOKENS)
    if wanted is not None and wanted > limit:
        raise SettingsError(f"model.max_tokens is {wanted}, but the model reads {limit} at most")
    return wanted or limit
