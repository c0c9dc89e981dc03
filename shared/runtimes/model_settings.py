"""The settings that choose a model and its engine."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from shared.tasks.classify import LABEL_CHARACTERS
from shared.tasks.generate import MOST_NEW_TOKENS, Certainty

Answers = Literal["model", "fused"]
"""Whose answers are given: the model's own, or fused with what a bundle's expert says."""
Constraints: TypeAlias = Literal["none", "json_schema", "llama.cpp", "vllm"]
"""How a server is told what a text has to be like: not at all; with ``response_format`` as OpenAI
has it; with that and llama.cpp's ``grammar``; with vLLM's ``structured_outputs``."""


class ModelSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which model to serve and how."""

    source: Annotated[
        str,
        Meta(
            min_length=1,
            description="folder of a bundle; for transformers a local folder or a hub id; for "
            "openai the URL of the server's API, http://HOST:PORT/v1",
        ),
    ]
    runtime: Annotated[
        Literal["onnx", "transformers", "genai", "ctranslate2", "openai"],
        Meta(description="engine that runs the model, or openai: a server that speaks its API"),
    ] = "onnx"
    threads: Annotated[
        int, Meta(ge=0, le=1024, description="CPU threads of the engine; 0: as many as it likes")
    ] = 1
    providers: Annotated[
        tuple[Literal["cpu", "cuda", "tensorrt"], ...],
        Meta(min_length=1, description="onnx, genai: execution providers, the preferred one first"),
    ] = ("cpu",)
    device: Annotated[
        str,
        Meta(
            pattern=r"^(auto|cpu|mps|(cuda|xpu)(:\d+)?)$",
            description="transformers, ctranslate2: auto (a GPU if there is one), cpu, cuda, "
            "cuda:1; transformers also mps, xpu",
        ),
    ] = "auto"
    precision: Annotated[
        Literal["auto", "float32", "float16", "bfloat16"],
        Meta(description="transformers: of the weights; auto: as saved on a GPU, float32 on a CPU"),
    ] = "auto"
    max_tokens: Annotated[
        Annotated[int, Meta(ge=8, le=1_000_000)] | None,
        Meta(description="tokens of a prompt that are read; none: what the model allows"),
    ] = None
    batch_prompts: Annotated[
        int, Meta(ge=1, le=100_000, description="prompts run together, or texts under way, at most")
    ] = 16
    tokens_at_once: Annotated[
        int,
        Meta(
            ge=64,
            le=1 << 24,
            description="genai, ctranslate2, transformers: tokens of all texts under way, read "
            "and to be written, at most; this bounds its memory",
        ),
    ] = 8_192
    max_new_tokens: Annotated[
        Annotated[int, Meta(ge=1, le=MOST_NEW_TOKENS)] | None,
        Meta(
            description="models that write: tokens of an answer, at most, whatever is "
            "asked for; none: what is asked for, or 256"
        ),
    ] = None
    instruction: Annotated[
        str,
        Meta(
            max_length=1 << 16,
            description="models that write: what the model is told before each "
            "prompt that brings no system prompt or instruction of its own",
        ),
    ] = ""
    certainty: Annotated[
        Certainty | None,
        Meta(
            description="models that write: the confidence of a text: perplexity is "
            "1 / (1 + PPL), mean and least are of its tokens' probabilities; none: as the bundle "
            "says, or perplexity"
        ),
    ] = None
    answer: Annotated[
        Answers | None,
        Meta(
            description="onnx: the model's answer alone, or fused with what the bundle's expert "
            "says; none: as the bundle says"
        ),
    ] = None
    labels: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=LABEL_CHARACTERS)], ...],
        Meta(
            description="transformers: names for the labels of a classifier, in its order; of any "
            "model that writes: labels among which a prompt is put that names none itself"
        ),
    ] = ()
    model: Annotated[
        str, Meta(max_length=512, description="openai: the model's name at the server")
    ] = ""
    key_env: Annotated[
        str, Meta(description="openai: variable of the environment that holds the server's key")
    ] = ""
    key_file: Annotated[str, Meta(description="openai: file that holds the server's key")] = ""
    headers: Annotated[
        dict[str, str], Meta(description="openai: headers that go with every request, by name")
    ] = {}
    in_flight: Annotated[
        int, Meta(ge=1, le=10_000, description="openai: requests under way at once, at most")
    ] = 8
    constraints: Annotated[
        Constraints,
        Meta(
            description="openai: how the server is told what a text has to be like: none (such "
            "prompts are refused), json_schema (OpenAI's response_format), llama.cpp or vllm"
        ),
    ] = "none"
