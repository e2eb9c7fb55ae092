"""Failures of a GPU in whole runs: every rank ends, soon, with the right exit code, and one line says what failed first.

Called as faults_test.py SWITCHYARD MEND_CHECKPOINT SWITCHYARD_SIMGPU LIBRARIES [unittest's arguments], as training_test.py is.
A counting run lists the places of the program that call CUDA, cublasLt or NCCL; then each of them fails once.
"""

import concurrent.futures
import json
import math
import os
import pathlib
import random
import shutil
import signal
import sys
import time

import runs

CONFIGURATION = pathlib.Path(__file__).resolve().parents[3] / "configs/fashion_mnist/top1.ini"
SIMGPU, LIBRARIES = sys.argv.pop(3), sys.argv.pop(3)
LIBRARY_CODE, TIMEOUT_CODE = 4, 6
ENDS_SECONDS = 10  # of all ranks, after a failure
SHORT_WAIT_SECONDS = 3
MEBIBYTE = 2**20
# Two steps, a checkpoint and evaluations, of every kind of layer that such a model has.
KEYS = {
    "run.device": "cuda", "run.threads": 1, "run.wait_seconds": 120, "data.validation_samples": 20, "train.batch_size": 64,
    "train.max_steps": 2, "model.gate": "conv:2 batch_norm relu max_pool dense:8 relu dense:experts",
    "model.expert": "conv:1 relu max_pool dense:8 relu dense:classes"}
# A matrix that is large enough for the library of products.
LARGE_GATE = {"model_gate": "conv:2 batch_norm relu max_pool dense:800 relu dense:experts", "train_batch_size": 16}
# Calls whose failure harms no run, and why.
HARMLESS = {
    "cudaDriverGetVersion": "the start table says what it knows",
    "cudaRuntimeGetVersion": "the start table says what it knows",
    "cudaFree": "nobody uses what is let go of",
    "cudaFreeHost": "nobody uses what is let go of",
    "cudaEventDestroy": "nobody uses what is let go of",
    "cudaStreamDestroy": "nobody uses what is let go of",
    "cublasLtDestroy": "nobody uses what is let go of",
    "cublasLtMatmulDescDestroy": "nobody uses what is let go of",
    "cublasLtMatmulPreferenceDestroy": "nobody uses what is let go of",
    "cublasLtMatrixLayoutDestroy": "nobody uses what is let go of",
    "ncclCommDestroy": "nobody uses what is let go of",
    "ncclGetVersion": "a library without a version is none: rows go over MPI, and the start table says why",
}
UNSAID = ("cudaDriverGetVersion", "cudaRuntimeGetVersion", "ncclGetVersion")  # but for the start table
START_TABLE = "describe_machine"  # asks for devices once more, for what it prints


def said(finished):
    """Lines of ours that say what is wrong: none of the launcher, nor that it has sent a signal."""
    return [line for line in finished.err.splitlines()
            if line.startswith(("switchyard", "simulated")) and ": got TERM; the run is asked" not in line]


