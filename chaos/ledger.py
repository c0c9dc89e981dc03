"""Every question asked and every answer seen, and what must be true of the two. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Sighting(NamedTuple):
    """What an asker sees of one result; two with the same content are the same answer again."""

    said: str
    tier: str
    degraded: str
    error: str


@dataclass
class _Question:
    asked_s: float
    first: Sighting | None = None
    answered_s: float = 0.0
    revised: Sighting | None = None
    receipts: int = 0
    memory: str = ""


@dataclass
class Ledger:
    """Times are monotonic seconds. ``violations`` names every broken promise.

    ``away`` are the times, each from and to, in which somebody was dead or started.
    """

    violations: list[str] = field(default_factory=list)
    suppressed: int = 0
    revised: int = 0
    repeated: int = 0
    away: list[tuple[float, float]] = field(default_factory=list)
    _questions: dict[str, _Question] = field(default_factory=dict)

    def ask(self, question_id: str, now_s: float) -> None:
        """Note a question; asking it again is no new one."""
        if question_id in self._questions:
            self.repeated += 1
        else:
            self._questions[question_id] = _Question(now_s)

    def hear(self, answer: dict[str, Any], now_s: float) -> None:
        """Note what came on the answers topic."""
        question = self._questions.get(str(answer.get("id")))
        if question is None:
            self.violations.append(f"an answer to a question that nobody asked: {answer}")
        elif answer.get("accepted"):
            question.receipts += 1
        else:
            self._take(question, answer, now_s)

    def _take(self, question: _Question, answer: dict[str, Any], now_s: float) -> None:
        fields = ("tier", "degraded", "error")
        seen = Sighting(_said(answer), *(str(answer.get(name, "")) for name in fields))
        if answer.get("revision"):
            self.revised += 1
            if question.first is None or not question.first.degraded:
                self.violations.append(f"{answer['id']}: a revision of nothing degraded")
            question.revised = seen
        elif question.first is None:
            question.first, question.answered_s = seen, now_s
            question.memory = _memory(answer)
        elif seen in (question.first, question.revised):
            self.suppressed += 1
        else:
            self.violations.append(f"{answer['id']}: first {question.first}, then {seen}")

    @property
    def asked(self) -> int:
        """How many different questions were asked."""
        return len(self._questions)

    @property
    def asked_away(self) -> int:
        """How many different questions were asked while somebody was away."""
        asked_s = [question.asked_s for question in self._questions.values()]
        return sum(any(since <= at <= until for since, until in self.away) for at in asked_s)

    def by_tier(self) -> Counter[str]:
        """Return how many answers came from each tier, degraded ones apart."""
        counts: Counter[str] = Counter()
        for question in self._questions.values():
            if question.first is not None:
                kind = "degraded" if question.first.degraded else question.first.tier
                counts["error" if question.first.error else kind] += 1
        return counts

    def remembered(self, *, asked_after_s: float = 0.0) -> Counter[str]:
        """Return how many of the questions asked after a time each agent's memory answered."""
        asked = (each for each in self._questions.values() if each.asked_s >= asked_after_s)
        return Counter(each.memory for each in asked if each.memory)

    def reasons(self, *, asked_after_s: float = 0.0) -> Counter[str]:
        """Return why answers were degraded, of the questions asked after a time, and how many."""
        asked = (each for each in self._questions.values() if each.asked_s >= asked_after_s)
        return Counter(each.first.degraded for each in asked if each.first and each.first.degraded)

    def errors(self) -> Counter[str]:
        """Return the codes of answers that are none, and how many there were of each."""
        answered = (question.first for question in self._questions.values())
        return Counter(seen.error for seen in answered if seen and seen.error)

    def said(self, question_id: str) -> str:
        """Return what a question was answered with, if it was: a label, a text, or entities."""
        first = self._questions[question_id].first
        return first.said if first else ""

    def waits_s(self) -> list[float]:
        """Return the times from asking to the answer."""
        answered = (question for question in self._questions.values() if question.first)
        return [question.answered_s - question.asked_s for question in answered]

    def whole_again_s(self, healed_s: float) -> float | None:
        """Return how long after ``healed_s`` the first answer from above came to a later question.

        None if none did.
        """
        times = [
            question.answered_s - healed_s
            for question in self._questions.values()
            if question.first is not None
            and question.asked_s >= healed_s
            and question.first.tier not in ("", "device")
            and not question.first.degraded
        ]
        return min(times, default=None)

    def close(self) -> list[str]:
        """Return everything that was promised and not kept."""
        lost = [
            f"{question_id}: {'accepted, and ' if question.receipts else ''}no answer"
            for question_id, question in self._questions.items()
            if question.first is None
        ]
        return self.violations + lost


def _said(answer: dict[str, Any]) -> str:
    """Return what an answer says, whatever the task, without how sure it is."""
    if "entities" in answer:
        return str([(each["type"], each["start"], each["end"]) for each in answer["entities"]])
    return str(answer.get("label", answer.get("text", "")))


def _memory(answer: dict[str, Any]) -> str:
    """Return the agent whose memory gave an answer; empty where none did."""
    remembered = answer.get("source", {}).get("way") == "memory"
    return str(answer["agent"]) if remembered else ""
