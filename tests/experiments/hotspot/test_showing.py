"""All systems show examples in the same way, and count them alike."""

from __future__ import annotations

import numpy as np

from experiments.hotspot.edge import OWN_TOKENS, TURN_TOKENS, ScriptedEdge
from experiments.hotspot.facts import HotFact
from experiments.hotspot.settings import HotspotSettings
from experiments.hotspot.showing import by_pairs
from experiments.hotspot.systems import HotQuery
from experiments.hotspot.vector_cache import CachedPair

FACT = HotFact(3, "capital", "Utah", ("Salt Lake City",), 1.0)
SURE = HotspotSettings(edge_knows=(0.0, 0.0), edge_by_example=1.0)
QUERY = HotQuery(1, 1, FACT, "What is the capital of Utah?", np.zeros(2, np.float32), 0.0)


def near(*kept: CachedPair) -> list[tuple[float, int, CachedPair]]:
    return [(0.9, place, pair) for place, pair in enumerate(kept)]


def test_the_model_answers_after_a_right_example_and_its_tokens_count() -> None:
    pair = CachedPair(3, "What is Utah's capital city?", "Salt Lake City")
    given = by_pairs(ScriptedEdge([FACT], SURE), QUERY, near(pair, pair))

    assert (given.answer, given.used_fact) == ("Salt Lake City", 3)
    assert given.edge_tokens == 7 + OWN_TOKENS + (7 + 4 + TURN_TOKENS)  # one example, not two


def test_what_has_no_room_is_not_shown() -> None:
    pairs = [CachedPair(n, f"What is the capital of {n}{'x' * 400}?", "Rome") for n in range(9)]
    given = by_pairs(ScriptedEdge([FACT], SURE), QUERY, near(*pairs))

    assert 300 < given.edge_tokens <= 512 + 7 + OWN_TOKENS
