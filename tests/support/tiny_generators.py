"""A tiny real language model, made on the spot: a Llama with random weights, and its bundle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rich.console import Console
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from models.pack.generator import GeneratorRequest, Tolerance, pack_generator

if TYPE_CHECKING:
    from pathlib import Path

    from shared.runtimes.bundle import Bundle

CONTEXT_TOKENS: Final = 256
END: Final = "<|im_end|>"
TEMPLATE: Final = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_TEXTS: Final = (
    "the valve sticks and the pump leaks, and nobody knows why",
    "a dull film, and far too long",
    "Zwei Hunde spielen im Schnee, und ein Mann sieht zu.",
)
_QUIET: Final = Console(quiet=True)


def write_language_model(folder: Path, *, chats: bool = True, seed: int = 5) -> Path:
    """Write a Llama of width 64 as a Hugging Face folder; needs torch.

    Its weights are random, but large enough for it to be sure of something and to say it at length.
    """
    import torch  # noqa: PLC0415 - optional
    from transformers import LlamaConfig, LlamaForCausalLM  # noqa: PLC0415 - optional

    tokenizer = byte_tokenizer(chats=chats)
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=CONTEXT_TOKENS,
        initializer_range=0.2,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=False,
    )
    LlamaForCausalLM(config).eval().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def write_generator(folder: Path, *, chats: bool = True, name: str = "tiny") -> Bundle:
    """Write a bundle of such a model in float32; takes a few seconds."""
    original = write_language_model(folder / "original", chats=chats)
    request = GeneratorRequest(
        source=str(original),
        out=folder / name,
        name=name,
        precision="float32",
        prompts=("the valve sticks", "a dull film"),
        allowed=Tolerance(0.99, 0.01),
    )
    return pack_generator(request, _QUIET)


def byte_tokenizer(*, chats: bool) -> Any:
    """Return a tokenizer of bytes and some frequent pieces, which knows a chat or does not."""
    from transformers import PreTrainedTokenizerFast  # noqa: PLC0415 - optional

    special = {"unk_token": "<|endoftext|>", "bos_token": "<|im_start|>", "eos_token": END}
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=360,
        special_tokens=[*special.values()],
        initial_alphabet=alphabet,
        show_progress=False,
    )
    tokenizer.train_from_iterator(_TEXTS, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        chat_template=TEMPLATE if chats else None,
        **special,
        pad_token=special["unk_token"],
    )
