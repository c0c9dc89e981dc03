"""What every model engine offers, and the settings that choose one. No engine is imported here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Literal, Protocol, runtime_checkable

import msgspec
from msgspec import Meta

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shared.errors import ModelFailed
    from shared.messages import ConfidenceKind, Scored
    from shared.tasks import Request, Task

SHORT_DIGEST: Final = 12

Answers = Literal["model", "fused"]
"""Whose answers are given: the model's own, or fused with what a bundle's expert says."""


class Model(Protocol):
    """A loaded model that answers requests. It is used from one thread at a time."""

    @property
    def name(self) -> str:
        """Name of the model, for people."""

    @property
    def digest(self) -> str:
        """What tells this model from any other of its name, in hexadecimal; empty if unknown."""

    @property
    def tasks(self) -> frozenset[Task]:
        """Tasks that the model answers."""

    def answer(self, requests: Sequence[Request]) -> list[Scored | ModelFailed]:
        """Return exactly one entry per request, in order; blocks until all are there.

        One that the model fails on gets a ``ModelFailed`` and leaves its neighbours alone.
        """

    def close(self) -> None:
        """Let go of the engine and its memory; a closed model answers no more."""


@runtime_checkable
class Classifier(Model, Protocol):
    """A model that answers ``classify``."""

    @property
    def labels(self) -> tuple[str, ...]:
        """What the model can say, in the order of ``Scored.probabilities``."""


@runtime_checkable
class Measured(Protocol):
    """A model of which it is known how sure it is as a rule."""

    @property
    def expected(self) -> Mapping[Task, Sequence[float]]:
        """Quantiles of its confidences at equal steps, ascending, by task."""


@runtime_checkable
class Routed(Protocol):
    """A model that says what its confidences are."""

    @property
    def confidence_kind(self) -> ConfidenceKind:
        """What ``Scored.confidence`` is: the largest probability, or what a head makes of it."""


def confidence_kind_of(model: Model) -> ConfidenceKind:
    """Return what a model's confidences are; the largest probability unless it says otherwise."""
    return model.confidence_kind if isinstance(model, Routed) else "max_probability"


def expected_of(model: Model) -> Mapping[Task, Sequence[float]]:
    """Return the quantiles of a model's confidences as far as they are known."""
    return model.expected if isinstance(model, Measured) else {}


def labels_of(model: Model) -> tuple[str, ...]:
    """Return what a model can say if that is one of a few labels; nothing for any other model."""
    return model.labels if isinstance(model, Classifier) else ()


def short_digest(model: Model) -> str:
    """Return as much of a model's digest as people need; empty if it has none."""
    return model.digest[:SHORT_DIGEST]


class ModelSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which model to serve and how."""

    source: Annotated[
        str,
        Meta(
            min_length=1,
            description="folder of a bundle; for transformers a local folder or a hub id",
        ),
    ]
    runtime: Annotated[
        Literal["onnx", "transformers"], Meta(description="engine that runs the model")
    ] = "onnx"
    threads: Annotated[
        int, Meta(ge=0, le=1024, description="CPU threads of the engine; 0: as many as it likes")
    ] = 1
    providers: Annotated[
        tuple[Literal["cpu", "cuda", "tensorrt"], ...],
        Meta(min_length=1, description="onnx: execution providers, the preferred one first"),
    ] = ("cpu",)
    device: Annotated[
        str,
        Meta(
            pattern=r"^(auto|cpu|mps|(cuda|xpu)(:\d+)?)$",
            description="transformers: auto (a GPU if there is one), cpu, cuda, cuda:1, mps, xpu",
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
        int, Meta(ge=1, le=100_000, description="prompts run together, at most")
    ] = 16
    answer: Annotated[
        Answers | None,
        Meta(
            description="onnx: the model's answer alone, or fused with what the bundle's expert "
            "says; none: as the bundle says"
        ),
    ] = None
    labels: Annotated[
        tuple[str, ...],
        Meta(description="transformers: names for the labels, in the model's order"),
    ] = ()
