"""The values that pass between the parts: prompts, answers, hops, results.

All are frozen. How they look on the wire is the business of ``shared.wire.codec``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Literal, get_args
from uuid import UUID

import msgspec

from shared.tasks import Answer, Options, Request, Task, size_of

if TYPE_CHECKING:
    from shared.errors import PromptError

REASON_CHARACTERS: Final = 1_000
MODEL_CHARACTERS: Final = 200
ConfidenceKind = Literal[
    "max_probability", "agreement", "perplexity", "mean", "least", "remembered", "unknown"
]
"""What a confidence is: the largest probability, or what a bundle's agreement head makes of it; of
a text 1 / (1 + PPL); of a text or tags the mean or the least over the tokens (``shared.tasks``); of
an answer from a memory how likely that takes it to be right. ``unknown`` is that of a server which
does not tell how sure its model is: always 1."""
Way = Literal["memory", "examples", "model"]
"""Who gave an answer: a memory, the model after examples from a memory, or the model."""
WAYS: Final[tuple[Way, ...]] = get_args(Way)


class Provenance(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who gave an answer: the way, the model with its version, and the entries of a memory.

    The ``model`` of a remembered answer is the one that gave it when it was new, else the agent's
    own; ``version`` is its digest, or empty. ``entries`` are those that were said again or shown.
    """

    way: Way
    model: Annotated[str, msgspec.Meta(max_length=MODEL_CHARACTERS)] = ""
    version: Annotated[str, msgspec.Meta(max_length=MODEL_CHARACTERS)] = ""
    entries: Annotated[tuple[int, ...], msgspec.Meta(max_length=16)] = ()

    def __str__(self) -> str:
        model = f"{self.model} {self.version}".strip() or "a model of no name"
        if not self.entries:
            return model
        entries = ", ".join(map(str, self.entries))
        which = "entry" if len(self.entries) == 1 else "entries"
        if self.way == "memory":
            return f"memory {which} {entries} of {model}"
        return f"{model} after memory {which} {entries}"


class Scored(msgspec.Struct, frozen=True):
    """An answer with the confidence that routing goes by.

    ``confidence`` lies in [0, 1], higher is surer; ``elapsed_us`` is the prompt's share of the
    model's time. ``probabilities`` are a classifier's: one for each label, in its order.
    ``confidence_kind`` says which number the confidence is. ``source`` says who gave the answer;
    the agent signs for its own model. ``check`` asks that it goes up all the same, to be compared,
    which is drawn by lot. ``chance`` is how likely right a memory takes the answer to be, where it
    had a part in it.
    """

    answer: Answer
    confidence: float
    elapsed_us: int
    probabilities: tuple[float, ...] = ()
    confidence_kind: ConfidenceKind = "max_probability"
    source: Provenance | None = None
    check: bool = False
    chance: float | None = None

    @property
    def way(self) -> Way:
        """Who gave the answer."""
        return self.source.way if self.source is not None else "model"

    def signed(self, model: str, version: str) -> Scored:
        """Return the same with the model that gave it, unless that is a memory's word."""
        if self.way == "memory":
            return self
        entries = self.source.entries if self.source is not None else ()
        source = Provenance(self.way, model[:MODEL_CHARACTERS], version, entries)
        return msgspec.structs.replace(self, source=source)

    @property
    def certainty(self) -> float:
        """How likely right the model itself says its answer is: what people are told.

        It differs from the confidence only where a head makes that.
        """
        return max(self.probabilities) if self.probabilities else self.confidence


class Hop(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one tier saw of a prompt.

    ``confidence`` is what routing went by and ``threshold`` what it was held against;
    ``elapsed_us`` is the time from the prompt's arrival at this agent to its decision. The others
    do not travel: ``confidence_kind`` says which number the confidence is, empty where that is
    not known, ``probability`` is what the model said of its answer, where that is another
    number and this agent's own. ``source`` is who gave the answer, where that is known; of the hop
    whose answer counts it travels, where a memory had a part in it.
    """

    tier: str
    agent: str
    confidence: float
    threshold: float
    elapsed_us: int
    confidence_kind: str = ""
    probability: float | None = None
    source: Provenance | None = None

    @property
    def certainty(self) -> float:
        """How likely right the answer is, as far as is known here: what people are told."""
        return self.confidence if self.probability is None else self.probability

    @property
    def certainty_kind(self) -> str:
        """Which number the certainty is, as ``confidence_kind`` says it of the confidence."""
        return self.confidence_kind if self.probability is None else "max_probability"


class Prompt(msgspec.Struct, frozen=True):
    """What is asked.

    ``deadline_s`` is on the monotonic clock of the agent that holds the prompt; between agents
    only the time remaining travels. ``sender`` is the agent that sends it, the origin unless named:
    who hears of a refusal. ``copy`` asks whoever answers to tell the sender too, not only the
    origin: an agent between the two learns from it. ``priority`` counts at the agent that holds the
    prompt and does not travel: the higher one goes first. ``options`` are those of the task
    (``shared.tasks``): how the answer is wanted. ``sourced`` says that all below read a result that
    says what of a memory it is from.
    """

    id: UUID
    origin: str
    task: Task
    text: str
    deadline_s: float
    hops: tuple[Hop, ...] = ()
    copy: bool = False
    sender: str = ""
    priority: int = 0
    options: Options = {}
    sourced: bool = False

    def __post_init__(self) -> None:
        if not self.sender:
            msgspec.structs.force_setattr(self, "sender", self.origin)

    @property
    def request(self) -> Request:
        """What a model is asked."""
        return Request(self.task, self.text, self.options)

    @property
    def size_bytes(self) -> int:
        """What is asked, in bytes: the text and its options."""
        return size_of(self.text, self.options)

    def after(self, hop: Hop, *, copy: bool = False) -> Prompt:
        """Return the same prompt with one more hop behind it, as this hop's agent sends it on."""
        hops = (*self.hops, hop)
        return msgspec.structs.replace(self, hops=hops, copy=copy, sender=hop.agent)


class Failure(msgspec.Struct, frozen=True, array_like=True, tag=2, forbid_unknown_fields=True):
    """Why there is no answer: ``code`` is that of a ``PromptError``, ``reason`` a sentence."""

    code: Annotated[str, msgspec.Meta(max_length=64)]
    reason: Annotated[str, msgspec.Meta(max_length=REASON_CHARACTERS)]


class Result(msgspec.Struct, frozen=True):
    """What goes back to the origin: an answer or a failure, with the hops that led to it.

    ``degraded`` says why a better answer could not be had in time; empty when it could.
    """

    id: UUID
    outcome: Answer | Failure
    hops: tuple[Hop, ...] = ()
    degraded: str = ""

    @classmethod
    def failure(cls, prompt: Prompt, error: PromptError) -> Result:
        """Return the result that tells the origin why there is no answer."""
        return cls(prompt.id, Failure(error.code, str(error)), prompt.hops)

    def after(self, hops: tuple[Hop, ...]) -> Result:
        """Return the same result with the hops that came before those it carries."""
        return msgspec.structs.replace(self, hops=hops + self.hops)

    @property
    def confidence(self) -> float:
        """What routing went by at the tier that answered; 0.0 when none did."""
        return self.hops[-1].confidence if self.hops else 0.0

    @property
    def certainty(self) -> float:
        """How likely right the answer is, as far as is known here: what people are told."""
        return self.hops[-1].certainty if self.hops else 0.0

    @property
    def tier(self) -> str:
        """Name of the tier that answered; empty when none got to see the prompt."""
        return self.hops[-1].tier if self.hops else ""
