"""Sign-in without an identity provider: one-time links for the people of one machine, and their sessions."""

import hashlib
import hmac
import secrets
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from overt.alerts.judging import Person, Role
from overt.runtime.clock import Clock

TOKEN_BYTES = 32
LINK_TTL_S = 15 * 60
SESSION_TTL_S = 12 * 3600  # as long as the longest order


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A session. `session_id` is a digest of the cookie: it may be signed into links, the cookie may not."""

    session_id: str
    person: Person
    csrf_token: str
    expires_at_s: float


def roster(operators: int, engagement_officers: int, supervisors: int) -> tuple[Person, ...]:
    """Return the people who may sign in: numbered by role, since nobody's name is known here."""
    counts: Sequence[tuple[Role, str, int]] = (
        ("operator", "Operator", operators),
        ("engagement_officer", "Engagement officer", engagement_officers),
        ("supervisor", "Supervisor", supervisors),
    )
    return tuple(
        Person(f"{role.replace('_', '-')}-{number}", title if count == 1 else f"{title} {number}", role)
        for role, title, count in counts
        for number in range(1, count + 1)
    )


class Doorkeeper:
    """Makes login tokens, takes each once, and keeps sessions; all in memory, only as digests.

    A restart signs everybody out and voids every link. Safe to share between threads.
    """

    def __init__(
        self,
        people: Sequence[Person],
        clock: Clock,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self.people = {person.person_id: person for person in people}
        self._clock = clock
        self._random_bytes = random_bytes
        self._lock = threading.Lock()
        self._csrf_secret = random_bytes(TOKEN_BYTES)
        self._tokens: dict[str, tuple[Person, float]] = {}
        self._sessions: dict[str, SignedIn] = {}

    def new_token(self, person: Person) -> str:
        """Return a token that signs `person` in once, within 15 minutes."""
        token = self._random_bytes(TOKEN_BYTES).hex()
        with self._lock:
            self._forget_expired()
            self._tokens[_digest(token)] = (person, self._clock.now_s() + LINK_TTL_S)
        return token

    def owner(self, token: str) -> Person | None:
        """Whose token it is, without using it up; None when it is used, expired or was never made."""
        with self._lock:
            self._forget_expired()
            found = self._tokens.get(_digest(token))
            return found[0] if found else None

    def sign_in(self, token: str) -> tuple[str, SignedIn] | None:
        """Use `token` up and return the cookie's value and the session; None as in `owner`."""
        with self._lock:
            self._forget_expired()
            found = self._tokens.pop(_digest(token), None)
            if found is None:
                return None
            cookie = self._random_bytes(TOKEN_BYTES).hex()
            session_id = _digest(cookie)
            csrf = hmac.new(self._csrf_secret, session_id.encode(), hashlib.sha256).hexdigest()
            session = SignedIn(session_id, found[0], csrf, self._clock.now_s() + SESSION_TTL_S)
            self._sessions[session_id] = session
            return cookie, session

    def session(self, cookie: str | None) -> SignedIn | None:
        """The session of a cookie, if it lives."""
        with self._lock:
            self._forget_expired()
            return self._sessions.get(_digest(cookie)) if cookie else None

    def is_alive(self, session: SignedIn) -> bool:
        """Whether the session was neither ended nor has expired."""
        with self._lock:
            self._forget_expired()
            return session.session_id in self._sessions

    def sign_out(self, session: SignedIn) -> None:
        """End the session."""
        with self._lock:
            self._sessions.pop(session.session_id, None)

    def _forget_expired(self) -> None:
        now_s = self._clock.now_s()
        self._tokens = {digest: t for digest, t in self._tokens.items() if t[1] > now_s}
        self._sessions = {digest: s for digest, s in self._sessions.items() if s.expires_at_s > now_s}


def csrf_matches(session: SignedIn, token: str) -> bool:
    """Whether `token` is the one of this session's forms."""
    return hmac.compare_digest(session.csrf_token.encode(), token.encode())


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
