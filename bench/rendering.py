"""docs/performance.md from its machine-readable twin, and nothing else. Pure."""

from typing import Any

from bench.figures import Figure, decoded

_HEAD = """# Performance

Made by `make bench` (and, where it says so, `make bench-long`); do not edit. [performance.json](performance.json) says the same
for machines. Ratios first: they travel to another machine, the absolute figures are this one's. Each figure is the median of
its rounds, with the least and the most that were seen; a ratio is taken within each round. A round in which a single answer was
no success makes the run fail. How each service is written and loaded is in [bench/](../bench)."""


def page(twin: dict[str, Any]) -> str:
    """The page."""
    lines = [_HEAD, "", *_circumstances("`make bench`", twin)]
    if twin.get("long"):
        lines += ["", *_circumstances("`make bench-long`", twin["long"])]
    if twin.get("analysis"):
        lines += ["", f"Where the time goes, what was tried and what it gave: [{twin['analysis']}]({twin['analysis']})."]
    figures = decoded(twin["figures"]) + decoded((twin.get("long") or {}).get("figures", []))
    lines += ["", "| what | median | from – to | rounds | goal | |", "|---|---:|---:|---:|---:|---|"]
    lines += [_row(each) for each in _ratios_first(figures)]
    lines += ["", *_settings(twin["settings"]), "", *_pictures(twin["pictures"] + (twin.get("long") or {}).get("pictures", []))]
    return "\n".join(lines) + "\n"


def table(figures: list[Figure]) -> str:
    """The same figures for a terminal."""
    width = max(len(each.what) for each in figures)
    return "\n".join(
        f"{each.what:<{width}}  {_number(each.median, each.unit):>12}  ({_number(each.low)} – {_number(each.high)})  {_verdict(each)}"
        for each in _ratios_first(figures)
    )


def _circumstances(command: str, run: dict[str, Any]) -> list[str]:
    machine, versions = run["machine"], run["versions"]
    source = " with changes that are not committed" if run["is_changed"] else ""
    server, load = machine["server and load on cores"]
    where = f"{machine['cores']} cores (server on core {server}, load on core {load}), {machine['memory GiB']} GiB"
    system = f"{machine['system']}, {machine['file system']}"
    of = f"{command} of {run['date']}, commit `{run['commit'][:12]}`{source}"
    lines = [f"{of}: {machine['processor']}, {where}, {system}; {_list(versions)}."]
    if run.get("peers"):
        lines.append(f"The peers: {_list(run['peers'])}.")
    return lines


def _list(versions: dict[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def _ratios_first(figures: list[Figure]) -> list[Figure]:
    # Within both halves as they were measured; what has a goal comes before what has none.
    return sorted(figures, key=lambda each: (each.goal is None, each.unit != "×"))


def _row(each: Figure) -> str:
    between = f"{_number(each.low)} – {_number(each.high)}" if each.rounds > 1 else ""
    return f"| {each.what} | {_number(each.median, each.unit)} | {between} | {each.rounds} | {_goal(each)} | {_verdict(each)} |"


def _goal(each: Figure) -> str:
    goal = each.goal
    if goal is None:
        return ""
    sign, bound = ("≥", goal.at_least) if goal.at_least is not None else ("≤", goal.at_most)
    assert bound is not None
    stretch = f", stretch {goal.stretch:g}" if goal.stretch is not None else ""
    return f"{sign} {bound:g}{stretch}"


def _verdict(each: Figure) -> str:
    goal = each.goal
    if goal is None:
        return ""
    if not goal.is_met(each.median):
        return "not met"
    if goal.stretch is None:
        return "met"
    return "met, stretch too" if each.median >= goal.stretch else "met, stretch not"


def _number(value: float, unit: str = "") -> str:
    if value >= 1000:
        text = f"{value:,.0f}"
    elif value >= 100 or value == int(value):
        text = f"{value:.0f}"
    else:
        text = f"{value:.2f}"
    return f"{text} {unit}".strip()


def _settings(settings: dict[str, Any]) -> list[str]:
    return [
        "Read back from the running service during the benchmark:",
        "",
        *(f"* {name}: {value}" for name, value in settings.items()),
    ]


def _pictures(pictures: list[list[str]]) -> list[str]:
    lines: list[str] = []
    for title, name in pictures:
        lines += [f"![{title}]({name})", ""]
    return lines[:-1]
