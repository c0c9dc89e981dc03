"""A trace is cut, scaled and dealt out to devices as asked, and nothing of it changes otherwise."""

from __future__ import annotations

import pytest

from experiments.replay.schedule import (
    ScheduledRequest,
    Slice,
    fingerprint,
    make_plays,
    prompt_id,
)
from experiments.traces import Arrival
from shared.errors import DataError


def arriving(at_s: float, *, device: str = "", text: str = "a film") -> Arrival:
    return Arrival(at_s=at_s, device=device, text=text)


TRACE = [arriving(float(second)) for second in range(100)]
DEVICES = ("a", "b", "c")


def test_ten_times_the_speed_takes_a_tenth_of_the_time() -> None:
    plays = make_plays(TRACE, Slice(speed=10), DEVICES).each

    assert [play.at_s for play in plays] == [second / 10 for second in range(100)]


def test_a_slice_begins_at_zero() -> None:
    plays = make_plays(TRACE, Slice(begin_s=50, end_s=60), DEVICES).each

    assert [play.at_s for play in plays] == [float(second) for second in range(10)]
    assert [play.number for play in plays] == list(range(10))


def test_a_slice_that_starts_late_begins_with_its_first_arrival() -> None:
    late = [arriving(400.0 + second) for second in range(3)]

    plays, silence_s = make_plays(late, Slice(begin_s=100, speed=2), DEVICES)

    assert [play.at_s for play in plays] == [0.0, 0.5, 1.0]
    assert silence_s == 300


def test_more_prompts_than_memory_holds_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("experiments.replay.schedule.MOST_PROMPTS", 99)

    with pytest.raises(DataError, match="more than 99 prompts; play a part of it"):
        make_plays(TRACE, Slice(), DEVICES)
    assert len(make_plays(TRACE, Slice(prompts=99), DEVICES).each) == 99


def test_a_cap_takes_the_first_ones() -> None:
    assert len(make_plays(TRACE, Slice(prompts=7), DEVICES).each) == 7


def test_arrivals_without_a_device_take_turns() -> None:
    plays = make_plays(TRACE, Slice(prompts=4), DEVICES).each

    assert [play.device for play in plays] == ["a", "b", "c", "a"]


def test_arrivals_of_one_device_stay_together() -> None:
    names = ["pump", "press", "pump", "oven", "lathe", "press"]
    trace = [arriving(float(at_s), device=name) for at_s, name in enumerate(names)]

    plays = make_plays(trace, Slice(), DEVICES).each

    assert [play.device for play in plays] == ["a", "b", "a", "c", "a", "b"]


def test_an_empty_slice_is_refused() -> None:
    with pytest.raises(DataError, match="no arrival lies in the slice"):
        make_plays(TRACE, Slice(begin_s=1000), DEVICES)
    with pytest.raises(DataError, match="not after its begin"):
        make_plays(TRACE, Slice(begin_s=10, end_s=5), DEVICES)


def test_an_arrival_without_text_is_named() -> None:
    with pytest.raises(DataError, match="arrival 2 has no text"):
        make_plays([arriving(0.0), arriving(1.0, text="")], Slice(), DEVICES)


def test_other_prompts_or_times_are_told_apart() -> None:
    plain = make_plays(TRACE, Slice(), DEVICES).each
    faster = make_plays(TRACE, Slice(speed=2), DEVICES).each
    other = make_plays(
        [arriving(arrival.at_s, text="a meal") for arrival in TRACE], Slice(), DEVICES
    ).each

    assert len({fingerprint(plays) for plays in (plain, faster, other)}) == 3
    assert fingerprint(make_plays(TRACE, Slice(), ("x",)).each) == fingerprint(plain)


def test_ids_belong_to_a_run_and_its_prompt() -> None:
    assert prompt_id("run", 1) == prompt_id("run", 1)
    assert len({prompt_id("run", 1), prompt_id("run", 2), prompt_id("rerun", 1)}) == 3


def test_options_are_played_and_tell_prompts_apart() -> None:
    def played(new_tokens: int) -> list[ScheduledRequest]:
        options = {"max_new_tokens": new_tokens}
        written = Arrival(at_s=0.0, text="hello", task="generate", options=options)
        return make_plays([written], Slice(), DEVICES).each

    assert played(3)[0].options == {"max_new_tokens": 3}
    assert fingerprint(played(3)) != fingerprint(played(4))
    with pytest.raises(DataError, match="arrival 1: the options of generate do not fit"):
        played(0)
