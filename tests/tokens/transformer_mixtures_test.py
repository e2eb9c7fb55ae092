"""Transformers whose experts have a capacity, another router, or a head and a merge layer: the same bits on any layout, and
configurations that are one model."""

import json
import shutil

import numpy

import runs
import token_runs
import transformer_test as transformer
from token_runs import EXPERTS


def parameter_bytes(run):
    found = runs.checkpoint_bytes(runs.newest_checkpoint(run))
    return {name: content for name, content in found.items() if name.startswith("parameters/")}


class Layouts(transformer.Layouts):
    """Of each, as of the others."""

    VARIANTS = (dict(moe_capacity=0.8, moe_drop="score", moe_capacity_when="always", moe_router="cosine"),
                dict(moe_capacity=1.05, train_parts=2, moe_sub_heads=2, moe_head="no"))


class Equal(token_runs.TokenTest):
    """Configurations that are one model."""

    base_keys = transformer.KEYS
    RUN = transformer.Layouts.RUN

    def steps_of(self, **keys):
        run = self.train(**{**self.RUN, **keys})
        return run, [m for m in runs.metrics(run) if m["kind"] == "step"]

    def test_an_ample_capacity_and_none(self):
        for more in ({}, dict(moe_sub_heads=3, train_parts=2)):
            unlimited, expected = self.steps_of(**more)
            for drop in ("position", "score"):
                with self.subTest(drop=drop, **more):
                    ample, found = self.steps_of(moe_capacity=EXPERTS / 2, moe_drop=drop, **more)
                    self.assertEqual(parameter_bytes(ample), parameter_bytes(unlimited))
                    for step in found:
                        self.assertEqual([layer.pop("dropped") for layer in step["layers"]], [0])
                    self.assertEqual(found, expected)

    def test_an_identity_as_head_and_merge_and_none(self):
        """With one sub-head. A product with ones and zeros rounds nothing."""
        once = dict(train_max_steps=1, optim_learning_rate=1e-30)
        plain, expected = self.steps_of(**once)
        around, _ = self.steps_of(moe_head="yes", moe_merge="yes", **once)
        start = self.new_path("start.h5")
        shutil.copy(runs.newest_checkpoint(around), start)

        def write(opened):
            for name, array in token_runs.parameters(runs.newest_checkpoint(plain)).items():
                opened["parameters"][name][...] = array
            for part in ("head", "merge"):
                opened[f"parameters/blocks/01/mixture/{part}/weight"][...] = numpy.eye(transformer.WIDTH)

        runs.edit_checkpoint(start, write)
        for ranks in (0, 3):
            run = self.train(ranks=ranks, init_from=start, moe_head="yes", moe_merge="yes", **{**self.RUN, **once})
            found = runs.metrics(run)[0]
            for name in ("loss", "task_loss", "error", "layers"):
                self.assertEqual(found[name], expected[0][name], name)
            for split in ("validation", "test"):
                self.assertEqual(runs.summary(run)[split], runs.summary(plain)[split])

    def test_all_experts_chosen_and_none(self):
        """A row's experts are added by falling score, and without a choice in their order: sums differ in their rounding."""
        for more in ({}, dict(moe_sub_heads=2)):
            _, dense = self.steps_of(moe_top_k=0, **more)
            for normalise in ("all", "chosen"):
                _, chosen = self.steps_of(moe_top_k=EXPERTS, moe_normalise=normalise, **more)
                for one, other in zip(dense, chosen):
                    self.assertAlmostEqual(one["loss"], other["loss"], delta=1e-6 * one["loss"])
                self.assertEqual(dense[0]["layers"][0]["load"], chosen[0]["layers"][0]["load"])


class Capacity(token_runs.TokenTest):
    base_keys = transformer.KEYS

    def test_is_of_training_unless_it_is_always(self):
        keys = dict(moe_top_k=2, moe_capacity=0.6, train_batch_size=19, train_max_steps=4)
        of_training = self.train(**keys)
        self.assertGreater(runs.metrics(of_training)[0]["layers"][0]["dropped"], 0.3)
        self.assertNotIn("dropped", runs.summary(of_training)["test"]["layers"][0])
        always = self.train(moe_capacity_when="always", **keys)
        self.assertEqual(parameter_bytes(always), parameter_bytes(of_training))
        expected = runs.summary(always)["test"]
        self.assertGreater(expected["layers"][0]["dropped"], 0.3)
        self.assertNotEqual(runs.summary(of_training)["test"]["loss"], expected["loss"])

        self.expect(runs.switchyard("report", always), 0)
        page = (always / "report.html").read_text()
        for text in ("Slots without a place", "dropped slots"):
            self.assertIn(text, page)

        def evaluate(run, *arguments):
            return json.loads(self.expect(runs.switchyard("eval", run, *arguments), 0).out)

        self.assertEqual(evaluate(always)["layers"], expected["layers"])
        self.assertEqual(evaluate(of_training, "--moe.capacity=0.6")["loss"], expected["loss"])
        self.assertEqual(evaluate(always, "--moe.capacity=0")["loss"], runs.summary(of_training)["test"]["loss"])
        by_score = self.train(moe_capacity_when="always", moe_drop="score", **keys)
        self.assertNotIn("dropped", evaluate(by_score, "--moe.capacity=0")["layers"][0])
        self.assertEqual(len(set(evaluate(of_training, "--moe.top_k=0")["layers"][0]["load"])), 1)


if __name__ == "__main__":
    runs.main()
