"""What AWS KMS is asked for: to make a key and to open one, each under an encryption context (S2, S3). It keeps nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from msgspec import field
from msgspec.json import Decoder

from counterfoil.aws.calls import AwsCalls, AwsUnavailable
from counterfoil.aws.client import AwsClient
from counterfoil.aws.connection import NoAnswer
from counterfoil.aws.json_protocol import Question, Refusal, decoded
from counterfoil.model.discreet import Discreet
from counterfoil.model.limits import DATA_KEY_BYTES
from counterfoil.ports.keys import KeysUnavailable, OwnKey

R = TypeVar("R")

_CONTEXT_PREFIX = "counterfoil:"
_REFUSED_CONTEXT = frozenset({"InvalidCiphertextException", "IncorrectKeyException"})


@dataclass(frozen=True, slots=True)
class KmsDeployment:
    """What every KMS context of a deployment says: stage and epoch. Both are open to readers of the audit log."""

    key_arn: str
    stage: str
    epoch: int

    def context(self, purpose: str, pairs: Mapping[str, str]) -> dict[str, str]:
        """An encryption context (S3): `counterfoil:purpose`, `counterfoil:stage`, `counterfoil:epoch` and the pairs."""
        whole = {"purpose": purpose, "stage": self.stage, "epoch": str(self.epoch), **pairs}
        return {_CONTEXT_PREFIX + name: value for name, value in whole.items()}


class ManagedKey:
    """The two calls of KMS that are made. An answer that names another key, or that has no whole key in it, is none."""

    def __init__(self, kms: AwsClient, deployment: KmsDeployment) -> None:
        self._deployment = deployment
        self._calls = AwsCalls(kms)

    async def fresh(self, purpose: str, pairs: Mapping[str, str]) -> OwnKey:
        arguments = self._arguments(purpose, pairs, NumberOfBytes=DATA_KEY_BYTES)

        def read(body: bytes) -> OwnKey:
            made = decoded(_MADE, body)
            self._check(made.key_arn, made.material)
            if not made.wrapped:
                raise NoAnswer("it lacks the wrapped key")
            return OwnKey(made.material, made.wrapped)

        return await self._asked(Question("GenerateDataKey", lambda: arguments, read))

    async def opened(self, purpose: str, wrapped: bytes, pairs: Mapping[str, str]) -> bytes | None:
        """None when KMS says that the context, or the wrapped key itself, is not what it was."""
        arguments = self._arguments(purpose, pairs, CiphertextBlob=wrapped)

        def read(body: bytes) -> bytes:
            opened = decoded(_OPENED, body)
            self._check(opened.key_arn, opened.material)
            return opened.material

        try:
            return await self._asked(Question("Decrypt", lambda: arguments, read))
        except _ContextRefused:
            return None

    def _arguments(self, purpose: str, pairs: Mapping[str, str], **rest: Any) -> Mapping[str, Any]:
        return {"KeyId": self._deployment.key_arn, "EncryptionContext": self._deployment.context(purpose, pairs), **rest}

    def _check(self, key_arn: str, material: bytes) -> None:
        named = self._deployment.key_arn
        # An alias stands for a key of its own account and Region; KMS answers with that one's name.
        account, _, alias = named.partition(":alias/")
        if not (key_arn.startswith(f"{account}:key/") if alias else key_arn == named):
            raise NoAnswer("it is of another key")
        if len(material) != DATA_KEY_BYTES:
            raise NoAnswer("it is not a key's length")

    async def _asked(self, question: Question[R]) -> R:
        try:
            return await self._calls.ask(question)
        except AwsUnavailable as fault:
            raise KeysUnavailable(f"KMS: {fault}") from fault
        except Refusal as refusal:
            # Disabled, pending deletion, no right to it: a fault. It says nothing of the passcode.
            kind = _ContextRefused if refusal.code in _REFUSED_CONTEXT else KeysUnavailable
            raise kind(f"KMS refused the call: {refusal.code}") from refusal


class _ContextRefused(KeysUnavailable):
    """KMS opens nothing under that context: to who opens a key it is an answer."""


class _Opened(Discreet, frozen=True, gc=False):
    key_arn: str = field(name="KeyId")
    material: bytes = field(name="Plaintext")


class _Made(Discreet, frozen=True, gc=False):
    key_arn: str = field(name="KeyId")
    material: bytes = field(name="Plaintext")
    wrapped: bytes = field(name="CiphertextBlob")


_OPENED, _MADE = Decoder(_Opened), Decoder(_Made)


class KmsOwnKeys:
    """Strict mode over KMS (S2, S3): one `GenerateDataKey` a passcode, one `Decrypt` a validation, under its whole context."""

    def __init__(self, kms: AwsClient, deployment: KmsDeployment) -> None:
        self._managed = ManagedKey(kms, deployment)

    async def fresh(self, key_context: Mapping[str, str]) -> OwnKey:
        return await self._managed.fresh("passcode", key_context)

    async def opened(self, wrapped: bytes, key_context: Mapping[str, str]) -> bytes | None:
        return await self._managed.opened("passcode", wrapped, key_context)
