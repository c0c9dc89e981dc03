"""Topics are made and read in one place, and refuse every name that would be more than a name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import MalformedMessage, SettingsError
from shared.tasks import TASKS, Task
from shared.wire.filters import matches, split_pool
from shared.wire.topics import NAME_BYTES, Topics, check_name, is_name

names = st.text(
    st.characters(codec="utf-8", exclude_categories=["C", "Z"], exclude_characters="/+#$"),
    min_size=1,
    max_size=NAME_BYTES // 4,
)
BAD_NAMES = ["", "a/b", "+", "a#", "$SYS", "a b", "a\n", "a\x00", "\ud800", "a" * 65, "é" * 33]


@given(names, st.sampled_from(TASKS), names)
def test_a_prompts_topic_can_be_taken_apart_again(agent: str, task: Task, origin: str) -> None:
    topics = Topics()
    address = topics.read_prompt(topics.prompt(agent, task, origin))
    assert address == (agent, task, origin, origin)


@given(names, st.sampled_from(TASKS), names, names)
def test_who_passed_a_prompt_on_stands_in_its_topic(
    agent: str, task: Task, origin: str, sender: str
) -> None:
    topics = Topics()
    address = topics.read_prompt(topics.prompt(agent, task, origin, sender))
    assert address == (agent, task, origin, sender)


@given(names, names, names)
def test_an_origin_and_one_who_passes_on_write_on_different_topics(
    agent: str, origin: str, sender: str
) -> None:
    topics = Topics()
    own, passed_on = topics.prompts_of(origin), topics.prompts_through(sender, agent)
    for topic in (topics.prompt(agent, "classify", origin), topics.prompt(agent, "tag", "x", "y")):
        assert not (matches(own, topic) and matches(passed_on, topic))
    assert matches(own, topics.prompt(agent, "classify", origin))
    through = topics.prompt(agent, "classify", "device-1", sender)
    assert matches(passed_on, through) == (sender != "device-1")


@given(names, names)
def test_a_status_topic_can_be_taken_apart_again(tier: str, agent: str) -> None:
    topics = Topics("site/one")
    assert topics.read_status(topics.status(tier, agent)) == (tier, agent)


@given(names, names)
def test_a_filter_matches_the_topics_it_is_for_and_no_other_agents(agent: str, other: str) -> None:
    topics = Topics()
    mine = topics.prompts(agent)
    assert matches(mine, topics.prompt(agent, "classify", "device-1"))
    assert matches(mine, topics.prompt(agent, "classify", "device-1", "edge-1"))
    assert matches(mine, topics.prompt(other, "classify", "device-1")) == (agent == other)
    assert not matches(mine, topics.results(agent))


@given(st.text(max_size=60))
def test_any_text_is_a_topic_of_ours_or_refused(topic: str) -> None:
    topics = Topics()
    for read in (topics.read_prompt, topics.read_status):
        with pytest.raises(MalformedMessage):
            read(topic)


@pytest.mark.parametrize(
    "topic",
    [
        "recserve/v1/prompts/edge-1/classify",
        "recserve/v1/prompts/edge-1/classify/device-1/edge-2/more",
        "recserve/v1/prompts/edge-1/classify/device-1/device-1",
        "recserve/v1/prompts/edge-1/classify/device-1/+",
        "recserve/v1/prompts/edge-1/classify/device-1/",
        "recserve/v1/prompts//classify/device-1",
        "recserve/v1/prompts/edge-1/classify/+",
        "recserve/v2/prompts/edge-1/classify/device-1",
        "other/v1/prompts/edge-1/classify/device-1",
        "recserve/v1/results/device-1",
    ],
)
def test_a_topic_that_is_no_prompts_is_refused_by_name(topic: str) -> None:
    with pytest.raises(MalformedMessage) as refused:
        Topics().read_prompt(topic)
    assert topic in str(refused.value)


def test_a_prompt_for_an_unknown_task_is_refused_by_its_name() -> None:
    with pytest.raises(MalformedMessage, match="unknown task 'translate'"):
        Topics().read_prompt("recserve/v1/prompts/edge-1/translate/device-1")


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_name_that_is_no_topic_level_is_refused(name: str) -> None:
    assert not is_name(name)
    with pytest.raises(SettingsError, match="agent"):
        check_name(name, "agent")


@pytest.mark.parametrize("name", ["edge-1", "a", "pi_4.kitchen", "größe", "a" * 64, "é" * 32])
def test_a_plain_name_is_fine(name: str) -> None:
    assert check_name(name, "agent") == name


@pytest.mark.parametrize("root", ["", "/recserve", "a//b", "a/+", "$share"])
def test_a_root_of_impossible_levels_is_refused(root: str) -> None:
    with pytest.raises(SettingsError, match="topic root"):
        Topics(root)


def test_the_topics_are_those_of_the_documents() -> None:
    topics = Topics()
    assert topics.prompt("edge-1", "classify", "d-1") == "recserve/v1/prompts/edge-1/classify/d-1"
    passed_on = topics.prompt("cloud-1", "classify", "d-1", "edge-1")
    assert passed_on == "recserve/v1/prompts/cloud-1/classify/d-1/edge-1"
    assert topics.results("d-1") == "recserve/v1/results/d-1"
    assert topics.status("edge", "edge-1") == "recserve/v1/status/edge/edge-1"
    assert topics.ask("d-1") == "recserve/v1/ask/d-1"
    assert topics.answers("d-1") == "recserve/v1/answers/d-1"


def test_a_pool_is_a_shared_subscription_to_the_pools_address() -> None:
    shared = Topics().prompts("edges", pool="edges")
    assert shared == "$share/edges/recserve/v1/prompts/edges/#"
    assert split_pool(shared) == ("edges", "recserve/v1/prompts/edges/#")
    assert split_pool("recserve/#") == ("", "recserve/#")


@pytest.mark.parametrize(
    ("pattern", "topic", "matched"),
    [
        ("a/b", "a/b", True),
        ("a/b", "a", False),
        ("a", "a/b", False),
        ("a/+", "a/b", True),
        ("a/+", "a", False),
        ("a/+", "a/b/c", False),
        ("a/+/c", "a//c", True),
        ("a/#", "a", True),
        ("a/#", "a/b/c", True),
        ("#", "a/b", True),
        ("+", "a", True),
    ],
)
def test_filters_match_as_mqtt_says(pattern: str, topic: str, matched: bool) -> None:
    assert matches(pattern, topic) is matched
