"""Model engines behind one contract, a file per engine, loaded only when asked for."""

from shared.runtimes.load import load_model
from shared.runtimes.model import Classifier, Model, ModelSettings, labels_of

__all__ = ["Classifier", "Model", "ModelSettings", "labels_of", "load_model"]
