"""Decides when a decoder has given no picture for too long."""


class Watchdog:
    """Adds up the time somebody waited for a picture; time in which nobody listened is not the decoder's."""

    def __init__(self, *, opening_s: float, silence_s: float) -> None:
        """`opening_s` is the limit before the first picture, `silence_s` after it."""
        self._limit_s = opening_s
        self._silence_s = silence_s
        self._waited_s = 0.0

    def heard(self) -> None:
        """A picture was decoded."""
        self._limit_s = self._silence_s
        self._waited_s = 0.0

    def waited(self, seconds: float) -> bool:
        """Add time without a picture; whether it is too much."""
        self._waited_s += seconds
        return self._waited_s > self._limit_s
