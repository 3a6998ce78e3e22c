"""The figures as tables in Markdown, and their place in the README."""

from . import catalogue

BEGIN = "<!-- figures: begin (made by make bench-baseline) -->\n"
END = "<!-- figures: end -->\n"


def number(value):
    """A figure as one reads it."""
    if value is None:
        return "–"
    return f"{value:.2f}" if isinstance(value, float) else f"{value:,}"


def goal(figure, value):
    """The goal, and whether it is reached."""
    if figure.limit is None or value is None:
        return figure.goal
    return f"{figure.goal} {'✓' if value <= figure.limit else '— **missed**'}"


def times(figures):
    """Linux to a shell with each number of vCPUs."""
    yield "| Linux to a shell, with so many vCPUs | " + " | ".join(map(str, catalogue.VCPUS)) + " | goal |"
    yield "|---|" + "--:|" * len(catalogue.VCPUS) + "---|"
    for kind, title, unit, limit in (
        ("plain_qemu", "plain QEMU", " s", None),
        ("plain_snp", "a plain SNP guest, against plain QEMU in the same run", " ×", None),
        ("rampart", "Rampart, against plain QEMU in the same run", " ×", catalogue.BUDGET),
    ):
        values = [figures.get(catalogue.time_key(kind, vcpus)) for vcpus in catalogue.VCPUS]
        shown = ["–" if value is None else f"{value:g}{unit}" for value in values]
        wanted = "" if limit is None else f"{limit:g} times"
        if limit is not None and None not in values:
            wanted += " ✓" if max(values) <= limit else " — **missed**"
        yield f"| {title} | {' | '.join(shown)} | {wanted} |"


def render(figures):
    """All tables."""
    rows = ["| figure | now | goal |", "|---|--:|---|"]
    for figure in catalogue.GENERAL:
        value = figures.get(figure.key)
        rows.append(f"| {figure.title} | {number(value)} | {goal(figure, value)} |")
    rows += ["", *times(figures)]
    rows += ["", "| by phase | " + " | ".join(catalogue.PHASES.values()) + " |",
             "|---|" + "--:|" * len(catalogue.PHASES)]
    for counter, words in catalogue.COUNTERS.items():
        values = (number(figures.get(catalogue.phase_key(counter, phase))) for phase in catalogue.PHASES)
        rows.append(f"| {words} | " + " | ".join(values) + " |")
    return "\n".join(rows) + "\n"


def parts(readme):
    """(before, tables, after) of a README."""
    before, found_begin, rest = readme.partition(BEGIN)
    inside, found_end, after = rest.partition(END)
    if not found_begin or not found_end:
        raise ValueError(f"the README has no lines {BEGIN.strip()!r} and {END.strip()!r}")
    return before + BEGIN, inside, END + after


def replaced(readme, figures):
    """The README with these figures."""
    before, _, after = parts(readme)
    return before + "\n" + render(figures) + "\n" + after


def stands(readme, figures):
    """Whether the README shows these figures."""
    return replaced(readme, figures) == readme
