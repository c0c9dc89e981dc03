"""What every escalation policy takes and returns. Values in, a value out; time is passed in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from shared.messages import Way


class Observation(NamedTuple):
    """What a tier knows of a prompt when it decides.

    ``confidence`` is that of its own answer, ``at_s`` a monotonic time in seconds, ``prompt_bytes``
    the size of what is asked: the text in UTF-8, and its options. ``text`` and ``label``, the
    prompt's and the answer's, are for policies that adapt; the label is empty where the answer has
    none, or is not remembered. ``way`` is who gave the answer (``shared.messages.Way``), ``check``
    asks that it goes up all the same, and ``chance`` is how likely right a memory takes it to be.
    """

    confidence: float
    at_s: float
    prompt_bytes: int
    text: str = ""
    label: str = ""
    way: Way = "model"
    check: bool = False
    chance: float | None = None


class Routing(NamedTuple):
    """What to do with a scored prompt.

    ``up`` is how many tiers to send it up: 0 keeps it, 1 is the next tier, 2 passes over that one.
    ``threshold`` is what the confidence was held against; ``confidence`` is that where it is not
    the observation's own.
    """

    up: int
    threshold: float
    confidence: float | None = None

    def held(self, seen: Observation) -> float:
        """Return the confidence that was held against the threshold."""
        return seen.confidence if self.confidence is None else self.confidence


class Feedback(NamedTuple):
    """What came back from above for a prompt that went up.

    ``agreed`` says whether the final answer equals this tier's own, ``confidence`` is that of the
    tier that gave it, and ``up`` how many tiers up that was. ``label`` is the final answer's, empty
    where it has none.
    """

    agreed: bool
    confidence: float
    up: int
    label: str = ""


class PolicyContext(NamedTuple):
    """What a policy begins with, besides its settings.

    ``draw`` is for policies that toss; ``expected`` are quantiles of the model's confidences at
    equal steps, ascending, if they are known.
    """

    draw: random.Random
    tiers_above: int
    expected: Sequence[float] = ()


class Policy(Protocol):
    """Decides for one tier and one task; one that ``learns`` is told what comes back."""

    learns: ClassVar[bool]

    def decide(self, seen: Observation) -> Routing:
        """Take in one scored prompt and say where it goes."""

    def learn(self, seen: Observation, sent: Routing, returned: Feedback) -> None:
        """Take in what became of a prompt that was sent up; it may be long after."""

    def report(self) -> dict[str, float]:
        """Return what the policy believes, by the name of the figure, for metrics and reports."""


@runtime_checkable
class Remembering(Protocol):
    """A policy whose memory can be written down, and read by a later life."""

    def remember(self, now_s: float) -> Any:
        """Return what the policy has seen and learned: structs of plain values.

        ``now_s`` is on the clock of the observations.
        """

    def recall(self, memory: Any, at_s: float) -> None:
        """Take up what an earlier life remembered, in plain values; ``at_s`` is when, on our clock.

        Raises ``ValueError`` when it is not of such a policy, which then stays as it was.
        """
