"""Model engines behind one contract, a file per engine, loaded only when asked for."""

from shared.runtimes.load import load_model
from shared.runtimes.model import Model, ModelSettings

__all__ = ["Model", "ModelSettings", "load_model"]
