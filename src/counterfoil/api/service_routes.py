"""Health, metrics, documentation and whose credential it is: the routes of a server that are not about any one passcode."""

from counterfoil.api.docs_page import DocsPage
from counterfoil.api.handlers import Call, Handler, Handlers
from counterfoil.api.http import Response, answer, content
from counterfoil.api.openapi import openapi_document
from counterfoil.api.routes import ANYBODY, EVERY_ROLE, FAULTS, Route
from counterfoil.wire import messages as wire
from counterfoil.wire.problems import CREDENTIALS_UNAVAILABLE


def service_routes(handlers: Handlers, passcode_routes: tuple[Route, ...]) -> tuple[Route, ...]:
    """Open to anybody who reaches the port, all but one: they tell nothing of any passcode."""
    docs = DocsPage()

    async def healthz(_: Call) -> Response:
        return answer(200, wire.HealthAnswer("ok"))

    async def readyz(_: Call) -> Response:
        await handlers.issuance.keys.sealing_key()
        await handlers.issuance.store.check_ready()
        return answer(200, wire.HealthAnswer("ok"))

    async def caller(call: Call) -> Response:
        return answer(200, wire.CallerAnswer(call.caller.name, call.caller.role))

    async def metrics(_: Call) -> Response:
        return content(*await handlers.observer.exposition())

    def get(path: str, handler: Handler, summary: str, content_type: str) -> Route:
        return Route("GET", path, ANYBODY, handler, 200, summary, content_type=content_type)

    routes = (
        Route("GET", "/healthz", ANYBODY, healthz, 200, "Whether the process lives", answer=wire.HealthAnswer),
        Route(
            "GET",
            "/readyz",
            ANYBODY,
            readyz,
            200,
            "Whether store and keys would serve now",
            answer=wire.HealthAnswer,
            problems=FAULTS,
        ),
        Route(
            "GET",
            "/v1/caller",
            EVERY_ROLE,
            caller,
            200,
            "Whose credential this is",
            answer=wire.CallerAnswer,
            problems=(CREDENTIALS_UNAVAILABLE,),
        ),
        get("/metrics", metrics, "Metrics in Prometheus' text format", "text/plain"),
        get("/openapi.json", docs.openapi, "This interface as OpenAPI 3.1", "application/json"),
        get("/docs", docs.page, "This interface to read and to try", "text/html"),
        get("/docs/swagger-ui.css", docs.style, "The page's style", "text/css"),
        get("/docs/swagger-ui-bundle.js", docs.library, "The page's library", "text/javascript"),
        get("/docs/page.js", docs.script, "The page's script", "text/javascript"),
    )
    docs.document = openapi_document((*passcode_routes, *routes))
    return routes
