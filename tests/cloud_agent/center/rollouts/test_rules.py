"""A rollout goes on or back by its rules, whatever the agents count."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from cloud_agent.center.rollouts.rules import Rollout, RolloutRules, choose_canaries, judge
from shared.wire.control import NodeState, Telemetry

DIGEST = "d" * 64
RULES = RolloutRules(watch_s=60, prompts=50, patience_s=600)
BEFORE = Telemetry(
    uptime_s=1000, kept=700, escalated=300, decided=1000, decided_ms=10_000,
    thresholds={"classify": 0.8}, compared=300, agreed=270,
)  # fmt: skip
SERVING = {"a": NodeState(active=DIGEST, wanted=DIGEST, phase="active")}


def rollout(**rules: float) -> Rollout:
    return Rollout(
        digest=DIGEST,
        name="bag 2",
        agents=("a", "b", "c"),
        canaries=("a",),
        rules=replace(RULES, **rules),
        started_s=1000.0,
        watched_s=1000.0,
        before=dict.fromkeys("abc", BEFORE),
        since=dict.fromkeys("abc", BEFORE),
    )


def after(**counts: object) -> dict[str, Telemetry]:
    canary = replace(
        BEFORE, uptime_s=1100, kept=770, escalated=330, compared=330, agreed=297,
        **{"decided": 1100, "decided_ms": 11_000} | counts,
    )  # fmt: skip
    return {"a": canary, "b": replace(BEFORE, uptime_s=1100), "c": BEFORE}


def test_canaries_are_at_least_one_and_never_all_of_several() -> None:
    assert choose_canaries(["b", "a", "c"], 0.01) == ("a",)
    assert choose_canaries(["b", "a", "c"], 1.0) == ("a", "b")
    assert choose_canaries(["only"], 0.1) == ("only",)
    assert len(choose_canaries([f"n{n}" for n in range(100)], 0.1)) == 10


def test_it_waits_until_the_canaries_serve_it() -> None:
    move = judge(rollout(), 1010.0, {"a": NodeState(wanted=DIGEST, phase="fetching")}, after())

    assert (move.what, move.reason) == ("wait", "waiting for a to serve it")


def test_they_are_watched_from_when_all_of_them_have_it() -> None:
    """Whatever they did while it was on its way says nothing of it."""
    fresh = replace(rollout(), watched_s=None)

    assert judge(fresh, 1500.0, SERVING, after()).what == "watch"
    late = replace(fresh, watched_s=1500.0, since=after())
    assert judge(late, 1570.0, SERVING, after()).reason == "0 of 50 prompts, 70 of 60 s"


def test_a_threshold_that_moved_before_they_are_watched_has_moved() -> None:
    moved = after(thresholds={"classify": 0.5})
    more = replace(moved["a"], uptime_s=1200, kept=850)
    seen = replace(rollout(), since=moved)

    move = judge(seen, 1060.0, SERVING, moved | {"a": more})
    assert "the threshold moved by 0.30" in move.reason


def test_it_goes_on_when_nothing_got_worse_over_enough_prompts_and_time() -> None:
    assert judge(rollout(), 1059.0, SERVING, after()).what == "wait"
    move = judge(rollout(), 1060.0, SERVING, after())
    assert (move.what, move.reason) == ("on", "100 prompts, 0 failed, 10.0 ms")


def test_too_few_prompts_are_waited_for_and_then_given_up() -> None:
    few = {"a": replace(BEFORE, uptime_s=1100, kept=710)}

    assert judge(rollout(), 1500.0, SERVING, few).what == "wait"
    move = judge(rollout(), 1601.0, SERVING, few)
    assert move.what == "back"
    assert "not in time: 10 of 50 prompts" in move.reason


def test_a_canary_that_cannot_take_it_takes_it_back() -> None:
    refused = {"a": NodeState(wanted=DIGEST, phase="rolled back", detail="other labels")}
    move = judge(rollout(), 1001.0, refused, after())

    assert (move.what, move.reason) == ("back", "a has rolled back: other labels")


def test_failing_prompts_take_it_back_at_once() -> None:
    move = judge(rollout(), 1001.0, SERVING, after(failed=9))

    assert move.what == "back"
    assert "9 of 109 prompts failed" in move.reason


def test_slower_answers_take_it_back() -> None:
    assert judge(rollout(), 1060.0, SERVING, after(decided_ms=11_990)).what == "on"
    move = judge(rollout(), 1060.0, SERVING, after(decided_ms=12_010))
    assert "20.1 ms a prompt, before 10.0 ms" in move.reason


def test_a_threshold_that_moved_far_takes_it_back() -> None:
    move = judge(rollout(), 1060.0, SERVING, after(thresholds={"classify": 0.5}))

    assert "the threshold moved by 0.30" in move.reason


def test_a_tier_above_that_agrees_less_takes_it_back() -> None:
    now = after()
    now["a"] = replace(now["a"], agreed=290)  # 20 of 30, where it was nine in ten
    move = judge(rollout(), 1060.0, SERVING, now)

    assert move.what == "back"
    assert "the tier above agrees 23.3% less often" in move.reason


def test_agents_that_compare_only_during_a_rollout_are_held_against_the_others() -> None:
    silent = replace(BEFORE, compared=0, agreed=0)
    at_first = replace(
        rollout(), before=dict.fromkeys("abc", silent), since=dict.fromkeys("abc", silent)
    )
    now = after()
    now["a"] = replace(now["a"], compared=30, agreed=20)
    now["b"] = replace(silent, uptime_s=1100, compared=40, agreed=38)
    now["c"] = silent

    move = judge(at_first, 1060.0, SERVING, now)
    assert move.what == "back"
    assert "the tier above agrees 28.3% less often" in move.reason
    now["b"] = replace(now["b"], agreed=28)
    assert judge(at_first, 1060.0, SERVING, now).what == "on"


def test_a_canary_that_was_started_again_counts_from_its_start() -> None:
    fresh = {"a": Telemetry(uptime_s=50, kept=45, escalated=15, decided=60, decided_ms=600,
                            thresholds={"classify": 0.8})}  # fmt: skip

    assert judge(rollout(), 1060.0, SERVING, fresh).reason.startswith("60 prompts")


def settings_rollout(**rules: float) -> Rollout:
    return replace(rollout(**rules), digest="", settings={"tier.policy.beta": "0.4"})


def going_by(text: str, **more: Any) -> dict[str, NodeState]:
    return {"a": NodeState(settings={"tier.policy.beta": text}, **more)}


def test_settings_are_waited_for_until_they_are_in_force() -> None:
    move = judge(settings_rollout(), 1010.0, going_by("0.3"), after())
    assert (move.what, move.reason) == ("wait", "waiting for a to go by it")
    refused = going_by("0.3", phase="refused", detail="beta is 4")
    move = judge(settings_rollout(), 1010.0, refused, after())
    assert (move.what, move.reason) == ("back", "a has refused: beta is 4")
    assert judge(settings_rollout(), 1060.0, going_by("0.4"), after()).what == "on"


def test_settings_may_move_the_threshold_unless_a_rule_is_given() -> None:
    moved = after(thresholds={"classify": 0.3})
    moved["a"] = replace(moved["a"], agreed=290)

    assert judge(settings_rollout(), 1060.0, going_by("0.4"), moved).what == "on"
    move = judge(settings_rollout(threshold_drift=0.4), 1060.0, going_by("0.4"), moved)
    assert "the threshold moved by 0.50, more than 0.4" in move.reason
    move = judge(settings_rollout(agreement_loss=0.2), 1060.0, going_by("0.4"), moved)
    assert "the tier above agrees 23.3% less often, more than 20.0%" in move.reason


def test_more_prompts_without_the_tiers_above_take_it_back() -> None:
    assert judge(settings_rollout(), 1060.0, going_by("0.4"), after(degraded=10)).what == "on"
    move = judge(settings_rollout(), 1060.0, going_by("0.4"), after(degraded=11))
    assert "11.0% more prompts are answered here for want of the tiers above" in move.reason
