"""What every measured service is to a run: two requests, the processes behind them, and a proof that it redeems once."""

import http.client
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

CLIENT, SECRET, ID = "@CLIENT@", "@SECRET@", "@ID@"
_WIDTHS = {CLIENT: 5, ID: 16}
# What is bound: a device and a small payment, the same at both ends and for every service that binds.
BOUND = '"context":{"device_id":"d-9"},"transaction":{"amount":"10.00","currency":"EUR","payee":"IT60X0542811101000000123456"}'
_CLIENT_PATTERN = '"client_id":"(c%d+)"'


class Unfair(Exception):
    """A service does not do what it is compared for."""


@dataclass(frozen=True)
class Call:
    """One kind of request, with CLIENT, SECRET and ID for what differs each time; all of these have fixed widths."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: str

    def template(self, secret_chars: int) -> str:
        """The request as it goes over the wire."""
        length = len(self.body)
        for name, width in {**_WIDTHS, SECRET: secret_chars}.items():
            length += self.body.count(name) * (width - len(name))
        lines = [f"{self.method} {self.path} HTTP/1.1", "Host: bench", f"Content-Length: {length}"]
        return "\r\n".join([*lines, *(f"{name}: {value}" for name, value in self.headers.items()), "", self.body])

    def with_values(self, values: Mapping[str, str]) -> "Call":
        """The same with everything put in."""

        def put(text: str) -> str:
            for name, value in values.items():
                text = text.replace(name, value)
            return text

        return Call(self.method, self.path, {name: put(value) for name, value in self.headers.items()}, put(self.body))


@dataclass
class Service:
    """A running service. `secret_pattern` finds what was issued in the answer: `"` and base64url, as a Lua pattern."""

    name: str
    url: str
    issue: Call
    redeem: Call
    pids: list[int]
    secret_pattern: str
    says: Mapping[str, object] = field(default_factory=dict)
    """What the service itself says of its settings."""
    remembers: bool = True
    """False for one that only answers."""
    binds: bool = True
    """Whether it refuses another transaction."""
    client_pattern: str = _CLIENT_PATTERN
    secret_chars: int = 0
    issued: str = ""

    def proved(self) -> "Service":
        """Itself, once it has issued, refused what it must, and redeemed. Raises Unfair."""
        status, answer = self.ask(self.issue)
        found = re.search(self.secret_pattern.replace("%", "\\"), answer)
        if status >= 300 or found is None:
            raise Unfair(f"{self.name} issued nothing: {status} {answer[:300]}")
        self.issued = found[1]
        self.secret_chars = len(self.issued)
        tampered = Call(self.redeem.method, self.redeem.path, self.redeem.headers, self.redeem.body.replace("10.00", "99.00"))
        steps: list[tuple[Call, bool, str]] = [(self.redeem, True, "accepts nothing")]
        if self.binds:
            steps.insert(0, (tampered, False, "accepts another transaction"))
        if self.remembers:
            steps.append((self.redeem, False, "accepts twice"))
        for call, is_accepted, complaint in steps:
            status, answer = self.ask(call)
            if (status < 300) is not is_accepted:
                raise Unfair(f"{self.name} {complaint}: {status} {answer[:300]}")
        return self

    def ask(self, call: Call) -> tuple[int, str]:
        """One request by itself, and its answer."""
        whole = call.with_values({CLIENT: "c0001", SECRET: self.issued, ID: secrets.token_hex(8)})
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=20)
        try:
            connection.request(whole.method, whole.path, whole.body.encode(), dict(whole.headers))
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()


def bearer_calls(
    issuer: str, validator: str, issue_path: str, redeem_path: str, secret_name: str, more: str = ""
) -> tuple[Call, Call]:
    """Issue and redeem as this service and the hand-made ones have them: a bearer credential for each role, and JSON."""
    json = {"Content-Type": "application/json"}
    issue = Call("POST", issue_path, {"Authorization": f"Bearer {issuer}", **json}, f'{{"client_id":"{CLIENT}",{BOUND}{more}}}')
    redeem = Call(
        "POST",
        redeem_path,
        {"Authorization": f"Bearer {validator}", "Idempotency-Key": ID, **json},
        f'{{"client_id":"{CLIENT}","{secret_name}":"{SECRET}",{BOUND}}}',
    )
    return issue, redeem


Started = Callable[[], Service]
