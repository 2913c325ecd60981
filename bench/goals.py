"""`python -m bench.goals [R4 …]`: the goals of reliability that take minutes; exit 1 when one is missed.

All on real processes. Each has a small form in the suite, marked with the goal's name.
"""

import sys
from collections.abc import Callable, Iterator

from bench import budget, faults, survival
from bench.measures import Figure

GOALS: dict[str, Callable[[], Iterator[Figure]]] = {
    "R4": survival.whole_again,
    "R5": survival.settled_once,
    "R6": budget.after_a_flush,
    "R12": faults.of_every_kind,
    "budget": budget.hammered,
}


def main(names: list[str]) -> int:
    """Prove the named goals, or all; print as it goes, and return the exit status."""
    if unknown := set(names) - GOALS.keys():
        print(f"no such goal: {', '.join(sorted(unknown))}; there are {', '.join(GOALS)}", file=sys.stderr)
        return 2
    kept = True
    for name in names or GOALS:
        for figure in GOALS[name]():
            limit = "" if figure.limit is None else f"{'at least' if figure.least else 'at most'} {figure.limit:g}"
            told = f"{name:<7} {figure.what:<56} {figure.value:>8.2f} {figure.unit:<4} {limit:<14}"
            print(told, "kept" if figure.kept else "MISSED", flush=True)
            kept = kept and figure.kept
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
