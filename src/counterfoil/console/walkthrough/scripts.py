"""The calls of one slip as scripts to paste: curl in a shell, and Python. They hold no credential and no passcode.

What they need of the environment is what `counterfoil dev` prints to be exported: ISSUER, VALIDATOR, OPERATOR.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from shlex import quote
from typing import Any

from counterfoil.console.walkthrough.story import By, Call

ISSUE, VALIDATE, CLOCK = "/v1/passcodes", "/v1/passcodes/validate", "/dev/clock"
_VARIABLES = {By.CLIENT: "ISSUER", By.BACKEND: "VALIDATOR", By.OPERATOR: "OPERATOR"}
_PASSCODE = "\0passcode\0"
_RANDOM = "$(od -An -N8 -tx8 /dev/urandom | tr -d ' ')"


def curl(url: str, calls: Sequence[Call]) -> str:
    """The calls for a POSIX shell."""
    names = _redemptions(calls)
    lines = [f"ID_{number}={_RANDOM}" for number in names.values()]
    for call in calls:
        lines += ["", f"# {_told(call)}"]
        command = [f"curl -s -X POST {quote(url + call.path)}", "-H 'Content-Type: application/json'"]
        if call.by in _VARIABLES:
            command.append(f'-H "Authorization: Bearer ${_VARIABLES[call.by]}"')
        if call.redemption_id is not None:
            command.append(f'-H "Idempotency-Key: $ID_{names[call.redemption_id]}"')
        command.append(f"-d {_quoted(_body(call))}")
        text = " \\\n  ".join(command)
        if call.path == ISSUE:
            lines.append(f'PASSCODE=$({text} | sed -n \'s/.*"passcode":"\\([^"]*\\)".*/\\1/p\')')
        else:
            lines.append(f"{text}; echo")
    return "\n".join(lines).strip() + "\n"


def python(url: str, calls: Sequence[Call]) -> str:
    """The calls with the client library."""
    names = _redemptions(calls)
    turns_clock = any(call.path == CLOCK for call in calls)
    lines = ["import os", "", "import counterfoil", *(["import httpx2"] * turns_clock), "", f"url = {url!r}"]
    lines += list(_people(calls))
    lines += [f"redemption_{number} = counterfoil.new_redemption_id()  # stored before it is used" for number in names.values()]
    if any(call.path == VALIDATE for call in calls):
        lines += ["", "", *_HEARD, ""]
    for call in calls:
        lines += ["", f"# {_told(call)}"]
        body = {name: value for name, value in call.body.items() if name != "client_id"}
        bound = "".join(f",\n    {name}={value!r}" for name, value in body.items())
        if call.path == ISSUE:
            lines.append(f"issued = client.issue(\n    {call.body['client_id']!r}{bound},\n)")
        elif call.path == VALIDATE:
            redemption = "" if call.redemption_id is None else f",\n    redemption_id=redemption_{names[call.redemption_id]}"
            asked = f"{call.body['client_id']!r}, issued.passcode{bound}{redemption}"
            lines.append(f"heard(lambda: {call.by.value}.validate(\n    {asked},\n))")
        else:
            headers = '{"Authorization": "Bearer " + os.environ["OPERATOR"]}'
            lines.append(f"httpx2.post(url + {call.path!r}, json={call.body!r}, headers={headers})")
    return "\n".join(lines) + "\n"


_HEARD = (
    "def heard(ask):",
    "    try:",
    '        print("accepted, told again" if ask().replayed else "accepted")',
    "    except counterfoil.PasscodeRefused as refused:",
    '        print("refused:", refused.reason)',
    "    except counterfoil.CounterfoilError as error:",
    '        print("no verdict:", error)',
)


def _people(calls: Iterable[Call]) -> Iterator[str]:
    asking = {call.by for call in calls if call.path != CLOCK}
    for by in (By.CLIENT, By.BACKEND):
        if by in asking:
            yield f'{by.value} = counterfoil.Client(url, os.environ["{_VARIABLES[by]}"])'
    if By.NOBODY in asking:
        yield f'{By.NOBODY.value} = counterfoil.Client(url, "no-credential")'


def _redemptions(calls: Iterable[Call]) -> dict[str, int]:
    """Each redemption id and its number, in the order in which they were used."""
    used = dict.fromkeys(call.redemption_id for call in calls if call.redemption_id is not None)
    return {redemption_id: number for number, redemption_id in enumerate(used, 1)}


def _told(call: Call) -> str:
    lost = ", and the answer is lost" if call.is_lost else ""
    what = _ELSE[call.path] if call.path in _ELSE else f"{_WHO[call.by]} asks whether it is good"
    return f"{what} ({call.status}{lost})"


_ELSE = {ISSUE: "The client application asks for a passcode", CLOCK: "Time passes"}
_WHO = {
    By.BACKEND: "The backend",
    By.NOBODY: "Somebody without a credential",
    By.CLIENT: "Somebody with the client's credential",
}


def _body(call: Call) -> dict[str, Any]:
    return {"passcode": _PASSCODE, **call.body} if call.path == VALIDATE else call.body


def _quoted(body: dict[str, Any]) -> str:
    """The JSON for a shell, with the variable where the passcode stands: '…"passcode": "'"$PASSCODE"'"…'."""
    text = json.dumps(body, ensure_ascii=False).replace(json.dumps(_PASSCODE)[1:-1], _PASSCODE)
    return '"$PASSCODE"'.join(quote(part) for part in text.split(_PASSCODE))
