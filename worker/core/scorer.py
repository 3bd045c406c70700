"""The fitted part of the decision: weights of the features, read from a model file.

A model file is JSON: `format`, `weights` by feature name, `bias`, and `fitted`, which says on what
and how well; this module reads the first three. `samestory fit` writes such files.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files

import numpy as np

from worker.core.features import FEATURES, Floats
from worker.errors import ConfigError

FORMAT = 1
SHIPPED = "stories.json"


@dataclass(frozen=True, slots=True)
class Scorer:
    """A logistic model over named features."""

    weights: Mapping[str, float]
    bias: float
    _column: Floats = field(init=False, repr=False, compare=False)  # the weights in order

    def __post_init__(self) -> None:
        column = np.array([self.weights.get(name, 0.0) for name in FEATURES])
        object.__setattr__(self, "_column", column)

    def scores(self, features: Floats) -> Floats:
        """Return a probability for each row of `core.features.measure`."""
        logits = features @ self._column + self.bias
        out: Floats = 1.0 / (1.0 + np.exp(-logits))
        return out


def parse_model(raw: bytes, *, origin: str) -> Scorer:
    """Return the model that a file holds.

    Args:
        raw: the file's bytes.
        origin: its name, for messages.

    Raises:
        ConfigError: it is no model, of another format, or knows other features than this version.
    """
    way_out = "write a new one with `samestory fit`, or leave match.model empty"
    try:
        document = json.loads(raw)
        found = document["format"]
        weights = {str(k): float(v) for k, v in document["weights"].items()}
        bias = float(document["bias"])
    except (ValueError, KeyError, TypeError, AttributeError) as e:
        raise ConfigError(f"{origin} is no model file ({e!r}); {way_out}") from e
    if found != FORMAT:
        raise ConfigError(f"{origin} has format {found!r}, this version reads {FORMAT}; {way_out}")
    unknown = sorted(weights.keys() - set(FEATURES))
    if unknown or not weights:
        raise ConfigError(
            f"{origin} weighs {', '.join(unknown) or 'nothing'}; this version measures "
            f"{', '.join(FEATURES)}; {way_out}"
        )
    if not all(math.isfinite(value) for value in (*weights.values(), bias)):
        raise ConfigError(f"{origin} has a weight that is not a finite number; {way_out}")
    return Scorer(weights, bias)


@lru_cache(maxsize=1)
def shipped() -> Scorer:
    """Return the model that comes with this version."""
    raw = (files("worker.core") / "models" / SHIPPED).read_bytes()
    return parse_model(raw, origin=f"the shipped model {SHIPPED}")
