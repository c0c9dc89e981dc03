"""Texts on which a packed model is compared with its original when no others are given.

Chosen for variety of length, case, script and tone; what they mean to a particular model does
not matter, only that both versions of it see the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SAMPLES: Final = (
    "Good.",
    "no",
    "What a waste of an evening.",
    "The second half drags, but the ending makes up for it.",
    "I would buy this kettle again tomorrow.",
    "It broke after two days and nobody answers the phone.",
    "Not bad at all!",
    "Not good at all!",
    "THE BEST THING I HAVE SEEN THIS YEAR",
    "why does it always rain on the day that I wash the car ?",
    "Please turn down the lights in the hall at nine.",
    "A slow film , lovingly made , that asks for patience and repays it .",
    "Two hours of my life that I shall not get back.",
    "The waiter was kind; the soup was cold.",
    "She smiled, and for a moment the whole room was warmer.",
    "He slammed the door so hard that the picture fell off the wall.",
    "I am so nervous about tomorrow that I cannot sleep.",
    "You did it! I knew you would!",
    "The meeting has been moved to Thursday at 14:30.",
    "Sensor 7 reports 81.4 degrees, which is 12 above its limit.",
    "Battery at 3 %, shutting down.",
    "Free prize!!! Click now to claim your 1000 euros",
    "Could you send me the minutes of the last two meetings?",
    "Nobody could call it clever, yet I laughed from start to end.",
    "It has charm, wit and a heart, and none of them is enough.",
    "Everything about it is fine and nothing about it is memorable.",
    "If you liked the first one, stay away from this one.",
    "An astonishing performance in an otherwise forgettable play.",
    "The screen is bright, the keys are firm, the price is absurd.",
    "My daughter loves it, my son hates it, the dog has eaten it.",
    "Das Essen war gut, aber die Musik war viel zu laut.",
    "Le train est encore en retard.",
    "最高の一日でした。",
    "naïve café façade, coöperate, Ångström",
    "lol ok 👍",
    "https://example.org/a?b=c is where I read it",
    "... --- ...",
    "never never never never never never again",
    (
        "I had low hopes. They were met. The plot has holes, the actors look tired, and the music "
        "tells you what to feel a full second before anything happens. Still, the photography is "
        "splendid, and there is one scene on a ferry, in fog, without a word said, that stays."
    ),
    (
        "We ordered the blue one, received the green one, returned it, received the green one "
        "again, wrote a letter, and were sent, after three weeks, a voucher for the green one. "
        "The people on the telephone were friendly each time. The chair itself is comfortable."
    ),
)


_LONGEST_TOKENS: Final = 2_048
"""Beyond this a model's limit is believed: one such text would take a minute."""


def beyond(
    samples: Sequence[str], count_tokens: Callable[[str], int], max_tokens: int
) -> list[str]:
    """Return texts made of the samples that fill a model's limit by half, just so, and twice over.

    What is cut off, and at which end, shows only in those, and so does a window that slides.
    """
    words = " ".join(samples).split()
    wanted = min(max_tokens, _LONGEST_TOKENS)
    made = []
    for share in (0.5, 0.99, 1.5, 2.0):
        text, number = "", 0
        while count_tokens(text) < share * wanted and number < 4 * wanted:
            text = " ".join([text, *(words[(number + step) % len(words)] for step in range(25))])
            number += 25
        made.append(text)
    return made
