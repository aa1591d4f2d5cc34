"""What the client raises. Everything but an acceptance is an error, so that an ignored return value is still safe."""


class CounterfoilError(Exception):
    """No success. `request_id` finds the request in the service's log; it is None when no answer came."""

    def __init__(self, message: str, request_id: str | None = None) -> None:
        super().__init__(message if request_id is None else f"{message} ({request_id})")
        self.request_id = request_id


class PasscodeRefused(CounterfoilError):
    """The passcode is not accepted. `reason` is for the backend; an end user must not learn it."""

    def __init__(self, reason: str, request_id: str | None) -> None:
        super().__init__(f"the passcode was refused: {reason}", request_id)
        self.reason = reason


class RequestInvalid(CounterfoilError):
    """The request breaks a rule, which the message names. Asking again changes nothing."""


class CredentialRefused(CounterfoilError):
    """The credential is not valid, or may not do that."""


class LimitReached(CounterfoilError):
    """This client issues too much; ask again after `retry_after_s`."""

    def __init__(self, message: str, request_id: str | None, retry_after_s: float) -> None:
        super().__init__(message, request_id)
        self.retry_after_s = retry_after_s


class ServiceUnavailable(CounterfoilError):
    """No decision could be had, after all tries. `retry_after_s` is what the service asked for, if it did."""

    retry_after_s: float | None = None


class VerdictUnknown(ServiceUnavailable):
    """Whether the passcode was redeemed is not known. Ask again with the same `redemption_id`, and only with that."""

    def __init__(self, message: str, redemption_id: str, request_id: str | None = None) -> None:
        super().__init__(message, request_id)
        self.redemption_id = redemption_id
