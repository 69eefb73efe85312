"""A cache of what is read of sentences, which keeps one text as long as an article at most."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Final, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
LONGEST: Final = 5_000
"""Characters of a text of which many are kept; sentences are shorter. A page may be one sentence of
a megabyte, and of those a cache of thousands of entries would fill the memory."""


def remembered(maxsize: int) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Keep the last ``maxsize`` results of a function of texts, of long ones the last alone."""

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        kept, kept_long = (lru_cache(maxsize=most)(function) for most in (maxsize, 1))

        @wraps(function)
        def asked(*args: P.args, **kwargs: P.kwargs) -> T:
            for text in args:  # a loop: `any` would cost as much as a number takes to read
                if isinstance(text, str) and len(text) > LONGEST:
                    return kept_long(*args, **kwargs)  # type: ignore[arg-type]
            return kept(*args, **kwargs)  # type: ignore[arg-type]

        return asked

    return decorate
