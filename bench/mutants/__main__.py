"""``python -m bench.mutants``: how many small mistakes in the code that leases, pays and settles the fault suite notices."""

import argparse

from bench.mutants import suite
from bench.mutants.report import write
from bench.mutants.run import Wanted, run
from bench.mutants.targets import TARGETS
from bench.mutants.verdicts import Verdicts
from local.layout import DEFAULT_LAYOUT


def main() -> None:
    arguments = _parser().parse_args()
    names = [stage.name for stage in suite.stages()]
    last = names.index(arguments.until) + 1
    first = names.index(arguments.since)
    paths = tuple(path for path in TARGETS if not arguments.module or path in arguments.module)
    verdicts = Verdicts(DEFAULT_LAYOUT.home / "mutants" / "verdicts.jsonl", trust_kills=arguments.trust_kills)
    wanted = Wanted(paths, arguments.sample, suite.stages()[first:last], arguments.minutes, arguments.drawn)
    if not arguments.report:
        run(wanted, verdicts)
    write(Wanted(TARGETS, None, suite.stages(), 0), verdicts)


def _parser() -> argparse.ArgumentParser:
    names = [stage.name for stage in suite.stages()]
    parser = argparse.ArgumentParser(prog="python -m bench.mutants", description=__doc__)
    parser.add_argument("--module", action="append", help="only this one, as units/decide.py; may be given often")
    parser.add_argument("--sample", type=int, help="beside the removed conditions, only so many mutants")
    parser.add_argument("--drawn", type=int, help="only so many, drawn from all; what is noticed of them stands for all")
    parser.add_argument("--since", choices=names, default=names[0], help="the first stage")
    parser.add_argument("--until", choices=names, default=names[-1], help="the last stage")
    parser.add_argument("--minutes", type=float, default=24 * 60, help="begin nothing later than so many minutes from now")
    parser.add_argument("--trust-kills", action="store_true", help="the suite has only grown: what it noticed, it notices")
    parser.add_argument("--report", action="store_true", help="run nothing, write the report of what is known")
    return parser


if __name__ == "__main__":
    main()
