"""Tiny real models that write, of several kinds, made on the spot with random weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tokenizers.processors import TemplateProcessing

from tests.support.tiny_generators import END, byte_tokenizer

if TYPE_CHECKING:
    from pathlib import Path

PLACES: Final = 128
ENCODING: Final = ("t5", "bart", "marian", "m2m_100")
WITHOUT_ENCODER: Final = ("llama", "gpt2", "mistral")


def write_writer(folder: Path, kind: str, *, seed: int = 7) -> Path:
    """Write a model of width 32 as a Hugging Face folder; needs torch."""
    import torch  # noqa: PLC0415 - optional

    tokenizer = byte_tokenizer(chats=False)
    if kind in ENCODING:
        tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
            single=f"$A {END}", special_tokens=[(END, tokenizer.eos_token_id)]
        )
    torch.manual_seed(seed)
    network = _network(kind, tokenizer)
    for name, weights in network.named_parameters():
        if weights.dim() > 1 and "position" not in name:
            torch.nn.init.normal_(weights, std=1.0 if kind == "marian" else 0.25)
    network.tie_weights()
    network.eval().save_pretrained(folder)
    tokenizer.model_max_length = PLACES
    tokenizer.save_pretrained(folder)
    return folder


def _network(kind: str, tokenizer: Any) -> Any:
    import transformers  # noqa: PLC0415 - optional

    known = {
        "vocab_size": len(tokenizer),
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    start = tokenizer.eos_token_id if kind == "m2m_100" else tokenizer.pad_token_id
    encodes = known | {"decoder_start_token_id": start}
    if (
        kind == "m2m_100"
    ):  # its places begin behind the number of the padding, which is 1 everywhere
        encodes["pad_token_id"] = 1
    rows = {"num_hidden_layers": 2, "num_attention_heads": 4}
    if kind == "t5":
        config = transformers.T5Config(
            d_model=32, d_ff=64, d_kv=8, num_layers=2, num_heads=4, **encodes
        )
        return transformers.T5ForConditionalGeneration(config)
    if kind in ("bart", "marian", "m2m_100"):
        sizes = {f"{side}_layers": 2 for side in ("encoder", "decoder")}
        sizes |= {f"{side}_attention_heads": 4 for side in ("encoder", "decoder")}
        sizes |= {f"{side}_ffn_dim": 64 for side in ("encoder", "decoder")}
        sizes |= {"d_model": 32, "max_position_embeddings": PLACES}
        config_of, made = {
            "bart": (transformers.BartConfig, transformers.BartForConditionalGeneration),
            "marian": (transformers.MarianConfig, transformers.MarianMTModel),
            "m2m_100": (transformers.M2M100Config, transformers.M2M100ForConditionalGeneration),
        }[kind]
        return made(config_of(**encodes | sizes | {"forced_eos_token_id": None}))
    if kind == "gpt2":
        config = transformers.GPT2Config(
            n_embd=32, n_layer=2, n_head=4, n_positions=PLACES, **known
        )
        return transformers.GPT2LMHeadModel(config)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "max_position_embeddings": PLACES, **rows}
    if kind == "mistral":
        config = transformers.MistralConfig(
            **known, **sizes, num_key_value_heads=2, sliding_window=8
        )
        return transformers.MistralForCausalLM(config)
    return transformers.LlamaForCausalLM(
        transformers.LlamaConfig(**known, **sizes, num_key_value_heads=2)
    )
