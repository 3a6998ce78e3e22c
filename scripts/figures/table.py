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


def render(figures):
    """Both tables."""
    rows = ["| figure | now | goal |", "|---|--:|---|"]
    for figure in (*catalogue.GENERAL, catalogue.RATIO, catalogue.SNP_RATIO):
        value = figures.get(figure.key)
        rows.append(f"| {figure.title} | {number(value)} | {goal(figure, value)} |")
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
