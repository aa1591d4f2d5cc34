"""Who gets in: every route of the served document, with every credential that must not open it, and every other method.

The document says which routes there are, and the table below who may call them: a route that the table does not know fails.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from counterfoil.api.app import Api
from counterfoil.api.callers import by_bearer_credential
from counterfoil.api.http import Response
from counterfoil.api.observing import SilentObserver
from counterfoil.api.routes import Route
from counterfoil.api.service_routes import service_routes
from counterfoil.credentials.credential_file import CredentialFile
from counterfoil.model.principal import Role
from tests.support.load import connections
from tests.support.parts import Parts, decoded, made_sqlite_parts
from tests.support.service import made_deployment

Name = tuple[str, str]
"""Method and path, as the document has them."""

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "get", "PROPFIND")
OTHER_PATHS = ("/", "/v1", "/v1/passcodes/", "/V1/passcodes", "//v1/passcodes", "/v1/../v1/passcodes", "/v1/passcodes/revoke;x")


@dataclass(frozen=True)
class Call:
    """Who may call a route, and a call that succeeds: what `Parts.ask` is to be given."""

    roles: frozenset[str]
    asked: Callable[[Parts], Awaitable[dict[str, Any]]]
    names_a_client: bool = False
    """Whether an issuer is refused what its patterns do not cover."""


async def _nothing(_: Parts) -> dict[str, Any]:
    return {}


async def _issue(_: Parts) -> dict[str, Any]:
    return {"body": {"client_id": "1234"}}


async def _genuine(parts: Parts) -> dict[str, Any]:
    return {"body": {"client_id": "1234", "passcode": (await parts.issue())["passcode"]}}


async def _seal(_: Parts) -> dict[str, Any]:
    return {"body": {"client_id": "1234", "sealed_pairs": {"limit": "500"}}}


async def _story(_: Parts) -> dict[str, Any]:
    return {"body": {"client_id": "1234", "timestamp": 1}}


async def _client(_: Parts) -> dict[str, Any]:
    return {"query": "clientId=1234"}


async def _generated(parts: Parts) -> dict[str, Any]:
    answer = decoded(await parts.ask("POST", "/generateOtp", query="clientId=1234", role="issuer"))
    return {"query": f"clientId=1234&timestamp={answer['timestamp']}"}


ISSUER, VALIDATOR, OPERATOR = frozenset({"issuer"}), frozenset({"validator"}), frozenset({"operator"})
CALLER = ("GET", "/v1/caller")
OPEN = Call(frozenset(), _nothing)
CALLS: Mapping[Name, Call] = {
    ("POST", "/v1/passcodes"): Call(ISSUER, _issue, names_a_client=True),
    ("POST", "/v1/passcodes/validate"): Call(VALIDATOR, _genuine),
    ("POST", "/v1/passcodes/revoke"): Call(ISSUER | VALIDATOR, _genuine, names_a_client=True),
    ("POST", "/v1/contexts/seal"): Call(VALIDATOR | {"operator"}, _seal),
    ("POST", "/v1/journal/passcode"): Call(OPERATOR, _story),
    **{
        ("GET", path): Call(OPERATOR, _nothing)
        for path in ("/v1/journal", "/v1/refusals", "/v1/keys", "/v1/credentials", "/v1/health")
    },
    CALLER: Call(ISSUER | VALIDATOR | {"operator"}, _nothing),
    ("GET", "/generateOtp"): Call(ISSUER, _client, names_a_client=True),
    ("POST", "/generateOtp"): Call(ISSUER, _client, names_a_client=True),
    ("GET", "/validateOtp"): Call(VALIDATOR, _generated),
    ("DELETE", "/invalidateOtp"): Call(ISSUER | VALIDATOR, _generated, names_a_client=True),
    **{
        ("GET", path): OPEN
        for path in (
            "/healthz",
            "/readyz",
            "/metrics",
            "/openapi.json",
            "/docs",
            "/docs/swagger-ui.css",
            "/docs/swagger-ui-bundle.js",
            "/docs/page.js",
        )
    },
}


@pytest_asyncio.fixture
async def parts(tmp_path: Path) -> AsyncIterator[Parts]:
    # Over a store whose journal can be read, or some routes would have nothing to tell.
    made = made_sqlite_parts(tmp_path)
    made.secrets["other client's issuer"] = made.credentials.create("shop", Role.ISSUER, ("shop-*",))
    yield made
    await made.store.close()


async def _documented(parts: Parts) -> dict[Name, dict[str, Any]]:
    """The operations of the document, as it is served."""
    paths = decoded(await parts.ask("GET", "/openapi.json"))["paths"]
    return {(method.upper(), path): operation for path in paths for method, operation in paths[path].items()}


def _nobodies(parts: Parts) -> dict[str, str | None]:
    """`Authorization` of callers whom no route may let in, whatever their role would be."""
    headers: dict[str, str | None] = {
        "no credential": None,
        "garbage": "garbage",
        "another scheme": "Basic dXNlcjpwYXNz",
        "an empty credential": "Bearer ",
        "a credential of 10,000 characters": "Bearer " + "x" * 10_000,
        "a credential that is not ASCII": "Bearer é",
        "two credentials": f"Bearer {parts.secrets['issuer']}, Bearer {parts.secrets['validator']}",
        "a credential with a space before it": f" Bearer {parts.secrets['issuer']}",
    }
    for role in Role:
        patterns = ("*",) if role is Role.ISSUER else ()
        genuine = parts.secrets[role.value]
        revoked = parts.credentials.create(f"revoked-{role.value}", role, patterns)
        parts.credentials.revoke(f"revoked-{role.value}")
        expired = parts.credentials.create(f"expired-{role.value}", role, patterns, expires_at_us=parts.clock.now_us)
        headers |= {
            f"a made-up {role.value}": f"Bearer {genuine[:4]}{'0' * 43}",
            f"a revoked {role.value}": f"Bearer {revoked}",
            f"an expired {role.value}": f"Bearer {expired}",
            f"all but the last character of the {role.value}": f"Bearer {genuine[:-1]}",
            f"one character more than the {role.value}": f"Bearer {genuine}A",
            f"the {role.value} in capitals": f"Bearer {genuine.upper()}",
            f"the {role.value} without its prefix": f"Bearer {genuine[4:]}",
        }
    return headers


async def _answer(parts: Parts, name: Name, header: str | None, asked: dict[str, Any]) -> Response:
    headers = {} if header is None else {b"authorization": header.encode("latin-1")}
    return await parts.ask(*name, **asked, headers=headers)


async def breaches(parts: Parts) -> list[str]:
    """Every way in that should be closed, and every way that should be open and is not."""
    documented = await _documented(parts)
    found = [f"{name} is documented, and no test knows who may call it" for name in documented.keys() - CALLS.keys()]
    found += [f"{name} is not documented" for name in CALLS.keys() - documented.keys()]
    nobodies = _nobodies(parts)
    for name in sorted(documented.keys() & CALLS.keys()):
        call, operation = CALLS[name], documented[name]
        said = (frozenset(operation.get("x-roles", ())), bool(operation["security"]))
        if said != (call.roles, bool(call.roles)):
            found.append(f"the document says another thing of {name}")
        if call.roles:
            asked = await call.asked(parts)
            refusals = {who: await _answer(parts, name, header, asked) for who, header in nobodies.items()}
            found += [f"{name} answers {who} {each.status}" for who, each in refusals.items() if each.status != 401]
            if (b"www-authenticate", b"Bearer") not in refusals["no credential"].headers:
                found.append(f"{name} does not say what credential it wants")
            found += [f"{name} tells {who} more" for who, each in refusals.items() if each != refusals["no credential"]]
        for role in parts.secrets:
            narrow = role == "other client's issuer"
            allowed = not call.roles or (role in call.roles) or (narrow and "issuer" in call.roles and not call.names_a_client)
            answer = await parts.ask(*name, **await call.asked(parts), role=role)
            expected = {int(each) for each in operation["responses"] if each.startswith("2")} if allowed else {403}
            if answer.status not in expected:
                found.append(f"{name} answers {role} {answer.status}")
    return sorted(found)


async def test_every_route_lets_in_whom_it_is_for_and_nobody_else(parts: Parts) -> None:
    assert await breaches(parts) == []


def _own_routes(parts: Parts) -> tuple[Route, ...]:
    """All but those that `_with_routes` adds: a document that lists what is served now comes with them."""
    added = {each.path for each in service_routes(parts.service.handlers, ())}
    return tuple(each for each in parts.service.api.routes if each.path not in added)


def _with_routes(parts: Parts, routes: tuple[Route, ...]) -> Parts:
    return _serving(parts, (*routes, *service_routes(parts.service.handlers, routes)))


def _serving(parts: Parts, routes: tuple[Route, ...]) -> Parts:
    authenticate = by_bearer_credential(CredentialFile(parts.credentials.path, parts.clock))
    api = Api(routes, authenticate, SilentObserver())
    return replace(parts, service=replace(parts.service, api=api, front=api))


@pytest.mark.parametrize("name", sorted(name for name, call in CALLS.items() if call.roles and name != CALLER), ids=" ".join)
@pytest.mark.parametrize("roles", [tuple(Role), ()], ids=["everybody's", "open"])
async def test_control_a_route_that_is_opened_wider_is_caught(parts: Parts, name: Name, roles: tuple[Role, ...]) -> None:
    routes = _own_routes(parts)
    widened = tuple(replace(each, roles=roles) if (each.method, each.path) == name else each for each in routes)
    found = await breaches(_with_routes(parts, widened))
    assert any(f"{name} answers" in each for each in found)
    assert any("the document says another thing" in each for each in found)


async def test_control_a_route_of_every_role_that_is_opened_to_nobodies_is_caught(parts: Parts) -> None:
    opened = tuple(replace(each, roles=()) if each.path == CALLER[1] else each for each in parts.service.api.routes)
    assert f"{CALLER} answers garbage 200" in await breaches(_serving(parts, opened))


async def test_control_a_route_that_nobody_thought_of_is_caught(parts: Parts) -> None:
    routes = _own_routes(parts)
    found = await breaches(_with_routes(parts, (*routes, replace(routes[0], path="/v1/new"))))
    assert found == ["('POST', '/v1/new') is documented, and no test knows who may call it"]


# -- no such passcode, and not yours --


async def test_not_there_and_not_yours_are_the_same_answer(parts: Parts) -> None:
    """Status, headers and body: whoever asks learns nothing of what exists."""
    issued = await parts.issue()
    stamp, passcode = issued["timestamp"], issued["passcode"]
    generated = decoded(await parts.ask("POST", "/generateOtp", query="clientId=1234", role="issuer"))["timestamp"]
    elsewhere = stamp + 1_000_000
    forged = passcode[:50] + ("A" if passcode[50] != "A" else "B") + passcode[51:]
    validate, revoke = ("POST", "/v1/passcodes/validate"), ("POST", "/v1/passcodes/revoke")
    pairs: list[tuple[Name, str, dict[str, Any], dict[str, Any]]] = [
        (revoke, "other client's issuer", _named(timestamp=stamp), _named(timestamp=elsewhere)),
        (revoke, "other client's issuer", _named(passcode=passcode), _named(passcode=forged)),
        (revoke, "validator", _named("other", timestamp=stamp), _named("other", timestamp=elsewhere)),
        (revoke, "validator", _named("other", passcode=passcode), _named("other", passcode=forged)),
        (validate, "validator", _named("other", passcode=passcode), _named("other", passcode=forged)),
        (validate, "validator", _named("other", passcode=passcode), _named("1234", passcode=forged)),
        (("DELETE", "/invalidateOtp"), "other client's issuer", _at("1234", generated), _at("1234", elsewhere)),
        (("DELETE", "/invalidateOtp"), "validator", _at("other", generated), _at("1234", elsewhere)),
        # A passcode that the other routes made is none of these routes'.
        (("DELETE", "/invalidateOtp"), "validator", _at("1234", stamp), _at("1234", elsewhere)),
        (("GET", "/validateOtp"), "validator", _at("other", generated), _at("1234", elsewhere)),
        (("GET", "/validateOtp"), "validator", _at("1234", stamp), _at("1234", elsewhere)),
    ]
    for name, role, not_yours, not_there in pairs:
        answers = [await parts.ask(*name, **asked, role=role) for asked in (not_yours, not_there)]
        assert answers[0] == answers[1], (name, role)
        assert answers[0].status in (403, 409), (name, role)
    assert (await parts.validate(passcode)).status == 200


def _named(client_id: str = "1234", **named: Any) -> dict[str, Any]:
    return {"body": {"client_id": client_id, **named}}


def _at(client_id: str, timestamp_us: int) -> dict[str, Any]:
    return {"query": f"clientId={client_id}&timestamp={timestamp_us}"}


# -- what is not in the document --


async def test_a_method_that_is_not_documented_is_405_for_everybody_and_names_the_others(parts: Parts) -> None:
    documented = await _documented(parts)
    for path in sorted({path for _, path in documented}):
        methods = {method for method, each in documented if each == path}
        for method in sorted(set(METHODS) - methods):
            answers = [await parts.ask(method, path, role=role) for role in (None, *parts.secrets)]
            if method == "HEAD" and ("GET", path) in CALLS and not CALLS["GET", path].roles:
                assert {each.status for each in answers} == {200}, path
                continue
            assert all(each == answers[0] for each in answers), (method, path)
            assert answers[0].status == 405, (method, path)
            assert dict(answers[0].headers)[b"allow"].decode().split(", ") == sorted(methods)


async def test_a_path_that_is_not_documented_is_404_for_everybody(parts: Parts) -> None:
    for path in OTHER_PATHS:
        for method in METHODS:
            answers = [await parts.ask(method, path, role=role) for role in (None, *parts.secrets)]
            assert all(each == answers[0] for each in answers), (method, path)
            assert answers[0].status == 404, (method, path)


async def test_a_real_server_lets_nobody_in_either(tmp_path: Path) -> None:
    """The shells around the api room add no way in."""
    with made_deployment(tmp_path / "data").serving("--seed-routes") as running:
        async with connections(running.url, 1) as (connection,):
            paths = (await connection.send("GET", "/openapi.json", b"", {})).json["paths"]
            for path in (*paths, *OTHER_PATHS):
                for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"):
                    got = await connection.send(method, path, b"{}", {"Content-Type": "application/json"})
                    operation = paths.get(path, {}).get(method.lower())
                    expected = 404 if path not in paths else 405 if operation is None else 401 if operation["security"] else 200
                    assert got.status == expected, (method, path)
