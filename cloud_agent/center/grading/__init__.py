"""How right an answer is: one file for each kind of job, all graded here at the centre.

References never leave it: a node sends what its model wrote and is told nothing. Every grade lies
in [0, 1], and an empty answer gets none of it. The kinds, how they are asked and how long their
answers are, are in ``kinds``.
"""

from __future__ import annotations

from cloud_agent.center.grading.kinds import KINDS, Kind, grade, kind_named

__all__ = ["KINDS", "Kind", "grade", "kind_named"]
