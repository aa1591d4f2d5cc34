"""The page *one passcode*: found by client and timestamp, or by the passcode itself, which comes in a form and goes nowhere."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from counterfoil.api.http import Response
from counterfoil.console.answers import see_other
from counterfoil.console.cookies import PATH as CONSOLE
from counterfoil.console.operating import spelled
from counterfoil.console.operating.shared import SLOW_S, SharedAnswers
from counterfoil.console.operating.story import Story, clients_of, story_of
from counterfoil.console.operating.trouble import Trouble, trouble_of
from counterfoil.console.pages import Page, Visit
from counterfoil.model.passcode import MalformedPasscode, parsed_passcode

PATH = "/passcode"
ENTRIES_MAX = 100
LOOKS_MAX = 2
"""A look at the journal is bounded by the API; a page makes so many in a row."""
_TIMESTAMP_DIGITS_MAX = 19
_TIMESTAMP_US_MAX = 2**63 - 1


@dataclass(slots=True)
class _Found:
    """What the journal has; `next_` where there is more to look through."""

    entries: list[dict[str, Any]] = field(default_factory=list)
    next_: str | None = None
    seen_to_us: int | None = None
    trouble: Trouble | None = None


class OnePasscode:
    """The page, and what its form does."""

    def __init__(self, shared: SharedAnswers, now_us: Callable[[], int]) -> None:
        self._shared = shared
        self._now_us = now_us

    def page(self) -> Page:
        """The entry for the console."""
        about = "The story of one passcode, from the journal: issued, accepted, refused, by whom and when."
        return Page(PATH, "One passcode", about, self._show, {"find": self._find})

    async def _find(self, visit: Visit) -> Response:
        """From what was typed to an address that holds no secret."""
        client_id, pasted = visit.form.get("client_id", "").strip(), visit.form.get("passcode", "").strip()
        timestamp = visit.form.get("timestamp", "").strip()
        if _timestamp_of(client_id) is not None:
            # Nothing but the passcode's own field is kept out of the address.
            return self._page(visit, notice="That was a passcode in the field of the client. Paste it into its own.")
        if pasted:
            said = _timestamp_of(pasted)
            if said is None:
                notice = "That is not spelled like a passcode: cf1_ and 83 letters, digits, - and _, whole and with no space."
                return self._page(visit, notice=notice, client_id=client_id)
            timestamp = str(said)
        if not _is_timestamp(timestamp):
            notice = "Give a passcode, or a timestamp: the microseconds that came with the passcode, digits alone."
            return self._page(visit, notice=notice, client_id=client_id)
        query = {"timestamp": timestamp, **({"client_id": client_id} if client_id else {})}
        return see_other(f"{CONSOLE}{PATH}?{urlencode(query)}#story")

    async def _show(self, visit: Visit) -> Response:
        client_id, timestamp = visit.query.get("client_id", "").strip(), visit.query.get("timestamp", "").strip()
        if not _is_timestamp(timestamp):
            return self._page(visit, client_id=client_id)
        found = await _look(visit, int(timestamp), visit.query.get("cursor", ""))
        clients = clients_of(found.entries)
        client_id = client_id or (clients[0] if len(clients) == 1 else "")
        story = None
        if client_id and found.trouble is None:
            stands = await visit.ask("POST", "/v1/journal/passcode", {"client_id": client_id, "timestamp": int(timestamp)})
            counterfoil = stands.json()["counterfoil"] if stands.status == 200 else None
            story = story_of(found.entries, client_id, int(timestamp), await self._names(visit, found), counterfoil)
        return self._page(visit, client_id=client_id, timestamp=timestamp, found=found, clients=clients, story=story)

    async def _names(self, visit: Visit, found: _Found) -> dict[str, str]:
        """Credentials' names by their ids: the entry of an issue has the id."""
        if all(entry["event"] != "issued" for entry in found.entries):
            return {}
        answer = await self._shared.ask(visit, "/v1/credentials", fresh_s=SLOW_S)
        return {each["id"]: each["name"] for each in answer.json()["credentials"]} if answer.status == 200 else {}

    def _page(
        self,
        visit: Visit,
        *,
        notice: str = "",
        client_id: str = "",
        timestamp: str = "",
        found: _Found | None = None,
        clients: list[str] | None = None,
        story: Story | None = None,
    ) -> Response:
        return visit.page(
            "passcode.html",
            title="One passcode",
            notice=notice,
            client_id=client_id,
            timestamp=timestamp,
            found=found,
            clients=clients or [],
            story=story,
            now_us=self._now_us(),
            spelled=spelled,
        )


def _timestamp_of(text: str) -> int | None:
    """What a passcode says; None for what is none."""
    try:
        return parsed_passcode(text).header.timestamp_us
    except MalformedPasscode:
        return None


def _is_timestamp(text: str) -> bool:
    """Whether the journal can be asked for it: a passcode that somebody made up may say any time."""
    is_number = text.isascii() and text.isdigit() and len(text) <= _TIMESTAMP_DIGITS_MAX
    return is_number and int(text) <= _TIMESTAMP_US_MAX


async def _look(visit: Visit, timestamp_us: int, cursor: str) -> _Found:
    """All entries with that timestamp, for whichever client: a passcode may have been presented for another one."""
    found = _Found(next_=cursor or None)
    for _ in range(LOOKS_MAX):
        query: dict[str, str | int] = {
            "timestamp": timestamp_us,
            "order": "oldest",
            "limit": ENTRIES_MAX,
        }
        if found.next_:
            query["cursor"] = found.next_
        answer = await visit.ask("GET", "/v1/journal", query=query)
        found.trouble = trouble_of(answer)
        if found.trouble:
            break
        told = answer.json()
        found.entries += told["entries"]
        found.next_ = told["next"]
        found.seen_to_us = told["seen_to"] or found.seen_to_us
        if found.next_ is None or len(found.entries) >= ENTRIES_MAX:
            break
    return found
