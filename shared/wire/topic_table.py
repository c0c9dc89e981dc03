"""Every topic, for people: who writes it, and what it carries."""

from __future__ import annotations

from typing import Final

TABLE: Final = (
    (
        "{root}/v1/prompts/{agent}/{task}/{origin}",
        "the origin",
        "an escalated prompt, to one agent or a pool",
    ),
    (
        "{root}/v1/prompts/{agent}/{task}/{origin}/{sender}",
        "an agent between",
        "the same, passed on by an agent that is not its origin",
    ),
    ("{root}/v1/results/{origin}", "any tier", "a result, straight to where the prompt came from"),
    (
        "{root}/v1/status/{tier}/{agent}",
        "the agent",
        "retained JSON: alive or gone, tasks, model, load",
    ),
    ("{root}/v1/ask/{device}", "anyone", "a prompt for a device: plain text or JSON"),
    ("{root}/v1/answers/{device}", "the device", "the answers to those, as JSON"),
    (
        "{root}/v1/answers/{device}/{asker}",
        "the device",
        "the same, to one who names this as the response topic (MQTT 5)",
    ),
    (
        "{root}/v1/control/{agent}/report",
        "the agent",
        "retained JSON: its machine, engines and bundles",
    ),
    (
        "{root}/v1/control/{agent}/state",
        "the agent",
        "retained JSON: how far it is with the model that is wanted of it",
    ),
    (
        "{root}/v1/control/{agent}/telemetry",
        "the agent",
        "counts and loads as JSON, at QoS 0 and only while a centre wants them",
    ),
    (
        "{root}/v1/control/{agent}/explained",
        "the device",
        "its last prompts, hop by hop, as JSON, at QoS 0 and only while a centre wants them",
    ),
    (
        "{root}/v1/control/{agent}/desired",
        "the centre",
        "retained JSON: which model the agent is to serve, which to keep and which to drop",
    ),
    ("{root}/v1/memory/{agent}/ask", "the operator", "JSON: what is asked of an edge's memory"),
    ("{root}/v1/memory/{agent}/answers", "the edge", "JSON: the answers to that"),
    ("{root}/v1/memory/{agent}/offers", "the edge", "JSON: an entry that it shares with others"),
    (
        "{root}/v1/memory/epoch",
        "the operator",
        "retained JSON: no memory answers with what is from before that moment",
    ),
    ("{root}/v1/center", "the centre", "retained JSON: that it is there, and what it wants"),
    (
        "{root}/v1/placement/plan",
        "the centre",
        "retained JSON: which model every agent should serve, and why it changes",
    ),
    ("{root}/v1/placement/round", "the centre", "JSON: what a round of jobs came to"),
    (
        "{root}/v1/models/manifest/{digest}",
        "the centre",
        "retained JSON: the signed manifest of a bundle",
    ),
    ("{root}/v1/models/ask/{agent}", "the agent", "at QoS 0: which piece of a file it wants next"),
    (
        "{root}/v1/models/data/{sha256}",
        "the centre",
        "at QoS 0: the pieces of a file, each once for all who ask for it",
    ),
    (
        "{root}/v1/nights/{edge}/{trainer}/lesson",
        "the edge",
        "JSON: what its model is to learn on the machine of another agent",
    ),
    (
        "{root}/v1/nights/{trainer}/{edge}/taught",
        "the trainer",
        "JSON: how far it is with that, and what came of it",
    ),
    (
        "{root}/v1/nights/{edge}/{trainer}/let-go",
        "the edge",
        "JSON: that it has that, or wants it no more",
    ),
    (
        "{root}/v1/nights/{writer}/{reader}/ask",
        "either of them",
        "at QoS 0: which piece of the other's files it wants next",
    ),
    (
        "{root}/v1/nights/{writer}/{reader}/{sha256}",
        "the other one",
        "at QoS 0: the pieces of that file",
    ),
)
"""Topic, who writes it, what it carries."""
