"""Rate limits: what one sender may have, in prompts and in bytes."""

from __future__ import annotations

from shared.protocol.rate_limit import COUNTED_BYTES, DEVICES_PER_RELAY, RateLimiter


def admitted(rates: RateLimiter, count: int, now_s: float = 0.0, **how: object) -> int:
    return sum(rates.admit("d", now_s, **how) for _ in range(count))  # type: ignore[arg-type]


def test_a_burst_at_once_and_then_so_many_a_second() -> None:
    rates = RateLimiter(10.0, 5)
    assert admitted(rates, 100) == 5
    assert admitted(rates, 100, 0.3) == 3
    assert admitted(rates, 100, 1000.0) == 5


def test_every_sender_has_a_bucket_of_its_own() -> None:
    rates = RateLimiter(1.0, 1)
    assert rates.admit("a", 0.0)
    assert not rates.admit("a", 0.0)
    assert rates.admit("b", 0.0)


def test_without_a_rate_everything_goes_through() -> None:
    assert admitted(RateLimiter(0.0, 1), 1_000) == 1_000


def test_a_large_prompt_counts_as_many_and_may_go_into_debt() -> None:
    rates = RateLimiter(10.0, 1)
    assert admitted(rates, 100, 0.0, size_bytes=9 * COUNTED_BYTES) == 1
    assert admitted(rates, 1, 0.9) == 0
    assert admitted(rates, 1, 1.01) == 1


def test_a_relays_devices_are_counted_each_for_itself_and_all_together() -> None:
    rates = RateLimiter(10.0, 2)
    assert sum(rates.admit("relay", 0.0, device="a") for _ in range(9)) == 2
    assert sum(rates.admit("relay", 0.0, device="b") for _ in range(9)) == 2
    made_up = sum(rates.admit("relay", 0.0, device=f"x{number}") for number in range(1_000))
    assert made_up == 2 * DEVICES_PER_RELAY - 4


def test_senders_without_end_fill_a_bounded_memory() -> None:
    rates = RateLimiter(1.0, 1)
    for number in range(30_000):
        rates.admit(f"d{number}", 0.0)
    assert len(rates._buckets) == 10_000
