"""Model engines behind one contract, a file per engine, loaded only when asked for."""

from shared.runtimes.load import load_model
from shared.runtimes.model import Classifier, Model, ModelSettings, expected_of, labels_of

__all__ = ["Classifier", "Model", "ModelSettings", "expected_of", "labels_of", "load_model"]
