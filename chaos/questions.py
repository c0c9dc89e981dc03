"""What is asked of a site, by task: texts that its models know, and how answers are wanted."""

from __future__ import annotations

import csv
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import experiments.datasets
from experiments.datasets.bundled import read_prompts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.tasks import Task

_CAPTIONS: Final = Path(experiments.datasets.__file__).with_name("captions.tsv")
_PEOPLE: Final = ("Ada Byron", "Li Wei", "Amina Yusuf", "Jan Novak", "Rosa Keller")
_COMPANIES: Final = ("Northwind", "Acme Pumps", "Siemens", "the Red Cross")
_PLACES: Final = ("Oslo", "Nairobi", "Lake Geneva", "Texas", "Busan", "Porto")
OPTIONS: Final[dict[Task, dict[str, Any]]] = {"generate": {"max_new_tokens": 40}}
"""Options of the questions of a task that have any."""


def texts_of(task: Task) -> Sequence[str]:
    """Return texts to ask a task about."""
    if task == "classify":
        return [prompt.text for prompt in read_prompts()]
    if task == "tag":
        named = product(_PEOPLE, _COMPANIES, _PLACES)
        return [f"{who} of {firm} was seen in {place} on Monday." for who, firm, place in named]
    with _CAPTIONS.open(encoding="utf-8", newline="") as file:
        return [row["source"] for row in csv.DictReader(file, dialect="excel-tab")]
