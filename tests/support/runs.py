"""Runs of the program, for the tests that look at it from outside: start it, read what it leaves, compare.

A test file ends with `runs.main()` and is called as `test.py SWITCHYARD MEND_CHECKPOINT [unittest's arguments]`.
Nothing is imported from the program: checkpoints are read with h5py, as a user would.
"""

import gzip
import json
import math
import os
import pathlib
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest

import h5py
import numpy

# switchyard_reader, for the tests that are about it or compute with it.
sys.path.append(str(pathlib.Path(__file__).resolve().parents[2] / "python"))

MPIRUN = pathlib.Path(__file__).resolve().parent / "mpirun.sh"
# When a rank ends with a failure, mpirun sends the others SIGTERM and waits a second before SIGKILL: a second for each
# of a hundred failures on purpose.
NO_GRACE = {"OMPI_MCA_odls_base_sigkill_timeout": "0"}
# What takes this long hangs: everything here takes seconds, and a minute where each has twenty busy processes beside it.
HANGS_SECONDS = 300
IMAGE_SIDE = 16
CLASSES = 6
EXPERTS = 5

# Small, but of every kind: a convolution with and without batch norm, a large matrix of the gate whose gradient is
# computed over whole rows (8 shards x 392 x 64 > 128 rows x (392 + 64)), small ones that are summed by shards.
BASE_KEYS = {
    "run.seed": 7,
    "run.threads": 1,
    "run.wait_seconds": 120,
    "data.mean": 0.3,
    "data.standard_deviation": 0.25,
    "data.validation_samples": 400,
    "model.gate": "conv:8 batch_norm relu max_pool dense:64 relu dense:experts",
    "model.expert": "conv:1 relu max_pool dense:16 relu dense:classes",
    "moe.experts": EXPERTS,
    "moe.importance": 0.2,
    "optim.learning_rate": 3e-3,
    "optim.clip_norm": 1.0,
    "optim.schedule": "cosine",
    "optim.warmup_steps": 10,
    "train.batch_size": 128,
    "train.epochs": 10,
    "train.log_every_steps": 20,
}

_binary = None
_mend = None


class LauncherHangs(AssertionError):
    """Every rank has ended and mpirun has not: Open MPI 4.1.4 may wait for itself there (launch/run.sh ends that)."""


class Rank:
    """One rank of a launch whose ranks differ."""

    def __init__(self, *arguments, binary=None, folder=None, **environment):
        self.arguments, self.binary, self.folder, self.environment = arguments, binary, folder, environment

    def words(self):
        settings = [word for name, value in self.environment.items() for word in ("-x", f"{name}={value}")]
        folder = ["-wdir", str(self.folder)] if self.folder else []
        return ["-n", "1", *folder, *settings, str(self.binary or _binary), *map(str, self.arguments)]


def code_of_ranks(code, err):
    """The code that mpirun would have returned: that of Open MPI 4.1.4 sometimes crashes while it ends, after it has said
    how the ranks ended."""
    said = re.search(r"Exit code: +(\d+)|exited on signal (\d+)", err)
    if code not in (-signal.SIGSEGV, -signal.SIGPIPE) or not said:
        return code
    return int(said[1]) if said[1] else 128 + int(said[2])


class Finished:
    """A run of the program that has ended."""

    def __init__(self, code, out, err, seconds):
        self.code, self.out, self.err, self.seconds = code, out, err, seconds
        self.stopped = False  # by a signal, and then ended

    def __str__(self):
        return f"exit code {self.code} after {self.seconds:.1f} s\n--- output\n{self.out}\n--- errors\n{self.err}"


