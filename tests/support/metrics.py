"""What a service shows at `/metrics`, as values."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families

Labels = frozenset[tuple[str, str]]


@dataclass(frozen=True)
class Exposition:
    """The text, and its samples by name and labels."""

    text: str = field(repr=False)
    samples: Mapping[tuple[str, Labels], float]
    families: frozenset[str]
    """Every metric that is told of, also one that has no sample yet; a histogram by the names of its samples."""

    def of(self, name: str, **labels: str) -> float:
        """The sum over all samples of that name with at least these labels."""
        wanted = frozenset(labels.items())
        return sum(value for (each, has), value in self.samples.items() if each == name and wanted <= has)

    def labels_of(self, name: str) -> set[str]:
        """The names of the labels that samples of that name have."""
        return {label for (each, labels) in self.samples if each == name for label, _ in labels}


def scraped(url: str) -> Exposition:
    """What the service at `url` shows now."""
    with urlopen(f"{url}/metrics", timeout=30) as answer:
        return exposition(answer.read().decode())


def exposition(text: str) -> Exposition:
    """The text, taken apart by the library's own parser."""
    samples = {}
    families = set()
    for family in text_string_to_metric_families(text):
        families.add(family.name)
        if family.type == "counter":
            families.add(f"{family.name}_total")
        if family.type == "histogram":
            families.update(f"{family.name}_{part}" for part in ("bucket", "count", "sum"))
        for sample in family.samples:
            samples[sample.name, frozenset(sample.labels.items())] = float(sample.value)
    return Exposition(text, samples, frozenset(families))


def added_up(expositions: Iterable[Exposition], name: str, **labels: str) -> float:
    """The sum over several processes, as `sum` over targets gives it."""
    return sum(each.of(name, **labels) for each in expositions)
