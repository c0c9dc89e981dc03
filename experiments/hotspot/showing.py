"""Examples before a question, assembled for every system as an edge assembles them.

So the tokens of one system can be held against those of another: the same budget, each example
counted with what parts it from the next, and none shown twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from edge_agent.memory.assembler import assemble
from edge_agent.memory.entries import Entry
from edge_agent.memory.retriever import Recalled
from edge_agent.memory.settings import MemorySettings
from edge_agent.memory.verifier import Likeness
from experiments.hotspot.cloud import tokens_of
from experiments.hotspot.edge import OWN_TOKENS, TURN_TOKENS
from experiments.hotspot.systems import SystemAnswer
from shared.tasks import Request

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from experiments.hotspot.edge import ScriptedEdge
    from experiments.hotspot.systems import HotQuery
    from experiments.hotspot.vector_cache import CachedPair
    from shared.tasks import Exemplar

_CONTEXT_TOKENS: Final = 2_048
_BUDGET_TOKENS: Final = MemorySettings().example_tokens


class ScriptedRoom(NamedTuple):
    """What the scripted model has for examples, counted as it counts."""

    context_tokens: int = _CONTEXT_TOKENS

    def room_for_examples(self, request: Request) -> int:
        """Return the tokens beside the question and its answer."""
        return self.context_tokens - tokens_of(request.content) - OWN_TOKENS

    def tokens_of(self, example: Exemplar) -> int:
        """Return the tokens of an example."""
        return tokens_of(example.content) + tokens_of(example.answer) + TURN_TOKENS


def by_recalled(
    edge: ScriptedEdge, query: HotQuery, shown: Sequence[Recalled], facts: Mapping[int, int]
) -> SystemAnswer:
    """Ask the edge's model after these, the best first; ``facts`` has the fact of each entry."""
    request = Request("generate", query.text)
    made = assemble(shown, request, ScriptedRoom(), _BUDGET_TOKENS)
    examples = [
        (facts[entry], example.content, example.answer)
        for entry, example in zip(reversed(made.entries), reversed(made.examples), strict=True)
    ]
    own = edge.with_examples(query.fact, query.text, query.at, examples)
    used = next((number for number, _, answer in examples if answer == own.answer), None)
    return SystemAnswer(own.answer, "examples", 0, own.tokens, used)


def by_pairs(
    edge: ScriptedEdge, query: HotQuery, near: Sequence[tuple[float, int, CachedPair]]
) -> SystemAnswer:
    """Ask it after remembered pairs of which nobody judged whether they are the question."""
    shown = [
        _recalled(number, cosine, kept, query.now_s)
        for number, (cosine, _, kept) in enumerate(near)
    ]
    return by_recalled(edge, query, shown, {n: kept.fact for n, (_, _, kept) in enumerate(near)})


def _recalled(number: int, cosine: float, kept: CachedPair, now_s: float) -> Recalled:
    entry = Entry(
        id=number,
        task="generate",
        wordings=[kept.text],
        answer=kept.answer,
        created_s=now_s,
        used_s=now_s,
    )
    return Recalled(entry, 0, Likeness(cosine, 0.0, 0.0, 0.0, 0.0, ""), 0.0, exact=False)
