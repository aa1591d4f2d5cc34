"""The caller's mistake, named by the rule that it breaks and never by the value that broke it."""


class Invalid(ValueError):
    """Input that breaks a rule. `field` is where, `rule` is one sentence; neither repeats what was sent."""

    def __init__(self, field: str, rule: str) -> None:
        super().__init__(f"{field}: {rule}")
        self.field = field
        self.rule = rule


class SealedContextRefused(Invalid):
    """The sealed context is altered, expired, made for another client, or its key is retired."""

    def __init__(self) -> None:
        super().__init__(
            "sealed_context",
            "is not a sealed context that this service made for this client and that is still in time",
        )
