"""Both protocol cores under whatever a network, two disks and two power switches can do."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.support.crashing_world import LONG_S, Fault, World

RUNS = settings(
    max_examples=200,
    stateful_step_count=50,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
# To find a planted fault is enough: nobody reads the smallest example of it.
HUNT = settings(RUNS, max_examples=2_000, derandomize=True, phases=[Phase.generate])


class Protocol(RuleBasedStateMachine):
    """Rules are what may happen; the invariants and the end are what must hold."""

    fault = Fault.NONE

    def __init__(self) -> None:
        super().__init__()
        self.world = World(self.fault)
        self.asked = 0

    @rule(limit_s=st.sampled_from([1.0, 10.0, LONG_S]), poison=st.booleans())
    def ask(self, limit_s: float, poison: bool) -> None:
        self.asked += 1
        self.world.ask(self.asked, limit_s=limit_s, poison=poison and self.asked % 3 == 0)

    @precondition(lambda self: self.world.device_to_do)
    @rule(steps=st.integers(1, 4))
    def device_works(self, steps: int) -> None:
        for _ in range(min(steps, len(self.world.device_to_do))):
            self.world.device_step()

    @precondition(lambda self: self.world.edge_to_do)
    @rule(steps=st.integers(1, 4))
    def edge_works(self, steps: int) -> None:
        for _ in range(steps):
            if self.world.edge_to_do:
                self.world.edge_step()

    @precondition(lambda self: self.world.network)
    @rule(data=st.data(), duplicate=st.booleans())
    def a_message_arrives(self, data: Any, duplicate: bool) -> None:
        index = data.draw(st.integers(0, len(self.world.network) - 1))
        self.world.deliver(index, duplicate=duplicate)

    @precondition(lambda self: self.world.network)
    @rule(data=st.data())
    def a_message_is_lost(self, data: Any) -> None:
        self.world.network.pop(data.draw(st.integers(0, len(self.world.network) - 1)))

    @rule(seconds=st.sampled_from([0.1, 0.6, 3.0, 70.0]))
    def time_passes(self, seconds: float) -> None:
        self.world.pass_time(seconds)

    @rule()
    def the_connection_returns(self) -> None:
        self.world.device.rearm(self.world.now_s)

    @rule()
    def the_device_dies_and_starts(self) -> None:
        self.world.start_device()

    @rule()
    def the_edge_dies_and_starts(self) -> None:
        self.world.start_edge()

    @invariant()
    def nobody_sees_two_results(self) -> None:
        self.world.check_answers()

    def teardown(self) -> None:
        self.world.heal()
        self.world.check_answers()
        self.world.check_all_answered()


def machine(planted: Fault) -> type[Protocol]:
    class Planted(Protocol):
        fault = planted

    return Planted


def test_every_accepted_prompt_ends_in_one_result_whatever_happens() -> None:
    run_state_machine_as_test(machine(Fault.NONE), settings=RUNS)


@pytest.mark.parametrize("fault", [fault for fault in Fault if fault is not Fault.NONE])
def test_a_planted_fault_is_found(fault: Fault) -> None:
    with pytest.raises(AssertionError):
        run_state_machine_as_test(machine(fault), settings=HUNT)
