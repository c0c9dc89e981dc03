"""A deep Q-network that learns online: what deep reinforcement learning makes of the same jobs.

The state is the kind of the job, for each node its backlog and the model that it runs, and what the
text of the job looks like where that is wanted. A network of two hidden layers gives the worth of
each node; it is taught from a memory of what came of earlier choices, one batch for each outcome,
against a copy of itself that is renewed now and then. In plain numpy: it is small.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

import numpy as np
from msgspec import Meta

from cloud_agent.center.placement.beliefs import CatalogueOutlooks
from cloud_agent.center.placement.features import RunningScale, TextFeatures
from shared.settings.base import Closed, Count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from cloud_agent.center.placement.allocators.base import AllocatorContext
    from cloud_agent.center.placement.beliefs import Outlooks
    from cloud_agent.center.placement.jobs import FleetJob, JobOutcome, OpenNode

    Floats = NDArray[np.float64]

_FEATURES: Final = len(TextFeatures._fields)
_RENEWED_EVERY: Final = 50
_NEVER: Final = -1e9
_MOMENTS: Final = (0.9, 0.999)


class Dqn(Closed, frozen=True, kw_only=True, tag_field="kind", tag="dqn"):
    """A Q-network, learning as it goes."""

    hidden: Annotated[Count, Meta(description="units of each of the two layers")] = 64
    discount: Annotated[float, Meta(ge=0, lt=1, description="weight of what comes after")] = 0.5
    replay: Annotated[Count, Meta(description="choices remembered")] = 2_000
    batch: Annotated[Count, Meta(description="choices learned from at a time")] = 32
    rate: Annotated[float, Meta(gt=0, le=1, description="step of Adam")] = 1e-3
    epsilon: Annotated[float, Meta(ge=0, le=1, description="least share tossed")] = 0.02
    decay: Annotated[float, Meta(gt=0, le=1, description="of that share, with each job")] = 0.995
    features: Annotated[bool, Meta(description="whether it looks at the text of a job")] = False


class _Step(NamedTuple):
    state: Floats
    action: int
    reward: float
    after: Floats
    open_after: NDArray[np.bool_]


class _Pending:
    """A choice whose outcome, or whose next state, is not known yet."""

    __slots__ = ("action", "after", "open_after", "state")

    def __init__(self, state: Floats, action: int) -> None:
        self.state, self.action = state, action
        self.after: Floats | None = None
        self.open_after: NDArray[np.bool_] | None = None


class DqnAllocator:
    """Learns the worth of nodes from rewards alone."""

    def __init__(self, settings: Dqn, context: AllocatorContext) -> None:
        self.outlooks: Outlooks = CatalogueOutlooks(context.catalogue)
        self.epsilon = 1.0
        self._settings = settings
        self._preference = context.preference
        self._draw = context.draw
        self._kinds = {kind: i for i, kind in enumerate(context.catalogue.kinds)}
        self._models = {card.name: i for i, card in enumerate(context.catalogue)}
        self._nodes = {name: i for i, name in enumerate(context.nodes)}
        self._scale = RunningScale(_FEATURES)
        width = len(self._kinds) + len(self._nodes) * (1 + len(self._models))
        width += settings.features * _FEATURES
        seed = self._draw.getrandbits(32)
        self._rng = np.random.default_rng(seed)
        self._net = _Network(width, settings.hidden, len(self._nodes), settings.rate, self._rng)
        self._steady = self._net.copy_weights()
        self._memory: deque[_Step] = deque(maxlen=settings.replay)
        self._pending: dict[str, _Pending] = {}
        self._latest: _Pending | None = None
        self._taught = 0

    def choose(self, job: FleetJob, candidates: Sequence[OpenNode]) -> int:
        """Return a node at random, less and less often, or the one of the most worth."""
        state, free = self._see(job, candidates)
        if self._latest is not None:
            self._latest.after, self._latest.open_after = state, free
        self.epsilon = max(self.epsilon * self._settings.decay, self._settings.epsilon)
        if self._draw.random() < self.epsilon:
            chosen = self._draw.randrange(len(candidates))
        else:
            worths = self._net.forward(state[None])[0]
            chosen = max(
                range(len(candidates)), key=lambda i: worths[self._nodes[candidates[i].node]]
            )
        pending = _Pending(state, self._nodes[candidates[chosen].node])
        self._pending[job.id] = self._latest = pending
        return chosen

    def learn(self, outcome: JobOutcome) -> None:
        """Remember what came of a choice, and learn from a batch of such memories."""
        pending = self._pending.pop(outcome.job, None)
        if pending is None or outcome.grade is None:
            return
        after = pending.state if pending.after is None else pending.after
        free = pending.open_after
        free = np.ones(len(self._nodes), dtype=np.bool_) if free is None else free
        reward = self._preference.of(outcome.grade, outcome.latency_s)
        self._memory.append(_Step(pending.state, pending.action, reward, after, free))
        if len(self._memory) >= self._settings.batch:
            self._teach()

    def forget_pending(self) -> None:
        """Begin a new episode: what is under way will have no outcome."""
        self._pending.clear()
        self._latest = None

    def _see(
        self, job: FleetJob, candidates: Sequence[OpenNode]
    ) -> tuple[Floats, NDArray[np.bool_]]:
        kinds, models = len(self._kinds), len(self._models)
        state = np.zeros(kinds + len(self._nodes) * (1 + models))
        text: tuple[float, ...] = ()
        if self._settings.features:
            text = self._scale.standardise(job.features) if job.features else (0.0,) * _FEATURES
        free = np.zeros(len(self._nodes), dtype=np.bool_)
        state[self._kinds[job.kind]] = 1.0
        for candidate in candidates:
            node = self._nodes[candidate.node]
            at = kinds + node * (1 + models)
            state[at] = candidate.backlog_s / self._preference.limit_s
            state[at + 1 + self._models[candidate.model]] = 1.0
            free[node] = True
        return np.concatenate([state, text]), free

    def _teach(self) -> None:
        drawn = self._rng.integers(len(self._memory), size=self._settings.batch)
        steps = [self._memory[i] for i in drawn]
        after = np.array([step.after for step in steps])
        free = np.array([step.open_after for step in steps])
        worths = np.where(free, self._net.forward(after, self._steady), _NEVER).max(axis=1)
        rewards = np.array([step.reward for step in steps])
        self._net.step(
            np.array([step.state for step in steps]),
            np.array([step.action for step in steps]),
            rewards + self._settings.discount * worths,
        )
        self._taught += 1
        if self._taught % _RENEWED_EVERY == 0:
            self._steady = self._net.copy_weights()


class _Network:
    """Two hidden layers of rectifiers and a linear one, taught by Adam on the squared error."""

    def __init__(
        self, inputs: int, hidden: int, outputs: int, rate: float, rng: np.random.Generator
    ) -> None:
        sizes = [(inputs, hidden), (hidden, hidden), (hidden, outputs)]
        self._weights: list[Floats] = []
        for fan_in, fan_out in sizes:
            self._weights += [
                rng.normal(0, np.sqrt(2 / fan_in), (fan_in, fan_out)),
                np.zeros(fan_out),
            ]
        self._rate = rate
        self._first = [np.zeros_like(each) for each in self._weights]
        self._second = [np.zeros_like(each) for each in self._weights]
        self._steps = 0

    def copy_weights(self) -> list[Floats]:
        """Return the weights as they are now."""
        return [each.copy() for each in self._weights]

    def forward(self, states: Floats, weights: list[Floats] | None = None) -> Floats:
        """Return the worth of every node in every state; shape (states, nodes)."""
        first, bias1, second, bias2, last, bias3 = weights or self._weights
        inner = np.maximum(states @ first + bias1, 0.0)
        inner = np.maximum(inner @ second + bias2, 0.0)
        worths: Floats = inner @ last + bias3
        return worths

    def step(self, states: Floats, actions: NDArray[np.int64], targets: Floats) -> None:
        """Move the worths of these actions toward their targets."""
        first, bias1, second, bias2, last, bias3 = self._weights
        one = np.maximum(states @ first + bias1, 0.0)
        two = np.maximum(one @ second + bias2, 0.0)
        error = np.zeros((len(states), len(bias3)))
        rows = np.arange(len(states))
        error[rows, actions] = (two @ last + bias3)[rows, actions] - targets
        error /= len(states)
        back_two = (error @ last.T) * (two > 0)
        back_one = (back_two @ second.T) * (one > 0)
        self._descend(
            [
                states.T @ back_one,
                back_one.sum(axis=0),
                one.T @ back_two,
                back_two.sum(axis=0),
                two.T @ error,
                error.sum(axis=0),
            ]
        )

    def _descend(self, gradients: list[Floats]) -> None:
        self._steps += 1
        keep1, keep2 = _MOMENTS
        scale = self._rate * np.sqrt(1 - keep2**self._steps) / (1 - keep1**self._steps)
        for i, gradient in enumerate(gradients):
            self._first[i] += (1 - keep1) * (gradient - self._first[i])
            self._second[i] += (1 - keep2) * (gradient**2 - self._second[i])
            self._weights[i] -= scale * self._first[i] / (np.sqrt(self._second[i]) + 1e-8)
