"""Trains every configuration for a few steps with two builds of the program, each with the configurations of its own
checkout, and compares what they leave bit for bit: all arrays of the last checkpoint and all numbers of the metrics and
the results, on one rank and on three.

    compare.py CHECKOUT BINARY OTHER_CHECKOUT OTHER_BINARY [PART OF A NAME ...]

What the other build (of an earlier commit) leaves must be found again: names may have changed and numbers may have been
added. A build reads only keys that OVERRIDES or its own configurations name. launch/golden.sh makes the builds.
"""

import argparse
import collections
import concurrent.futures
import hashlib
import json
import pathlib
import re
import shutil
import sys
import tempfile
import time

import h5py
import numpy

import cifar_files
import runs

STEPS = 3  # the third is a short batch of the made-up images
LAYOUTS = {"1 rank x 1 thread": (0, 1), "3 ranks x 2 threads": (3, 2)}  # ranks (0: no launcher), threads
# By folder of configs, or by configuration: data that every machine has, and sizes that take a second. Only keys that no
# commit has under another name.
IMAGES = {"data.dir": "images"}
OVERRIDES = {
    "bench": {"moe.experts": 6},
    "cifar10": {"data.dir": "cifar-10", "train.batch_size": 64},
    "cifar100": {"data.dir": "cifar-100", "train.batch_size": 64, "moe.experts": 6},
    "fashion_mnist": IMAGES,
    "mnist": IMAGES,
    "own/arrays": {"data.file": "classes.h5"},
    "own/regression": {"data.file": "numbers.h5"},
    "text": {"data.file": "tokens.h5", "train.batch_size": 13, "transformer.layers": 2},
    "tokens": {"data.dir": "text", "train.batch_size": 13},
}
NO_CONFIGURATIONS = ("studies",)  # grids over the others
TOO_LARGE = ("cifar10/rotate_mobilenet_v2", "cifar10/rotate_resnet18")  # minutes each
FEWEST = 30  # configurations; less is a mistake of this script


class Failed(Exception):
    """A build could not train a configuration."""


class Build:
    """A program and the configurations beside it. Their run folders are relative, and so are what they begin from
    ([init] from): all lie in one folder per layout."""

    def __init__(self, checkout, binary, folder, data):
        self._binary, self._folder, self._data = pathlib.Path(binary).resolve(), folder, data
        files = {f"{file.parent.name}/{file.stem}": file
                 for file in pathlib.Path(checkout).resolve().glob("configs/*/*.ini")
                 if file.parent.name not in NO_CONFIGURATIONS}
        self._files = {name: file for name, file in files.items() if name not in TOO_LARGE}
        texts = {name: file.read_text() for name, file in self._files.items()}
        self._runs = {name: re.search(r"^dir *= *(runs/\S+)", text, re.MULTILINE)[1] for name, text in texts.items()}
        by_run = {run: name for name, run in self._runs.items()}
        self._begins_from = {name: by_run[found[1]] for name, text in texts.items()
                             if (found := re.search(r"^from *= *(\S+)", text, re.MULTILINE))}
        for layout in LAYOUTS:
            (folder / layout).mkdir(parents=True)

    def names(self, parts=()):
        """Those with one of the parts in their names and what they begin from; what others begin from comes first."""
        found = {name for name in self._files if not parts or any(part in name for part in parts)}
        found |= {self._begins_from[name] for name in found if name in self._begins_from}
        return sorted(found, key=lambda name: (name in self._begins_from, name))

    def train(self, name):
        """What is left by a run on each layout."""
        return {layout: self._train(name, layout) for layout in LAYOUTS}

    def _train(self, name, layout):
        ranks, threads = LAYOUTS[layout]
        keys = {"train.max_steps": STEPS, "run.threads": threads, **OVERRIDES.get(name, OVERRIDES.get(name.split("/")[0], {}))}
        for key in {"data.dir", "data.file"} & set(keys):
            keys[key] = self._data / keys[key]
        options = [f"--{key}={value}" for key, value in keys.items()]
        finished = runs.Running("train", self._files[name], *options, ranks=ranks, cwd=self._folder / layout,
                                binary=self._binary).wait()
        if finished.code != 0:
            raise Failed(f"{self._binary} on {layout}: {finished}")
        run = self._folder / layout / self._runs[name]
        left = Left(run)
        if name not in self._begins_from.values():
            shutil.rmtree(run)
        return left


class Left:
    """Digests of what a run leaves: of its arrays by name, and of its numbers by line of metrics."""

    def __init__(self, run):
        contents = runs.checkpoint_bytes(runs.newest_checkpoint(run))
        del contents["schema_version"]
        self.arrays = {path: f"{kind} {shape} {hashlib.sha256(content).hexdigest()}"
                       for path, (kind, shape, content) in contents.items()}
        if not any(path.startswith("parameters/") for path in self.arrays):
            raise Failed(f"{run} has no parameters")
        lines = {f"line {index + 1} of metrics.jsonl": line for index, line in enumerate(runs.metrics(run))}
        self.numbers = {where: list(_numbers(line)) for where, line in {**lines, "results": runs.results(run)}.items()}

    def digest(self):
        return hashlib.sha256(json.dumps([sorted(self.arrays.values()), self.numbers]).encode()).hexdigest()[:16]

    def what_lacks(self, other):
        """What this has and the other lacks, as a list of names."""
        if set(self.arrays) <= set(other.arrays):
            lacks = [path for path, digest in self.arrays.items() if other.arrays[path] != digest]
        else:  # renamed
            values = set(other.arrays.values())
            lacks = [path for path, digest in self.arrays.items() if digest not in values]
        for where, numbers in self.numbers.items():
            if collections.Counter(numbers) - collections.Counter(other.numbers.get(where, [])):
                lacks.append(where)
        return lacks


