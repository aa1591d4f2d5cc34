"""Who is logged in: sessions in this process's memory, gone when it ends. A session holds a credential and shows it to no page.

Its cookie is random and kept as a digest. The credential is presented to the API at every request, so that revoking it
ends the session there and then.
"""

from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, TypeAlias

TokenBytes: TypeAlias = Callable[[int], bytes]

SESSION_ID_BYTES = 32
# NIST SP 800-63B-4 (2.2.3, AAL2): at most an hour without activity, and a day in all. Here half of each.
IDLE_S = 30 * 60
ABSOLUTE_S = 12 * 3600
SESSIONS_MAX = 64
ONCE_S = 15 * 60
ONCE_MAX = 16


@dataclass(slots=True)
class Session:
    """One visitor. `shelf` is where pages keep what they remember of the visit."""

    credential: str = field(repr=False)
    begun_s: float
    used_s: float
    shelf: dict[str, Any] = field(default_factory=dict, repr=False)

    def is_live(self, now_s: float) -> bool:
        """Whether it has neither been left alone too long nor lasted too long."""
        return now_s < self.used_s + IDLE_S and now_s < self.begun_s + ABSOLUTE_S


class Sessions:
    """The sessions of one process. The one that was left alone longest makes room for a new one."""

    def __init__(self, monotonic_s: Callable[[], float], token_bytes: TokenBytes) -> None:
        self._monotonic_s = monotonic_s
        self._token_bytes = token_bytes
        self._sessions: dict[bytes, Session] = {}

    def begin(self, credential: str) -> str:
        """A new session's id, for its cookie."""
        now_s = self._monotonic_s()
        self._sessions = {key: each for key, each in self._sessions.items() if each.is_live(now_s)}
        if len(self._sessions) >= SESSIONS_MAX:
            del self._sessions[min(self._sessions, key=lambda key: self._sessions[key].used_s)]
        session_id = _token(self._token_bytes)
        self._sessions[_digest(session_id)] = Session(credential, now_s, now_s)
        return session_id

    def find(self, session_id: str, *, is_used: bool = True) -> Session | None:
        """The session, which is used now unless it is said otherwise; None when there is none of this id, or no more."""
        now_s = self._monotonic_s()
        session = self._sessions.get(_digest(session_id))
        if session is None or not session.is_live(now_s):
            self.end(session_id)
            return None
        if is_used:
            session.used_s = now_s
        return session

    def end(self, session_id: str) -> None:
        """Forgets the session, if there is one."""
        self._sessions.pop(_digest(session_id), None)


@dataclass(frozen=True, slots=True)
class Admission:
    """Whom a link lets in, where it leads to, and when it ends."""

    credential: str = field(repr=False)
    leads_to: str
    ends_s: float


class OnceTokens:
    """What one-use login links end with. Looking at a link spends nothing; the button behind it does."""

    def __init__(self, monotonic_s: Callable[[], float], token_bytes: TokenBytes) -> None:
        self._monotonic_s = monotonic_s
        self._token_bytes = token_bytes
        self._admissions: dict[bytes, Admission] = {}

    def admit(self, credential: str, leads_to: str) -> str:
        """A token that logs in with this credential, once, within a quarter of an hour."""
        if len(self._admissions) >= ONCE_MAX:
            del self._admissions[next(iter(self._admissions))]
        token = _token(self._token_bytes)
        self._admissions[_digest(token)] = Admission(credential, leads_to, self._monotonic_s() + ONCE_S)
        return token

    def spend(self, token: str) -> Admission | None:
        """What it is good for, this once; None for a token that was spent, is too old, or never was."""
        admission = self._admissions.pop(_digest(token), None)
        return admission if admission is not None and self._monotonic_s() < admission.ends_s else None


def _token(token_bytes: TokenBytes) -> str:
    return urlsafe_b64encode(token_bytes(SESSION_ID_BYTES)).rstrip(b"=").decode()


def _digest(token: str) -> bytes:
    return sha256(token.encode()).digest()
