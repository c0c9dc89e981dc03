"""From a prompt that was played and its reply to the record of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from experiments.evaluation.answer_store import prompt_key
from experiments.replay.packets import bytes_by_link
from experiments.replay.records import Record
from shared.tasks import to_json

if TYPE_CHECKING:
    from experiments.replay.schedule import ScheduledRequest
    from experiments.replay.target import ReplayRequest, Response
    from shared.wire.topics import Topics


class Times(NamedTuple):
    """When a prompt was intended, when it went out, and when its reply was there."""

    at_s: float
    sent_s: float
    done_s: float


def make_record(
    play: ScheduledRequest, question: ReplayRequest, reply: Response, times: Times, topics: Topics
) -> Record:
    """Return the record of one prompt, without its text."""
    return Record(
        number=play.number,
        id=str(question.id),
        device=play.device,
        task=play.task,
        at_s=round(times.at_s, 6),
        sent_s=round(times.sent_s, 6),
        done_s=round(times.done_s, 6),
        key=prompt_key(play.text, play.options).hex(),
        hops=reply.hops,
        answer=None if reply.answer is None else to_json(reply.answer),
        label=play.label,
        degraded=reply.degraded,
        error=reply.error,
        reason=reply.reason,
        packet_bytes=bytes_by_link(question, reply, topics),
    )
