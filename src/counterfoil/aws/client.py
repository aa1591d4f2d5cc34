"""A client of one service: it signs a question, sends it once and reads the answer. It never asks again: see `calls`."""

import os
import ssl
import time
from functools import cache
from typing import TypeVar

from counterfoil.aws.call_counts import AWS_CALLS, AwsCall, AwsCallCounts, outcome_of_refusal
from counterfoil.aws.connection import Answer, Connections, NoAnswer
from counterfoil.aws.credentials import Credentials, CredentialSource, check_there_is_a_source, current_credentials
from counterfoil.aws.endpoint import Endpoint, endpoint_of, region_named
from counterfoil.aws.json_protocol import DYNAMODB, KMS, Question, Refusal, Service, request_bytes, success
from counterfoil.model.invalid import Invalid

R = TypeVar("R")

CONNECT_S = 1.0
ANSWER_S = 1.5
_SERVICES = {service.name: service for service in (DYNAMODB, KMS)}


class AwsClient:
    """One service at one endpoint, for any number of threads. `connect_s` and `answer_s` bound the two halves of a call."""

    def __init__(
        self,
        service: Service,
        region: str,
        endpoint: Endpoint,
        *,
        authorities: str | None = None,
        credentials: CredentialSource = current_credentials,
        connect_s: float = CONNECT_S,
        answer_s: float = ANSWER_S,
        counts: AwsCallCounts = AWS_CALLS,
    ) -> None:
        self.credentials = credentials
        self._service = service
        self._region = region
        self._endpoint = endpoint
        self._counts = counts
        tls = tls_context(authorities) if endpoint.is_tls else None
        self._connections = Connections(endpoint, tls, connect_s=connect_s, answer_s=answer_s)

    def ask(self, question: Question[R], credentials: Credentials, *, send_by_s: float = float("inf")) -> R:
        """The answer; after `send_by_s` (of the monotonic clock) nothing is sent. Raises NoAnswer, Refusal."""
        began_s = time.perf_counter()
        outcome = "no_answer"
        try:
            answer = question.read(success(self.exchanged(question, credentials, send_by_s)))
        except Refusal as refusal:
            outcome = outcome_of_refusal(refusal.status, refusal.code)
            raise
        else:
            outcome = "ok"
            return answer
        finally:
            duration_s = time.perf_counter() - began_s
            self._counts.add(AwsCall(self._service.name, question.operation, outcome), duration_s)

    def exchanged(self, question: Question[R], credentials: Credentials, send_by_s: float) -> Answer:
        """What came back, whatever it says."""

        def request() -> bytes:
            # Once there is a connection: what the question says of the time has not waited for one.
            made = request_bytes(
                self._service,
                question.operation,
                question.arguments(),
                endpoint=self._endpoint,
                region=self._region,
                credentials=credentials,
                at_s=time.time(),
            )
            if time.monotonic() > send_by_s:
                raise NoAnswer("nothing was sent in time")
            return made

        return self._connections.answer(request)

    def close(self) -> None:
        """Ends its connections."""
        self._connections.close()


def aws_client(service: str, region: str | None, url: str | None) -> AwsClient:
    """The client of `dynamodb` or `kms` there, the same for the same place: connections to it are shared. Raises Invalid.

    Where a Region or a URL is not given, the environment says it, and also which authorities are trusted (`AWS_CA_BUNDLE`).
    """
    check_there_is_a_source()
    named = region_named(region)
    endpoint = endpoint_of(service, named, url)
    return _client(_SERVICES[service], named, endpoint, os.environ.get("AWS_CA_BUNDLE") or None)


@cache
def _client(service: Service, region: str, endpoint: Endpoint, authorities: str | None) -> AwsClient:
    return AwsClient(service, region, endpoint, authorities=authorities)


@cache
def tls_context(authorities: str | None) -> ssl.SSLContext:
    """What checks the other end's name and certificate: by the file's authorities, or the machine's. Raises Invalid."""
    try:
        context = ssl.create_default_context(cafile=authorities)
    except OSError:
        raise Invalid("AWS_CA_BUNDLE", "must name a file of certificates in PEM") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
