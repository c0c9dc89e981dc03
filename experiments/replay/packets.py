"""What one prompt put on each link, by its record: one trouble-free pass, to the byte.

The packets are those of ``shared.wire.codec`` and ``shared.wire.topics``: up from tier to tier with
the hops so far, and the result straight down across every link between. Repeats and copies are not
in it.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from shared.messages import Failure, Prompt, Result
from shared.wire.burden import link, packet_bytes
from shared.wire.codec import encode_prompt, encode_result

if TYPE_CHECKING:
    from experiments.replay.target import ReplayRequest, Response
    from shared.wire.topics import Topics


def bytes_by_link(question: ReplayRequest, reply: Response, topics: Topics) -> dict[str, int]:
    """Return the bytes by link, both ways; empty where the device answered itself."""
    if len(reply.hops) < 2:  # noqa: PLR2004 - a link has two ends
        return {}
    prompt = Prompt(
        question.id,
        question.device,
        question.task,
        question.text,
        question.timeout_s,
        options=question.options,
    )
    down = _result_bytes(question, reply, topics)
    crossed: dict[str, int] = {}
    for lower, upper in itertools.pairwise(reply.hops):
        prompt = prompt.after(lower)
        topic = topics.prompt(upper.agent, question.task, question.device, prompt.sender)
        up = packet_bytes(topic, encode_prompt(prompt, 0.0))
        crossed[link(lower.tier, upper.tier)] = up + down
    return crossed


def _result_bytes(question: ReplayRequest, reply: Response, topics: Topics) -> int:
    outcome = reply.answer or Failure(reply.error, reply.reason)
    result = Result(question.id, outcome, reply.hops, reply.degraded)
    # The top tier leaves out every hop that the prompt brought along but those of tiers between.
    payload = encode_result(result, known_hops=1, sourced=True)
    return packet_bytes(topics.results(question.device), payload)
