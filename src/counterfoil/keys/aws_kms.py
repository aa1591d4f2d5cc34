"""What AWS KMS is asked for: to make a key and to open one, each under an encryption context (S2, S3). It keeps nothing."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from counterfoil.aws_calls import AwsCalls, AwsUnavailable, watched_client
from counterfoil.model.limits import DATA_KEY_BYTES
from counterfoil.ports.keys import KeysUnavailable, OwnKey

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
    """The two calls of KMS that are made."""

    def __init__(self, kms: Any, deployment: KmsDeployment) -> None:
        self._kms = watched_client(kms)
        self._deployment = deployment
        self._calls = AwsCalls()

    async def fresh(self, purpose: str, pairs: Mapping[str, str]) -> OwnKey:
        answer = await self._asked(self._kms.generate_data_key, purpose, pairs, NumberOfBytes=DATA_KEY_BYTES)
        assert answer is not None
        return OwnKey(answer["Plaintext"], answer["CiphertextBlob"])

    async def opened(self, purpose: str, wrapped: bytes, pairs: Mapping[str, str]) -> bytes | None:
        """None when KMS says that the context, or the wrapped key itself, is not what it was."""
        answer = await self._asked(self._kms.decrypt, purpose, pairs, CiphertextBlob=wrapped)
        material: bytes | None = None if answer is None else answer["Plaintext"]
        return material

    async def _asked(
        self, call: Callable[..., Any], purpose: str, pairs: Mapping[str, str], **arguments: Any
    ) -> dict[str, Any] | None:
        context = self._deployment.context(purpose, pairs)
        try:
            answer: dict[str, Any] = await self._calls.run(
                lambda: call(KeyId=self._deployment.key_arn, EncryptionContext=context, **arguments)
            )
        except AwsUnavailable as fault:
            raise KeysUnavailable(f"KMS: {fault}") from fault
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code in _REFUSED_CONTEXT:
                return None
            # Disabled, pending deletion, no right to it: a fault. It says nothing of the passcode.
            raise KeysUnavailable(f"KMS refused the call: {code}") from error
        return answer


class KmsOwnKeys:
    """Strict mode over KMS (S2, S3): one `GenerateDataKey` a passcode, one `Decrypt` a validation, under its whole context."""

    def __init__(self, kms: Any, deployment: KmsDeployment) -> None:
        self._managed = ManagedKey(kms, deployment)

    async def fresh(self, key_context: Mapping[str, str]) -> OwnKey:
        return await self._managed.fresh("passcode", key_context)

    async def opened(self, wrapped: bytes, key_context: Mapping[str, str]) -> bytes | None:
        return await self._managed.opened("passcode", wrapped, key_context)
