"""Rights as values: nobody's reach beyond their own name, whatever the names are."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.access import ROLES, Member, Right, dynamic_security, rights, table
from shared.wire.filters import split_pool
from shared.wire.topics import Topics

TOPICS = Topics("plant/7")
BASE = "plant/7/v1"
CENTRE = {
    ("read", "control", "+", "explained"),
    ("read", "control", "+", "report"),
    ("read", "control", "+", "state"),
    ("read", "control", "+", "telemetry"),
    ("read", "control", "+", "explained"),
    ("read", "control", "+", "desired"),
    ("publish", "control", "+", "desired"),
    ("read", "models", "ask", "+"),
    ("publish", "models", "data", "+"),
}
NAMES = st.text("aB1-", min_size=1, max_size=3).map("x{}".format)
SITES = st.lists(
    st.builds(Member, name=NAMES, role=st.sampled_from(ROLES), pool=st.just("")),
    min_size=1,
    max_size=6,
    unique_by=lambda member: member.name,
)
SMALL = settings(max_examples=40)


def levels(right: Right) -> list[str]:
    """The levels below the version."""
    topics = split_pool(right.topics)[1]
    assert topics.startswith(f"{BASE}/")
    return topics.removeprefix(f"{BASE}/").split("/")


@SMALL
@given(SITES)
def test_everything_lies_below_the_root_and_only_what_is_addressed_to_one_is_open_to_any_depth(
    site: list[Member],
) -> None:
    for member in site:
        for right in rights(member, site, TOPICS):
            if "#" in levels(right):
                sees_all = member.role in {"operator", "center"}
                whole = ["status"] if sees_all else ["prompts", member.name]
                assert (right.verb, levels(right)) == ("read", [*whole, "#"])


@SMALL
@given(SITES)
def test_of_other_peoples_traffic_only_results_and_what_an_operator_asks_are_open(
    site: list[Member],
) -> None:
    """A right without the member's own name in it is one of these."""
    for member in site:
        others = [r for r in rights(member, site, TOPICS) if member.name not in levels(r)]
        for right in others:
            kind, *rest = levels(right)
            if kind in {"status", "center", "placement"} or (kind, *rest) in {
                ("models", "manifest", "+"),
                ("models", "data", "+"),
            }:
                assert right.verb == "read" or member.role == "center"
            elif member.role == "center" or (member.role == "operator" and kind == "control"):
                assert (right.verb, kind, *rest) in CENTRE
            elif member.role == "operator":
                assert (right.verb, kind, *rest) in {
                    ("publish", "ask", "+"),
                    ("read", "answers", "+"),
                    ("read", "answers", "+", "operator"),
                    ("publish", "memory", "+", "ask"),
                    ("read", "memory", "+", "answers"),
                    ("publish", "memory", "epoch"),
                    ("read", "memory", "epoch"),
                }
            elif kind == "memory":
                assert (right.verb, member.role) == ("read", "edge")
                assert rest in (["epoch"], ["+", "offers"])
            else:
                assert (kind, rest) == ("results", ["+"])
                assert (right.verb, member.role) in {("publish", "edge"), ("publish", "cloud")}


@SMALL
@given(SITES)
def test_prompts_are_sent_in_ones_own_name_and_passed_on_to_the_cloud_only(
    site: list[Member],
) -> None:
    for member in site:
        for right in rights(member, site, TOPICS):
            kind, *rest = levels(right)
            if (
                kind == "prompts"
                and right.verb == "publish"
                and member.role in {"device", "center"}
            ):
                assert rest == ["+", "+", member.name]
            elif kind == "prompts" and right.verb == "publish":
                agent, task, *others, sender = rest
                assert (member.role, task, sender) == ("edge", "+", member.name)
                assert others in ([], ["+"])  # its own, or passed on
                assert {m.role for m in site if m.name == agent} == {"cloud"}


