"""Writes ``docs/placement.md`` from what ``recserve simulate placement`` found.

``python -m experiments.results.placement DIR`` (``make results-placement`` runs both). Ends with 1
where something that was to be shown is not.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec

from experiments.placement.acceptance import checks
from experiments.placement.report import FILE
from experiments.placement.study import OURS
from experiments.placement.tables import HEADS, lines
from experiments.results.text import table
from shared.cli import clear_errors
from shared.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping

PAGE: Final = Path(__file__).parents[2] / "docs" / "placement.md"
_PICTURES: Final = ("utility", "pairs", "course", "trap")
_NOTE: Final = "<!-- Written by `make results-placement`; change the code, not this page. -->\n"


@click.command(help="Write docs/placement.md from the folder of a study.")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), default=PAGE)
def main(folder: Path, out: Path) -> None:
    """Read the report, copy the pictures, write the page."""
    with clear_errors():
        try:
            report = msgspec.json.decode((folder / FILE).read_bytes())
        except (OSError, msgspec.DecodeError) as error:
            raise DataError(
                f"{folder / FILE} cannot be read ({error}); "
                f"run `recserve simulate placement --out {folder}` first"
            ) from error
        pictures = out.parent / out.stem
        pictures.mkdir(parents=True, exist_ok=True)
        for name in _PICTURES:
            shutil.copyfile(folder / f"{name}.png", pictures / f"{name}.png")
        out.write_text(page(report, pictures.name), encoding="utf-8")
    missed = [check for check in checks(report) if not check.reached]
    for check in missed:
        click.echo(f"not shown: {check.what} ({check.found})", err=True)
    click.echo(f"Written: {out}, pictures in {pictures}")
    sys.exit(1 if missed else 0)


def page(report: Mapping[str, Any], pictures: str) -> str:
    """Return the page; ``pictures`` is the folder that its pictures are in, seen from it."""
    return "\n".join(
        (
            _NOTE + _head(report),
            _loads(report, pictures),
            _drift(report, pictures),
            _information(report, pictures),
            _models(report),
            _paper(report),
            _wrong(report),
            _network(report),
            _features(report),
            _shown(report),
            _ORIGINAL,
        )
    )


def _head(report: Mapping[str, Any]) -> str:
    return (
        "# Who answers what: allocators compared\n\n"
        "A centre gives each job to a node, and now and then gives a node another model. How well "
        "that goes is simulated here: six nodes that differ in speed, link and memory, six models, five "
        "kinds of job, 600 rounds of 4 s. The catalogue is wrong about every model (its grades are "
        "off by 0.13, one standard deviation) and knows no node's speed. Half-way the two fastest "
        "nodes become 2.5 times slower and other kinds of job come. Every policy sees the same "
        f"{len(report['seeds'])} worlds, job by job with the same luck; differences are paired, with "
        "Student's 95 % intervals over the worlds. All of them may move models, every 20 rounds, by the same "
        "planner: those that learn by what they have learned, the others by the catalogue.\n\n"
        "`recserve simulate placement --out DIR` runs it, in about ten minutes on one processor, and is "
        "deterministic. The mathematics is in `cloud_agent/center/placement/`: `beliefs/`, `allocators/`, "
        "`planner.py`.\n"
    )


def _loads(report: Mapping[str, Any], pictures: str) -> str:
    worlds = len(report["seeds"])
    parts = [
        "## At three loads\n",
        (
            "*worth* is the mean over jobs of: grade of an answer in time, less 0.35 × its latency over the "
            "limit of 15 s; an answer that is late is worth −0.85. *ahead by* is active inference less that "
            "policy, *wins* the worlds in which it was.\n"
        ),
        f"![The worth of a job over the load]({pictures}/utility.png)\n",
    ]
    for rate, found in report["rates"].items():
        parts += [
            f"### {rate} jobs a round\n",
            table(HEADS, lines(found, worlds)),
            f"Of the gap between greedy and the oracle active inference closes {found['gap_closed']:.0%}.\n",
        ]
    parts.append(f"![Active inference less each other policy]({pictures}/pairs.png)\n")
    return "\n".join(parts)


def _drift(report: Mapping[str, Any], pictures: str) -> str:
    drift = report["drift"]
    rows = [
        [policy, f"{each['before']:.3f}", f"{each['after']:.3f}", f"{each['kept']:.2f}"]
        for policy, each in drift["policies"].items()
    ]
    off, over = drift["off_after_25_jobs"], drift["ahead_of_dqn_after"]
    return (
        "## When the world changes\n\n"
        f"![The worth of a job over the rounds]({pictures}/course.png)\n\n"
        "The worth of a job in the 60 rounds before the change and in the 60 after it:\n\n"
        f"{table(('policy', 'before', 'after', 'kept'), rows)}\n"
        f"Ahead of the Q-network after it: {_interval(over)}. After 25 jobs on a slowed node what is "
        f"believed of the logarithm of its slowdown is off by {off['mean']:.3f} on average and by "
        f"{off['largest']:.3f} at most ({drift['slowed_nodes']} nodes that got as many; the noise of "
        "a single job is 0.15).\n"
    )


def _information(report: Mapping[str, Any], pictures: str) -> str:
    trap, found = report["trap"], report["rates"]
    rows = [
        [weight, f"{each['finds_better']:.0%}", f"{each['of_many_seeds']:.0%}"]
        for weight, each in trap.items()
        if isinstance(each, dict)
    ]
    gaps = "; ".join(
        f"{policies['learned']['difference']:+.3f} [{policies['learned']['interval'][0]:+.3f}, "
        f"{policies['learned']['interval'][1]:+.3f}] at {rate}"
        for rate, policies in ((rate, each["policies"]) for rate, each in found.items())
    )
    heads = ("β", f"of {trap['seeds']} seeds", f"of {trap['many_seeds']} seeds")
    return (
        "## What looking for information is worth\n\n"
        "On these fleets little: the spreading of load explores by itself. Against the same beliefs "
        f"without the epistemic part (`learned`) active inference is ahead by {gaps}. It is worth "
        "something where a good choice looks bad at first. Choice X seems right in 55 % (as four answers "
        "would have it) and is in 90 %; Y seems right in 60 % (as forty) and is. In 300 draws X comes "
        "to be used mostly by this share of seeds:\n\n"
        f"{table(heads, rows)}\n"
        f"![How often the better choice is found]({pictures}/trap.png)\n\n"
        f"That is no fault of the beliefs: two pairs of sums alone, without forgetting, leave "
        f"{1 - trap['by_arithmetic']:.0%} of 20,000 games on Y with β = 0, since Y has to look bad by "
        "chance before X is tried. So seven of ten is about what ten seeds show, now more and now less; "
        "the many seeds are what counts. No more than that is claimed.\n"
    )


def _models(report: Mapping[str, Any]) -> str:
    placement, still = report["placement"], report["stationary"]
    worlds = placement["difference"]["worlds"]
    return (
        "## Moving models\n\n"
        f"The same allocator with models that stay as they are, the smallest on every node, gets "
        f"{placement['without']:.3f} a job; with a placement every 20 rounds {placement['with']:.3f}: "
        f"{_interval(placement['difference'])}, {placement['difference']['wins']} of {worlds} worlds. "
        f"It moves {report['bytes_moved_of_oracle']:.2f} times the bytes that the oracle moves. Where "
        f"nothing changes, {still[OURS]['changes']} changes in {len(report['seeds'])} episodes (the "
        f"oracle: {still['oracle']['changes']}) include {still[OURS]['oscillations']} that went back "
        "within four placements.\n"
    )


def _paper(report: Mapping[str, Any]) -> str:
    parts = [
        "## Judged by another utility\n",
        (
            "He et al. (2024) count 1 / latency plus accuracy of an answer in time (here at most 1 / 0.2 s). "
            "It pays for the second that an answer is faster almost without bound, and a policy tuned for "
            "another utility may lose by it to the shortest queue. So every policy that has a preference "
            "was given this one:\n"
        ),
    ]
    for rate, found in report["paper_utility"].items():
        parts += [f"### {rate} jobs a round\n", table(HEADS, lines(found, len(report["seeds"])))]
    return "\n".join(parts)


def _wrong(report: Mapping[str, Any]) -> str:
    return (
        "## With a worse catalogue\n\n"
        "Grades off by 0.22, and believed as if twenty answers had shown them, at 4 jobs a round:\n\n"
        f"{table(HEADS, lines(report['wrong_catalogue'], len(report['seeds'])))}"
    )


def _network(report: Mapping[str, Any]) -> str:
    ties = [one["ties_after"] for one in report["pretraining"]]
    episodes = len(report["pretraining"][0]["dqn"])
    said = ", ".join("never" if tie is None else f"after {tie}" for tie in ties)
    first = sum(one["dqn"][0] for one in report["pretraining"]) / len(ties)
    last = sum(one["dqn"][-1] for one in report["pretraining"]) / len(ties)
    ours = sum(sum(one[OURS]) / episodes for one in report["pretraining"]) / len(ties)
    return (
        "## How long a Q-network has to be taught\n\n"
        f"On {len(ties)} fleets one network played {episodes} episodes with other jobs each time, and "
        f"went on learning. From {first:.3f} in the first it came to {last:.3f} in the last; active "
        f"inference, from nothing each time, has {ours:.3f}. As good as that it was: {said}. Its own "
        "models lie by the catalogue, and no reward tells it what another plan would bring.\n"
    )


def _features(report: Mapping[str, Any]) -> str:
    found = [
        (learner, "hardness" if float(telling) else "nothing", each)
        for telling, part in report["features"].items()
        for learner, each in part.items()
        if learner != OURS
    ]
    rows = [
        [learner, tells, f"{each['with']:.3f}", f"{each['without']:.3f}",
         _interval(each["difference"]),
         f"{each['difference']['wins']}/{each['difference']['worlds']}",
         _interval(each["ours_ahead"])]
        for learner, tells, each in found
    ]  # fmt: skip
    gained = sum(each["difference"]["interval"][0] > 0 for *_, each in found)
    heads = ("learner", "the text tells", "looking", "blind", "gained", "wins", "ours ahead by")
    return (
        "## What looking at the text is worth\n\n"
        "LinUCB and the Q-network can look at eight features of a job's text "
        "(`cloud_agent/center/placement/features.py`): how rare and long its words are, how long its "
        "sentences, what hangs on the context, how open its words are, how much it says, its symbols, and "
        "the tokens to read and to write, each standardised as it comes. At 4 jobs a round, with the "
        "remarks of the demo for texts, in the worlds above, where a text tells nothing, and in such where "
        "a text that looks a deviation harder takes 22 % longer and multiplies the odds of a wrong answer "
        "by e for the smallest model and by 1 for the largest. That rule is ours, not measured. LinUCB has the "
        "bonus 0.3 looking and 0.6 blind, for more inputs make it explore more by themselves: both were chosen "
        "by hand on other worlds beforehand, and no command prints that. *gained* is the worth of a job when looking, less the same learner blind; an interval "
        "with 0 inside is no difference that so few worlds can tell. Active inference looks at no text.\n\n"
        f"{table(heads, rows)}\n"
        f"{gained} of the {len(rows)} intervals are above 0.\n"
    )


def _shown(report: Mapping[str, Any]) -> str:
    rows = [
        [check.what, check.found, "yes" if check.reached else "**no**"] for check in checks(report)
    ]
    reached = sum(row[2] == "yes" for row in rows)
    return (
        "## What was to be shown\n\n"
        f"{reached} of {len(rows)}:\n\n{table(('what', 'found', 'shown'), rows)}"
    )


def _interval(difference: Mapping[str, Any]) -> str:
    low, high = difference["interval"]
    return f"{difference['mean']:+.3f} [{low:+.3f}, {high:+.3f}]"


_ORIGINAL: Final = """\
## Beside the LLM Distribution Center

The program whose idea this is compares its active policy with curves of *random* and *load balancing* that nobody ran:
they are sine waves and noise at fixed multiples of the active policy's own mean. Its evaluation adds 0.3 to the
accuracy of every round below 0.5; its three simulated algorithms share the same nodes, and jobs sent to a model that
is no longer there are left out of the means. Its figures are therefore not compared with ours. What it does under the
name of active inference has no preference among outcomes and no value of information; what is compared here follows
the mathematics.
"""


if __name__ == "__main__":
    main()
