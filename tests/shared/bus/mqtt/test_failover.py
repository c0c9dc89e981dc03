"""Lists of brokers: how they are written, in what order they are tried, and how long between."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from shared.agent.settings import AgentSettings, TierSettings, UpstreamSettings
from shared.bus.mqtt.failover import BrokerFailover
from shared.bus.mqtt.settings import MqttSettings, TlsSettings
from shared.cascade.policies import KeepAll
from shared.errors import SettingsError
from shared.runtimes import ModelSettings
from shared.settings.address import Address, read_address
from shared.settings.file import convert

A, B, C = Address("a", 1883), Address("b", 1884), Address("c", 1885)


def three(**changes: object) -> BrokerFailover:
    settings = MqttSettings(host="a", fallbacks=("b:1884", "c:1885"), **changes)  # type: ignore[arg-type] # whatever the test varies
    return BrokerFailover(settings, random.Random(1))


# -- how they are written ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("broker.lan:1883", Address("broker.lan", 1883)),
        ("10.0.0.7:8883", Address("10.0.0.7", 8883)),
        ("[::1]:1883", Address("::1", 1883)),
    ],
)
def test_an_address_is_read_and_written_alike(text: str, address: Address) -> None:
    assert read_address(text) == address
    assert str(address) == text


@pytest.mark.parametrize(
    "text", ["", "broker.lan", ":1883", "a:", "a:port", "a:0", "a:65536", "::1:1883", "a:²", "a:-1"]
)
def test_what_is_no_address_is_refused_by_name(text: str) -> None:
    with pytest.raises(SettingsError, match="not of the form host:port") as refused:
        MqttSettings(fallbacks=(text,))
    assert repr(text) in str(refused.value)


@pytest.mark.parametrize("fallbacks", [("a:1883",), ("b:1", "b:1")])
def test_a_broker_that_is_named_twice_is_refused(fallbacks: tuple[str, ...]) -> None:
    with pytest.raises(SettingsError, match="twice"):
        MqttSettings(host="a", fallbacks=fallbacks)


def test_the_preferred_broker_comes_first() -> None:
    assert MqttSettings(host="a", fallbacks=("b:1884", "c:1885")).brokers == [A, B, C]


# -- a broker of the tier above ----------------------------------------------------------------


def edge(mqtt: MqttSettings, upstream: str | None = "cloud") -> AgentSettings:
    return AgentSettings(
        agent="edge-1",
        tier=TierSettings(name="edge", upstream=upstream, policy=KeepAll()),
        model=ModelSettings(source="x"),
        upstream=UpstreamSettings(mqtt=mqtt),
    )


def test_an_agent_without_a_tier_above_needs_no_broker_there() -> None:
    with pytest.raises(SettingsError, match=r"upstream\.mqtt needs tier\.upstream"):
        edge(MqttSettings(), upstream=None)


def test_the_sites_password_is_not_sent_to_the_broker_above() -> None:
    with pytest.raises(SettingsError, match=r"upstream\.mqtt\.password_file"):
        edge(MqttSettings(host="cloud", username="edge-1"))
    assert edge(MqttSettings(host="cloud", username="edge-1", password_file="p"))  # noqa: S106 - a path
    tls = TlsSettings(cert_file="client.crt")
    assert edge(MqttSettings(host="cloud", username="edge-1", tls=tls))


def test_the_settings_on_the_page_about_brokers_are_settings() -> None:
    page = Path(__file__).parents[4] / "docs/brokers.md"
    blocks = re.findall(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        tree = {"agent": "edge-1", "tier": {"name": "edge"}, "model": {"source": "x"}}
        settings = convert(AgentSettings, tree | yaml.safe_load(block), page.name)
        assert settings.mqtt.fallbacks or settings.upstream.mqtt


# -- the order of attempts ---------------------------------------------------------------------


def test_brokers_are_tried_in_turn_and_round_again() -> None:
    brokers = three()
    tried = []
    for _ in range(7):
        tried.append(brokers.next)
        brokers.failed()
    assert tried == [A, B, C, A, B, C, A]


def test_after_a_loss_the_search_begins_at_the_top_without_a_wait() -> None:
    brokers = three()
    brokers.failed()
    assert brokers.next == B
    assert brokers.lost(lasted_s=3600.0) == 0.0
    assert brokers.next == A


def test_a_connection_that_did_not_last_counts_as_a_failure() -> None:
    """Two processes that throw each other out, or a listener that hangs up, must not spin."""
    brokers = three(reconnect_min_s=1.0, reconnect_max_s=64.0)
    pauses = [brokers.lost(lasted_s=0.1) for _ in range(30)]
    assert max(pauses[:1]) <= 1.0
    assert max(pauses) > 16.0
    assert brokers.next == A


def test_pauses_are_short_within_a_round_and_double_between_rounds() -> None:
    for seed in range(20):
        settings = MqttSettings(
            host="a", fallbacks=("b:1884",), reconnect_min_s=1.0, reconnect_max_s=8.0
        )
        brokers = BrokerFailover(settings, random.Random(seed))
        pauses = [brokers.failed() for _ in range(12)]
        assert all(pause <= 1.0 for pause in pauses[::2])
        assert all(
            pause <= limit for pause, limit in zip(pauses[1::2], [1, 2, 4, 8, 8, 8], strict=True)
        )


def test_a_lasting_connection_makes_the_pauses_short_again() -> None:
    brokers = three(reconnect_min_s=1.0, reconnect_max_s=64.0)
    for _ in range(30):
        brokers.failed()
    brokers.lost(lasted_s=60.0)
    assert all(brokers.failed() <= 1.0 for _ in range(3))


def test_who_lost_a_broker_together_does_not_come_back_together() -> None:
    settings = MqttSettings(host="a", reconnect_min_s=1.0)
    pauses = sorted(BrokerFailover(settings, random.Random(seed)).failed() for seed in range(300))
    assert pauses[30] < 0.2
    assert pauses[-30] > 0.8


def test_only_brokers_before_ones_own_are_preferred() -> None:
    brokers = three()
    assert list(brokers.before(A)) == []
    assert list(brokers.before(C)) == [A, B]


@given(st.sets(st.sampled_from([A, B, C]), min_size=1), st.integers(0, 1000), st.integers(0, 5))
def test_whoever_searches_the_same_list_ends_at_the_first_broker_that_can_be_reached(
    reachable: set[Address], seed: int, started_at: int
) -> None:
    brokers = BrokerFailover(
        MqttSettings(host="a", fallbacks=("b:1884", "c:1885")), random.Random(seed)
    )
    for _ in range(started_at):
        brokers.failed()
    while brokers.next not in reachable:
        brokers.failed()
    here = brokers.next
    # where it looks from time to time at those before it, as the bus does
    home = next((found for found in brokers.before(here) if found in reachable), here)
    assert home == min(reachable, key=[A, B, C].index)


# -- versions ----------------------------------------------------------------------------------


def test_each_broker_is_asked_for_a_version_of_its_own() -> None:
    brokers = three()
    assert brokers.swap_version(A), "3.1.1 is untried"
    assert (brokers.version(A), brokers.version(B)) == (4, 5)
    assert not brokers.swap_version(A), "both were tried"
    assert brokers.version(A) == 5


def test_a_protocol_that_was_set_is_not_swapped() -> None:
    brokers = three(protocol="3.1.1")
    assert not brokers.swap_version(A)
    assert brokers.version(A) == 4


def test_an_answer_is_waited_for_only_briefly_while_another_version_can_be_tried() -> None:
    brokers = three(connect_timeout_s=5.0)
    assert brokers.handshake_s(A) == 2.0
    brokers.swap_version(A)
    assert brokers.handshake_s(A) == 5.0
    assert three(protocol="5", connect_timeout_s=5.0).handshake_s(A) == 5.0
