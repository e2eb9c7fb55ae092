"""Every gate and every loss of distributions: the same bits on any rank count and after a stop, and a report that
depends on the experts' order in nothing but the order."""

import itertools
import json
import math
import shutil

import h5py
import numpy

import runs

STEPS = 10  # 4 per epoch
CONV = "conv:4 batch_norm relu max_pool"
# Beside runs.BASE_KEYS. The query of the second attentive gate is a matrix whose gradient is computed over whole rows
# (8 shards x 392 x 32 > 128 rows x (392 + 32)).
GATES = {
    "original": {"moe_importance": 0},
    "attentive": {"model_gate": f"{CONV} dense:16 relu attention:experts", "moe_importance": 0},
    "attentive, regularised": {"model_gate": "conv:8 relu max_pool attention:experts", "moe_importance": 0.4,
                               "model_expert": "conv:1 relu max_pool dense:32 dense:classes", "moe_z_loss": 0.01,
                               "moe_gate_entropy": 0.1, "moe_similarity": 0.5},
    "stochastic": {"model_loss": "stochastic"},
    "predicted losses": {"model_loss": "predicted_loss"},
    "two temperatures": {"moe_expert_temperature": 2.5},
    "most_certain": {"model_gate": "most_certain:experts", "moe_importance": 0},
    "labels": {"model_gate": "by_label:experts", "moe_partition": "0 5 | 1 | 2 | 3 | 4", "moe_importance": 0},
    "none": {"model_gate": "none", "moe_experts": 1, "moe_importance": 0},
    "none, top-1": {"model_gate": "none", "moe_experts": 1, "moe_importance": 0, "moe_top_k": 1},
    "top-1 with noise": {"moe_top_k": 1, "moe_noise": "uniform", "moe_gate_value": "noisy_softmax"},
    "cosines": {"model_gate": f"{CONV} dense:16 cosine:experts", "moe_cosine_temperature": 0.3, "moe_top_k": 2},
    "sigmoids, groups and a bias": {"moe_experts": 6, "moe_top_k": 2, "moe_scores": "sigmoid", "moe_groups": 3,
                                    "moe_top_groups": 2, "moe_bias_rate": 0.01},
    "capacity": {"model_loss": "cross_entropy", "moe_top_k": 2, "moe_capacity": 0.7, "moe_drop": "score",
                 "moe_capacity_when": "always"},
}


class GateTest(runs.RunTest):
    train_samples = 788  # 388 after the validation split: 3 batches of 128 and one of 4
    test_samples = 200

    def train_gate(self, name, ranks=0, **keys):
        return self.train(ranks=ranks, **{"train_max_steps": STEPS, "optim_warmup_steps": 2, **GATES[name], **keys})

    def evaluate(self, path, ranks=0, split="test"):
        finished = self.expect(runs.switchyard("eval", path, f"--split={split}", ranks=ranks), 0)
        found = json.loads(finished.out)
        self.assertTrue(found.pop("data")["same_as_run"], finished)
        for key in ("checkpoint", "time"):
            del found[key]
        return found


