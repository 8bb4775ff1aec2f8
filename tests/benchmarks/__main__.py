"""`python -m tests.benchmarks training`, `predict`, `jobs`, `defaults`, `inspection`, `suspects`,
`recording`, `doctor`, `memory`, `pages`: they only measure."""

import argparse
import os
from importlib import import_module

from service.processes import set_up_libraries
from tests.benchmarks.workloads import WORKLOADS


def main() -> None:
    """Run one benchmark, with the BLAS threads set before NumPy is loaded."""
    options = _options()
    if options.benchmark != "jobs":
        keep_to(options.threads)
    set_up_libraries(threads=options.threads)
    import_module(f"tests.benchmarks.{options.benchmark}").main(options)


def keep_to(cores: int) -> None:
    """Let every library's threads share so many cores, where the system can tell which."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    benchmarks = parser.add_subparsers(dest="benchmark", required=True)
    training = benchmarks.add_parser("training", help="our step beside those of a textbook, scikit-learn and PyTorch")
    training.add_argument("--rounds", type=_positive, default=15, help="how often each is timed")
    training.add_argument("--workload", choices=WORKLOADS, action="append", help="only this one; again for several")
    training.add_argument("--without", action="append", help="a rival, by its title; again for several")
    predict = benchmarks.add_parser("predict", help="latency of a server's predictions")
    predict.add_argument("--requests", type=_positive, default=1000, help="of each size")
    jobs = benchmarks.add_parser("jobs", help="whole trainings: scripts beside scikit-learn's and PyTorch's, and runs")
    jobs.add_argument("--rounds", type=_positive, default=5, help="how often each is timed")
    jobs.add_argument("--epochs", type=_positive, default=100, help="of a run")
    defaults = benchmarks.add_parser("defaults", help="how good runs are by default, beside tuned MLPs, on real tables")
    defaults.add_argument("--splits", type=_positive, default=4, help="of each table")
    defaults.add_argument("--table", action="append", help="only this one; again for several")
    inspection = benchmarks.add_parser("inspection", help="what each quantity costs, in units of one backward pass")
    inspection.add_argument("--rounds", type=_positive, default=15, help="how often each is timed")
    inspection.add_argument("--quantity", action="append", help="only this one; again for several")
    suspects = benchmarks.add_parser("suspects", help="how well rankings find labels that were made wrong")
    suspects.add_argument("--seeds", type=_positive, default=4, help="of each table")
    suspects.add_argument("--table", action="append", help="only this one; again for several")
    recording = benchmarks.add_parser("recording", help="what it costs to keep all that steps are shown again from")
    recording.add_argument("--rounds", type=_positive, default=5, help="how often each is timed")
    recording.add_argument("--seconds", type=_positive, default=10, help="of a training, about")
    recording.add_argument("--workload", action="append", help="only this one; again for several")
    doctor = benchmarks.add_parser("doctor", help="what the doctor says of a zoo of sick and healthy runs")
    doctor.add_argument("--name", default="", help="only those whose names have this in them")
    memory = benchmarks.add_parser("memory", help="what a large CSV takes, in every process")
    memory.add_argument("--megabytes", type=_positive, default=1000, help="of the file")
    pages = benchmarks.add_parser("pages", help="how long a browser waits for each page, idle and while two runs train")
    pages.add_argument("--requests", type=_positive, default=20, help="of each page")
    pages.add_argument("--epochs", type=_positive, default=200, help="of the run")
    pages.add_argument("--runs", type=_positive, default=10_000, help="in the long list")
    for each in (training, predict, jobs, defaults, inspection, suspects, recording, doctor, memory, pages):
        each.add_argument("--threads", type=_positive, default=1, help="BLAS threads")
        each.add_argument("--json", action="store_true", help="print JSON for programs")
    return parser.parse_args()


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


if __name__ == "__main__":
    main()
