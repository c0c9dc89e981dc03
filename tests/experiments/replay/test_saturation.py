"""A run that does not keep up is told so, by each of its signs and by no other."""

from __future__ import annotations

from experiments.replay.saturation import SaturationDetector, Tick, find_saturation


def ticks(
    seconds: int,
    *,
    due: float = 50,
    sent: float = 50,
    done: float = 50,
    lateness_s: float = 0.001,
    begin: int = 0,
) -> list[Tick]:
    """Ticks at constant rates per second."""
    return [
        Tick(float(s), round(due * s), round(sent * s), round(done * s), lateness_s)
        for s in range(begin + 1, begin + seconds + 1)
    ]


def signs(run: list[Tick]) -> set[str]:
    return {found.sign for found in find_saturation(run)}


def test_a_run_that_keeps_up_shows_no_sign() -> None:
    assert signs(ticks(60)) == set()


def test_prompts_that_go_out_late_are_a_sign() -> None:
    found = find_saturation(ticks(60, lateness_s=0.05))

    assert [sign for sign, *_ in found] == ["late"]
    assert found[0].said == "half of the prompts go out 50 ms late"


def test_prompts_that_do_not_go_out_are_a_sign() -> None:
    assert signs(ticks(60, due=50, sent=48, done=48)) == {"behind"}


def test_one_prompt_that_is_just_due_is_none() -> None:
    run = [tick._replace(due=tick.sent + 1) for tick in ticks(60)]

    assert signs(run) == set()


def test_a_second_in_which_the_generator_stumbles_is_none() -> None:
    run = ticks(60)
    run[30] = run[30]._replace(sent=run[30].sent - 40)

    assert signs(run) == set()


def test_results_that_do_not_come_back_are_a_sign() -> None:
    found = find_saturation(ticks(60, sent=50, done=30))

    assert [sign for sign, *_ in found] == ["backlog"]
    assert "50.0 prompts a second go out, 30.0 come back" in found[0].said


def test_many_under_way_are_none_while_as_many_come_back() -> None:
    run = [tick._replace(done=max(tick.done - 400, 0)) for tick in ticks(60, begin=10)]

    assert "backlog" not in signs(run[12:])


def test_a_sign_has_a_begin_and_an_end() -> None:
    calm = ticks(20)
    late = [tick._replace(lateness_s=0.2) for tick in ticks(20, begin=20)]
    calm_again = ticks(30, begin=40)

    (found,) = find_saturation([*calm, *late, *calm_again])

    assert found.sign == "late"
    assert 20 < found.begin_s <= 27
    assert 40 <= found.end_s <= 47


def test_a_handful_of_prompts_says_nothing() -> None:
    assert signs(ticks(60, due=0.5, sent=0.4, done=0.1, lateness_s=1.0)) == set()


def test_the_first_seconds_are_not_judged() -> None:
    judge = SaturationDetector()

    assert [judge.take(tick) for tick in ticks(5, lateness_s=9.0)] == [{}] * 5
