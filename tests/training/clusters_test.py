"""The clustered-data experiment: the same bits on every layout, exact resume, ends by the loss, and what it must learn."""

import json
import math
import pathlib
import shutil

import h5py
import numpy

import runs

CONFIG = pathlib.Path(__file__).resolve().parents[2] / "configs" / "clusters" / "setting1_cubic.ini"
EXPERTS = 8
STEPS = 60
SMALL = {"clusters.samples": 1600, "train.batch_size": 1600, "train.epochs": 200, "checkpoint.every_steps": 200}
# What the published code computes, and everything else that the paper's formulas leave out.
PUBLISHED = {
    "model.expert": "patch_filters:8 bias cubic sum:classes",
    "model.loss": "double_softmax",
    "moe.gate_value": "noisy_logit",
    "moe.noise_when": "always",
    "moe.balance": 1e-4,
    "optim.gradient_norm": "sum_of_tensors",
}
# The short batch of 100 is the sixth of an epoch.
SHUFFLED = {"train.order": "shuffled", "train.batch_size": 300, "moe.balance": 0.01}


class ClusterTest(runs.RunTest):
    train_samples = 500  # of the made-up pictures, not used here
    test_samples = 100

    def cluster_run(self, keys, ranks=0, code=0):
        """Trains configs/clusters/setting1_cubic.ini with other keys in a new folder and gives it back."""
        run = self.new_path()
        keys = {"run.threads": 1, **keys, "run.dir": run}
        finished = runs.switchyard("train", CONFIG, *(f"--{key}={value}" for key, value in keys.items()), ranks=ranks)
        self.expect(finished, code)
        return run

    def small_run(self, keys=None, ranks=0, steps=STEPS):
        return self.cluster_run({**SMALL, "train.max_steps": steps, **(keys or {})}, ranks=ranks)

    def assert_same_run(self, a, b):
        super().assert_same_run(a, b)
        self.assertEqual(*(self.training_results(run) for run in (a, b)))

    @staticmethod
    def training_results(run):
        found = runs.summary(run)["train"]
        return {key: value for key, value in found.items() if key not in ("seconds", "samples_per_second", "matrix_limit_share")}

    @staticmethod
    def steps_of(run):
        return [found for found in runs.metrics(run) if found["kind"] == "step"]

    def evaluate(self, run, split, ranks):
        finished = self.expect(runs.switchyard("eval", run, f"--split={split}", ranks=ranks), 0)
        found = json.loads(finished.out)
        self.assertTrue(found.pop("data")["same_as_run"], finished)
        for key in ("split", "samples", "step", "checkpoint", "time"):
            del found[key]
        return found


class Layout(ClusterTest):
    def check_layouts(self, layouts, keys=None):
        straight = self.small_run(keys)
        for ranks, threads in layouts:
            with self.subTest(ranks=ranks, threads=threads):
                other = self.small_run({**(keys or {}), "run.threads": threads}, ranks)
                self.assert_same_run(straight, other)
                shutil.rmtree(other)
        return straight

    # One expert on each of 8 ranks; 11 ranks are more than experts, and more than shards.
    def test_full_batches(self):
        straight = self.check_layouts([(1, 2), (2, 1), (2, 2), (3, 1), (3, 2), (4, 1), (8, 1), (8, 2), (11, 1)])
        steps = self.steps_of(straight)
        self.assertEqual(len(steps), STEPS)
        for found in steps:
            self.assertEqual(sum(found["load"]), 1600)
        # Equal bits of a run that learned nothing would prove little.
        self.assertLess(steps[-1]["loss"], 0.95 * steps[0]["loss"])
        self.assertLess(steps[-1]["dispatch_entropy"], steps[0]["dispatch_entropy"] - 0.02)
        self.assertNotEqual(steps[0]["load"], steps[1]["load"], "the noise is drawn anew in every step")

    def test_shuffled_in_small_batches(self):
        straight = self.check_layouts([(2, 1), (3, 2), (8, 1), (11, 1)], SHUFFLED)
        self.assertIn(100, [sum(found["load"]) for found in self.steps_of(straight)])

    def test_as_published(self):
        straight = self.check_layouts([(1, 2), (3, 1), (8, 2)], PUBLISHED)
        self.assertGreater(self.steps_of(straight)[0]["balance_loss"], 0)

    def test_two_choices_of_relu_experts(self):
        keys = {"model.expert": "patch_filters:5 relu sum:classes", "model.loss": "cross_entropy", "moe.top_k": 2,
                "moe.gate_value": "noisy_softmax", "moe.noise_draw": "once", "moe.importance": 0.1}
        straight = self.check_layouts([(2, 2), (3, 1)], keys)
        steps = self.steps_of(straight)
        self.assertEqual(sum(steps[0]["load"]), 2 * 1600)

    def test_noise_drawn_once_is_the_same_in_every_step(self):
        # Nothing moves, so only the noise could change where samples go.
        still = {"optim.learning_rate": 1e-30, "optim.gate_learning_rate": 1e-30}
        loads = {draw: [found["load"] for found in self.steps_of(self.small_run({**still, "moe.noise_draw": draw},
                                                                                steps=4))]
                 for draw in ("once", "every_step")}
        self.assertEqual(len({tuple(load) for load in loads["once"]}), 1, loads)
        self.assertEqual(len({tuple(load) for load in loads["every_step"]}), 4, loads)

    def test_the_data_are_those_of_their_own_seed(self):
        a = self.small_run(steps=1)
        b = self.small_run({"data.seed": 2}, steps=1)
        c = self.small_run({"data.seed": 1, "run.seed": 2}, steps=1)
        self.assertNotEqual(runs.metrics(a)[0]["loss"], runs.metrics(b)[0]["loss"])
        # Which label a sample has is of the data alone.
        labels = [[sum(row) for row in runs.summary(run)["test"]["class_by_expert"]] for run in (a, b, c)]
        self.assertNotEqual(labels[0], labels[1])
        self.assertEqual(labels[0], labels[2])


