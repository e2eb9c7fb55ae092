"""Whole runs on the simulated device: what they compute, on any number of ranks, over both data planes, in any order of what
is enqueued.

Called as training_test.py SWITCHYARD MEND_CHECKPOINT SWITCHYARD_SIMGPU LIBRARIES [unittest's arguments]: the program; the
program on the simulated device; and the folder of the libraries that stand in for those of a GPU.
"""

import itertools
import json
import pathlib
import re
import sys

import runs

sys.path.append(str(pathlib.Path(__file__).resolve().parents[2] / "golden"))
import compare  # configurations with small data of their own

CONFIGURATIONS = pathlib.Path(__file__).resolve().parents[3] / "configs"
SIMGPU, LIBRARIES = sys.argv.pop(3), sys.argv.pop(3)
STEPS = 3
# Products are added in another order than on the CPU. That is all that differs.
CLOSE = 1e-5
# Adam divides a gradient by its own size: of one that is rounding alone, as of a bias in front of a batch norm, it makes a step of
# the learning rate. With the epsilon of the file CIFAR's third loss differs by 3.5e-5; with SGD by 3e-8.
NO_STEPS_OF_ROUNDING = {"cifar10/original": {"optim_epsilon": 1e-4}}
FAMILIES = (
    "bench/large_experts", "cifar10/original", "clusters/setting1_cubic", "clusters/setting1_linear",
    "clusters/setting1_single_cubic", "fashion_mnist/attentive_importance", "fashion_mnist/attentive_similarity",
    "fashion_mnist/distilled_importance", "fashion_mnist/most_certain", "fashion_mnist/original",
    "fashion_mnist/partition", "fashion_mnist/predicted_loss", "fashion_mnist/single", "fashion_mnist/stochastic",
    "fashion_mnist/top1", "fashion_mnist/top1_balance", "fashion_mnist/top2_importance", "own/regression", "text/bitnet",
    "text/dense", "text/mixture", "text/multi_head_3", "tokens/bytes")
# What a step's number of launches does not depend on.
SIZES = {
    "fashion_mnist/original": ({}, {"train_batch_size": 256}, {"train_shards": 16}),
    "fashion_mnist/top1": ({}, {"train_batch_size": 256}, {"train_shards": 16}, {"moe_gradient_blocks": 32}),
    "bench/large_experts": ({}, {"train_batch_size": 128, "train_shards": 16}, {"moe_gradient_blocks": 2}),
    "cifar10/original": ({}, {"train_batch_size": 11}, {"train_shards": 4}),
    "text/mixture": ({}, {"train_batch_size": 5}, {"train_shards": 2}),
}
# The same number of rows in each step, and little work.
SMALL = {
    "bench/large_experts": {"train_batch_size": 256, "random_features": 520, "model_expert": "dense:520 relu dense:classes"},
    "cifar10/original": {"train_batch_size": 8},
    "text/mixture": {"train_batch_size": 4},
}
# Of matrices that are small for the library of products, and of such that are not.
MANY_EXPERTS = {"fashion_mnist/top1": 64, "bench/large_experts": 64}
ALLOCATIONS = ("cudaMalloc", "cudaMallocHost", "cudaFree", "cudaFreeHost", "cudaEventCreateWithFlags", "cudaStreamCreateWithFlags")