@SMALL
@given(SITES)
def test_prompts_are_read_by_whom_they_are_addressed_to(site: list[Member]) -> None:
    for member in site:
        for right in rights(member, site, TOPICS):
            kind, name, *_ = *levels(right), ""
            if kind == "prompts" and right.verb == "read":
                assert name == member.name
                assert member.role in {"edge", "cloud"}


def test_a_device_sends_prompts_in_its_own_name_only() -> None:
    device = Member(name="pump", role="device")
    sent = [levels(r) for r in rights(device, [device], TOPICS) if r.topics.count("/prompts/")]
    assert sent == [["prompts", "+", "+", "pump"]]


def test_an_edge_agent_passes_prompts_on_as_their_sender_and_to_agents_above_only() -> None:
    site = [
        Member(name="shed", role="edge", pool="north"),
        Member(name="barn", role="edge", pool="north"),
        Member(name="sun", role="cloud", pool="sky"),
    ]
    sent = {
        right.topics
        for right in rights(site[0], site, TOPICS)
        if right.verb == "publish" and "/prompts/" in right.topics
    }
    own = {f"{BASE}/prompts/sun/+/shed", f"{BASE}/prompts/sky/+/shed"}
    assert sent == own | {f"{BASE}/prompts/sun/+/+/shed", f"{BASE}/prompts/sky/+/+/shed"}


@SMALL
@given(SITES)
def test_of_nights_one_end_is_always_oneself_and_the_other_of_what_one_says_is_above(
    site: list[Member],
) -> None:
    for member in site:
        for right in rights(member, site, TOPICS):
            kind, *rest = levels(right)
            if kind == "nights":
                writer, reader, word = rest
                assert (writer if right.verb == "publish" else reader) == member.name
                assert (member.role in {"edge", "cloud"}, word) == (True, "+")
                if member.role == "edge" and right.verb == "publish":
                    assert {m.role for m in site if m.name == reader} == {"cloud"}


def test_an_asker_of_two_devices_reaches_no_third() -> None:
    asker = Member(name="bob", role="asker", devices=("pump", "fan"))
    assert {r.topics for r in rights(asker, [asker], TOPICS)} == {
        f"{BASE}/ask/pump",
        f"{BASE}/ask/fan",
        f"{BASE}/answers/pump",
        f"{BASE}/answers/fan",
        f"{BASE}/answers/pump/bob",
        f"{BASE}/answers/fan/bob",
        f"{BASE}/answers/bob",
    }


def test_the_plugins_file_denies_by_default_and_gives_each_name_a_role_of_its_own() -> None:
    file = dynamic_security(
        {"a": [Right("publish", "x", "")], "b": [Right("read", "$share/p/y/+", "")]},
        {"b": {"password": "hash", "salt": "salt", "iterations": 101}},
    )
    denied = ("publishClientSend", "publishClientReceive", "subscribe")
    assert [file["defaultACLAccess"][kind] for kind in denied] == [False] * 3
    assert file["clients"] == [
        {"username": "a", "roles": [{"rolename": "a"}]},
        {
            "username": "b",
            "roles": [{"rolename": "b"}],
            "password": "hash",
            "salt": "salt",
            "iterations": 101,
        },
    ]
    assert [role["acls"] for role in file["roles"]] == [
        [{"acltype": "publishClientSend", "topic": "x", "allow": True}],
        [
            {"acltype": "subscribePattern", "topic": "$share/p/y/+", "allow": True},
            {"acltype": "publishClientReceive", "topic": "y/+", "allow": True},
        ],
    ]


@pytest.mark.parametrize("role", ROLES)
def test_every_role_is_in_the_documented_table(role: str) -> None:
    assert f"| {role} | read |" in table()


def test_the_table_in_the_documentation_is_the_one_in_force() -> None:
    page = Path(__file__).parents[2] / "docs/security.md"
    assert table() in page.read_text(encoding="utf-8"), "paste broker.access.table() there"
