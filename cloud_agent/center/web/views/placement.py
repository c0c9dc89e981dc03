"""What the page of placement shows: rounds, the last decision taken apart, beliefs and the plan."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from cloud_agent.center.app import Center
    from cloud_agent.center.rounds.decisions import JobDecision
    from cloud_agent.center.rounds.task_rounds import TaskRounds


_ROUNDS: Final = 12
_DECISIONS: Final = 8


def placement(center: Center) -> dict[str, Any]:
    """Return the values of the page; ``rounds`` is None where none are given out."""
    rounds = center.rounds
    if rounds is None:
        return {"rounds": None}
    names = _names(center)
    return {
        "rounds": list(reversed(rounds.reports.lately))[:_ROUNDS],
        "number": rounds.round,
        "jobs": rounds.ledger.counts,
        "decisions": _decisions(rounds, names),
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


def _decisions(rounds: TaskRounds, names: dict[str, str]) -> list[dict[str, Any]]:
    """Return the last decisions, the latest first."""
    return [_decision(each, names) for each in reversed(rounds.decisions.latest)][:_DECISIONS]


def _decision(decided: JobDecision, names: dict[str, str]) -> dict[str, Any]:
    """Return one decision, the best node first, and by what it was ahead of the next."""
    rows: list[dict[str, Any]] = [
        {
            "node": each.node,
            "model": _called(names, each.model),
            "backlog_s": each.backlog_s,
            "pragmatic": each.pragmatic,
            "epistemic": each.epistemic,
            "energy": -each.pragmatic - each.epistemic,
            "others": [name for name, node in decided.others.items() if node == each.node],
        }
        for each in decided.weighed
    ]
    rows.sort(key=lambda row: row["energy"])
    return {
        "job": decided.job,
        "kind": decided.kind,
        "chosen": decided.chosen,
        "others": decided.others,
        "rows": rows,
        "ahead": _ahead(rows, decided.chosen),
    }


def _ahead(rows: list[dict[str, Any]], chosen: str) -> dict[str, Any] | None:
    """Return by what the chosen node is ahead of the best of the others; None without another."""
    mine = next((row for row in rows if row["node"] == chosen), None)
    other = next((row for row in rows if row["node"] != chosen), None)
    if mine is None or other is None:
        return None
    parts = {part: mine[part] - other[part] for part in ("pragmatic", "epistemic")}
    return {"of": other["node"], "by": other["energy"] - mine["energy"], **parts}


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
