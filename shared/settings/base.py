"""The types that settings are made of."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

MANY: Final = 1_000_000_000
YEAR_S: Final = 31_536_000.0
Seconds = Annotated[float, Meta(ge=0.001, le=YEAR_S)]
Count = Annotated[int, Meta(ge=1, le=MANY)]
Megabytes = Annotated[int, Meta(ge=1, le=1 << 20)]
Port = Annotated[int, Meta(ge=0, le=65535)]


class Closed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Frozen, by keyword only, and closed to unknown keys."""
