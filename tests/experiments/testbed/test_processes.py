"""What ``experiments.testbed.processes`` gives to those who start agents."""

from __future__ import annotations

from experiments.testbed.processes import free_port


def test_a_port_is_not_given_twice_before_all_were() -> None:
    """Whoever was given one may not listen on it yet."""
    given = [free_port() for _ in range(2_000)]

    assert len(set(given)) == len(given)
    assert all(20_000 <= port < 32_000 for port in given)
