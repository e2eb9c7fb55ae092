#!/usr/bin/env python3
"""Builds the fuzz targets (preset fuzz) and runs them from their seeds: one line of counts per target; exit 1 if an input
crashed one, leaked, hung or took too much memory. The input is kept and named.

    tests/fuzz/run.py --seconds N [--target NAME] [--seed S]      N: of all targets together, after the build"""

import argparse
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import seeds

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "fuzz"
FOUND = BUILD / "found"
SECONDS_PER_INPUT = 20  # on a busy machine: a hang, not slowness
MEMORY_MIB = 1024
IN_MEMORY = pathlib.Path("/dev/shm")  # files of inputs are synced as a checkpoint is: on a disk that is most of the time


def build(targets):
    if not (BUILD / "build.ninja").exists():
        subprocess.run(["cmake", "--preset", "fuzz"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    names = [f"fuzz_{target}" for target in targets]
    subprocess.run(["cmake", "--build", BUILD, "--target", *names], check=True, stdout=subprocess.DEVNULL)


def run(target, seconds, seed):
    """Prints the counts; whether nothing was found."""
    FOUND.mkdir(parents=True, exist_ok=True)
    folder = IN_MEMORY if os.access(IN_MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=folder) as corpus:
        seeds.write(target, pathlib.Path(corpus))
        finished = subprocess.run(
            [BUILD / "tests" / "fuzz" / f"fuzz_{target}", corpus, f"-max_total_time={seconds}", f"-seed={seed}",
             f"-timeout={SECONDS_PER_INPUT}", f"-rss_limit_mb={MEMORY_MIB}", f"-artifact_prefix={FOUND}/{target}-",
             "-max_len=65536", "-print_final_stats=1"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
            env={**os.environ, "TMPDIR": str(folder)} if folder else None)
    executed = re.search(r"number_of_executed_units: *(\d+)", finished.stdout)
    kept = re.search(r"Test unit written to (\S+)", finished.stdout)
    count = executed.group(1) if executed else "?"
    print(f"fuzz {target}: {count} executions, {int(finished.returncode != 0)} crashes in {seconds} s", flush=True)
    if finished.returncode != 0:
        print("\n".join(finished.stdout.splitlines()[-60:]), file=sys.stderr)
        print(f"fuzz {target}: the input is {kept.group(1) if kept else 'unknown'}", file=sys.stderr)
    return finished.returncode == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, required=True)
    parser.add_argument("--target", choices=seeds.TARGETS)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    targets = [options.target] if options.target else list(seeds.TARGETS)
    build(targets)
    share = max(1, options.seconds // len(targets))
    return 0 if all([run(target, share, options.seed) for target in targets]) else 1


if __name__ == "__main__":
    sys.exit(main())
