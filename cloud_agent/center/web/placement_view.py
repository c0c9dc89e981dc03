"""What the page of placement shows: rounds, the last decision taken apart, beliefs and the plan."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cloud_agent.center.app import Center
    from cloud_agent.center.rounds.task_rounds import TaskRounds


def placement(center: Center) -> dict[str, Any]:
    """Return the values of the page; ``rounds`` is None where none are given out."""
    rounds = center.rounds
    if rounds is None:
        return {"rounds": None}
    names = _names(center)
    return {
        "rounds": list(reversed(rounds.reports.lately)),
        "number": rounds.round,
        "jobs": rounds.ledger.counts,
        "decision": _decision(rounds, names),
        "plan": _plan(rounds, names),
        "beliefs": _beliefs(rounds, names),
    }


def _names(center: Center) -> dict[str, str]:
    """Return what people call the models that are known by digest."""
    names = {bundle.digest: bundle.name for bundle in center.shipping.bundles}
    for member in center.registry:
        for held in member.report.bundles if member.report else ():
            names.setdefault(held.digest, held.name)
    return names


def _called(names: dict[str, str], digest: str) -> str:
    return names.get(digest, digest[:12])


def _decision(rounds: TaskRounds, names: dict[str, str]) -> dict[str, Any] | None:
    """Return the last decision, the best node first."""
    latest = rounds.decisions.latest
    if not latest:
        return None
    last = latest[-1]
    rows: list[dict[str, Any]] = [
        {
            "node": each.node,
            "model": _called(names, each.model),
            "backlog_s": each.backlog_s,
            "pragmatic": each.pragmatic,
            "epistemic": each.epistemic,
            "energy": -each.pragmatic - each.epistemic,
            "others": [name for name, node in last.others.items() if node == each.node],
        }
        for each in last.weighed
    ]
    rows.sort(key=lambda row: row["energy"])
    return {"kind": last.kind, "chosen": last.chosen, "rows": rows}


def _plan(rounds: TaskRounds, names: dict[str, str]) -> dict[str, Any] | None:
    plan = rounds.reports.plan
    if plan is None:
        return None
    changes = [
        change
        | {"before": _called(names, change["before"]), "after": _called(names, change["after"])}
        for change in plan["changes"]
    ]
    models = [(node, _called(names, model)) for node, model in sorted(plan["models"].items())]
    return {
        "round": plan["round"],
        "worth": plan["worth"],
        "models": models,
        "changes": changes,
    }


def _beliefs(rounds: TaskRounds, names: dict[str, str]) -> dict[str, Any]:
    told = rounds.beliefs.told()
    quality = [each | {"model": _called(names, each["model"])} for each in told["quality"]]
    return {"quality": quality, "speed": told["speed"]}
