"""``python -m bench.simulate``: many seeds, or one of them again with everything that happens in it."""

import argparse
import sys

from bench.simulate.run import report, run
from bench.simulate.simulation import UNITS_PER_SEED, simulate


def main() -> int:
    arguments = _parser().parse_args()
    if arguments.seed is None:
        return 1 if run(arguments.seeds, first=arguments.first, units=arguments.units, jobs=arguments.jobs)["violations"] else 0
    result = simulate(arguments.seed, units=arguments.size, tell=print if arguments.trace else None)
    print(report(result, units=arguments.size))
    print(f"{result.jobs} jobs, {result.units} units, {result.events} events, faults: {dict(sorted(result.faults.items()))}")
    return 0 if result.failure is None else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.simulate", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100, help="how many seeds to play")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--units", type=int, help=f"compute units of all seeds together; {UNITS_PER_SEED} per seed by default")
    parser.add_argument("--jobs", type=int, default=1, help="processes to use")
    parser.add_argument("--seed", type=int, help="play this seed alone")
    parser.add_argument("--size", type=int, default=UNITS_PER_SEED, help="compute units of that seed")
    parser.add_argument("--trace", action="store_true", help="print everything that happens in it")
    return parser


if __name__ == "__main__":
    sys.exit(main())