class Running:
    """A run under way. ranks = 0: without a launcher. A hang is a failure: wait() kills all and raises."""

    def __init__(self, *arguments, ranks=0, environment=None, cwd=None, stdout=None, by_rank=(), binary=None):
        command = [str(binary or _binary)] + [str(a) for a in arguments]
        if ranks > 0:
            command = [str(MPIRUN), "-n", str(ranks)] + command
        if by_rank:
            command = [str(MPIRUN)] + [word for rank in by_rank for word in [":", *rank.words()]][1:]
            ranks = len(by_rank)
        self._out = tempfile.TemporaryFile()
        self._err = tempfile.TemporaryFile()
        self._start = time.monotonic()
        self._ranks = ranks
        self.process = subprocess.Popen(
            command, stdout=stdout if stdout is not None else self._out, stderr=self._err, stdin=subprocess.DEVNULL, start_new_session=True,
            cwd=cwd, env={**os.environ, **NO_GRACE, **(environment or {})})

    def rank_pids(self):
        """Rank -> process id, of the ranks that live now."""
        if self._ranks == 0:
            return {0: self.process.pid}
        pids = {}
        for entry in pathlib.Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
                if parent != self.process.pid:
                    continue
                for word in (entry / "environ").read_bytes().split(b"\0"):
                    if word.startswith(b"OMPI_COMM_WORLD_RANK="):
                        pids[int(word.split(b"=")[1])] = int(entry.name)
            except (OSError, ValueError, IndexError):  # it ended meanwhile
                continue
        return pids

    def wait_until(self, condition):
        """Until condition() holds or the program ends; False if it ended first."""
        end = time.monotonic() + HANGS_SECONDS
        while time.monotonic() < end:
            if condition():
                return True
            if self.process.poll() is not None:
                return False
            time.sleep(0.005)
        self._kill()
        raise AssertionError(f"waited {HANGS_SECONDS} s for something that never came\n{self._finished()}")

    def kill(self):
        """Every rank and the launcher, with SIGKILL."""
        self._kill()
        self._finished()

    def _kill(self):
        for pid in self.rank_pids().values():
            _send(pid, signal.SIGKILL)
        _send(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def wait(self, limit_seconds=HANGS_SECONDS):
        try:
            self.process.wait(limit_seconds)
        except subprocess.TimeoutExpired:
            alone = self._ranks > 0 and not self.rank_pids()
            self._kill()
            hang, what = (LauncherHangs, "mpirun") if alone else (AssertionError, "it")
            raise hang(f"{what} hangs: no end within {limit_seconds} s\n{self._finished()}") from None
        return self._finished()

    def wait_or_stop(self, limit_seconds):
        """As wait(), but a run of which only stopped processes are left is ended and said to be `stopped`: nobody else could
        tell. Of several, the others may be about to be ended: that is seen when the time is over."""
        end = time.monotonic() + limit_seconds
        while self.process.poll() is None:
            is_over = time.monotonic() > end
            living = self.rank_pids().values() if self._ranks <= 1 or is_over else ()
            if living and all(_is_stopped(pid) for pid in living):
                self._kill()
                finished = self._finished()
                finished.stopped = True
                return finished
            if is_over:
                break
            time.sleep(0.02)
        return self.wait(1)

    def _finished(self):
        texts = []
        for file in (self._out, self._err):
            with file:
                file.seek(0)
                texts.append(file.read().decode(errors="replace"))
        return Finished(code_of_ranks(self.process.returncode, texts[1]), *texts, time.monotonic() - self._start)


def _is_stopped(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "T"
    except OSError:  # it ended meanwhile
        return False


def _send(pid, number):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def fault(function, nth, action, rank=0, path=None, mark=None):
    """Environment of a run in which one call fails, hangs or kills: tests/support/fault_shim.cpp."""
    environment = {"LD_PRELOAD": os.environ["FAULT_SHIM"], "SWITCHYARD_SHIM": f"{function}:{nth}:{action}:{rank}"}
    if path is not None:
        environment["SWITCHYARD_SHIM_PATH"] = str(path)
    if mark is not None:
        environment["SWITCHYARD_SHIM_MARK"] = str(mark)
    return environment


def switchyard(*arguments, ranks=0, environment=None, cwd=None, stdout=None):
    """Runs it to its end. Output that goes to `stdout` is not kept."""
    return Running(*arguments, ranks=ranks, environment=environment, cwd=cwd, stdout=stdout).wait()


def different_ranks(*by_rank):
    """One launch with a rank for each Rank, to its end."""
    return Running(by_rank=by_rank).wait()


def binary():
    return _binary


class RunTest(unittest.TestCase):
    """A folder and a data set for the tests of one class; helpers that train and compare."""

    base_keys = BASE_KEYS
    train_samples = 1300  # 900 after the validation split: 7 batches of 128 and one of 4
    test_samples = 300

    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="switchyard_test_", dir=memory_folder()))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.data = cls.folder / "data"
        cls._count = 0
        cls.write_data()

    @classmethod
    def write_data(cls):
        """Into cls.data."""
        write_data_set(cls.data, cls.train_samples, cls.test_samples)

    @classmethod
    def new_path(cls, name="run"):
        cls._count += 1
        return cls.folder / f"{cls._count:03}_{name}"

    @classmethod
    def write_config(cls, **sections):
        """A configuration file of base_keys; a key of `sections` is written section_key (moe_top_k=2)."""
        keys = dict(cls.base_keys)
        if sections.get("transformer_mixture_every") == 0:  # a model without a mixture refuses what is of one
            keys = {name: value for name, value in keys.items() if not name.startswith("moe.")}
        keys["data.dir"] = cls.data
        keys["run.dir"] = cls.new_path()
        for name, value in sections.items():
            section, key = name.split("_", 1)
            keys[f"{section}.{key}"] = value
        file = cls.new_path("config.ini")
        by_section = {}
        for name, value in keys.items():
            section, key = name.split(".")
            by_section.setdefault(section, []).append(f"{key} = {value}")
        file.write_text("".join(f"[{s}]\n" + "\n".join(lines) + "\n" for s, lines in by_section.items()))
        return file, pathlib.Path(keys["run.dir"])

    @classmethod
    def train_for_all(cls, ranks=0, **sections):
        """A run that all tests of the class look at: its configuration and its folder."""
        config, run = cls.write_config(**sections)
        finished = switchyard("train", config, ranks=ranks)
        if finished.code != 0:
            raise AssertionError(finished)
        return config, run

    @classmethod
    def short_wait_seconds(cls):
        """For run.wait_seconds: what a whole run of four ranks takes here and now, and so no wait of a healthy one."""
        config, _ = cls.write_config(train_max_steps=2)
        finished = switchyard("train", config, ranks=4)
        if finished.code != 0:
            raise AssertionError(finished)
        return max(2, math.ceil(finished.seconds))

    def train(self, ranks=0, code=0, **sections):
        """Trains in a new folder and gives it back. A launcher takes longer than such a run."""
        config, run = self.write_config(**sections)
        self.expect(switchyard("train", config, ranks=ranks), code)
        return run

    def resume(self, run, *arguments, ranks=0, code=0):
        return self.expect(switchyard("resume", run, *arguments, ranks=ranks), code)

    def expect(self, finished, code, *fragments):
        """The exit code, and fragments of the errors."""
        self.assertEqual(finished.code, code, finished)
        for fragment in fragments:
            self.assertIn(fragment, finished.err, finished)
        return finished

    def expect_failure(self, finished, code, *fragments, kind=None):
        """It ended with this code, not with that of a rank that waited, and said why once, not once per rank."""
        self.expect(finished, code, *fragments)
        for fragment in fragments[:1]:
            lines = [line for line in finished.err.splitlines() if fragment in line]
            self.assertEqual(len(lines), 1, finished)
        if kind is not None:
            self.assertEqual(finished.err.count(kind + ": "), 1, finished)
        return finished

    def assert_same_checkpoint(self, a, b):
        """By the program and by a comparison of our own."""
        finished = switchyard("diff", a, b)
        self.assertEqual(finished.code, 0, finished)
        self.assertIn("the same bit for bit", finished.out)
        self.assert_same_arrays(a, b)

    def assert_same_arrays(self, a, b, without=()):
        """`without`: prefixes of what may differ."""
        ours, theirs = ({path: content for path, content in checkpoint_bytes(file).items() if not path.startswith(tuple(without))}
                        for file in (a, b))
        self.assertEqual(sorted(ours), sorted(theirs))
        self.assertTrue(any(path.startswith("parameters/") for path in ours), sorted(ours))
        for path, content in ours.items():
            self.assertEqual(content, theirs[path], f"{path} of {a} and {b} differ")

    def assert_same_run(self, a, b):
        """The last checkpoint, and metrics apart from times."""
        self.assertEqual(newest_checkpoint(a).name, newest_checkpoint(b).name)
        self.assert_same_checkpoint(newest_checkpoint(a), newest_checkpoint(b))
        ours, theirs = metrics(a), metrics(b)
        for index, (x, y) in enumerate(zip(ours, theirs)):
            self.assertEqual(x, y, f"line {index + 1} of metrics.jsonl of {a} and {b}")
        self.assertEqual(len(ours), len(theirs), f"lines of metrics.jsonl of {a} and {b}")
        self.assertEqual(results(a), results(b))


