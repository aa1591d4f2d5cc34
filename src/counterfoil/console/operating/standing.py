"""The pages *keys and credentials* and *health*: what there is, how old it is, what is due, and what `doctor` says."""

from collections.abc import Callable

from counterfoil.api.http import Response
from counterfoil.console.operating import spelled
from counterfoil.console.operating.due import checks, credential_sign, key_sign
from counterfoil.console.operating.shared import SharedAnswers
from counterfoil.console.operating.trouble import trouble_of
from counterfoil.console.pages import Page, Visit

KEYS_PATH = "/keys"
HEALTH_PATH = "/health"
HEALTH_EVERY_S = 15


class KeysAndCredentials:
    """The page."""

    def __init__(self, now_us: Callable[[], int]) -> None:
        self._now_us = now_us

    def page(self) -> Page:
        """The entry for the console."""
        return Page(KEYS_PATH, "Keys and credentials", "How old they are, when they were last used, what is due.", self._show)

    async def _show(self, visit: Visit) -> Response:
        now_us = self._now_us()
        keys, credentials = await visit.ask("GET", "/v1/keys"), await visit.ask("GET", "/v1/credentials")
        told = credentials.json() if credentials.status == 200 else {"credentials": [], "looked_back_to": None}
        listed = keys.json() if keys.status == 200 else None
        return visit.page(
            "keys.html",
            title="Keys and credentials",
            keys_trouble=trouble_of(keys),
            keys=listed,
            key_rows=[(key, key_sign(key)) for key in listed["keys"]] if listed else [],
            credentials_trouble=trouble_of(credentials),
            looked_back_to=told["looked_back_to"],
            credential_rows=[
                (each, credential_sign(each, now_us, told["looked_back_to"]))
                for each in sorted(told["credentials"], key=lambda each: (each["revoked_at"] is not None, each["name"]))
            ],
            now_us=now_us,
            spelled=spelled,
        )


class Health:
    """The page."""

    def __init__(self, shared: SharedAnswers, now_us: Callable[[], int]) -> None:
        self._shared = shared
        self._now_us = now_us

    def page(self) -> Page:
        """The entry for the console."""
        return Page(HEALTH_PATH, "Health", "What the doctor says of this service, and what mends it.", self._show)

    async def _show(self, visit: Visit) -> Response:
        answer = await self._shared.ask(visit, "/v1/health")
        found = checks(answer.json()) if answer.status == 200 else []
        return visit.page(
            "health.html",
            title="Health",
            every_s=HEALTH_EVERY_S,
            trouble=trouble_of(answer),
            checks=found,
            problems=sum(check["level"] == "problem" for check in found),
            warnings=sum(check["level"] == "warning" for check in found),
            as_of_us=self._now_us(),
            spelled=spelled,
        )
