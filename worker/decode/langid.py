"""py3langid's model, walked by NumPy in half the time of its own loop over bytes.

The model counts the byte sequences that tell languages apart, by an automaton that remembers no more
than the last six bytes. So its state at each place of a text is found from six bytes before, at all
places at once. Called by decode.language.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from py3langid.langid import MODEL_FILE, LanguageIdentifier

_MEMORY = 6  # bytes of the longest sequence in the model
_RESET = b"\xff" * (_MEMORY - 1)  # stands in no sequence and in no UTF-8: forgets what was before


class Identifier(LanguageIdentifier):  # type: ignore[misc]
    """A model of our own, since py3langid's instance is a process-wide setting."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._moves = np.asarray(self.tk_nextmove)
        self._rows = np.asarray(self.tk_row, np.intp) << 8
        self._features = np.asarray(self.tk_output, np.int32)

    def _raw_score(self, text: bytes) -> NDArray[np.float32]:
        """Return the log-posterior of each language, as the overridden method does."""
        features, counts = np.unique(self._seen(text), return_counts=True)
        if not len(features):
            return np.zeros(len(self.nb_classes), np.float32)
        weights = np.log1p(counts.astype(np.float32))
        scores: NDArray[np.float32] = weights @ self.nb_ptc[features] + self.nb_pc
        return scores

    def _seen(self, text: bytes) -> NDArray[np.int32]:
        """Return the features that end at the bytes of a text, with repetitions."""
        padded = np.frombuffer(_RESET + text, np.uint8)
        states = np.zeros(len(text), np.intp)
        for i in range(_MEMORY):
            states = self._moves[self._rows[states] + padded[i : i + len(text)]]
        found = self._features[states]
        return found[found >= 0]


def load_identifier(competes: Callable[[str], bool]) -> Identifier:
    """Return the model that py3langid brings, for the labels that compete.

    Cost: a second, and 120 MB.
    """
    model: Identifier = Identifier.from_model_file(MODEL_FILE, norm_probs=True)
    model.set_languages([label for label in model.labels if competes(label)])
    # Choosing languages leaves the table column by column and in half precision, where scoring reads
    # rows in single: four times as slow. The same numbers, 46 MB instead of 23.
    model.nb_ptc = np.ascontiguousarray(model.nb_ptc, np.float32)
    return model
