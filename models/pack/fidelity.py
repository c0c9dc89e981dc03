"""How near a packed language model is to its original, token by token."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from models.pack.original import Original


class TokenFidelity(NamedTuple):
    """What was found on so many tokens that the original chose; see ``Conversion``."""

    tokens: int
    token_agreement: float
    log_probability_distance: float

    def __str__(self) -> str:
        return (
            f"{self.token_agreement:.1%} of {self.tokens:,} tokens as the original, log "
            f"probabilities {self.log_probability_distance:.4f} apart in the mean"
        )


def compare_tokens(
    original: Original, folder: Path, prompts: Sequence[str], new_tokens: int
) -> TokenFidelity:
    """Have the original answer prompts, and the packed model read the same tokens."""
    import onnxruntime_genai as genai  # noqa: PLC0415 - heavy

    engine = genai.Model(str(folder))
    same, distances = 0, list[float]()
    for prompt in prompts:
        read, chosen = _answer(original, prompt, new_tokens)
        if not chosen:
            continue
        theirs = _log_softmax(_logits(original, read + chosen[:-1])[len(read) - 1 :])
        params = genai.GeneratorParams(engine)
        params.set_search_options(max_length=len(read) + len(chosen) + 1)
        generator = genai.Generator(engine, params)
        generator.append_tokens(read + chosen[:-1])
        ours = _log_softmax(generator.get_output("logits")[0, len(read) - 1 :])
        places = np.arange(len(chosen)), np.array(chosen)
        same += int((ours.argmax(-1) == theirs.argmax(-1)).sum())
        distances += np.abs(ours[places] - theirs[places]).tolist()
    count = max(len(distances), 1)
    return TokenFidelity(len(distances), same / count, sum(distances) / count)


def _answer(original: Original, prompt: str, new_tokens: int) -> tuple[list[int], list[int]]:
    """Return the tokens of a prompt as the original reads it, and those that it writes."""
    import torch  # noqa: PLC0415 - heavy

    tokenizer = original.tokenizer
    if tokenizer.chat_template:
        chat = [{"role": "user", "content": prompt}]
        text = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        read = tokenizer.encode(text, add_special_tokens=False)
    else:
        read = tokenizer.encode(prompt)
    with torch.inference_mode():
        written = original.network.generate(
            torch.tensor([read]),
            attention_mask=torch.ones(1, len(read), dtype=torch.long),
            max_new_tokens=new_tokens,
            do_sample=False,
            pad_token_id=tokenizer.pad_token_id or tokenizer.eos_token_id,
        )
    return read, written[0, len(read) :].tolist()


def _logits(original: Original, tokens: list[int]) -> NDArray[np.float32]:
    import torch  # noqa: PLC0415 - heavy

    with torch.inference_mode():
        logits: NDArray[np.float32] = original.network(torch.tensor([tokens])).logits[0].numpy()
    return logits


def _log_softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    shifted = logits.astype(np.float64) - logits.max(-1, keepdims=True)
    chances: NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
    return chances
