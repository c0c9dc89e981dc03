"""Model engines behind one contract, a file per engine, loaded only when asked for."""

from shared.runtimes.load import digest_of, load_model, probe
from shared.runtimes.model import (
    Classifier,
    Entry,
    ExampleRoom,
    Generation,
    Generator,
    Model,
    Placed,
    Remote,
    TakesExamples,
    confidence_kind_of,
    expected_of,
    labels_of,
    short_digest,
)
from shared.runtimes.model_settings import ModelSettings

__all__ = [
    "Classifier",
    "Entry",
    "ExampleRoom",
    "Generation",
    "Generator",
    "Model",
    "ModelSettings",
    "Placed",
    "Remote",
    "TakesExamples",
    "confidence_kind_of",
    "digest_of",
    "expected_of",
    "labels_of",
    "load_model",
    "probe",
    "short_digest",
]
