"""What a scenario allows: how many answers may be degraded, and which errors there may be. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from chaos.ledger import Ledger

SETTLED_S: Final = 3.0
"""From where everybody is there again to where nothing may be felt of a fault."""


class Allowed(NamedTuple):
    """How many answers may be degraded, and why no fewer.

    Up to ``share`` of all questions, ``away`` of those that are asked while somebody is dead or
    starts, and so many ``prompts`` besides.
    Where the fault ends within the scenario, nothing that is asked well after its end may be
    degraded; a ``lasting`` one does not. ``errors`` are codes that answers may carry.
    """

    why: str
    share: float = 0.0
    away: float = 0.0
    prompts: int = 0
    lasting: bool = False
    errors: tuple[str, ...] = ()

    def most(self, asked: int, asked_away: int = 0) -> int:
        """Return how many of so many answers may be degraded."""
        return self.prompts + int(self.share * asked + self.away * asked_away)

    def says(self) -> str:
        """Return the bound and its reason in words."""
        parts = [f"{self.share * 100:.3g} %"] if self.share else []
        parts += [f"{self.away * 100:.3g} % of what is asked meanwhile"] if self.away else []
        parts += [str(self.prompts)] if self.prompts else []
        return f"{' and '.join(parts) or 'none'}; {self.why}"

    def broken_by(self, ledger: Ledger, settled_s: float) -> list[str]:
        """Return a sentence for everything that is not allowed."""
        degraded, most = ledger.by_tier()["degraded"], self.most(ledger.asked, ledger.asked_away)
        said = []
        if degraded > most:
            said.append(f"{degraded} answers are degraded, {most} may be: {ledger.reasons()}")
        late = ledger.reasons(asked_after_s=settled_s + SETTLED_S)
        if late and not self.lasting:
            said.append(f"degraded long after all was well: {late}")
        codes = {code: count for code, count in ledger.errors().items() if code not in self.errors}
        if codes:
            said.append(f"answers that are errors: {codes}")
        return said
