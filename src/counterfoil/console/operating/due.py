"""What is due: keys to be rotated, credentials that end soon or are not used. From what the API tells of both. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from counterfoil.console.operating import spelled
from counterfoil.console.operating.signs import Sign

_DAY_US = 86_400_000_000
ENDING_US = 7 * _DAY_US
"""A credential that ends within a week is due, as `doctor` has it."""
UNUSED_US = 30 * _DAY_US
"""One that is as old and has not been used for as long may be one too many."""

Told = Mapping[str, Any]
_KEY_WORDS = {"primary": "Seals", "opening": "Opens", "retired": "Retired"}


def key_sign(key: Told) -> Sign:
    """How a key stands."""
    if key["rotation_due"]:
        return Sign("warning", "Rotation due", key["key_id"], "counterfoil keyset rotate")
    return Sign("ok" if key["state"] == "primary" else "idle", _KEY_WORDS[key["state"]], key["key_id"])


def credential_sign(each: Told, now_us: int, looked_back_to: int | None) -> Sign:
    """How a credential stands."""
    name, expires_us = each["name"], each["expires_at"]
    if each["revoked_at"] is not None:
        return Sign("idle", "Revoked", name)
    if expires_us is not None and expires_us <= now_us:
        return Sign("idle", "Expired", name)
    if expires_us is not None and expires_us - now_us < ENDING_US:
        return Sign(
            "warning",
            f"Ends {spelled.ago(expires_us, now_us)}",
            name,
            f"counterfoil credential create {name}-2 --role {each['role']}",
        )
    if each["live_secrets"] > 1:
        return Sign("warning", "Being exchanged", name, f"counterfoil credential finish-exchange {name}")
    if _is_unused(each, now_us, looked_back_to):
        return Sign("warning", "Not used", name, f"counterfoil credential revoke {name}")
    return Sign("ok", "Live", name)


def _is_unused(each: Told, now_us: int, looked_back_to: int | None) -> bool:
    """Operators leave no entry, and where the journal goes back less far nothing is known."""
    before_us = now_us - UNUSED_US
    if each["role"] == "operator" or looked_back_to is None or each["created_at"] > before_us:
        return False
    return bool(each["last_used_at"] < before_us if each["last_used_at"] is not None else looked_back_to < before_us)


def due(keys: Told | None, credentials: Told | None, now_us: int) -> list[Sign]:
    """Everything of both that calls for somebody."""
    signs = [key_sign(key) for key in keys["keys"]] if keys else []
    if credentials:
        looked_back_to = credentials["looked_back_to"]
        signs += [credential_sign(each, now_us, looked_back_to) for each in credentials["credentials"]]
    return [sign for sign in signs if sign.level == "warning"]


def checks(told: Told) -> Sequence[Told]:
    """What `doctor` finds, the worst first."""
    order = ("problem", "warning", "ok")
    return sorted(told["checks"], key=lambda check: order.index(check["level"]) if check["level"] in order else 0)
