"""The product's client of AWS, asked directly: for tests that need no emulator."""

from typing import Any

from counterfoil.aws.call_counts import AwsCallCounts
from counterfoil.aws.client import AwsClient
from counterfoil.aws.credentials import Credentials
from counterfoil.aws.endpoint import Endpoint, endpoint_of
from counterfoil.aws.json_protocol import DYNAMODB, KMS, Question

REGION = "eu-south-1"
CREDENTIALS = Credentials("AKIDEXAMPLE", "canary-secret", "canary-token")
ANYTHING: Question[bytes] = Question("Decrypt", dict, bytes)
"""A question that takes whatever success there is."""


def made_client(
    url: str | int, service: str = "kms", counts: AwsCallCounts | None = None, *, tls: bool = False, **options: Any
) -> AwsClient:
    """A client of what listens at a URL, or on a port of this machine; to be closed."""
    named = {"dynamodb": DYNAMODB, "kms": KMS}[service]
    endpoint = Endpoint("127.0.0.1", url, tls) if isinstance(url, int) else endpoint_of(service, REGION, url)
    counts = AwsCallCounts() if counts is None else counts
    return AwsClient(named, REGION, endpoint, credentials=lambda: CREDENTIALS, counts=counts, **options)
