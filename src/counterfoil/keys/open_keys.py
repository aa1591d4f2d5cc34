"""From a URL to a key provider. A new provider is one file and one line here."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from counterfoil.model.invalid import Invalid
from counterfoil.model.journal import JournalKey
from counterfoil.ports.ambient import NowUs
from counterfoil.ports.keys import KeyProvider, OwnKeys


@dataclass(frozen=True, slots=True)
class OpenedKeys:
    """The keys of a deployment: what seals and opens, in strict mode each passcode's own key, the journal's, and the epoch."""

    provider: KeyProvider
    own_keys: OwnKeys | None
    issues_own_keys: bool
    epoch: int
    journal_key: JournalKey | None
    """None under a managed key: stores that are used with one keep no chain."""


@dataclass(frozen=True, slots=True)
class KeySettings:
    """What a provider needs to know beside its URL: a keyset file, which has its own epoch, the last of it alone."""

    stage: str
    epoch: int
    strict: bool
    reuse_s: int
    reuse_max: int
    makes_keys: bool = True
    shares_looks: bool = False
    """Whether it is a server's, whose requests may share a look at the file (`private_file.Watched`)."""


def open_keys(url: str, settings: KeySettings, now_us: NowUs) -> OpenedKeys:
    """The keys that `url` names: `file:…` or `aws-kms:ARN?table=…[&endpoint=…]`. Raises Invalid, KeysUnavailable."""
    if url.startswith("aws-kms:"):
        return _kms_keys(url, settings, now_us)
    if settings.strict:
        raise Invalid("strict_keys", "needs a managed key (aws-kms:…)")
    from counterfoil.keys.keyset_file import KeysetFile

    file = KeysetFile(keyset_path(url), shares_looks=settings.shares_looks)
    keyset = file.keyset()
    return OpenedKeys(file, None, False, keyset.epoch, keyset.journal_key)


def keyset_path(url: str) -> Path:
    """The file that a `file:` URL names. Raises Invalid for every other URL."""
    parts = urlsplit(url)
    if parts.scheme != "file" or parts.netloc or not parts.path:
        raise Invalid("keys", "must be a file: URL with a path and no host")
    return Path(unquote(parts.path))


def _kms_keys(url: str, settings: KeySettings, now_us: NowUs) -> OpenedKeys:
    # Imported when chosen: other providers' users need not wait for it.
    from counterfoil.aws.client import aws_client
    from counterfoil.keys.aws_data_keys import KmsDataKeys
    from counterfoil.keys.aws_kms import KmsDeployment, KmsOwnKeys

    arn, _, query = url.removeprefix("aws-kms:").partition("?")
    options = dict(parse_qsl(query))
    fields = arn.split(":")
    if len(fields) != 6 or fields[2] != "kms" or not options.get("table") or not options.keys() <= {"table", "endpoint"}:
        raise Invalid("keys", "must be aws-kms:ARN?table=NAME, with &endpoint=URL for an emulator or a VPC endpoint")
    region, endpoint = fields[3], options.get("endpoint")
    deployment = KmsDeployment(arn, settings.stage, settings.epoch)
    kms = aws_client("kms", region, endpoint)
    provider = KmsDataKeys(
        kms,
        aws_client("dynamodb", region, endpoint),
        options["table"],
        deployment,
        now_us,
        reuse_s=settings.reuse_s,
        reuse_max=settings.reuse_max,
        makes_keys=settings.makes_keys,
    )
    # Opened in either mode: passcodes issued before the mode was switched off are still on their way.
    return OpenedKeys(provider, KmsOwnKeys(kms, deployment), settings.strict, settings.epoch, None)
