"""Who is told of a result, with which hops, and which links that crosses."""

from __future__ import annotations

from uuid import UUID

import msgspec

from shared.messages import Failure, Hop, Prompt, Result
from shared.protocol.replies import Reply, replies
from shared.tasks.classify import Label

DEVICE, EDGE, CLOUD = (Hop(tier, f"{tier}-1", 0.5, 0.7, 10) for tier in ("device", "edge", "cloud"))
FROM_DEVICE = Prompt(UUID(int=1), "device-1", "classify", "text", 30.0, (DEVICE,))
FROM_EDGE = FROM_DEVICE.after(EDGE, copy=True)


def answered(*hops: Hop) -> Result:
    return Result(UUID(int=1), Label("good"), hops)


def test_the_origin_gets_all_hops_but_its_own() -> None:
    assert replies(FROM_DEVICE, answered(DEVICE, EDGE), tier="edge", agent="edge-1") == [
        Reply("device-1", 1, ["device-edge"])
    ]


def test_a_result_from_further_up_crosses_every_link_on_its_way() -> None:
    prompt = msgspec.structs.replace(FROM_EDGE, copy=False)
    assert replies(prompt, answered(DEVICE, EDGE, CLOUD), tier="cloud", agent="cloud-1") == [
        Reply("device-1", 1, ["device-edge", "edge-cloud"])
    ]


def test_a_sender_that_asked_for_a_copy_gets_what_came_after_it() -> None:
    result = answered(DEVICE, EDGE, CLOUD)
    assert replies(FROM_EDGE, result, tier="cloud", agent="cloud-1") == [
        Reply("device-1", 1, ["device-edge", "edge-cloud"]),
        Reply("edge-1", 2, ["edge-cloud"]),
    ]


def test_neither_the_origin_nor_the_agent_itself_gets_a_copy() -> None:
    own = msgspec.structs.replace(FROM_DEVICE, copy=True)
    assert len(replies(own, answered(DEVICE, EDGE), tier="edge", agent="edge-1")) == 1
    assert len(replies(FROM_EDGE, answered(DEVICE, EDGE), tier="edge", agent="edge-1")) == 1


def test_a_failure_starts_its_way_from_here_though_it_has_no_hop_of_ours() -> None:
    failed = Result(UUID(int=1), Failure("invalid_prompt", "it is empty"), (DEVICE,))
    assert replies(FROM_DEVICE, failed, tier="edge", agent="edge-1") == [
        Reply("device-1", 1, ["device-edge"])
    ]


def test_an_origin_that_is_not_in_the_hops_knows_none_of_them() -> None:
    prompt = Prompt(UUID(int=1), "asker-1", "classify", "text", 30.0)
    assert replies(prompt, answered(EDGE), tier="edge", agent="edge-1") == [Reply("asker-1", 0, [])]