class Resume(ClusterTest):
    def test_stopped_on_2_ranks_and_resumed_on_3(self):
        for name, keys in (("paper", {}), ("published", PUBLISHED), ("shuffled", SHUFFLED)):
            with self.subTest(name):
                straight = self.small_run(keys)
                run = self.small_run(keys, ranks=2, steps=23)
                self.resume(run, f"--train.max_steps={STEPS}", ranks=3)
                self.assert_same_run(straight, run)

    def test_ranks_whose_expert_receives_nothing(self):
        keys = {"model.gate": "patch_filters:1 bias sum:experts"}
        first = self.small_run(keys, steps=1)

        def favour_expert_2(file):
            file["parameters/gate/patch_filters_1/bias"][...] = [0, 0, 1000, 0, 0, 0, 0, 0]

        runs.edit_checkpoint(runs.newest_checkpoint(first), favour_expert_2)
        with h5py.File(runs.newest_checkpoint(first), "r") as file:
            before = {e: file[f"parameters/experts/{e:04}/patch_filters_1/weight"][()] for e in range(EXPERTS)}
        resumed = {}
        for ranks in (1, 2, 8):
            run = self.new_path()
            shutil.copytree(first, run)
            self.resume(run, "--train.max_steps=10", ranks=ranks)
            self.resume(run, "--train.max_steps=20", ranks=ranks)
            resumed[ranks] = run
        for found in self.steps_of(resumed[8])[1:]:
            self.assertEqual(found["load"], [0, 0, 1600, 0, 0, 0, 0, 0])
            self.assertEqual(found["dead_experts"], [0, 1, 3, 4, 5, 6, 7])
        # A normalised step of nothing is no step.
        with h5py.File(runs.newest_checkpoint(resumed[8]), "r") as file:
            for e, weight in before.items():
                after = file[f"parameters/experts/{e:04}/patch_filters_1/weight"][()]
                self.assertEqual(numpy.array_equal(after, weight), e != 2, e)
                self.assertTrue(numpy.isfinite(after).all())
        for ranks in (2, 8):
            self.assert_same_run(resumed[1], resumed[ranks])


