"""Says how long to wait before a camera is tried again."""

import random

FIRST_S, LONGEST_S = 1.0, 15.0
# Pictures for so long say that the camera is well again.
WELL_S = 30.0


class Backoff:
    """Exponential back-off with full jitter: so that many cameras behind one switch don't come back in step.

    Source: Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
    """

    def __init__(self, randomness: random.Random) -> None:
        self._random = randomness
        self._limit_s = FIRST_S

    def pause_s(self, gave_s: float) -> float:
        """Return the pause before the next try, after one that gave pictures for `gave_s` seconds."""
        if gave_s >= WELL_S:
            self._limit_s = FIRST_S
        limit_s, self._limit_s = self._limit_s, min(2 * self._limit_s, LONGEST_S)
        return self._random.uniform(0, limit_s)