def memory_folder():
    """For temporary files: a file system in memory, if there is one with room. Checkpoints are synced: on a disk that is most
    of a short run."""
    folder = pathlib.Path("/dev/shm")
    return folder if os.access(folder, os.W_OK) and shutil.disk_usage(folder).free > 2**30 else None


def write_idx(path, array):
    """An array of unsigned bytes in IDX form; compressed if the name ends in .gz."""
    header = struct.pack(">HBB", 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    content = header + array.astype(numpy.uint8).tobytes()
    path.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)


def write_data_set(folder, train_samples, test_samples, seed=1, equal_classes=False, classes=CLASSES, side=IMAGE_SIDE):
    """Noisy pictures of a pattern per class: a small model learns them in a few steps. equal_classes: labels in turn."""
    folder.mkdir(parents=True, exist_ok=True)
    random = numpy.random.default_rng(seed)
    patterns = random.random((classes, side, side)) < 0.3
    for prefix, count in (("train", train_samples), ("t10k", test_samples)):
        labels = numpy.arange(count) % classes if equal_classes else random.integers(0, classes, count)
        noise = random.integers(0, 160, (count, side, side))
        write_idx(folder / f"{prefix}-images-idx3-ubyte.gz", numpy.minimum(255, noise + 120 * patterns[labels]))
        write_idx(folder / f"{prefix}-labels-idx1-ubyte", labels)


