"""What a page shows where the API did not say what it was asked for: in plain words, with the id that the log knows."""

from dataclasses import dataclass

from counterfoil.console.api_calls import Answer


@dataclass(frozen=True, slots=True)
class Trouble:
    """One answer that was none."""

    says: str
    do: str
    request_id: str


def trouble_of(answer: Answer) -> Trouble | None:
    """None where the answer is one."""
    if answer.status == 200:
        return None
    problem = answer.json()
    says = f"{problem['title'].rstrip('.')}. {problem['detail']}"
    return Trouble(says, _DO.get(problem["code"], _DO_ELSE.get(answer.status, "")), answer.request_id)


_DO = {
    "unauthenticated": "Your credential has ended meanwhile: log in again.",
    "not_found": "This service does not offer what the page needs.",
}
_DO_ELSE = {503: "Nothing is known just now. Load the page again in a moment; the page Health says what is wrong."}
