"""What the random harnesses share: numbered tries that a seed determines, a stop after a count or a time, a count line.

A harness is called as `random_x.py SWITCHYARD MEND_CHECKPOINT [--count N] [--seconds S] [--seed K] [--first I] [--jobs J]`,
like the tests. Try i draws from (seed, i) alone, so `--seed K --first I --count 1` repeats one try that failed.
"""

import argparse
import dataclasses
import itertools
import os
import pathlib
import random
import shutil
import sys
import tempfile
import threading
import time

import runs


class Failure(Exception):
    """A promise that was not kept."""


@dataclasses.dataclass
class Try:
    number: int
    random: random.Random
    folder: pathlib.Path  # empty; removed when the try went well


class Harness:
    """Runs `attempt(try)` until the count or the time is reached. `counts` are what the count line says."""

    def __init__(self, name, description, default_count, unit):
        parser = argparse.ArgumentParser(prog=name, description=description)
        parser.add_argument("switchyard", type=pathlib.Path)
        parser.add_argument("mend_checkpoint", type=pathlib.Path)
        parser.add_argument("--count", type=int, default=default_count, help=f"{unit} to make (default %(default)s)")
        parser.add_argument("--seconds", type=float, default=0, help="begin no try after this time; 0: no limit")
        parser.add_argument("--seed", type=int, default=1, help="of all tries (default %(default)s)")
        parser.add_argument("--first", type=int, default=0, help="number of the first try (default %(default)s)")
        parser.add_argument("--jobs", type=int, default=1, help="tries at a time: most wait (default %(default)s)")
        self.arguments = parser.parse_args()
        self.name = name
        self.unit = unit
        self.counts = {unit: 0}
        self._lock = threading.Lock()
        self._failed = []
        runs.use(self.arguments.switchyard, self.arguments.mend_checkpoint)
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix=f"switchyard_{name}_"))

    def count(self, what, by=1):
        with self._lock:
            self.counts[what] = self.counts.get(what, 0) + by

    def main(self, attempt):
        """Exits with 1 at the end if a try failed; its folder is then kept."""
        start = time.monotonic()
        numbers = itertools.count(self.arguments.first)
        workers = [threading.Thread(target=self._work, args=(attempt, numbers, start))
                   for _ in range(self.arguments.jobs)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        failed = self._failed
        if not failed:
            shutil.rmtree(self.folder, ignore_errors=True)
        counted = ", ".join(f"{count} {what}" for what, count in sorted(self.counts.items()))
        print(f"{self.name}: {counted}; {len(failed)} failed, {time.monotonic() - start:.0f} s", flush=True)
        if self.counts[self.unit] == 0:
            sys.exit(f"{self.name}: no {self.unit} at all: that counts as a failure")
        sys.exit(1 if failed else 0)

    def _work(self, attempt, numbers, start):
        """One try after the other, until there are enough of them, or of failures."""
        seconds = self.arguments.seconds
        while self.counts[self.unit] < self.arguments.count and len(self._failed) < 10:
            if seconds > 0 and time.monotonic() - start > seconds:
                return
            with self._lock:
                number = next(numbers)
            one = Try(number, random.Random(f"{self.arguments.seed}/{number}"), self.folder / f"try_{number:06}")
            one.folder.mkdir()
            try:
                attempt(one)
                self.expect_nobody_left(one.folder)
                shutil.rmtree(one.folder, ignore_errors=True)
            except runs.LauncherHangs:
                self.count("tries that mpirun itself did not end")
            except Exception as failure:  # a defect of the harness is a failed try, too
                self._failed.append(number)
                kind = "" if isinstance(failure, (Failure, AssertionError)) else f"{type(failure).__name__}: "
                print(f"{self.name}: try {number} failed ({one.folder} is kept; --seed {self.arguments.seed} "
                      f"--first {number} --count 1 repeats it)\n{kind}{failure}", flush=True)

    @staticmethod
    def expect_nobody_left(folder):
        """No process that was started for this folder lives on: not for longer than a signal needs to end it."""
        end = time.monotonic() + 60
        while left := processes_that_name(folder):
            if time.monotonic() > end:
                raise Failure(f"left running: {left}")
            time.sleep(0.1)


def expect(condition, message):
    if not condition:
        raise Failure(str(message))


def processes_that_name(folder):
    """Process id -> command line, of all whose arguments name the folder."""
    found = {}
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            words = (entry / "cmdline").read_bytes()
        except OSError:  # it ended meanwhile
            continue
        if str(folder).encode() in words:
            found[int(entry.name)] = words.replace(b"\0", b" ").decode(errors="replace")
    return found


def layout(random):
    """How many ranks (0: without a launcher) and threads a run gets."""
    return random.choice((0, 1, 2, 2, 3, 3, 4, 5, 7, 8)), random.choice((1, 1, 2, 3))


def train(config, *keys, ranks=0):
    return runs.switchyard("train", config, *keys, ranks=ranks)


def resume(run, *keys, ranks=0):
    return runs.switchyard("resume", run, *keys, ranks=ranks)


def compare(a, b, warned=""):
    """Raises Failure unless the last checkpoints hold the same bits and metrics and results are equal. A best checkpoint
    that could not be read has no test figures in the results of b, which is `warned` of."""
    ours, theirs = (runs.newest_checkpoint(run) for run in (a, b))
    expect(ours.name == theirs.name, f"{a} ends at {ours.name}, {b} at {theirs.name}")
    x, y = runs.checkpoint_bytes(ours), runs.checkpoint_bytes(theirs)
    expect(sorted(x) == sorted(y), f"arrays of {ours} and {theirs}: {sorted(set(x) ^ set(y))}")
    differing = [path for path in x if x[path] != y[path]]
    expect(not differing, f"{ours} and {theirs} differ in {differing}")
    x, y = runs.metrics(a), runs.metrics(b)
    differing = [index + 1 for index, (one, other) in enumerate(zip(x, y)) if one != other]
    expect(not differing and len(x) == len(y), f"metrics of {a} ({len(x)} lines) and {b} ({len(y)}): lines {differing[:5]}")
    ours, theirs = runs.results(a), runs.results(b)
    if "no test figures of the best checkpoint" in warned:
        ours["best"]["test"] = None
    expect(ours == theirs, f"results of {a} and {b}")