class Layout(GateTest):
    """Batches of 128 and of 4 samples on 1 and 4 ranks, and a run that is stopped within an epoch on 3 and goes on with 2."""

    def check(self, name, first_steps=6):
        straight = self.train_gate(name)
        steps = [found for found in runs.metrics(straight) if found["kind"] == "step"]
        self.assertEqual([found["samples"] for found in steps[:4]], [128, 128, 128, 4])
        self.assertLess(steps[-1]["task_loss"], 0.97 * steps[0]["task_loss"], "equal bits of nothing learned prove little")
        self.assert_same_run(straight, self.train_gate(name, ranks=4))
        moved = self.train_gate(name, ranks=3, train_max_steps=first_steps)
        self.resume(moved, f"--train.max_steps={STEPS}", ranks=2)
        self.assert_same_run(straight, moved)
        for ranks, split in ((0, "validation"), (3, "test")):
            expected = runs.summary(straight)[split]
            found = self.evaluate(straight, ranks, split)
            self.assertEqual({key: found[key] for key in expected}, expected)

    def test_original(self):
        self.check("original")

    def test_attentive(self):
        self.check("attentive")

    def test_attentive_with_regularisers(self):
        self.check("attentive, regularised")

    def test_stochastic(self):
        self.check("stochastic")

    def test_predicted_losses(self):
        self.check("predicted losses")

    def test_two_temperatures(self):
        self.check("two temperatures")

    def test_most_certain(self):
        self.check("most_certain")

    def test_labels(self):
        self.check("labels")

    def test_a_single_expert(self):
        self.check("none")

    def test_a_single_expert_as_the_first_choice(self):
        self.check("none, top-1")

    def test_top_1_with_noise(self):
        self.check("top-1 with noise")

    def test_cosines(self):
        self.check("cosines")

    def test_sigmoids_in_groups_with_a_bias(self):
        self.check("sigmoids, groups and a bias")

    def test_capacity(self):
        self.check("capacity")

    def test_a_capacity_that_leaves_nearly_all_samples_alone(self):
        """A sample that was dropped has a sum of nothing: all classes are equal."""
        run = self.train_gate("capacity", moe_top_k=1, moe_capacity=1e-9, train_max_steps=1)
        step = runs.metrics(run)[0]
        kept = sum(load > 0 for load in step["load"])
        self.assertEqual(step["dropped"], (128 - kept) / 128)
        self.assertAlmostEqual(step["task_loss"], math.log(runs.CLASSES), delta=0.01)
        self.assertNotEqual(step["task_loss"], math.log(runs.CLASSES))


class Order(GateTest):
    """Experts that change places take their numbers along. What may differ is the last bits of sums over experts: the
    softmax of scores and the mixture are added in the experts' order."""

    ORDER = [3, 0, 4, 1, 2]  # the expert that comes to place e
    COUNTS = ("expert_share", "importance_share", "class_by_expert", "load", "largest_share", "active_experts", "dead_experts")

    @staticmethod
    def permute(order, last_layer):
        def change(file):
            experts = file["parameters/experts"]
            paths = []
            experts["0000"].visititems(lambda path, item: paths.append(path) if isinstance(item, h5py.Dataset) else None)
            for path in paths:
                values = [experts[f"{e:04}/{path}"][()] for e in order]
                for place, value in enumerate(values):
                    experts[f"{place:04}/{path}"][...] = value
            if last_layer:
                for path in ("weight", "bias"):
                    array = file[f"parameters/gate/{last_layer}/{path}"]
                    array[...] = array[()][..., order]

        return change

    def check(self, name, last_layer=None, exact=()):
        run = self.train_gate(name)
        permuted = self.new_path("permuted.h5")
        shutil.copyfile(runs.newest_checkpoint(run), permuted)
        runs.edit_checkpoint(permuted, self.permute(self.ORDER, last_layer))
        before, after = self.evaluate(run), self.evaluate(permuted, ranks=2)
        self.assertGreater(len(set(before["expert_share"])), 1, "experts without a difference would prove nothing")
        self.assertEqual(after["error"], before["error"])
        for key in ("expert_share", "load"):
            self.assertEqual(after[key], [before[key][e] for e in self.ORDER], key)
        numpy.testing.assert_allclose(after["importance_share"], [before["importance_share"][e] for e in self.ORDER], atol=1e-6)
        for key in ("largest_share", "active_experts"):
            self.assertEqual(after[key], before[key], key)
        self.assertEqual(after["dead_experts"], [place for place, e in enumerate(self.ORDER) if e in before["dead_experts"]])
        self.assertEqual(after["class_by_expert"], [[row[e] for e in self.ORDER] for row in before["class_by_expert"]])
        rounded = {"loss": 1e-6, "task_loss": 1e-6, "h_s": 1e-6, "h_s_chosen": 1e-6, "h_u": 1e-6, "mi_predicted": 1e-12, "mi_true": 1e-12,
                   "dispatch_entropy_label": 1e-12}
        self.assertEqual(set(before), {*rounded, *self.COUNTS, "error", "split", "samples", "step"})
        for key, tolerance in rounded.items():
            self.assertAlmostEqual(after[key], before[key], delta=tolerance, msg=key)
        for key in exact:
            self.assertEqual(after[key], before[key], key)

    def test_original(self):
        self.check("original", "dense_2")

    def test_stochastic(self):
        self.check("stochastic", "dense_2")

    def test_top_1_with_noise(self):
        self.check("top-1 with noise", "dense_2")

    def test_attentive(self):
        self.check("attentive")  # no parameter of the gate belongs to an expert

    # One expert answers: there is nothing to add.
    def test_most_certain(self):
        self.check("most_certain", exact=["loss"])

    def test_predicted_losses(self):
        self.check("predicted losses", "dense_2")