def _numbers(value):
    """All numbers within, exactly."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from _numbers(part)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield float(value).hex()


def write_data(folder):
    runs.write_data_set(folder / "images", 1500, 300, classes=10, side=28)  # 1350 for training: 512, 512 and 326
    cifar_files.write_cifar10(folder / "cifar-10")
    cifar_files.write_cifar100(folder / "cifar-100")
    write_texts(folder / "text")
    write_tables(folder)


def write_tables(folder):
    """Rows of numbers, of three classes, and with a number to learn."""
    random = numpy.random.default_rng(1)
    samples = random.normal(size=(300, 7)).astype(numpy.float32)
    labels = {"classes": samples[:, :3].argmax(1), "numbers": numpy.abs(samples[:, 0]) + samples[:, 1]}
    for name, values in labels.items():
        with h5py.File(folder / f"{name}.h5", "w") as file:
            file["train/samples"], file["train/labels"] = samples[:240], values[:240]
            file["test/samples"], file["test/labels"] = samples[240:], values[240:]


def write_texts(folder):
    """Two domains, each with an order of its own in its bytes."""
    folder.mkdir()
    for domain, step in (("one", 7), ("two", 12)):
        places = range(60_000)
        (folder / f"{domain}.txt").write_bytes(bytes(97 + (place * place * step + place // 5) % 23 for place in places))


def write_tokens(folder, binary):
    """Of the same text, by one of the builds for both."""
    texts = sorted((folder / "text").iterdir())
    finished = runs.Running("corpus", *texts, "--vocabulary=300", f"--out={folder / 'tokens.h5'}",
                            binary=pathlib.Path(binary).resolve()).wait()
    if finished.code != 0:
        sys.exit(f"{binary} made no tokens: {finished}")


def compare(name, ours, theirs):
    """Prints a line; whether all is the same."""
    try:
        mine, other = ours.result(), theirs.result()
    except Failed as failure:
        print(f"{name}: FAILED\n{failure}", flush=True)
        return False
    first = next(iter(LAYOUTS))  # of the other build: the reference
    found = [(f"{whose} build, {layout}", other[first].what_lacks(left))
             for whose, by_layout in (("this", mine), ("other", other)) for layout, left in by_layout.items()]
    different = [f"  {where}: {len(lacks)} differ: {', '.join(lacks[:6])}" for where, lacks in found if lacks]
    verdict = "DIFFERENT" if different else "same"
    print(f"{name}: {other[first].digest()} {len(other[first].arrays)} arrays {verdict}", flush=True)
    if different:
        print("\n".join(different), flush=True)
    return not different


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("checkout", "binary", "other_checkout", "other_binary"):
        parser.add_argument(name)
    parser.add_argument("parts", nargs="*", metavar="part", help="of the names to compare; all if none is given")
    parser.add_argument("--renamed", action="append", default=[], metavar="OTHER=NAME",
                        help="the other checkout has a configuration under another name")
    options = parser.parse_args()
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="switchyard_golden_", dir=runs.memory_folder()) as folder:
        folder = pathlib.Path(folder)
        write_data(folder)
        write_tokens(folder, options.binary)
        ours = Build(options.checkout, options.binary, folder / "ours", folder)
        theirs = Build(options.other_checkout, options.other_binary, folder / "theirs", folder)
        names = {name: name for name in ours.names()}  # in the other checkout
        names.update((name, other) for other, name in (renamed.split("=") for renamed in options.renamed))
        for name in sorted(set(names.values()) ^ set(theirs.names())):
            print(f"{name}: in one checkout only, not compared")
        wanted = [name for name in ours.names(options.parts) if names[name] in theirs.names()]
        if not options.parts and len(wanted) < FEWEST:
            sys.exit(f"only {len(wanted)} configurations are in both checkouts (at least {FEWEST} are expected)")
        # Two builds at a time, each in the order of its own chain.
        with concurrent.futures.ThreadPoolExecutor(1) as one, concurrent.futures.ThreadPoolExecutor(1) as two:
            pairs = [(name, one.submit(ours.train, name), two.submit(theirs.train, names[name])) for name in wanted]
            same = [compare(*pair) for pair in pairs]
    print(f"{sum(same)} of {len(same)} configurations have the same digests on {' and '.join(LAYOUTS)} with both builds "
          f"({time.monotonic() - start:.0f} s)")
    sys.exit(not same or not all(same))


if __name__ == "__main__":
    main()
