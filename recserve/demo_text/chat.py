"""A few questions to a device that chats, one after another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from experiments.testbed.client import DeviceClient

if TYPE_CHECKING:
    from shared.bus.mqtt.settings import MqttSettings

QUESTIONS: Final = (
    "What is the capital of France?",
    "Write one sentence about the sea.",
    "Why does a pump need oil?",
)


async def chat(device: str, mqtt: MqttSettings, *, timeout_s: float) -> list[dict[str, Any]]:
    """Return what was asked and answered; an answer that does not come ends the chat."""
    turns = []
    async with DeviceClient.open(mqtt, [device]) as client:
        for question in QUESTIONS:
            answer = await client.ask(device, question, timeout_s=timeout_s, task="generate")
            if answer is None or "text" not in answer:
                break
            seconds = answer["elapsed_ms"] / 1000
            turns.append(
                {
                    "asked": question,
                    "answered": answer["text"],
                    "tokens": answer["tokens_out"],
                    "tokens_s": round(answer["tokens_out"] / seconds, 1) if seconds else 0.0,
                    "confidence": answer["confidence"],
                }
            )
    return turns