class Ending(ClusterTest):
    """train.stop_loss, stop_loss_rise and stop_after_steps, against the losses of a run without them."""

    # So large a step that the loss goes up and down.
    ROUGH = {"optim.learning_rate": 0.02}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.straight = cls().small_run(cls.ROUGH)
        cls.losses = [found["task_loss"] for found in cls.steps_of(cls.straight)]

    def first_step(self, ends, start=1):
        """The first step from `start` on for which ends(its loss, the smallest loss so far)."""
        smallest = math.inf
        for step, loss in enumerate(self.losses, start=1):
            smallest = min(smallest, loss)
            if step >= start and ends(loss, smallest):
                return step
        self.fail("this run never ends: choose other numbers")

    def check_end(self, step, keys):
        self.assertLess(step, STEPS)
        run = self.small_run({**self.ROUGH, **keys})
        self.assertEqual(runs.newest_checkpoint(run).name, f"step-{step:07}.h5")
        self.assertEqual([found["task_loss"] for found in self.steps_of(run)], self.losses[:step])
        summary = runs.summary(run)
        self.assertEqual(summary["steps"], step)
        self.assertEqual(summary["exit"]["code"], 0)
        self.assertIn(f"ended after step {step} of {STEPS}", summary["exit"]["reason"])
        return run

    def test_the_loss_falls_to_the_bound(self):
        bound = sorted(self.losses)[STEPS // 4]
        self.check_end(self.first_step(lambda loss, _: loss <= bound), {"train.stop_loss": repr(bound)})

    def test_the_loss_rises_above_the_smallest(self):
        rise = 0.01
        step = self.first_step(lambda loss, smallest: loss > smallest + rise)
        self.assertGreater(step, 2)
        self.check_end(step, {"train.stop_loss_rise": rise})

    def test_the_bounds_count_from_a_step_on(self):
        rise = 0.01
        early = self.first_step(lambda loss, smallest: loss > smallest + rise)
        start = early + 1
        step = self.first_step(lambda loss, smallest: loss > smallest + rise, start)
        self.check_end(step, {"train.stop_loss_rise": rise, "train.stop_after_steps": start})
        bound = max(self.losses) + 1  # always reached: the first step that counts
        self.check_end(7, {"train.stop_loss": repr(bound), "train.stop_after_steps": 7})
        self.check_end(1, {"train.stop_loss": repr(bound)})

    def test_a_run_without_bounds_goes_to_its_last_step(self):
        self.assertEqual(runs.summary(self.straight)["steps"], STEPS)
        self.assertIn("finished all", runs.summary(self.straight)["exit"]["reason"])

    def test_the_smallest_loss_outlives_a_stop(self):
        rise = 0.01
        keys = {**self.ROUGH, "train.stop_loss_rise": rise}
        step = self.first_step(lambda loss, smallest: loss > smallest + rise)
        straight = self.small_run(keys)
        # Stopped just before: all that the last step knows of the smallest loss is in the checkpoint.
        run = self.small_run(keys, ranks=2, steps=step - 1)
        self.assertEqual(runs.summary(run)["steps"], step - 1)
        self.resume(run, f"--train.max_steps={STEPS}", ranks=3)
        self.assertEqual(runs.summary(run)["steps"], step)
        self.assert_same_run(straight, run)

    def test_a_run_that_has_ended_stays_ended(self):
        bound = max(self.losses) + 1
        run = self.check_end(7, {"train.stop_loss": repr(bound), "train.stop_after_steps": 7})
        before = runs.checkpoint_bytes(runs.newest_checkpoint(run)), runs.metrics(run), runs.results(run)
        for ranks, arguments in ((0, []), (2, ["--train.max_steps=100"])):
            finished = self.resume(run, *arguments, ranks=ranks)
            self.assertIn("ended after step 7", finished.out)
            self.assertEqual(before, (runs.checkpoint_bytes(runs.newest_checkpoint(run)), runs.metrics(run),
                                      runs.results(run)))


class KnownAnswers(ClusterTest):
    """Setting 1 at its real size. Measured with seed 1: train.dispatch_entropy 0.193, test error 0.059."""

    def test_experts_find_their_clusters_in_100_steps(self):
        run = self.cluster_run({"train.max_steps": 100, "run.threads": 2})
        steps = self.steps_of(run)
        # Zero gate: the noise alone decides, and the loss is that of outputs near zero.
        self.assertAlmostEqual(steps[0]["dispatch_entropy"], math.log(4), delta=0.01)
        self.assertAlmostEqual(steps[0]["loss"], math.log(2), delta=1e-4)
        for load in steps[0]["load"]:
            self.assertAlmostEqual(load, 2000, delta=5 * math.sqrt(16000 * 7 / 64))
        summary = runs.summary(run)
        self.assertLess(summary["train"]["dispatch_entropy"], 0.6)
        self.assertLess(summary["test"]["error"], 0.15)
        # By label alone an expert's samples stay mixed: clusters are what routing finds.
        self.assertGreater(summary["test"]["dispatch_entropy_label"], 0.5)
        clusters = numpy.array(summary["train"]["cluster_by_expert"])
        self.assertEqual(clusters.shape, (4, EXPERTS))
        self.assertEqual(clusters.sum(), 16000)
        # The entropy by its definition, from the table that is printed with it.
        within = clusters / numpy.maximum(clusters.sum(axis=0), 1)
        terms = clusters / 16000 * numpy.log(numpy.where(within > 0, within, 1))
        self.assertAlmostEqual(summary["train"]["dispatch_entropy"], -terms.sum(), places=12)

        for ranks in (0, 3):
            self.assertEqual(self.evaluate(run, "test", ranks), summary["test"])
            train = self.evaluate(run, "train", ranks)
            for key, value in summary["train"].items():
                if key not in ("loss", "seconds", "samples_per_second", "matrix_limit_share"):
                    self.assertEqual(train[key], value, key)

    def test_evaluation_with_noise_is_the_same_on_every_rank_count(self):
        run = self.small_run({"moe.noise_when": "always"})
        for ranks in (2, 11):
            self.assertEqual(self.evaluate(run, "test", ranks), runs.summary(run)["test"])


if __name__ == "__main__":
    runs.main()
