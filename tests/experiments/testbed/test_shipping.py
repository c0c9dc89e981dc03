"""Shipping, small: what is told is what happened, and a bound that is missed is the status."""

from __future__ import annotations

import re

import pytest
from click.testing import CliRunner

from experiments.testbed.shipping import ShippingFigures, command, show
from tests.support.processes import skip_without


@pytest.mark.long
def test_a_small_bundle_comes_whole_to_a_node_that_is_killed_and_to_one_that_is_asked() -> None:
    skip_without("mosquitto")
    flags = ["--mib", "2", "--kills", "1", "--seconds", "0.2"]
    # Of two chunks one may be lost with the node; how fast this machine is, and so how near
    # together three nodes begin, is not asked here.
    bounds = ["--most-wire", "1.6", "--most-delay", "1000", "--most-origin", "3.2"]

    ran = CliRunner().invoke(command, [*flags, *bounds])

    assert ran.exit_code == 0, ran.output
    assert len(re.findall(r"edge-1 killed when \d+% were on the wire", ran.stderr)) == 1
    assert len(re.findall(r"broker killed when \d+% were on the wire", ran.stderr)) == 1
    assert "whole: every file" in ran.stderr
    wire = re.search(r"([\d.]+) × its size", ran.stdout)
    assert wire is not None
    assert 1.0 <= float(wire[1]) <= 1.6


def test_each_bound_that_is_missed_is_told_and_is_the_status(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = ShippingFigures(
        size_bytes=1000,
        sent_bytes=1040,
        origin_bytes=1200,
        kills=5,
        idle_ms=tuple(float(at) for at in range(1, 101)),
        busy_ms=(150.0,),
    )
    assert found.wire == 1.04
    assert round(found.delay, 3) == 1.578, "the p95 of 1 to 100 is 95.05"

    missed = ((1.05, 2, 1.3), (1.03, 2, 1.3), (1.05, 1.5, 1.3), (1.05, 2, 1.1))
    assert [show(found, *bounds) for bounds in missed] == [0, 1, 1, 1]
    said = " ".join(re.findall(r"yes|NO", capsys.readouterr().out))
    assert said == "yes yes yes NO yes yes yes NO yes yes yes NO"
