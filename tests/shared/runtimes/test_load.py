from __future__ import annotations

import subprocess
import sys

import msgspec
import pytest

from shared.errors import SettingsError
from shared.runtimes import ModelSettings, load_model

WITHOUT = """
import sys
sys.modules[{missing!r}] = None
from shared.errors import RuntimeUnavailable
from shared.runtimes import ModelSettings, load_model
try:
    load_model(ModelSettings(source="somewhere", runtime={runtime!r}))
except RuntimeUnavailable as error:
    print(error)
"""


def run(program: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout


@pytest.mark.parametrize(
    ("runtime", "missing", "extra"),
    [
        ("onnx", "onnxruntime", 'pip install -e "."'),
        ("transformers", "torch", 'pip install -e ".[cloud]"'),
    ],
)
def test_a_missing_engine_is_named_with_what_to_install(
    runtime: str, missing: str, extra: str
) -> None:
    said = run(WITHOUT.format(runtime=runtime, missing=missing))
    assert missing in said
    assert extra in said


def test_the_settings_load_no_engine() -> None:
    engines = "{'onnxruntime', 'tokenizers', 'torch', 'transformers', 'numpy'}"
    said = run(f"import sys, shared.runtimes; print({engines} & set(sys.modules))")
    assert said.strip() == "set()"


@pytest.mark.parametrize(
    ("key", "settings"),
    [
        ("device", ModelSettings(source="x", device="cpu")),
        ("precision", ModelSettings(source="x", precision="float16")),
        ("labels", ModelSettings(source="x", labels=("a", "b"))),
        ("providers", ModelSettings(source="x", runtime="transformers", providers=("cuda",))),
    ],
)
def test_a_key_the_runtime_does_not_use_is_refused(key: str, settings: ModelSettings) -> None:
    with pytest.raises(SettingsError, match=rf"model\.{key}"):
        load_model(settings)


def test_every_setting_is_described() -> None:
    fields = msgspec.json.schema(ModelSettings)["$defs"]["ModelSettings"]["properties"]
    assert all(field.get("description") for field in fields.values()), fields
