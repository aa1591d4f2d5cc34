"""All that is fuzzed. A new reader of foreign bytes is one more Target here."""

from tests.adversity.fuzzing import callers, events, files, heads, json_texts, requests, settings, texts
from tests.adversity.fuzzing.target import Target

TARGETS: tuple[Target, ...] = (
    *texts.TARGETS,
    *json_texts.TARGETS,
    *requests.TARGETS,
    *callers.TARGETS,
    *heads.TARGETS,
    *files.TARGETS,
    *settings.TARGETS,
    *events.TARGETS,
)


def target_of(name: str) -> Target:
    """The target of that name."""
    return next(target for target in TARGETS if target.name == name)
