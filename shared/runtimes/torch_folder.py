"""What PyTorch and transformers make of a model's folder or hub id, whatever its task."""

from __future__ import annotations

from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch
import transformers

from shared.errors import BundleError, RuntimeUnavailable, SettingsError
from shared.runtimes.padding import Padding
from shared.tasks.classify import LABEL_CHARACTERS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shared.runtimes.model_settings import ModelSettings

_LAST_PLACE: Final = ("xlnet",)
_ABSURD_TOKENS: Final = 1 << 20
"""Tokenizers without a limit of their own report a number far above this one."""
_DEFAULT_TOKENS: Final = 512
_SHOWN: Final = 5
_CONVERTERS: Final = ("sentencepiece", "google.protobuf")


def padding_of(config: Any, tokenizer: Any) -> Padding:
    """Return what fills up shorter prompts so that the model says the same alone and together.

    At the right no prompt's positions move, and a decoder finds its last token by the model's own
    padding token. Only XLNet looks at the last place of all, and wants it at the left.
    """
    known = (getattr(config, "pad_token_id", None), tokenizer.pad_token_id, 0)
    token = next(number for number in known if isinstance(number, int) and number >= 0)
    return Padding(token, "left" if config.model_type in _LAST_PLACE else "right")


def device_of(name: str) -> torch.device:
    """Return the device of that name; ``auto`` is a GPU if there is one."""
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
def silence() -> Iterator[None]:
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


def read_config(source: str) -> Any:
    """Return a model's configuration, or raise ``BundleError``."""
    if source.startswith((".", "/", "~")) and not Path(source).is_dir():
        raise BundleError(f"{source}: there is no such model folder; check model.source")
    try:
        return transformers.AutoConfig.from_pretrained(source)
    except (OSError, ValueError) as error:
        raise BundleError(_unreadable(source, error)) from error


def architecture_of(config: Any) -> str:
    """Return what a model says it is."""
    return ", ".join(config.architectures or []) or "nothing named"


def _unreadable(source: str, error: Exception) -> str:
    reason = str(error).split("\n", 1)[0]
    if Path(source).is_dir():
        return f"{source}: is no model folder that transformers reads: {reason}"
    return (
        f"{source}: is neither a folder here nor a model that could be fetched from the Hugging "
        f"Face hub ({reason}); check the name and the network, or give a local folder"
    )


def read_labels(config: Any, settings: ModelSettings) -> tuple[str, ...]:
    """Return what a model calls its labels, or the settings do, or raise ``BundleError``."""
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


def read_tokenizer(source: str) -> Any:
    """Return a model's tokenizer, or raise ``BundleError`` or ``RuntimeUnavailable``."""
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


def read_weights(kind: Any, settings: ModelSettings, device: torch.device, trained_to: str) -> Any:
    """Load a model of a kind, an Auto class of transformers.

    Raises ``BundleError`` when it cannot be read, or weights are missing, so that it was never
    ``trained_to`` do what the kind does.
    """
    precision = settings.precision
    if precision == "auto" and device.type == "cpu":
        precision = "float32"
    try:
        model, loading = kind.from_pretrained(
            settings.source, dtype=precision, output_loading_info=True
        )
    except (OSError, ValueError) as error:
        raise BundleError(_unreadable(settings.source, error)) from error
    if loading["missing_keys"]:
        missing = ", ".join(sorted(loading["missing_keys"]))
        raise BundleError(
            f"{settings.source}: its weights lack {missing}; choose a model that was trained to "
            f"{trained_to}"
        )
    return model.eval().to(device)


def token_limit(config: Any, tokenizer: Any, network: Any, wanted: int | None) -> int:
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
