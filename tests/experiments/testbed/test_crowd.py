"""The crowd around a centre, small: what it prints is what happened."""

from __future__ import annotations

import json

from click.testing import CliRunner

from experiments.testbed.crowd import command
from tests.support.processes import skip_without


def test_a_small_crowd_is_registered_and_what_it_took_is_told() -> None:
    skip_without("mosquitto")
    ran = CliRunner().invoke(command, ["12"])

    assert ran.exit_code == 0, ran.output
    told = json.loads(ran.stdout)
    assert (told["agents"], told["known"]) == (12, 12)
    assert told["registered_s"] > 0
    assert told["center_megabytes"] > 10
