"""Prompts explained hop by hop: how sure each tier was, what of, and so what it did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from cloud_agent.center.app import Center
    from cloud_agent.center.registry.explained import HeardPrompt
    from shared.wire.control import ExplainedPrompt

_SHOWN: Final = 50


def prompts(center: Center) -> dict[str, Any]:
    """Return the values of the page: the latest prompts first."""
    heard = [told(each) for each in center.listener.explained]
    return {"prompts": heard[:_SHOWN], "explain": center.settings.explain}


def told(heard: HeardPrompt) -> dict[str, Any]:
    """Return one prompt as the page tells it."""
    prompt = heard.prompt
    hops = prompt.hops
    return {
        "device": heard.device,
        "at": heard.at,
        "prompt": prompt,
        "tier": "" if prompt.failure or not hops else hops[-1].tier,
        "hops": [
            {"hop": hop, "did": _did(prompt, last=number == len(hops))}
            for number, hop in enumerate(hops, start=1)
        ],
    }


def _did(prompt: ExplainedPrompt, *, last: bool) -> str:
    """Return what a hop led to; the last one's answer counts, as far as there is one."""
    if not last:
        return "sent up"
    if prompt.failure:
        return "failed"
    return "answered, for want of a better" if prompt.degraded else "answered"