class Simulated(runs.RunTest):
    @classmethod
    def write_data(cls):
        cls.data.mkdir()
        compare.write_data(cls.data)
        compare.write_tokens(cls.data, runs._binary)

    def run_on(self, device, name, ranks=0, environment=None, **keys):
        """A run folder: a configuration trained for STEPS steps."""
        folder = self.new_path()
        options = self.options(name, {"train.max_steps": STEPS, "run.dir": folder, "run.device": device, "run.threads": 1}, keys)
        self.program(device, "train", CONFIGURATIONS / f"{name}.ini", *options, ranks=ranks, environment=environment)
        return pathlib.Path(folder)

    def options(self, name, first, keys):
        """Arguments: those, what the configuration needs for the data of this test, and keys with _ in place of the first dot."""
        options = {**first, **compare.OVERRIDES.get(name, compare.OVERRIDES.get(name.split("/")[0], {}))}
        for key in {"data.dir", "data.file"} & set(options):
            options[key] = self.data / options[key]
        options.update({key.replace("_", ".", 1): value for key, value in keys.items()})
        return [f"--{key}={value}" for key, value in options.items()]

    def program(self, device, *arguments, ranks=0, environment=None):
        simulated = {"SWITCHYARD_CUDA_LIBRARIES": LIBRARIES, "SWITCHYARD_SIMGPU_DEVICES": "4", **(environment or {})}
        finished = runs.Running(*arguments, ranks=ranks, binary=SIMGPU if device == "cuda" else None,
                                environment=simulated).wait()
        self.assertEqual(finished.code, 0, finished)
        return finished.out

    def assert_close(self, expected, run):
        """The losses of steps and of results, and what was chosen."""
        ours, theirs = runs.metrics(run), runs.metrics(expected)
        self.assertEqual(len(ours), len(theirs))
        for mine, other in zip(ours, theirs):
            for key in set(other) & {"loss", "task_loss", "importance_loss", "similarity_loss"}:
                self.assertLess(abs(mine[key] - other[key]), CLOSE * max(abs(other[key]), 1e-3), f"{key} of {other}")
            for key in set(other) & {"load", "choices", "class_by_expert"}:
                self.assertEqual(mine[key], other[key])

    def test_every_family_learns_what_the_cpu_learns(self):
        begun = {}
        for name in FAMILIES:
            with self.subTest(name):
                keys = dict(NO_STEPS_OF_ROUNDING.get(name, {}))
                if name == "fashion_mnist/distilled_importance":
                    keys = {"init_from": begun["fashion_mnist/attentive_importance"]}
                expected = self.run_on("cpu", name, **keys)
                self.assert_close(expected, self.run_on("cuda", name, **keys))
                begun[name] = expected

    def test_ranks_and_data_planes_have_the_same_bits(self):
        for name in ("fashion_mnist/original", "fashion_mnist/top1", "text/mixture"):
            keys = {} if name == "text/mixture" else {"train_batch_size": 96}
            alone = self.run_on("cuda", name, **keys)
            for ranks, plane in itertools.product((1, 2, 3, 4), ("mpi", "nccl")):
                with self.subTest(name, ranks=ranks, plane=plane):
                    other = self.run_on("cuda", name, ranks=ranks, comm_data_plane=plane, **keys)
                    self.assert_same_run(alone, other)
            for plane in ("mpi", "nccl"):
                with self.subTest(name, plane=plane, overlap="no"):
                    other = self.run_on("cuda", name, ranks=2, comm_data_plane=plane, comm_overlap="no", **keys)
                    self.assert_same_run(alone, other)

    def test_ranks_say_the_same_of_a_model(self):
        run = self.run_on("cuda", "tokens/bytes")
        asked = (("sample", run, "--prompt=a", "--tokens=5"), ("eval", run))
        alone = [self.program("cuda", *words, "--run.device=cuda") for words in asked]
        for ranks, plane in itertools.product((2, 3), ("mpi", "nccl")):
            for words, expected in zip(asked, alone):
                with self.subTest(words[0], ranks=ranks, plane=plane):
                    out = self.program("cuda", *words, "--run.device=cuda", f"--comm.data_plane={plane}", ranks=ranks)
                    self.assertEqual(self.without_places(out), self.without_places(expected))

    @staticmethod
    def without_places(said):
        """An evaluation without its times and the rows that crossed to other ranks."""
        return {key: value for key, value in json.loads(said).items() if key != "time"} if said.startswith("{") else said

    def test_orders_of_execution_have_the_same_bits(self):
        for name, ranks in (("fashion_mnist/original", 0), ("fashion_mnist/top1", 2)):
            expected = self.run_on("cuda", name, ranks, train_batch_size=96)
            for order in ("latest", "needed", *range(1, 19)):
                with self.subTest(name, order=order):
                    run = self.run_on("cuda", name, ranks, {"SWITCHYARD_SIMGPU_ORDER": str(order)}, train_batch_size=96)
                    self.assert_same_run(expected, run)

    def test_a_run_goes_on_on_another_kind_of_device(self):
        for name in ("fashion_mnist/original", "text/mixture"):
            expected = self.run_on("cpu", name, train_max_steps=2 * STEPS)
            for first, then in (("cpu", "cuda"), ("cuda", "cpu")):
                with self.subTest(name, first=first):
                    run = self.run_on(first, name)
                    self.program(then, "resume", run, f"--train.max_steps={2 * STEPS}", f"--run.device={then}")
                    self.assert_close(expected, run)

    def counted(self, name, steps=4, **keys):
        """Of a warm step: launches with products, and waits."""
        out = self.bench(name, steps, keys)
        launches, products, waits = re.search(r"a step: (\S+) launches, (\S+) products, \S+ copies, (\S+) waits", out).groups()
        return float(launches) + float(products), float(waits)

    def bench(self, name, steps, keys, environment=None):
        options = self.options(name, {"train.max_steps": steps, "run.device": "cuda", "run.threads": 1}, keys)
        return self.program("cuda", "bench", "step", CONFIGURATIONS / f"{name}.ini", *options, environment=environment)

    def test_a_step_is_few_launches_whatever_its_size(self):
        launches, waits = self.counted("fashion_mnist/original", steps=10)
        self.assertLessEqual(launches, 80)
        self.assertLessEqual(waits, 0.1, "the last step's report alone")
        self.assertLessEqual(self.counted("fashion_mnist/top1", steps=10)[1], 1.1, "for the counts of rows")
        for name, sizes in SIZES.items():
            common = dict(SMALL.get(name, {}))
            if name in MANY_EXPERTS:
                common["moe_experts"] = MANY_EXPERTS[name]
            launches = {str(keys): self.counted(name, steps=2, **{**common, **keys})[0] for keys in sizes}
            with self.subTest(name, launches=launches):
                in_blocks = [count for keys, count in launches.items() if "blocks" in keys]
                others = [count for keys, count in launches.items() if "blocks" not in keys]
                self.assertLessEqual(max(others) - min(others), 1, "two for samples that come for the first time, in one of two")
                self.assertLess(max(in_blocks, default=0), min(others) + 6, "the sum of the blocks, and two tables")
                if name in MANY_EXPERTS:
                    self.assertLessEqual(max(launches.values()), 50 + 2 * MANY_EXPERTS[name])

    def test_a_warm_step_allocates_nothing(self):
        for name in ("fashion_mnist/original", "fashion_mnist/top1", "cifar10/original", "text/mixture"):
            after = {}
            for steps in (4, 8):
                file = pathlib.Path(self.new_path())
                self.bench(name, steps, SMALL.get(name, {}), {"SWITCHYARD_SIMGPU_COUNTS": str(file)})
                after[steps] = json.loads(file.read_text().splitlines()[-1])
            with self.subTest(name):
                self.assertIn("cudaMalloc", after[4])
                self.assertLess(after[4]["range experts"], after[8]["range experts"], "phases are ranges for a profiler")
                for call in ALLOCATIONS:
                    self.assertEqual(after[4].get(call), after[8].get(call), call)


if __name__ == "__main__":
    runs.main()
