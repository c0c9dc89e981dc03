"""Reads an agent's ``/metrics`` page as Prometheus does."""

from __future__ import annotations

import urllib.request
from typing import TYPE_CHECKING, Final

from prometheus_client.parser import text_string_to_metric_families

if TYPE_CHECKING:
    from prometheus_client import Metric
    from prometheus_client.samples import Sample

_PAGE_S: Final = 5.0


def page_of(port: int) -> str:
    """Return the address of an agent's page on this machine."""
    return f"http://127.0.0.1:{port}/metrics"


def scrape(url: str) -> list[Metric]:
    """Return all that a page shows.

    Raises ``OSError`` or ``HTTPException`` when nobody gives it in time, and ``ValueError`` for
    half a page.
    """
    with urllib.request.urlopen(url, timeout=_PAGE_S) as page:  # noqa: S310 - our own address
        return list(text_string_to_metric_families(page.read().decode()))


def samples_at(port: int) -> list[Sample]:
    """Return every sample that an agent on this machine shows; raises what ``scrape`` raises."""
    return [sample for family in scrape(page_of(port)) for sample in family.samples]
