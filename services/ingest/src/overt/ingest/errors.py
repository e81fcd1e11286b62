"""What can be wrong with a source.

SourceError
├── SourceRefused    it is no source, or holds nothing that can be decoded: the user has to mend it
├── SourceLost       a camera went away: it is opened again
└── DecoderFailed    the process that decodes it hung or crashed: another one is started
"""


class SourceError(Exception):
    """One clear line; user names, passwords and tokens of an address are never in it."""


class SourceRefused(SourceError):
    """There is nothing to decode here, and trying again will not help."""


class SourceLost(SourceError):
    """A live camera stopped sending or can't be reached now."""


class DecoderFailed(SourceError):
    """The decoder gave no picture in time and was killed, or ended without a word."""
