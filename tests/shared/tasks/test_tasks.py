"""Every task's answers pass through everything that holds answers, and come out as they went in."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, get_args
from uuid import uuid4

import msgspec
import pytest

from device_agent.api.schema import write_answer
from device_agent.delivery.outbox_codec import decode, encode_escalated, encode_resolved
from device_agent.delivery.outbox_file import OutboxRow
from experiments.replay.records import Record
from experiments.replay.target import Response
from shared import tasks
from shared.cascade.policies import Observation, Routing
from shared.cascade.tier import Escalation
from shared.messages import Hop, Prompt, Result
from shared.tasks import Answer, Task
from shared.tasks.classify import Label
from shared.tasks.generate import Completion
from shared.tasks.tag import Entities, Span
from shared.wire.codec import decode_result, encode_result

if TYPE_CHECKING:
    from uuid import UUID

SAMPLES: dict[Task, tuple[Answer, Answer, str]] = {
    # an answer, another one, and the truth that the first one meets
    "classify": (Label("positive"), Label("negative"), "positive"),
    "tag": (
        Entities((Span("PER", 0, 4, 0.75), Span("LOC", 9, 14, 0.5))),
        Entities((Span("PER", 0, 4, 0.75),)),
        '[["LOC", 9, 14], ["PER", 0, 4]]',
    ),
    "generate": (
        Completion("Zwei Hunde spielen im Schnee.", "length", 12, 7, prompt_cut=True),
        Completion("Ein Mann fährt Rad.\nSchnell."),
        "Zwei Hunde spielen im Schnee.",
    ),
}
HOPS = (Hop("device", "device-1", 0.5, 0.75, 10), Hop("edge", "edge-1", 0.875, 0.5, 20))
every_task = pytest.mark.parametrize("task", SAMPLES)


def test_every_type_of_answer_has_a_sample() -> None:
    members = get_args(Answer) or (Answer,)

    assert {type(sample[0]) for sample in SAMPLES.values()} == set(members)


@every_task
def test_a_task_says_when_answers_agree_and_how_right_they_are(task: Task) -> None:
    answer, other, truth = SAMPLES[task]

    assert tasks.agrees(answer, answer)
    assert not tasks.agrees(answer, other)
    assert tasks.score(answer, truth) == 1.0
    assert 0.0 <= tasks.score(other, truth) < 1.0


@every_task
def test_an_answer_is_written_as_json_and_read_again(task: Task) -> None:
    answer, _, _ = SAMPLES[task]

    fields = msgspec.json.decode(msgspec.json.encode(tasks.to_json(answer)))

    assert tasks.from_json(task, fields) == answer
    assert "\n" not in tasks.to_line(answer)
    assert set(fields) & {"id", "confidence", "tier", "agent", "hops", "error", "reason"} == set()


@every_task
@pytest.mark.parametrize("fields", [{}, {"label": 7}, {"label": "x" * 10_000}])
def test_json_of_something_else_is_refused(task: Task, fields: dict[str, Any]) -> None:
    with pytest.raises((KeyError, msgspec.ValidationError)):
        tasks.from_json(task, fields)


@every_task
def test_the_wire_carries_it(task: Task) -> None:
    result = Result(uuid4(), SAMPLES[task][0], HOPS)

    assert decode_result(encode_result(result, known_hops=0)) == result


@every_task
def test_the_outbox_keeps_it(task: Task) -> None:
    escalation, answer = _escalation(task), SAMPLES[task][0]
    result = Result(escalation.prompt.id, answer, HOPS)
    row = OutboxRow(result.id, encode_escalated(escalation, None), encode_resolved(result))

    stored = decode(row, "device-1")

    assert stored.result == result
    assert stored.escalated.local_result.outcome == SAMPLES[task][1]


@every_task
def test_an_asker_and_a_record_of_a_replay_get_it_as_its_task_writes_it(task: Task) -> None:
    answer, _, truth = SAMPLES[task]
    result = Result(uuid4(), answer, HOPS)
    said = write_answer(result, echo=None, elapsed_s=0.1)
    record = _record(task, tasks.to_json(answer), truth)

    assert said.items() >= tasks.to_json(answer).items()
    assert Response.of(result).answer == answer
    read = msgspec.json.decode(msgspec.json.encode(record), type=Record)
    assert (read.given, read.score) == (answer, 1.0)


def test_a_record_of_an_earlier_version_has_a_label_alone() -> None:
    record = _record("classify", "negative", "positive")

    assert (record.given, record.score) == (Label("negative"), 0.0)


@pytest.mark.parametrize(("answer", "label"), [(None, "positive"), ({"label": "x"}, None)])
def test_without_an_answer_or_a_truth_there_is_no_score(answer: Any, label: str | None) -> None:
    assert _record("classify", answer, label).score is None


def _escalation(task: Task) -> Escalation:
    prompt = Prompt(uuid4(), "device-1", task, "is it?", math.inf, HOPS[:1])
    ours = Result(prompt.id, SAMPLES[task][1], HOPS[:1])
    return Escalation(prompt, ours, Observation(0.5, 0.0, 6), Routing(1, 0.75))


def _record(task: Task, answer: Any, label: str | None, prompt_id: UUID | None = None) -> Record:
    return Record(
        number=1,
        id=str(prompt_id or uuid4()),
        device="device-1",
        task=task,
        at_s=0.0,
        sent_s=0.0,
        done_s=0.1,
        key="00",
        answer=answer,
        label=label,
    )
