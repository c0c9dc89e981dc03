"""Many lives of one name, whatever order their statuses come in."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.incarnations import Topic, online

epochs = st.integers(0, 20)
LIVES = st.lists(st.tuples(epochs, st.booleans()), min_size=1, max_size=5)


@given(LIVES, st.randoms(use_true_random=False))
def test_a_lone_agent_is_never_fenced_by_what_its_earlier_lives_left(
    lives: list[tuple[int, bool]], draw: object
) -> None:
    topic = Topic()
    for epoch, boot_after in lives[:-1]:
        life = topic.start(epoch, boot_after=boot_after)
        for _ in range(draw.randint(0, 3)):  # type: ignore[attr-defined] # a random.Random
            if life.coming:
                topic.deliver(life)
        topic.crash(life)
        if draw.random() < 0.5:  # type: ignore[attr-defined] # a random.Random
            topic.bury()
    last = topic.start(lives[-1][0], boot_after=lives[-1][1])
    while topic.late:  # before the first echo, and after
        topic.deliver(last)
        topic.bury()

    topic.settle()

    assert not last.fenced
    assert topic.retained == online(last.standing.epoch, last.standing.boot)


@given(LIVES)
def test_of_processes_that_start_one_after_another_the_newest_stays(
    lives: list[tuple[int, bool]],
) -> None:
    topic = Topic()
    for epoch, boot_after in lives:
        newest = topic.start(epoch, boot_after=boot_after)
        topic.settle()
        assert topic.living == [newest]
    assert topic.retained == online(newest.standing.epoch, newest.standing.boot)


@settings(max_examples=300)
@given(LIVES, st.lists(st.tuples(st.sampled_from("adcb"), st.integers(0, 4)), max_size=60))
def test_whatever_happens_at_once_in_the_end_one_stays_and_stands_as_online(
    lives: list[tuple[int, bool]], events: list[tuple[str, int]]
) -> None:
    topic = Topic()
    begun = [topic.start(epoch, boot_after=after) for epoch, after in lives]
    crashes = 0
    for event, index in events:
        if not topic.living:
            break
        process = topic.living[index % len(topic.living)]
        if event == "a":
            topic.announce(process)
        elif event == "d" and process.coming:
            topic.deliver(process)
        elif event == "c" and len(topic.living) > 1:
            topic.crash(process)
            crashes += 1
        elif event == "b":
            topic.bury()

    topic.settle()

    assert len(topic.living) <= 1
    fenced = sum(process.fenced for process in begun)
    assert len(topic.living) + crashes + fenced == len(begun)
    if not crashes:
        assert len(topic.living) == 1, "they fenced each other"
    for process in topic.living:
        assert topic.retained == online(process.standing.epoch, process.standing.boot)
