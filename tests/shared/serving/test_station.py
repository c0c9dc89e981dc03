"""A station judges, sends on, and turns whatever goes wrong into a result."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from shared.cascade.policies import Quantile, Routing
from shared.cascade.tier import Escalation, Tier
from shared.errors import InvalidPrompt
from shared.messages import Failure, Prompt, Result
from shared.serving.batcher import Batcher
from shared.serving.station import Station, check_text
from shared.tasks.classify import Label
from shared.telemetry.metrics import Metrics
from tests.support.fakes import FAILS, LookupModel

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from shared.serving.dispatcher import Dispatcher


class Scripted:
    """A dispatcher that notes what it is given."""

    def __init__(self) -> None:
        self.sent: list[tuple[Prompt, int, bool]] = []

    async def send(
        self, prompt: Prompt, up: int, tried: set[str], *, again: bool = False
    ) -> str | None:
        self.sent.append((prompt, up, again))
        tried.add("edge-1")
        return "edge-1"


def as_dispatcher(scripted: Scripted) -> Dispatcher:
    return scripted  # type: ignore[return-value] # as much of one as a station uses


def station(above: tuple[str, ...] = ("edge",), model: LookupModel | None = None) -> Station:
    batcher = Batcher(model or LookupModel("m", {"unsure": 0.5}), batch_prompts=4, queue_prompts=9)
    batcher.start()
    return Station(
        "device-1",
        Tier("device", Quantile(beta=1.0), above),
        batcher,
        Metrics(),
        prompt_bytes=100,
        dispatcher=as_dispatcher(Scripted()) if above else None,
    )


@pytest.fixture
async def tested() -> AsyncIterator[Station]:
    made = station()
    yield made
    assert isinstance(made.solver, Batcher)
    await made.solver.close()


def prompt(text: str, **changes: Any) -> Prompt:
    fields: dict[str, Any] = {"task": "classify", "deadline_s": time.monotonic() + 30} | changes
    return Prompt(UUID(int=1), "device-1", text=text, **fields)


async def test_a_sure_prompt_is_kept_with_its_hop(tested: Station) -> None:
    result = await tested.process(prompt("sure"))
    assert isinstance(result, Result)
    assert result.outcome == Label("m")
    hop = result.hops[0]
    assert (hop.tier, hop.agent, hop.confidence, hop.threshold) == ("device", "device-1", 1.0, 1.0)
    assert hop.elapsed_us > 0


async def test_whoever_is_to_compare_asks_for_what_comes_of_a_prompt(tested: Station) -> None:
    await tested.process(prompt("sure"))
    for compares in (False, True):
        tested.compares = compares
        escalation = await tested.process(prompt("unsure"))
        assert isinstance(escalation, Escalation)
        assert escalation.prompt.copy == compares


async def test_an_unsure_prompt_goes_up_with_its_hop_and_our_own_answer(tested: Station) -> None:
    await tested.process(prompt("sure"))

    escalated = await tested.process(prompt("unsure"))

    assert isinstance(escalated, Escalation)
    assert escalated.prompt.hops == escalated.local_result.hops
    assert escalated.local_result.outcome == Label("m")
    assert escalated.routing == Routing(1, 1.0)
    fallen = escalated.degraded("nobody there")
    assert (fallen.outcome, fallen.degraded) == (Label("m"), "nobody there")


@pytest.mark.parametrize(
    ("text", "changes", "code"),
    [
        ("", {}, "invalid_prompt"),
        ("ä" * 51, {}, "invalid_prompt"),
        ("sure", {"deadline_s": 0.0}, "expired"),
        ("sure", {"task": "tag"}, "unknown_task"),
        ("sure", {"options": {"labels": ["one"]}}, "invalid_prompt"),
        ("x" * 40, {"options": {"labels": ["a", "b" * 60]}}, "invalid_prompt"),
        (FAILS, {}, "model_failed"),
    ],
)
async def test_whatever_goes_wrong_becomes_a_result(
    tested: Station, text: str, changes: dict[str, Any], code: str
) -> None:
    result = await tested.process(prompt(text, **changes))
    assert isinstance(result, Result)
    assert isinstance(result.outcome, Failure)
    assert result.outcome.code == code
    assert result.hops == ()


async def test_a_confidence_that_is_no_number_is_the_models_failure() -> None:
    odd = station(model=LookupModel("m", otherwise=float("nan")))
    result = await odd.process(prompt("anything"))
    assert isinstance(result, Result)
    assert isinstance(result.outcome, Failure)
    assert result.outcome.code == "model_failed"
    assert isinstance(odd.solver, Batcher)
    await odd.solver.close()


async def test_outcomes_are_counted(tested: Station) -> None:
    for text in ("sure", "unsure", ""):
        await tested.process(prompt(text))

    def counted(outcome: str) -> float | None:
        labels = {"tier": "device", "task": "classify", "outcome": outcome}
        return tested.metrics.registry.get_sample_value("recserve_prompts_total", labels)

    assert [counted(outcome) for outcome in ("kept", "escalated", "failed")] == [1, 1, 1]


async def test_a_tier_needs_a_dispatcher_exactly_if_something_is_above_it() -> None:
    batcher = Batcher(LookupModel(), batch_prompts=1, queue_prompts=1)
    with pytest.raises(ValueError, match="needs a dispatcher"):
        Station("d", Tier("device", None, ("edge",)), batcher, Metrics(), prompt_bytes=1)
    dispatcher, top = as_dispatcher(Scripted()), Tier("cloud")
    with pytest.raises(ValueError, match="needs a dispatcher"):
        Station("c", top, batcher, Metrics(), prompt_bytes=1, dispatcher=dispatcher)


@pytest.mark.parametrize("text", ["a", "a" * 100, "ä" * 50, " padded "])
def test_a_text_within_the_limit_may_be_seen(text: str) -> None:
    assert check_text(text, 100) is text


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "empty"),
        ("\n\t ", "empty"),
        ("a" * 101, "101 bytes, more than the limit of 100"),
        ("ä" * 51, "102 bytes, more than the limit of 100"),
        ("half a \ud800", "lone surrogates"),
        (b"bytes", "text, not bytes"),
        (None, "text, not NoneType"),
    ],
)
def test_a_text_that_no_model_should_see_is_refused(text: object, fault: str) -> None:
    with pytest.raises(InvalidPrompt, match=fault):
        check_text(text, 100)
