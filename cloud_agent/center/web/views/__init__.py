"""What each page shows, as values: templates only lay them out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from cloud_agent.center.web.views.cascade import cascade
from cloud_agent.center.web.views.fleet import fleet
from cloud_agent.center.web.views.models import models
from cloud_agent.center.web.views.node import node
from cloud_agent.center.web.views.placement import placement
from cloud_agent.center.web.views.prompts import prompts

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloud_agent.center.app import Center

_PAGES: Final[dict[str, Callable[[Center, float], dict[str, Any]]]] = {
    "fleet": fleet,
    "cascade": lambda center, _: cascade(center),
    "models": lambda center, _: models(center),
    "placement": lambda center, _: placement(center),
    "prompts": lambda center, _: prompts(center),
}
PAGES: Final = tuple(_PAGES)
"""The pages that are there whoever is, the first at the root."""


def values(center: Center, page: str, agent: str, now_s: float) -> dict[str, Any] | None:
    """Return what a page shows; None for an agent that nobody knows."""
    common: dict[str, Any] = {
        "site": center.settings.site,
        "counts": {life: center.registry.count(life) for life in ("alive", "suspect", "dead")},
        "rollout": center.rollouts.current,
        "rollout_says": center.rollouts.says,
    }
    if page in _PAGES:
        return common | _PAGES[page](center, now_s)
    member = center.registry.find(agent)
    return None if member is None else common | node(center, member, now_s)
