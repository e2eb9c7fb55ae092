"""Every regulariser gives the same bits on any number of ranks, also when a run goes on on another number."""

import numpy

import runs

# 900 training samples, batch 128: the eighth step is the short batch of 4 samples, with ranks without samples.
STEPS = 10
SAVED = 5  # where the runs that go on stop first

# What is switched on, what it needs, and the member of metrics.jsonl that tells that it was.
REGULARISERS = {
    "importance": ("importance_loss", dict(moe_importance=0.2)),
    "balance": ("balance_loss", dict(moe_balance=0.1, moe_top_k=2)),
    "z_loss": ("z_loss", dict(moe_z_loss=0.01)),
    "gate_entropy": ("gate_entropy_loss", dict(moe_gate_entropy=0.1)),
    "similarity": ("similarity_loss", dict(moe_similarity=2.0)),
    "similarity_top_2": ("similarity_loss", dict(moe_similarity=2.0, moe_top_k=2)),
    "similarity_as_published": ("similarity_loss", dict(moe_similarity_same=1e-5, moe_similarity_different=0.01)),
    "similarity_of_a_layer": ("similarity_loss", dict(moe_similarity=2.0, moe_similarity_layer=2)),
    "load": ("load_loss", dict(moe_load=0.1, moe_top_k=2, moe_noise="normal")),
}
LOSSES = sorted({loss for loss, _ in REGULARISERS.values()})


class Regularisers(runs.RunTest):
    plain_runs = {}  # without a regulariser; several share what theirs needs

    def plain_run(self, keys):
        weights = ("moe_importance", "moe_balance", "moe_z_loss", "moe_gate", "moe_similarity", "moe_load")
        keys = {key: value for key, value in keys.items() if not key.startswith(weights)}
        key = str(keys)
        if key not in self.plain_runs:
            self.plain_runs[key] = self.train(ranks=0, moe_importance=0, **keys)
        return self.plain_runs[key]

    def check(self, name):
        loss, keys = REGULARISERS[name]
        keys = {"moe_importance": 0, "train_max_steps": STEPS, "checkpoint_every_steps": SAVED, **keys}
        alone = self.train(ranks=0, **keys)
        steps = [m for m in runs.metrics(alone) if m["kind"] == "step"]
        self.assertEqual(len(steps), STEPS)
        for member in LOSSES:
            values = {step[member] for step in steps}
            if member == loss:
                self.assertGreater(len(values), 1, f"{member} stays at {values}")
            else:
                self.assertEqual(values, {0}, member)
        for step in steps:
            self.assertAlmostEqual(step["loss"], step["task_loss"] + step[loss], delta=1e-12 * abs(step["loss"]))
        files = [runs.newest_checkpoint(run) for run in (alone, self.plain_run(keys))]
        self.assertEqual(runs.switchyard("diff", *files).code, 1, f"{name} changes nothing: equal bits prove nothing")

        with self.subTest("four ranks"):
            self.assert_same_run(alone, self.train(ranks=4, **keys))
        with self.subTest("goes on on another number of ranks"):
            run = self.train(ranks=3, run_threads=2, **{**keys, "train_max_steps": SAVED})
            self.resume(run, f"--train.max_steps={STEPS}", ranks=2)
            self.assert_same_run(alone, run)


def add_tests():
    for name in REGULARISERS:
        setattr(Regularisers, f"test_{name}", lambda self, name=name: self.check(name))


add_tests()

class Bias(runs.RunTest):
    """Where rows differ, a bias of the choice evens the loads of every step."""

    base_keys = {"run.seed": 7, "run.threads": 1, "data.source": "random", "random.samples": 4000, "random.features": 12,
                 "random.classes": 4, "model.gate": "dense:experts", "model.expert": "dense:6 relu dense:classes",
                 "moe.experts": 8, "moe.top_k": 2, "train.batch_size": 1000, "train.epochs": 40, "train.log_every_steps": 1}

    @classmethod
    def write_data(cls):
        pass

    def variation(self, **keys):
        """Mean over the last steps of the coefficient of variation of the loads."""
        steps = [found["load"] for found in runs.metrics(self.train(**keys)) if found["kind"] == "step"][-40:]
        return numpy.mean(numpy.std(steps, axis=1) / numpy.mean(steps, axis=1))

    def test_evens_the_loads(self):
        self.assertGreater(self.variation(moe_scores="sigmoid"), 1)
        self.assertLess(self.variation(moe_scores="sigmoid", moe_bias_rate=0.002), 0.2)


if __name__ == "__main__":
    runs.main()
