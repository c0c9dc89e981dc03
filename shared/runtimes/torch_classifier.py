"""Classification with PyTorch and Hugging Face transformers: what a cloud tier runs.

Reads a local folder or a model of the Hugging Face hub that was trained for sequence
classification. Leaves out every other head: a model without a trained one would answer at random.
"""

from __future__ import annotations

from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch
import transformers

from shared.errors import BundleError, ModelFailed, RuntimeUnavailable, SettingsError
from shared.runtimes.classifier_batches import Batches, Tokens
from shared.runtimes.padding import Padding, pad
from shared.tasks.classify import LABEL_CHARACTERS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from shared.messages import Scored
    from shared.runtimes.model import ModelSettings
    from shared.tasks import Request, Task

_LAST_PLACE: Final = ("xlnet",)
_HEAD: Final = "ForSequenceClassification"
_ABSURD_TOKENS: Final = 1 << 20
"""Tokenizers without a limit of their own report a number far above this one."""
_DEFAULT_TOKENS: Final = 512
_SHOWN: Final = 5
_CONVERTERS: Final = ("sentencepiece", "google.protobuf")


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
            self.digest: str = getattr(config, "_commit_hash", None) or ""  # of the hub
            self.labels = _labels(config, settings)
            self.tokenizer = _load_tokenizer(settings.source)
            self.network = _load_weights(settings, self._device)
        self.max_tokens = _limit(config, self.tokenizer, self.network, settings.max_tokens)
        self.padding = _padding(config, self.tokenizer)
        self._batches = Batches(
            self.labels,
            tokenise=self._tokenise,
            forward=self._forward,
            batch_prompts=settings.batch_prompts,
        )

    def answer(self, requests: Sequence[Request]) -> list[Scored | ModelFailed]:
        """Return exactly one entry per request, in order; see ``Model.answer``."""
        if self.network is None:
            raise RuntimeUnavailable(f"the model {self.name} is closed; load it again")
        return self._batches.answer(requests)

    def close(self) -> None:
        """Let go of the weights, and of the GPU memory they held."""
        self.network = None
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    def count_tokens(self, text: str) -> int:
        """Return how many tokens a text comes to, before anything is cut off."""
        return len(self.tokenizer(text, verbose=False)["input_ids"])

    def _tokenise(self, text: str) -> Tokens:
        ids: Tokens = self.tokenizer(text, truncation=True, max_length=self.max_tokens)["input_ids"]
        return ids

    def _forward(self, batch: list[Tokens]) -> list[list[float]]:
        ids, mask = (torch.from_numpy(array) for array in pad(batch, self.padding))
        with torch.inference_mode():
            output = self.network(
                input_ids=ids.to(self._device), attention_mask=mask.to(self._device)
            )
            logits: list[list[float]] = output.logits.float().tolist()
        return logits


def _padding(config: Any, tokenizer: Any) -> Padding:
    """Return what fills up shorter prompts so that the model says the same alone and together.

    At the right no prompt's positions move, and a decoder finds its last token by the model's own
    padding token. Only XLNet looks at the last place of all, and wants it at the left.
    """
    known = (getattr(config, "pad_token_id", None), tokenizer.pad_token_id, 0)
    token = next(number for number in known if isinstance(number, int) and number >= 0)
    return Padding(token, "left" if config.model_type in _LAST_PLACE else "right")


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
    if config.problem_type == "regression":
        raise BundleError(
            f"{source}: measures and does not classify (problem_type is regression in its "
            "config.json); choose a model that was trained to classify"
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
    numbers = sorted(config.id2label)
    if numbers != list(range(config.num_labels)):
        raise BundleError(
            f"{settings.source}: its config.json numbers its labels {_few(numbers)}, and a model's "
            f"are 0 to {config.num_labels - 1}; correct id2label and label2id there"
        )
    own = tuple(str(config.id2label[index]) for index in numbers)
    if settings.labels and len(settings.labels) != len(own):
        raise SettingsError(
            f"model.labels has {len(settings.labels)} names, but {settings.source} has "
            f"{len(own)} labels ({', '.join(own)})"
        )
    labels = settings.labels or own
    where = "model.labels" if settings.labels else f"{settings.source}: id2label in its config.json"
    twice = [name for name in set(labels) if labels.count(name) > 1]
    if twice:
        raise BundleError(f"{where} calls two labels {twice[0][:LABEL_CHARACTERS]!r}; name each")
    odd = [name for name in labels if not 0 < len(name) <= LABEL_CHARACTERS]
    if odd:
        raise BundleError(
            f"{where} has a label of {len(odd[0])} characters; 1 to {LABEL_CHARACTERS} travel"
        )
    return labels


def _few(numbers: list[int]) -> str:
    shown = ", ".join(map(str, numbers[:_SHOWN]))
    return shown if len(numbers) <= _SHOWN else f"{shown}, …"


def _load_tokenizer(source: str) -> Any:
    try:
        return transformers.AutoTokenizer.from_pretrained(source)
    except (ImportError, OSError, ValueError) as error:
        missing = [name for name in _CONVERTERS if find_spec(name) is None]
        if missing and any(Path(source).glob("*.model")):
            raise RuntimeUnavailable(
                f"{source}: its tokenizer is a sentencepiece model, and to read that needs "
                "sentencepiece and protobuf; in the folder of this project: "
                'pip install -e ".[train]"'
            ) from error
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


def _limit(config: Any, tokenizer: Any, network: Any, wanted: int | None) -> int:
    """Return how many tokens the model reads: the least of what it, its tokenizer and we allow."""
    stated = (
        getattr(config, "max_position_embeddings", None),
        tokenizer.model_max_length,
        _positions(network),
    )
    known = [int(limit) for limit in stated if limit and 0 < limit < _ABSURD_TOKENS]
    limit = min(known, default=_DEFAULT_TOKENS)
    if wanted is not None and wanted > limit:
        raise SettingsError(f"model.max_tokens is {wanted}, but the model reads {limit} at most")
    return wanted or limit


def _positions(network: Any) -> int | None:
    """Return how many places the model has a vector for, where the first belong to padding.

    RoBERTa and its kin count from behind the padding's number: of 514 places 512 are a prompt's.
    """
    for name, module in network.named_modules():
        if name.endswith("position_embeddings") and isinstance(module, torch.nn.Embedding):
            if module.padding_idx is None:
                return None
            return int(module.num_embeddings) - int(module.padding_idx) - 1
    return None
