"""`python -m bench.goals [kills …]`: measure resilience on real processes. Exit 1 if a limit is missed.

Each goal takes minutes and has a shorter form in the tests.
"""

import sys
from collections.abc import Callable, Iterator

from bench import budget, faults, survival
from bench.measures import Figure

GOALS: dict[str, Callable[[], Iterator[Figure]]] = {
    "restarts": survival.restarts,
    "kills": survival.job_with_kills,
    "flush": budget.after_redis_was_emptied,
    "faults": faults.of_every_kind,
    "budget": budget.saturated,
}


def main(names: list[str]) -> int:
    """Measure the named goals, or all; print each figure, and return the exit status."""
    if unknown := set(names) - GOALS.keys():
        print(f"no such goal: {', '.join(sorted(unknown))}; there are {', '.join(GOALS)}", file=sys.stderr)
        return 2
    kept = True
    for name in names or GOALS:
        for figure in GOALS[name]():
            limit = "" if figure.limit is None else f"{'at least' if figure.least else 'at most'} {figure.limit:g}"
            line = f"{name:<8} {figure.what:<56} {figure.value:>8.2f} {figure.unit:<4} {limit:<14}"
            print(line, "kept" if figure.kept else "MISSED", flush=True)
            kept = kept and figure.kept
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