def newest_checkpoint(run):
    folder = pathlib.Path(run) / "checkpoints"
    return folder / (folder / "latest").read_text().strip()


def checkpoint_at(run, step):
    return pathlib.Path(run) / "checkpoints" / f"step-{step:07}.h5"


def checkpoint_bytes(file):
    """Path -> (type, shape, raw bytes) of all data sets but texts: those tell of the folder and the machine."""
    found = {}

    def visit(path, item):
        if isinstance(item, h5py.Dataset) and item.dtype.kind in "fiu":
            value = numpy.asarray(item[()])
            found[path] = (item.dtype.str, item.shape, value.tobytes())

    with h5py.File(file, "r") as opened:
        opened.visititems(visit)
    return found


def edit_checkpoint(file, change):
    """Calls change(h5py file, writable), then makes the checksums right again."""
    with h5py.File(file, "r+") as opened:
        change(opened)
    subprocess.run([str(_mend), str(file)], check=True)


def seal_checkpoint(file):
    """Makes only the user block right again, with its digest: what is behind it stays as a test has made it."""
    subprocess.run([str(_mend), "--seal", str(file)], check=True)


def metrics(run):
    """The objects of metrics.jsonl without their times."""
    objects = [json.loads(line) for line in (pathlib.Path(run) / "metrics.jsonl").read_text().splitlines()]
    for found in objects:
        del found["time"]
    return objects


def summary(run):
    return json.loads((pathlib.Path(run) / "summary.json").read_text())


def results(run):
    """What summary.json says, apart from times, exit and build."""
    found = summary(run)
    return {key: found[key] for key in ("steps", "parameters", "seed", "validation", "test", "best")}


def use(binary, mend_checkpoint):
    """The program, and the tool that makes the checksums of an edited checkpoint right again."""
    global _binary, _mend
    _binary, _mend = pathlib.Path(binary).resolve(), pathlib.Path(mend_checkpoint).resolve()


def main():
    """unittest's main, but a skipped test is a failure, and so is no test at all."""
    if len(sys.argv) < 3:
        sys.exit(f"usage: {sys.argv[0]} SWITCHYARD MEND_CHECKPOINT [arguments of unittest]")
    use(*sys.argv[1:3])
    program = unittest.main(argv=[sys.argv[0], *sys.argv[3:]], exit=False, verbosity=2)
    result = program.result
    if result.testsRun == 0 or result.skipped or result.expectedFailures:
        sys.exit("no test ran, or one was skipped: that counts as a failure")
    sys.exit(not result.wasSuccessful())
