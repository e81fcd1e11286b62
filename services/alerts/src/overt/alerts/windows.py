"""What the stream remembers of the matches it has recorded, so that a redelivered one needs no database."""

import hashlib

from overt.contracts.messages import MatchMade


def entry_key(match: MatchMade) -> str:
    """Return under what a match is remembered: the key of its record."""
    return f"{match.deployment_id}/{match.candidates[0].entry_id}"


def mark_of(match: MatchMade) -> str:
    """Return a digest of exactly this match: the same probe captured at the same moment.

    Only what is the same in both is passed over without asking the database. A recording that is played
    again has the same probe and another moment, and raises another alert.
    """
    text = f"{entry_key(match)}\n{match.probe_hash}\n{match.shot.captured_at_ns}"
    return hashlib.sha256(text.encode()).hexdigest()[:32]
