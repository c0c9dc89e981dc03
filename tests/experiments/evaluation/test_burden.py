from __future__ import annotations

from typing import Any
from uuid import uuid4

import numpy as np
import pytest

from experiments.evaluation.burden import REMAINING_S, Burden, paper_bytes, paper_hops, sent_bytes
from experiments.evaluation.offline import Replay, replay
from shared.cascade.policies import Fixed, KeepAll, PassAll, PolicySettings, Quantile
from shared.messages import Hop, Prompt, Result
from shared.tasks.classify import Label
from shared.wire.burden import packet_bytes
from shared.wire.codec import encode_prompt, encode_result
from shared.wire.topics import Topics
from tests.support.matrices import random_matrix

ID = uuid4()
FOUR = ("device", "gateway", "edge", "cloud")


def packets_of(replayed: Replay[Any], row: int) -> tuple[list[int], list[int]]:
    """Encode every packet of one prompt as the agents would; bytes up and down on each link."""
    matrix, topics = replayed.matrix, Topics()
    up, down = [0] * (len(matrix.tiers) - 1), [0] * (len(matrix.tiers) - 1)
    path = [tier for tier in range(len(matrix.tiers)) if replayed.seen[tier, row]]
    prompt = Prompt(ID, "device-1", "classify", matrix.data.texts[row], REMAINING_S)
    for here, above in zip(path, [*path[1:], None], strict=True):
        answers = matrix.tiers[here]
        agent = f"{answers.tier}-1"
        hop = Hop(
            answers.tier,
            agent,
            float(answers.confidence[row]),
            float(replayed.threshold[here, row]),
            int(answers.elapsed_us[row]),
        )
        prompt = prompt.after(hop)
        if above is None:
            break
        topic = topics.prompt(f"{matrix.tiers[above].tier}-1", "classify", "device-1", agent)
        for link in range(here, above):
            up[link] += packet_bytes(topic, encode_prompt(prompt, 0.0))
    if len(path) > 1:
        label = matrix.data.label_names[matrix.tiers[path[-1]].labels[row]]
        result = Result(ID, Label(label), prompt.hops)
        size = packet_bytes(topics.results("device-1"), encode_result(result, known_hops=1))
        for link in range(path[-1]):
            down[link] += size
        sender = path[-2]
        if sender and replayed.learns[sender]:
            topic = topics.results(f"{matrix.tiers[sender].tier}-1")
            copy = encode_result(result, known_hops=len(path) - 1)
            for link in range(sender, path[-1]):
                down[link] += packet_bytes(topic, copy)
    return up, down


POLICIES: dict[str, list[PolicySettings]] = {
    "quantile": [Quantile(beta=0.6)] * 4,
    "fixed": [Fixed(threshold=0.9)] * 4,
    "all to the top": [PassAll()] * 4,
    "over one tier": [PassAll(up=2), KeepAll(), Fixed(threshold=0.7), KeepAll()],
    "over two tiers": [PassAll(up=3), KeepAll(), KeepAll(), KeepAll()],
}


@pytest.mark.parametrize("learns", [False, True])
@pytest.mark.parametrize("name", POLICIES)
def test_sent_bytes_are_those_of_the_packets_the_agents_encode(name: str, learns: bool) -> None:
    matrix = random_matrix(300, tiers=FOUR)
    plain = replay(matrix, POLICIES[name])
    replayed = Replay(matrix, plain.tier, plain.threshold, (learns,) * 4)

    burden = sent_bytes(replayed)

    for row in range(300):
        up, down = packets_of(replayed, row)
        assert burden.up[:, row].tolist() == up
        assert burden.down[:, row].tolist() == down


def test_texts_of_every_length_are_counted_to_the_byte() -> None:
    matrix = random_matrix(60, longest_chars=40_000)
    replayed = replay(matrix, [PassAll(), PassAll(), KeepAll()])

    burden = sent_bytes(replayed)

    for row in range(60):
        assert burden.up[:, row].tolist() == packets_of(replayed, row)[0]


def test_the_paper_counts_a_unit_or_the_text_for_every_link_on_the_way_up() -> None:
    matrix = random_matrix(40)
    replayed = replay(matrix, [Quantile(beta=0.6)] * 3)

    hops, text = paper_hops(replayed), paper_bytes(replayed)

    assert hops.links == ("device-edge", "edge-cloud")
    assert (hops.per_prompt == replayed.tier).all()
    assert (hops.up[0] == (replayed.tier >= 1)).all()
    assert (hops.up[1] == (replayed.tier >= 2)).all()
    assert (text.up == hops.up * matrix.prompt_bytes).all()
    assert not text.down.any()


def test_passing_over_a_tier_still_crosses_both_links() -> None:
    replayed = replay(random_matrix(10), [PassAll(up=2), KeepAll(), KeepAll()])

    assert (paper_hops(replayed).per_prompt == 2).all()
    assert (sent_bytes(replayed).up[0] == sent_bytes(replayed).up[1]).all()


def test_what_stays_on_the_device_puts_nothing_on_any_link() -> None:
    replayed = replay(random_matrix(10), [KeepAll()] * 3)

    def nothing(burden: Burden) -> bool:
        return not np.any(burden.up) and not np.any(burden.down)

    assert nothing(paper_hops(replayed))
    assert nothing(paper_bytes(replayed))
    assert nothing(sent_bytes(replayed))