class Faults(runs.RunTest):
    train_samples, test_samples = 300, 60

    @classmethod
    def write_data(cls):
        runs.write_data_set(cls.data, cls.train_samples, cls.test_samples, classes=10, side=28)

    @classmethod
    def begin(cls, ranks, environment, failing=None, **keys):
        """A run whose `failing` rank has this environment, or all; or a rank the one of its number in a list."""
        options = {**KEYS, "data.dir": cls.data, "run.dir": cls.new_path(),
                   **{name.replace("_", ".", 1): value for name, value in keys.items()}}
        words = ["train", CONFIGURATION, *(f"--{name}={value}" for name, value in options.items())]
        common = {"SWITCHYARD_CUDA_LIBRARIES": LIBRARIES, "SWITCHYARD_SIMGPU_DEVICES": "4"}
        if failing is None and not isinstance(environment, list):
            return runs.Running(*words, ranks=ranks, binary=SIMGPU, environment={**common, **environment})
        environments = environment if isinstance(environment, list) else [{} if rank != failing else environment
                                                                          for rank in range(ranks)]
        by_rank = [runs.Rank(*words, binary=SIMGPU, **mine) for mine in environments]
        return runs.Running(by_rank=by_rank, environment=common)

    @classmethod
    def run_with(cls, ranks, environment, failing=None, **keys):
        return cls.begin(ranks, environment, failing, **keys).wait()

    @classmethod
    def call_sites(cls, ranks, **keys):
        """(call, site, callers, a rank that calls) of a run of two steps, and how long it takes."""
        files = [cls.new_path("sites") for _ in range(max(ranks, 1))]
        environments = [{"SWITCHYARD_SIMGPU_SITES": str(file)} for file in files]
        finished = cls.run_with(ranks, environments if ranks > 0 else environments[0], **keys)
        if finished.code != 0:
            raise AssertionError(finished)
        sites = {}
        for rank, file in enumerate(files):
            for call, callers in json.loads(file.read_text()).items():
                for site, text in callers.items():
                    sites.setdefault((call, site, text), []).append(rank)
        # A rank of its own in turn, of those that can fail there.
        return [(*site, by[number % len(by)]) for number, (site, by) in enumerate(sorted(sites.items()))], finished.seconds

    def each(self, cases, check, workers=2):
        """check(case) for all, some at a time: ranks of a launch wait for each other most of the time."""
        with concurrent.futures.ThreadPoolExecutor(workers) as workers:
            for case, failure in zip(cases, workers.map(lambda case: self.failure_of(check, case), cases)):
                with self.subTest(case):
                    if failure is not None:
                        raise failure

    @staticmethod
    def failure_of(check, case):
        try:
            check(case)
        except AssertionError as failure:
            return failure
        return None

    def assert_ends(self, finished, code, *fragments, seconds=None, rank=None):
        """With this code, in time, and one line of ours with the fragments."""
        self.assertEqual(finished.code, code, finished)
        lines = said(finished)
        self.assertEqual(len(lines), 1, finished)
        for fragment in fragments:
            self.assertRegex(lines[0], fragment, finished)
        if rank is not None:
            host = os.uname().nodename.split(".")[0]
            self.assertRegex(lines[0], rf"\[{rank}/2 {host}|rank {rank} (of 2 )?on {host}", finished)
        if seconds is not None:
            self.assertLess(finished.seconds, ENDS_SECONDS + 10 * seconds, finished)

    def assert_site_ends(self, ranks, case, seconds, **keys):
        call, site, callers, failing = case
        failing = failing if ranks > 0 else None
        finished = self.run_with(ranks, {"SWITCHYARD_SIMGPU_FAIL": f"{call}@{site}"}, failing, **keys)
        is_asked_for = call == "ncclGetVersion" and keys.get("comm_data_plane") == "nccl"
        if "Runtime::~Runtime" in callers and call not in HARMLESS:
            return self.assertEqual((finished.code, said(finished)), (0, []), finished)  # of a wait before memory is let go of
        if call in HARMLESS and not is_asked_for or START_TABLE in callers and call == "cudaGetDeviceCount":
            self.assertEqual(finished.code, 0, finished)
            is_said = call in HARMLESS and call not in UNSAID
            self.assertEqual(len(said(finished)), 1 if is_said else 0, finished)
            return self.assertIn(call if is_said else "", finished.err, finished)
        if call in ("cudaMalloc", "cudaMallocHost"):
            what = ("OutOfMemory: ", "cannot allocate", "train.batch_size")
        elif call.startswith("cublasLt"):
            what = ("BlasError: ", rf"{call} failed", r"status \d+, CUBLAS_STATUS_\w+")
        elif call.startswith("nccl"):
            what = ("NcclError: ", rf"{call} failed")
        else:
            what = ("CudaError: ", rf"{call}\b.* failed", r"CUDA error \d+, cudaError\w+")
        return self.assert_ends(finished, LIBRARY_CODE, *what, seconds=seconds, rank=failing)

    def test_every_call_site_of_one_rank(self):
        sites, seconds = self.call_sites(0)
        self.assertGreater(len(sites), 300)
        self.assertLessEqual({"cudaLaunchKernelExC", "cudaMalloc", "cudaMemcpyAsync"}, {call for call, *_ in sites})
        self.each(sites, lambda case: self.assert_site_ends(0, case, seconds))

    def test_every_call_site_of_products(self):
        small = {case[:2] for case in self.call_sites(0)[0]}
        sites, seconds = self.call_sites(0, **LARGE_GATE)
        sites = [case for case in sites if case[:2] not in small]
        self.assertLessEqual({"cudaLaunchKernelExC", "cublasLtMatmul", "cublasLtMatmulAlgoGetHeuristic"},
                             {call for call, *_ in sites})
        self.each(sites, lambda case: self.assert_site_ends(0, case, seconds, **LARGE_GATE))

    def test_every_call_site_of_reading_the_best_checkpoint(self):
        """A checkpoint that cannot be read there is a warning; a GPU that fails is none."""
        keys = {"train_evaluate_every_steps": 1, "optim_learning_rate": 1e-9}  # the second step is no better than the first
        sites, seconds = self.call_sites(0, **keys)
        sites = [case for case in sites if "evaluate_best" in case[2] and case[0] not in HARMLESS]
        self.assertGreater(len(sites), 3)
        self.each(sites, lambda case: self.assert_site_ends(0, case, seconds, **keys))

    def test_every_call_site_of_nccl(self):
        sites, seconds = self.call_sites(2, comm_data_plane="nccl")
        sites = [case for case in sites if case[0].startswith("nccl")]
        self.assertGreater(len(sites), 20)
        self.each(sites, lambda case: self.assert_site_ends(2, case, seconds, comm_data_plane="nccl"), workers=4)

    def test_call_sites_that_one_rank_of_several_has(self):
        """And some that it shares with a rank alone: the other rank must not be left waiting."""
        alone = {case[:2] for case in self.call_sites(0)[0]}
        for plane in ("nccl", "mpi"):
            sites, seconds = self.call_sites(2, comm_data_plane=plane)
            # Of NCCL's own calls it says itself what failed; a look at a plane is taken only while a wait lasts.
            sites = [case for case in sites if not case[0].startswith("nccl") and "ncclComm" not in case[2]
                     and "Runtime::look" not in case[2]]
            own = [case for case in sites if case[:2] not in alone]
            self.assertGreater(len(own), 10)
            shared = [case for case in sites if case[:2] in alone]
            self.each(own + random.Random(1).sample(shared, 10),
                      lambda case: self.assert_site_ends(2, case, seconds, comm_data_plane=plane), workers=4)

    def kernels_of(self, ranks, **keys):
        """How many a run of two steps launches, on each rank at least."""
        file = self.new_path("counts")
        self.assert_trains(self.run_with(ranks, {"SWITCHYARD_SIMGPU_COUNTS": str(file)}, **keys))
        return min(sum(count for name, count in json.loads(line).items() if name.startswith("kernel "))
                   for line in file.read_text().splitlines())

    def assert_trains(self, finished):
        self.assertEqual((finished.code, said(finished)), (0, []), finished)

    @staticmethod
    def some_of(count):
        """The first, the last and some between."""
        return sorted({1, count, *random.Random(1).sample(range(1, count + 1), 4)})

    def test_kernels_that_fail(self):
        self.each(self.some_of(self.kernels_of(0)), lambda number: self.assert_ends(
            self.run_with(0, {"SWITCHYARD_SIMGPU_FAIL": f"kernel:{number}:719"}), LIBRARY_CODE,
            "CUDA error 719, cudaErrorLaunchFailure"))

    def test_kernels_that_never_end(self):
        self.each(self.some_of(self.kernels_of(0)), lambda number: self.assert_ends(
            self.run_with(0, {"SWITCHYARD_SIMGPU_FAIL": f"stall:{number}"}, run_wait_seconds=SHORT_WAIT_SECONDS),
            TIMEOUT_CODE, r"rank 0 on \S+ has waited .* for work of its own GPU \(operation device, step \d+, phase",
            r"nvidia-smi.*run\.wait_seconds"))

    def wait_seconds(self, plane):
        """For run.wait_seconds of two ranks: what a whole run takes here and now, and so no wait of a healthy one."""
        return max(SHORT_WAIT_SECONDS, math.ceil(self.run_with(2, {}, comm_data_plane=plane).seconds))

    def test_kernels_of_one_rank_of_two(self):
        cases = []
        for plane in ("nccl", "mpi"):
            keys = {"comm_data_plane": plane, "run_wait_seconds": 2 * self.wait_seconds(plane)}
            count = self.kernels_of(2, **keys)
            cases += [(keys, rank, number, fault) for rank, number in ((0, count // 3), (1, count // 2), (1, count))
                      for fault in ("kernel", "stall")]

        def check(case):
            keys, rank, number, fault = case
            if fault == "kernel":
                return self.assert_ends(self.run_with(2, {"SWITCHYARD_SIMGPU_FAIL": f"kernel:{number}:719"}, rank, **keys),
                                        LIBRARY_CODE, "CUDA error 719, cudaErrorLaunchFailure", rank=rank)
            return self.assert_ends(self.run_with(2, {"SWITCHYARD_SIMGPU_FAIL": f"stall:{number}"}, rank, **keys),
                                    TIMEOUT_CODE, rf"rank {rank}\b.* for work of its own GPU", rank=rank)

        self.each(cases, check, workers=4)

    def running(self, **keys):
        """Two ranks in the middle of their steps, and how long their run took so far."""
        run = self.new_path()
        running = self.begin(2, {}, run_dir=run, train_max_steps=0, train_epochs=100000, train_log_every_steps=1, **keys)
        metrics = pathlib.Path(run) / "metrics.jsonl"
        self.assertTrue(running.wait_until(lambda: metrics.exists() and metrics.read_text().count("\n") > 3))
        return running

    def test_a_rank_that_is_killed(self):
        for plane in ("nccl", "mpi"):
            with self.subTest(plane):
                running = self.running(comm_data_plane=plane)
                begin = time.monotonic()
                os.kill(running.rank_pids()[1], signal.SIGKILL)
                finished = running.wait()
                self.assertEqual(finished.code, 137, finished)
                self.assertRegex(finished.err, r"process rank 1 with PID \d+ on node \S+ exited on\s+signal 9", finished)
                self.assertLess(time.monotonic() - begin, ENDS_SECONDS, finished)

    def test_a_rank_that_stops(self):
        for plane in ("nccl", "mpi"):
            with self.subTest(plane):
                seconds = self.wait_seconds(plane)
                running = self.running(comm_data_plane=plane, run_wait_seconds=seconds)
                begin = time.monotonic()
                os.kill(running.rank_pids()[1], signal.SIGSTOP)
                self.assert_ends(running.wait(), TIMEOUT_CODE, r"rank 1 on \S+ is missing \(rank 1: it does not run")
                self.assertLess(time.monotonic() - begin, ENDS_SECONDS + seconds)

    def test_memory_that_does_not_suffice(self):
        """Of any size: a run trains, or says what it lacks."""
        sizes = [int(MEBIBYTE * 2**(exponent / 3)) for exponent in range(-15, 13)]
        trained = {}

        def check(size):
            finished = self.run_with(0, {"SWITCHYARD_SIMGPU_MEMORY": str(size)})
            trained[size] = finished.code == 0
            if trained[size]:
                return self.assert_trains(finished)
            return self.assert_ends(
                finished, LIBRARY_CODE,
                r"OutOfMemory: cannot allocate \d+ bytes on the GPU \(this rank holds [\d.]+ MiB there and needs at least [\d.]+ MiB; "
                r"[\d.]+ MiB of its [\d.]+ MiB are free\); use a smaller train.batch_size, more train.parts",
                "switchyard plan")

        self.each(sizes, check)
        least = min(size for size in sizes if trained[size])
        self.assertEqual([trained[size] for size in sizes], [size >= least for size in sizes], "in order of sizes")
        self.assertNotIn(least, (sizes[0], sizes[-1]))

    def test_memory_of_one_rank_that_does_not_suffice(self):
        for plane in ("nccl", "mpi"):
            for kibibytes in (30, 1100):  # when it begins, and in a step
                with self.subTest(plane, kibibytes=kibibytes):
                    self.assert_ends(
                        self.run_with(2, {"SWITCHYARD_SIMGPU_MEMORY": str(kibibytes * 1024)}, 1, comm_data_plane=plane),
                        LIBRARY_CODE, "OutOfMemory: .*cannot allocate", rank=1)

    def test_nccl_of_ranks_that_share_a_gpu(self):
        self.assert_ends(self.run_with(2, {"SWITCHYARD_SIMGPU_DEVICES": "1"}, comm_data_plane="nccl"), 2,
                         r"ConfigError: comm.data_plane = nccl cannot be had \(ranks 0 and 1 share the GPU .*NCCL_HOSTID")

    def test_gpus_of_two_models(self):
        finished = self.run_with(2, {"SWITCHYARD_SIMGPU_MULTIPROCESSORS": "114"}, 1)
        self.assertEqual(finished.code, 2, finished)
        line, = said(finished)
        self.assertRegex(line, r"ConfigError: the GPU is .* 132 multiprocessors on rank 0 .* 114 multiprocessors on rank 1 ")

    def assert_lacks(self, environment, *reasons):
        """A run that wants a GPU says what it lacks; one that takes what there is takes the processor, and says why."""
        self.assert_ends(self.run_with(0, environment), LIBRARY_CODE, r"CudaError: run.device = cuda cannot be had \(", *reasons,
                         "set run.device = cpu")
        finished = self.run_with(0, environment, run_device="auto")
        self.assert_trains(finished)
        table = " ".join(finished.out.split())
        for reason in (r"device cpu, no GPU \(", *reasons):
            self.assertRegex(table, reason, finished)

    def test_no_driver(self):
        self.assert_lacks({"SWITCHYARD_SIMGPU_DEVICES": "0"}, "this machine has no CUDA driver",
                          "CUDA error 35, cudaErrorInsufficientDriver")

    def test_a_driver_without_a_device(self):
        self.assert_lacks({"SWITCHYARD_SIMGPU_DEVICES": "none"}, "CUDA error 100, cudaErrorNoDevice")

    def test_no_library_of_products(self):
        folder = self.new_path("libraries")
        folder.mkdir()
        # Without it others would be looked for, and this machine may have one.
        shutil.copy(pathlib.Path(LIBRARIES) / "libnccl.so.2", folder / "libcublasLt.so.13")
        self.assert_lacks({"SWITCHYARD_CUDA_LIBRARIES": str(folder)}, "cublasLt, which multiplies matrices there",
                          "has no function cublasLtCreate")


if __name__ == "__main__":
    runs.main()
