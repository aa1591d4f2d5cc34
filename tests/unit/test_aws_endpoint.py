"""Where AWS is asked: by URL, by variable, by Region in every partition; and what is refused rather than guessed."""

import json
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.endpoint_provider import EndpointProvider

from counterfoil.aws.client import aws_client
from counterfoil.aws.endpoint import Endpoint, endpoint_of, region_named
from counterfoil.model.invalid import Invalid

PARTITIONS: Any = json.loads(Path(botocore.__file__).with_name("data").joinpath("partitions.json").read_text())
REGIONS = [name for partition in PARTITIONS["partitions"] for name in partition["regions"] if not name.endswith("-global")]


@pytest.mark.parametrize("service", ["dynamodb", "kms"])
def test_every_region_of_every_partition_has_the_host_that_the_sdk_takes(service: str) -> None:
    rules = botocore.session.get_session().get_component("data_loader").load_service_model(service, "endpoint-rule-set-1")
    provider = EndpointProvider(rules, PARTITIONS)
    theirs = {region: provider.resolve_endpoint(Region=region, UseFIPS=False, UseDualStack=False).url for region in REGIONS}
    assert {region: f"https://{endpoint_of(service, region, None, {}).authority}" for region in REGIONS} == theirs
    # Of all kinds: otherwise it would not show much.
    assert {url.partition(f"{region}.")[2] for region, url in theirs.items()} >= {
        "amazonaws.com",
        "amazonaws.com.cn",
        "amazonaws.eu",
    }


NAMED = {"AWS_ENDPOINT_URL_KMS": "https://kms.internal", "AWS_ENDPOINT_URL": "http://127.0.0.1:4566"}


@pytest.mark.parametrize(
    ("service", "url", "environment", "expected"),
    [
        ("kms", None, NAMED, Endpoint("kms.internal", 443, True)),
        ("dynamodb", None, NAMED, Endpoint("127.0.0.1", 4566, False)),
        (
            "kms",
            "https://vpce-1.kms.eu-west-1.vpce.amazonaws.com/",
            NAMED,
            Endpoint("vpce-1.kms.eu-west-1.vpce.amazonaws.com", 443, True),
        ),
        (
            "kms",
            None,
            {**NAMED, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"},
            Endpoint("kms.eu-south-1.amazonaws.com", 443, True),
        ),
        ("kms", "http://[::1]:8000", {}, Endpoint("::1", 8000, False)),
        ("kms", "https://kms.internal", {"AWS_USE_FIPS_ENDPOINT": "true"}, Endpoint("kms.internal", 443, True)),
    ],
)
def test_a_named_endpoint_goes_before_the_public_one(
    service: str, url: str | None, environment: dict[str, str], expected: Endpoint
) -> None:
    assert endpoint_of(service, "eu-south-1", url, environment) == expected


@pytest.mark.parametrize(
    ("endpoint", "authority"),
    [
        (Endpoint("h", 443, True), "h"),
        (Endpoint("h", 80, False), "h"),
        (Endpoint("h", 443, False), "h:443"),
        (Endpoint("::1", 8000, False), "[::1]:8000"),
    ],
)
def test_the_header_names_a_port_only_where_it_must(endpoint: Endpoint, authority: str) -> None:
    assert endpoint.authority == authority


@pytest.mark.parametrize(
    "url",
    [
        "",
        "canary",
        "ftp://canary",
        "https://",
        "https://user:canary@host",
        "https://host/canary",
        "https://host?canary",
        "https://host#canary",
        "https://host:canary",
        "https://ho st",
        "https://host\r\nx: canary",
        "https://-host",
        f"https://{'a' * 64}.canary",
    ],
)
def test_what_is_no_endpoint_is_refused_and_not_repeated(url: str) -> None:
    for environment, given in (({}, url), ({"AWS_ENDPOINT_URL": url}, None)):
        if given is None and not url:
            continue
        with pytest.raises(Invalid, match="must be https://") as caught:
            endpoint_of("kms", "eu-south-1", given, environment)
        assert "canary" not in str(caught.value)


@pytest.mark.parametrize("name", ["AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT"])
def test_a_wish_for_another_kind_of_endpoint_is_refused_and_not_passed_over(name: str) -> None:
    with pytest.raises(Invalid, match=f"{name}: is not heeded"):
        endpoint_of("dynamodb", "us-gov-west-1", None, {name: "True"})
    assert endpoint_of("dynamodb", "us-gov-west-1", None, {name: "false"}).is_tls


def test_a_region_is_the_urls_or_the_environments() -> None:
    both = {"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-2"}
    assert region_named("eu-south-1", both) == "eu-south-1"
    assert region_named(None, both) == "eu-west-1"
    assert region_named(None, {"AWS_DEFAULT_REGION": "eu-west-2"}) == "eu-west-2"


@pytest.mark.parametrize("region", [None, "", "eu south", "canary.example/", "-eu", "EU-SOUTH-1"])
def test_what_is_no_region_is_refused(region: str | None) -> None:
    with pytest.raises(Invalid, match="must name a Region") as caught:
        region_named(region, {})
    assert "canary" not in str(caught.value)


def test_the_same_place_has_the_same_client(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_KMS", "AWS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_REGION", "eu-south-1")
    first = aws_client("kms", None, "http://127.0.0.1:1")
    assert aws_client("kms", "eu-south-1", "http://127.0.0.1:1") is first
    assert aws_client("kms", "eu-south-1", "http://127.0.0.1:2") is not first
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    assert aws_client("kms", None, None) is first
    assert aws_client("dynamodb", None, None) is not first
