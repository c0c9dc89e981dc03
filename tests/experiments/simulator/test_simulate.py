"""Whole installations in simulated time: what they decide, what they lose, and what they take."""

from __future__ import annotations

import itertools
import statistics
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from experiments.evaluation.offline import replay
from experiments.profiling.profile import Cost
from experiments.simulator.link import LinkFacts
from experiments.simulator.simulate import simulate
from experiments.simulator.station import RecordedAnswer
from shared.agent.settings import LimitSettings
from shared.cascade.policies import KeepAll, PassAll, Quality, Quantile, Skip
from shared.tasks.classify import Label
from tests.support.matrices import random_matrix
from tests.support.simulated import handling, machine, plays, world

if TYPE_CHECKING:
    from experiments.evaluation.matrix import Matrix
    from experiments.profiling.profile import AgentCosts
    from experiments.replay.records import Record
    from shared.cascade.policies import PolicySettings

FAR_APART_S = 1.0


def costing(**changes: Any) -> AgentCosts:
    """The usual costs, but for these."""
    return msgspec.structs.replace(handling(), **changes)


def spoken_of(matrix: Matrix) -> tuple[list[str], dict[str, list[RecordedAnswer]]]:
    """Give every row of a matrix a text of its own; return texts and what each tier says."""
    texts = [f"{row} {text}" for row, text in enumerate(matrix.data.texts)]
    names = matrix.data.label_names
    said = {
        text: [
            RecordedAnswer(Label(names[int(tier.labels[row])]), float(tier.confidence[row]))
            for tier in matrix.tiers
        ]
        for row, text in enumerate(texts)
    }
    return texts, said


def by_number(records: list[Record]) -> list[Record]:
    return sorted(records, key=lambda record: record.number)


@pytest.mark.parametrize(
    "policies",
    [
        (Quantile(beta=0.3), Quantile(beta=0.5)),
        (Quality(tolerance=0.02), Quantile(beta=0.3)),
        (Skip(), Quantile(beta=0.3)),
    ],
    ids=["quantile", "quality", "skip"],
)
def test_it_decides_as_the_offline_replay_does(policies: tuple[PolicySettings, ...]) -> None:
    """One device, and prompts so far apart that each is answered before the next one comes."""
    matrix = random_matrix(600, longest_chars=40)
    texts, said = spoken_of(matrix)
    device, edge = policies
    plan = world(device=device, edge=edge, spoken=said, beyond=True)
    asked = [
        play._replace(text=text)
        for play, text in zip(
            plays([row * FAR_APART_S for row in range(len(texts))]), texts, strict=True
        )
    ]

    records = by_number(simulate(plan, asked).records)
    offline = replay(matrix, (device, edge, KeepAll()), seed=0)

    tiers = [tier.tier for tier in matrix.tiers]
    simulated = [tiers.index(record.tier) for record in records]
    if isinstance(device, Skip | Quality):  # these draw, and draw other numbers
        shares = [simulated.count(place) / len(simulated) for place in range(3)]
        assert shares == pytest.approx(offline.share.tolist(), abs=0.08)
    else:
        assert simulated == offline.tier.tolist()
        for record, row in zip(records, range(len(records)), strict=True):
            for place, hop in zip(
                [tiers.index(hop.tier) for hop in record.hops], record.hops, strict=True
            ):
                assert hop.threshold == offline.threshold[place, row]


def test_a_kept_prompt_takes_the_devices_work_and_no_more() -> None:
    (record,) = simulate(world(), plays([0.0])).records

    assert record.tier == "device"
    assert record.latency_s == pytest.approx(100e-6 + 500e-6)


def test_an_escalated_prompt_takes_every_step_on_its_way() -> None:
    line = LinkFacts(delay_s=0.010)
    (record,) = simulate(world(device=PassAll(), line=line), plays([0.0])).records

    device_s, edge_s, messages_s = 100e-6 + 500e-6 + 100e-6, 100e-6 + 1000e-6, 2 * 10e-6
    assert record.tier == "edge"
    assert record.latency_s == pytest.approx(device_s + edge_s + messages_s + 2 * 0.010)
    assert set(record.packet_bytes) == {"device-edge"}


def test_the_same_seed_gives_the_same_run_and_another_seed_another() -> None:
    def run(seed: int) -> list[float]:
        times = [number * 0.0007 for number in range(500)]
        lossy = LinkFacts(delay_s=0.005, loss=0.05)
        plan = world(device=PassAll(), edges=3, devices=5, line=lossy)
        return [
            record.done_s for record in simulate(plan, plays(times, devices=5), seed=seed).records
        ]

    assert run(1) == run(1)
    assert run(1) != run(2)


def test_two_edges_share_what_is_sent_up() -> None:
    times = [number * 0.002 for number in range(1000)]
    records = simulate(world(device=PassAll(), edges=2, devices=4), plays(times, devices=4)).records

    agents = [record.hops[-1].agent for record in records]
    assert 350 <= agents.count("edge-1") <= 650


