"""What the centre believes of models and nodes, and what the next answer would teach it.

One file each: how good a model is at a kind of job (``quality``), how fast a node is (``speed``),
what is asked (``demand``). ``believed`` joins them into an outlook on a job before it is given to a
node. All are conjugate: a belief is two numbers, and an observation is one line of arithmetic.
"""

from __future__ import annotations

from cloud_agent.center.placement.beliefs.believed import Beliefs, CatalogueOutlooks
from cloud_agent.center.placement.beliefs.demand import Demand
from cloud_agent.center.placement.beliefs.outlook import Outlook, Outlooks
from cloud_agent.center.placement.beliefs.quality import QualityBelief, information_nats
from cloud_agent.center.placement.beliefs.speed import SpeedBelief

__all__ = [
    "Beliefs",
    "CatalogueOutlooks",
    "Demand",
    "Outlook",
    "Outlooks",
    "QualityBelief",
    "SpeedBelief",
    "information_nats",
]
