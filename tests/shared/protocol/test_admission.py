"""What an agent between concludes from word of the tiers above. The rest: ``tests/protocol``."""

from __future__ import annotations

from uuid import UUID

from shared.cascade.policies import Observation, Routing
from shared.cascade.tier import Escalation
from shared.messages import Hop, Prompt, Result
from shared.protocol.actions import (
    Attempt,
    Forward,
    Heed,
    Process,
    StoreResult,
    Working,
)
from shared.protocol.admission import Admission
from shared.protocol.batch_queue import Queue
from shared.protocol.evidence import Credit, Doubt, Learn, Trust
from shared.protocol.rate_limit import RateLimiter
from shared.tasks.classify import Label
from shared.wire.codec import WORKING, Notice

EMPTY = Queue(0.0, full=False)
OWN_ID, ID_ABOVE = UUID(int=1), UUID(int=2)
EDGE_HOP = Hop("edge", "edge-1", 0.5, 0.7, 10)
CLOUD_HOP = Hop("cloud", "cloud-1", 0.9, 0.1, 10)
PROMPT = Prompt(OWN_ID, "device-1", "classify", "text", 1_000.0)


class Between:
    """An agent that has sent a prompt on to a cloud agent."""

    def __init__(self, *, passes_down: bool = False) -> None:
        new_id = (lambda: ID_ABOVE) if passes_down else None
        self.core = Admission(RateLimiter(0, 1), attempts=3, limit_bytes=1 << 20, new_id=new_id)
        own = Result(OWN_ID, Label("own"), (EDGE_HOP,))
        self.escalation = Escalation(
            PROMPT.after(EDGE_HOP), own, Observation(0.5, 0.0, 4), Routing(1, 0.7)
        )
        assert self.core.arrived(PROMPT, None, EMPTY, 0.0) == Attempt(PROMPT)
        forward = self.core.processed(Process(PROMPT, 1), self.escalation)
        assert isinstance(forward, Forward)
        assert self.core.sent(forward, "cloud-1", 0.0) is None

    def repeat(self, now_s: float) -> Forward | Heed:
        """Let the device repeat its prompt; return what is to be done about that."""
        working = self.core.arrived(PROMPT, None, EMPTY, now_s)
        assert isinstance(working, Working)
        assert working.then is not None
        return working.then


def test_a_result_from_above_is_learned_from_and_credited_and_stored_for_repeats() -> None:
    between = Between()
    result = Result(OWN_ID, Label("better"), (CLOUD_HOP,))

    assert between.core.came(result) == Heed(
        (Learn(between.escalation, result), Credit(("cloud-1",))),
        StoreResult(
            between.escalation.prompt, result.after(between.escalation.prompt.hops), reply=False
        ),
    )
    assert between.core.came(result) is None, "it comes again"


def test_a_result_that_is_ours_to_pass_down_goes_down_under_the_prompts_own_id() -> None:
    between = Between(passes_down=True)

    heed = between.core.came(Result(ID_ABOVE, Label("better"), (EDGE_HOP, CLOUD_HOP)))

    assert isinstance(heed, Heed)
    assert heed.then == StoreResult(
        between.escalation.prompt, Result(OWN_ID, Label("better"), (EDGE_HOP, CLOUD_HOP))
    )
    assert Credit(("edge-1", "cloud-1")) in heed.evidence


def test_an_agent_that_says_it_works_is_trusted_though_nobody_knows_the_prompt() -> None:
    word = Notice(WORKING, "cloud-1")
    assert Between().core.noticed(UUID(int=9), word, 1.0) == Heed((Trust("cloud-1"),))


def test_silence_about_a_repeat_is_doubted_before_the_prompt_goes_to_another() -> None:
    between = Between()
    first = between.repeat(1.0)
    assert isinstance(first, Forward)
    assert first.following.to == "cloud-1"
    between.core.sent(first, "cloud-1", 1.0)

    second = between.repeat(2.0)

    assert isinstance(second, Heed)
    assert second.evidence == (Doubt("cloud-1", stopped=False),)
    assert isinstance(second.then, Forward)
    assert second.then.following.tried == {"cloud-1"}


def test_whoever_said_that_it_works_and_then_says_nothing_has_stopped() -> None:
    between = Between()
    between.core.noticed(OWN_ID, Notice(WORKING, "cloud-1"), 0.5)
    first = between.repeat(1.0)
    assert isinstance(first, Forward)
    between.core.sent(first, "cloud-1", 1.0)

    second = between.repeat(2.0)

    assert isinstance(second, Heed)
    assert second.evidence == (Doubt("cloud-1", stopped=True),)


def test_a_refusal_sends_the_prompt_to_another() -> None:
    between = Between()
    forward = between.core.noticed(OWN_ID, Notice("busy", "cloud-1"), 1.0)
    assert isinstance(forward, Forward)
    assert forward.following.tried == {"cloud-1"}