class KnownAnswers(GateTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        shutil.rmtree(cls.data)
        runs.write_data_set(cls.data, cls.train_samples, 40 * runs.CLASSES, equal_classes=True)

    def test_a_partition_of_equal_classes_tells_log2_of_the_experts(self):
        for partition in ("0 1 | 2 3 | 4 5", "5 | 4 | 3 | 2 | 1 | 0", "0 1 2 | 3 4 5"):
            experts = partition.count("|") + 1
            with self.subTest(partition):
                run = self.train_gate("labels", moe_experts=experts, moe_partition=partition, train_max_steps=60,
                                      train_epochs=15, optim_learning_rate=0.02)
                found = self.evaluate(run)
                self.assertEqual(found["error"], 0)
                self.assertEqual(found["expert_share"], [1 / experts] * experts)
                for key in ("h_u", "mi_true", "mi_predicted"):
                    self.assertAlmostEqual(found[key], math.log2(experts), delta=1e-12, msg=key)
                self.assertEqual(found["h_s"], 0)
                groups = [[int(label) for label in group.split()] for group in partition.split("|")]
                for label, expert in itertools.product(range(runs.CLASSES), range(experts)):
                    self.assertEqual(found["class_by_expert"][label][expert], 40 * (label in groups[expert]))

    def test_a_single_expert_says_nothing_by_being_chosen(self):
        found = self.evaluate(self.train_gate("none"), ranks=3)
        for key in ("h_s", "h_u", "mi_true", "mi_predicted"):
            self.assertEqual(found[key], 0, key)
        self.assertEqual(found["expert_share"], [1])

    def test_the_parameters_are_those_of_the_layers(self):
        expert = (9 + 1) + (49 * 16 + 16) + (16 * runs.CLASSES + runs.CLASSES)
        convolution = 4 * 9 + 4 + 2 * 4
        for name, experts, gate, groups in (
                ("most_certain", 5, 0, []), ("labels", 5, 0, []), ("none", 1, 0, []),
                ("attentive", 5, convolution + (196 * 16 + 16) + 2 * 16 * 16, ["conv_1", "dense_1", "key", "query"])):
            with self.subTest(name):
                run = self.train_gate(name, train_max_steps=1)
                self.assertEqual(runs.summary(run)["parameters"], gate + experts * expert)
                with h5py.File(runs.newest_checkpoint(run), "r") as file:
                    layers = sorted(file["parameters"].get("gate", {}))
                    self.assertEqual([layer for layer in layers if not layer.startswith("batch_norm")], groups)
                    if name == "attentive":
                        self.assertEqual(sorted(file["parameters/gate/query"]), ["weight"])
                        self.assertTrue(numpy.any(file["parameters/gate/key/weight"][()]))


class Faults(GateTest):
    """What only the data can tell, before anything is trained."""

    def check(self, fragment, **keys):
        config, run = self.write_config(**{"moe_importance": 0, **keys})
        for ranks in (0, 2):
            finished = runs.switchyard("train", config, ranks=ranks)
            self.expect_failure(finished, 2, fragment, kind="ConfigError")
        self.assertFalse((run / "metrics.jsonl").exists())

    def test_a_partition_leaves_out_a_label(self):
        self.check("moe.partition leaves out label 4 of 6 (its samples would have no expert); add it",
                   model_gate="by_label:experts", moe_experts=2, moe_partition="0 1 2 | 3 5")

    def test_a_partition_has_a_label_too_many(self):
        self.check("moe.partition has label 6, and the data have 6 classes (from 0); remove it",
                   model_gate="by_label:experts", moe_experts=2, moe_partition="0 1 2 | 3 4 5 6")

    def test_attention_finds_no_hidden_vector(self):
        self.check("model.gate ends in attention:experts, and model.expert = 'dense:classes' has no hidden vector",
                   model_gate="attention:experts", model_expert="dense:classes")


if __name__ == "__main__":
    runs.main()
