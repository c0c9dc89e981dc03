"""Prompts on which a packed language model is held against its original unless others are given."""

from __future__ import annotations

from typing import Final

PROMPTS: Final = (
    "What is the capital of France?",
    "Write one sentence about the sea.",
    "Explain in simple words why the sky is blue.",
    "Name three things that a plumber needs.",
    "Translate into German: Two dogs play in the snow.",
    "Summarise: The pump ran dry at noon, the valve stuck, and by three the cellar was flooded.",
    "Is this review positive or negative? The soup was cold and the waiter slow.",
    "How many days has a leap year?",
    "Write a polite reply to a customer whose parcel came broken.",
    "Give the plural of mouse, child and house.",
    "What should I check first when a radiator stays cold?",
    "Continue: Once upon a time there was a lighthouse keeper who",
)
