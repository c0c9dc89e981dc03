"""A network of transformers with a trained head, as PyTorch runs it, whatever its task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from shared.errors import RuntimeUnavailable
from shared.runtimes.torch_folder import (
    device_of,
    padding_of,
    read_tokenizer,
    read_weights,
    silence,
    token_limit,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from shared.runtimes.model_settings import ModelSettings


class TorchNetwork:
    """Tokenizer and weights of one folder or hub id, on the device that the settings name."""

    def __init__(self, settings: ModelSettings, config: Any, kind: Any, trained_to: str) -> None:
        """Load them; see ``read_weights`` for ``kind`` and ``trained_to``.

        Raises ``BundleError`` or ``RuntimeUnavailable``.
        """
        self.name = settings.source
        if settings.threads:
            torch.set_num_threads(settings.threads)
        self._device = device_of(settings.device)
        self.device = str(self._device)
        self.digest: str = getattr(config, "_commit_hash", None) or ""  # of the hub
        with silence():
            self.tokenizer = read_tokenizer(settings.source)
            self.module = read_weights(kind, settings, self._device, trained_to)
        self.max_tokens = token_limit(config, self.tokenizer, self.module, settings.max_tokens)
        self.padding = padding_of(config, self.tokenizer)

    def check_open(self) -> None:
        """Raise ``RuntimeUnavailable`` once it is closed."""
        if self.module is None:
            raise RuntimeUnavailable(f"the model {self.name} is closed; load it again")

    def encode(self, text: str) -> Any:
        """Return what the tokenizer makes of a text, without what is beyond ``max_tokens``."""
        return self.tokenizer(text, truncation=True, max_length=self.max_tokens)

    def count_tokens(self, text: str) -> int:
        """Return how many tokens a text comes to, before anything is cut off."""
        return len(self.tokenizer(text, verbose=False)["input_ids"])

    def logits(self, given: Mapping[str, NDArray[np.int64]]) -> torch.Tensor:
        """Return the head's float32 logits, on the CPU, for arrays of shape (batch, tokens)."""
        tensors = {name: torch.from_numpy(array) for name, array in given.items()}
        with torch.inference_mode():
            moved = {name: tensor.to(self._device) for name, tensor in tensors.items()}
            logits: torch.Tensor = self.module(**moved).logits.float().cpu()
        return logits

    def close(self) -> None:
        """Let go of the weights, and of the GPU memory they held."""
        self.module = None
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
