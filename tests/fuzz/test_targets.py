"""The fuzzing targets on what Hypothesis makes up: quick, and without a fuzzer."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzz.seeds import seeds
from fuzz.structure import FORM_OF, bend
from fuzz.targets import TARGETS

EXAMPLES = settings(max_examples=60, deadline=None)


@st.composite
def bent(draw: st.DrawFn, whole: list[bytes]) -> bytes:
    """A good input with a piece of it replaced."""
    seed = draw(st.sampled_from(whole))
    start = draw(st.integers(0, len(seed)))
    end = draw(st.integers(start, len(seed)))
    return seed[:start] + draw(st.binary(max_size=8)) + seed[end:]


@pytest.mark.parametrize("target", TARGETS)
def test_any_bytes_give_a_value_or_the_one_named_error(target: str) -> None:
    @EXAMPLES
    @given(st.binary(max_size=200) | bent(seeds(target)))
    def run(data: bytes) -> None:
        TARGETS[target](data)

    run()


@pytest.mark.parametrize("target", FORM_OF)
def test_input_that_is_bent_in_form_gives_a_value_or_the_one_named_error(target: str) -> None:
    changed = 0
    whole = [seed for seed in seeds(target) if bend(seed, FORM_OF[target], random.Random(0))]
    for number in range(3_000):
        draw = random.Random(number)
        seed = draw.choice(whole)
        data = bend(seed, FORM_OF[target], draw)
        if data is not None:
            changed += data != seed
            TARGETS[target](data)
    assert changed > 1_000


@pytest.mark.parametrize("target", TARGETS)
def test_every_seed_is_one(target: str) -> None:
    assert seeds(target)
    for seed in seeds(target):
        TARGETS[target](seed)


FOUND = {
    "ask": [
        b'{"text":' + b"[" * 100_000,
        b'{"text":"\\ud800"}',
        b'{"text":1' + b"0" * 5_000 + b"}",
    ],
    "status": [b"[" * 100_000, b'{"state":"online","epoch":1' + b"0" * 4_000 + b"}", b"\xff"],
    "prompt": [b"\x91" * 100_000, b"\xdd\xff\xff\xff\xff", b""],
    "result": [b"\x91" * 100_000, b"\x81" * 5_000],
    "topic": [b"recserve/v1/prompts/\xff/classify/x", b"recserve/v1/status/e/\x00"],
    "settings": [b"[" * 1_500, b"a: &a [*a]", b"when: 2001-99-99", b"? [a]\n: b", b"x: 0o9_"],
    "trace": [
        b"a\rb,TIMESTAMP\n",
        b"x" * 200_000 + b",y\n",
        b'{"at_s":' + b"[" * 100_000,
        b'{"at_s": 1' + b"0" * 400 + b"}",
        b'{"at_s": 1, "text": "\\ud800"}',
        b"\xff\xfea",
        b"window_start_s,client,rate_rps,distribution,shape,scale\n0,a,1e300,Gamma,1e-300,1\n",
        b"window_start_s,client,rate_rps,distribution,shape,scale\n0,a,1,Weibull,1e-3,1\n9,a,1,,,\n",
    ],
    "drawn": [
        b"poisson:rate=1e308,span=1e308",
        b"gamma:cv=1e200",
        b"gamma:cv=1e-200",
        b"diurnal:period=1e-308",
        b"diurnal:rate=1e308,depth=1",
    ],
    "labelled": [
        b'{"text": "x", "label": 1' + b"0" * 400 + b"}",
        b"text\tlabel\nx\t" + b"9" * 5_000,
        b'{"text":' + b"[" * 100_000,
        "text\tlabel\nx\t²\n".encode(),
    ],
    "tagged": [
        b"a I-\n",
        b"-DOCSTART-",
        "\u2028\u3000 \x1c\n".encode(),
        b"a O\x85b I-X\n",
        b"a\x00 O\n",
    ],
    "flag": [b"a=" + b"[" * 1_500, b"a=2001-99-99", b"a=&a [*a]", b"=", b"..=1"],
}
"""Inputs of the kinds that decoders are known to stumble over, and those that fuzzing found."""


@pytest.mark.parametrize(
    ("target", "data"),
    [(target, data) for target, found in FOUND.items() for data in found],
    ids=lambda value: value if isinstance(value, str) else value[:24].decode("latin-1"),
)
def test_a_known_stumbling_block_is_stepped_over(target: str, data: bytes) -> None:
    TARGETS[target](data)
