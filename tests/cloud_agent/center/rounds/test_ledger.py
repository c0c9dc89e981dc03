"""No job is lost and none counts twice, whatever nodes do with it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud_agent.center.placement.jobs import FleetJob
from cloud_agent.center.rounds.ledger import JobLedger, PostedJob

POSTED = PostedJob("label", "a remark", ("positive",))


def ledger_of(count: int, *, deadline_s: float = 15.0, attempts: int = 3) -> JobLedger:
    ledger = JobLedger(attempts=attempts)
    for number in range(count):
        ledger.add(FleetJob(str(number), "label", deadline_s), POSTED, 1, 0.0)
    return ledger


def test_a_job_waits_goes_out_and_ends_once() -> None:
    ledger = ledger_of(1)
    assert [entry.job.id for entry in ledger.waiting()] == ["0"]
    ledger.give("0", "edge-1", 1.0, 5.0)
    assert not ledger.waiting()
    ended = ledger.end("0", "answered")
    assert ended is not None
    assert (ended.node, ended.ending) == ("edge-1", "answered")
    assert ledger.end("0", "answered") is None
    assert ledger.counts == (1, 1, 0, 0, 1, 0)


def test_what_a_node_that_is_gone_has_waits_again_and_who_had_it_is_remembered() -> None:
    ledger = ledger_of(3)
    for job, node in (("0", "edge-1"), ("1", "edge-2"), ("2", "edge-1")):
        ledger.give(job, node, 1.0, 5.0)
    gone = ledger.take_back_from(lambda node: node in {"edge-1", "edge-9"})
    assert sorted(entry.job.id for entry in gone) == ["0", "2"]
    assert all(entry.tried == ("edge-1",) for entry in ledger.waiting())


def test_the_answer_of_a_node_that_was_given_up_counts_if_it_is_the_first() -> None:
    ledger = ledger_of(1)
    ledger.give("0", "edge-1", 1.0, 5.0)
    ledger.take_back("0")
    assert ledger.end("0", "answered") is not None
    assert ledger.counts.open == 0
    assert not ledger.waiting()


def test_a_job_that_fails_too_often_has_ended() -> None:
    ledger = ledger_of(1, attempts=2)
    ledger.give("0", "edge-1", 1.0, 5.0)
    assert ledger.fail("0", "") is None
    ledger.give("0", "edge-2", 2.0, 5.0)
    ended = ledger.fail("0", "edge-2")
    assert ended is not None
    assert ended.ending == "failed"
    assert ledger.counts == (1, 0, 1, 0, 0, 1)


@pytest.mark.parametrize("whose", ["", "edge-1"])
def test_a_late_failure_of_an_earlier_node_takes_nothing_from_the_next(whose: str) -> None:
    ledger = ledger_of(1, attempts=2)
    ledger.give("0", "edge-1", 1.0, 5.0)
    ledger.take_back("0", owing=True)
    ledger.give("0", "edge-2", 7.0, 5.0)

    assert ledger.fail("0", whose) is None
    assert [entry.node for entry in ledger.out()] == ["edge-2"]
    ended = ledger.fail("0", "")
    assert ended is not None
    assert ended.tried == ("edge-1", "edge-2")


def test_a_node_that_gets_a_job_back_fails_at_it_itself() -> None:
    ledger = ledger_of(1, attempts=3)
    ledger.give("0", "edge-1", 1.0, 5.0)
    ledger.take_back("0", owing=True)
    ledger.give("0", "edge-1", 7.0, 5.0)

    assert ledger.fail("0", "") is None
    assert [entry.job.id for entry in ledger.waiting()] == ["0"]


def test_a_failure_at_a_job_that_waits_is_of_no_account() -> None:
    ledger = ledger_of(1, attempts=1)
    ledger.give("0", "edge-1", 1.0, 5.0)
    ledger.take_back("0")

    assert ledger.fail("0", "") is None
    assert ledger.fail("9", "") is None
    assert [entry.job.id for entry in ledger.waiting()] == ["0"]


def test_a_job_whose_time_is_over_has_ended_wherever_it_is() -> None:
    ledger = ledger_of(2, deadline_s=10.0)
    ledger.give("0", "edge-1", 1.0, 5.0)
    assert not ledger.overdue(9.9)
    assert len(ledger.overdue(10.0)) == 2
    assert ledger.counts.unanswered == 2
    assert ledger.end("0", "answered") is None
    assert ledger.counts.repeats == 1


def test_an_answer_that_comes_too_late_is_heard_once_and_counts_for_nothing() -> None:
    ledger = ledger_of(1, deadline_s=10.0)
    ledger.give("0", "edge-1", 1.0, 5.0)
    ledger.overdue(10.0)
    late = ledger.hear_late("0")
    assert late is not None
    assert late.late
    assert ledger.hear_late("0") is None
    assert ledger.hear_late("9") is None
    assert (ledger.counts.answered, ledger.counts.unanswered) == (0, 1)


def test_an_answer_to_a_job_that_never_was_counts_for_nothing() -> None:
    ledger = ledger_of(1)
    assert ledger.end("7", "answered") is None
    assert ledger.counts.repeats == 0


@given(
    deeds=st.lists(
        st.tuples(
            st.sampled_from(["give", "answer", "fail", "late", "refuse", "die", "tick"]),
            st.integers(0, 4),
            st.sampled_from(["edge-1", "edge-2", "edge-3"]),
        ),
        max_size=60,
    )
)
def test_every_job_is_open_or_ended_exactly_once(deeds: list[tuple[str, int, str]]) -> None:
    ledger = ledger_of(5, deadline_s=40.0)
    ended: list[str] = []
    for now, (deed, number, node) in enumerate(deeds):
        job = str(number)
        if deed == "give" and job in {entry.job.id for entry in ledger.waiting()}:
            ledger.give(job, node, now, 5.0)
        elif deed == "answer":
            ended += [job] if ledger.end(job, "answered") else []
        elif deed in {"fail", "late"}:
            ended += [job] if ledger.fail(job, "" if deed == "fail" else node) else []
        elif deed == "refuse":
            ledger.take_back(job)
        elif deed == "die":
            ledger.take_back_from(node.__eq__)
        elif deed == "tick":
            ended += [entry.job.id for entry in ledger.overdue(now)]
        counts = ledger.counts
        still = [entry.job.id for entry in (*ledger.waiting(), *ledger.out())]
        assert sorted(ended + still) == ["0", "1", "2", "3", "4"]
        assert counts.open == len(still)
        assert counts.answered + counts.failed + counts.unanswered == len(ended)


def test_only_so_many_ended_jobs_are_remembered() -> None:
    ledger = JobLedger(attempts=1, remembered=2)
    for number in range(4):
        ledger.add(FleetJob(str(number), "label", 1.0), POSTED, 1, 0.0)
        ledger.end(str(number), "answered")
    assert [ledger.find(str(number)) is not None for number in range(4)] == [
        False, False, True, True,
    ]  # fmt: skip
    assert ledger.counts.open == 0


def test_a_job_that_is_not_there_cannot_be_given() -> None:
    with pytest.raises(KeyError):
        ledger_of(1).give("9", "edge-1", 0.0, 5.0)