def test_more_edges_answer_sooner_under_load() -> None:
    times = [number * 0.0006 for number in range(3000)]  # the model needs 1 ms

    def mean_s(edges: int) -> float:
        plan = world(device=PassAll(), edges=edges, devices=4)
        return statistics.fmean(
            r.latency_s for r in simulate(plan, plays(times, devices=4)).records
        )

    assert mean_s(2) < mean_s(1) / 3


def test_what_is_asked_for_is_answered_even_when_it_is_far_too_much() -> None:
    """An edge that needs 50 ms a prompt gets one each ms: it declines, and devices cope."""
    times = [number * 0.001 for number in range(800)]
    limits = LimitSettings(queue_prompts=20)
    plan = world(device=PassAll(), devices=4, model_us=(100.0, 50_000.0, 100.0), limits=limits)

    simulated = simulate(plan, plays(times, devices=4), timeout_s=5.0)

    assert len(simulated.records) == 800
    degraded = [record for record in simulated.records if record.degraded]
    assert degraded, "what no edge takes, the device answers itself"
    assert {record.tier for record in degraded} == {"device"}
    assert max(record.latency_s for record in simulated.records) <= 5.5


def test_a_lossy_line_is_slower_and_loses_nothing() -> None:
    times = [number * 0.01 for number in range(500)]
    lossy = simulate(world(device=PassAll(), line=LinkFacts(0.01, loss=0.1)), plays(times))
    clean = simulate(world(device=PassAll(), line=LinkFacts(0.01)), plays(times))

    assert len(lossy.records) == len(clean.records) == 500
    slowest = max(record.latency_s for record in lossy.records)
    assert slowest > 0.2 > max(record.latency_s for record in clean.records)


def test_a_machine_for_all_is_slower_than_one_each() -> None:
    times = [number // 2 * 0.004 for number in range(2000)]  # two at a time
    one = machine("all", cores=1, single=True)
    together = simulate(world(device=PassAll(), devices=5, on=one), plays(times, devices=5))
    apart = simulate(world(device=PassAll(), devices=5), plays(times, devices=5))

    def mean_s(records: list[Record]) -> float:
        return statistics.fmean(record.latency_s for record in records)

    assert mean_s(together.records) > 1.2 * mean_s(apart.records)
    (edge,) = [used for used in together.busy if used.tier == "edge"]
    assert edge.share == pytest.approx(1000 / 2000, abs=0.15), "of its model, on a core it shares"
    for used in together.busy:
        assert used.cores == pytest.approx(1820 / 2000, abs=0.01), "µs of work in each 2 ms"


def test_samples_and_ticks_say_how_it_went_second_by_second() -> None:
    times = [number * 0.01 for number in range(500)]

    simulated = simulate(world(device=PassAll()), plays(times))

    edge = [sample for sample in simulated.samples if sample.agent == "edge-1"]
    assert edge[-1].batched == 500
    assert [sample.at_s for sample in edge] == [float(second) for second in range(len(edge))]
    last = simulated.ticks[-1]
    assert (last.due, last.sent, last.done) == (500, 500, 500)
    assert all(a.sent <= b.sent for a, b in itertools.pairwise(simulated.ticks))


def test_links_carry_what_the_records_say() -> None:
    times = [number * 0.01 for number in range(200)]

    simulated = simulate(world(device=PassAll(), edge=PassAll()), plays(times))

    recorded = {
        link: sum(record.packet_bytes[link] for record in simulated.records)
        for link in ("device-edge", "edge-cloud")
    }
    assert simulated.link_bytes == recorded


def test_virtual_devices_share_one_loop_with_the_replay_that_plays_to_them() -> None:
    """Sending (a tenth of ``generate``), the device's steps and the model follow each other."""
    busy = costing(generate=Cost(1000.0, 1000.0))
    plan = world(devices=2, virtual=True, on=machine("all", single=True, costs=busy))

    (first, second) = simulate(plan, plays([1.0, 1.0], devices=2)).records

    sent_s = sorted((first.sent_s, second.sent_s))
    assert sent_s[1] - sent_s[0] == pytest.approx(100e-6), "one after the other"
    assert 0 <= sent_s[0] - 1.0 - 100e-6 <= 0.001, "a timer is up to a millisecond late"
    # Its 100 µs of work, the model's 500, and most of ``generate`` before the record is made.
    assert min(each.done_s - each.sent_s for each in (first, second)) >= 1500e-6


def test_watching_agents_takes_a_replays_time() -> None:
    def busy_share(watch_us: float) -> float:
        watching = machine("all", single=True, costs=costing(watch_us=watch_us))
        simulated = simulate(world(virtual=True, on=watching), plays([9.0]))
        return next(used.share for used in simulated.busy if used.tier == "device")

    assert busy_share(40_000.0) - busy_share(0.0) == pytest.approx(0.04, abs=0.004)


def test_tidying_up_after_the_answer_is_out_does_not_delay_it() -> None:
    """It delays what comes next on the loop: after accepting, the model's turn."""
    tidy = machine("all", single=True, costs=costing(on_path=0.5))

    (record,) = simulate(world(on=tidy), plays([0.0])).records

    accept_s, model_s, settle_s = 50e-6, 500e-6, 50e-6
    assert record.latency_s == pytest.approx(accept_s + model_s + settle_s / 2)
