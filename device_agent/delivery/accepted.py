"""What a device knows of a prompt that it has accepted and not answered."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from shared.protocol.holder import Holder

if TYPE_CHECKING:
    from shared.cascade.tier import Escalation
    from shared.messages import Result

NOBODY: Final = "no agent above is alive"


class Stage(enum.Enum):
    """How far a prompt is on its way: see ``device_agent.delivery.protocol``."""

    HERE = enum.auto()
    STORING = enum.auto()
    ABOVE = enum.auto()
    RESOLVING = enum.auto()


@dataclass
class AcceptedPrompt:
    """A prompt and who has it; ``due_s`` is when it is looked at again, whatever happens."""

    deadline_s: float
    revisions: bool
    stage: Stage = Stage.HERE
    escalated: Escalation | None = None
    resolving: Result | None = None
    better: Result | None = None
    holder: Holder = field(default_factory=Holder)
    silence_s: float = 0.0
    due_s: float = math.inf
    give_up_s: float = 0.0
    nobody: str = NOBODY
    wanted: bool = False
