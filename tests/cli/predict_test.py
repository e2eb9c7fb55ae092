"""What a model says of each sample: against evaluations, a forward of our own in NumPy, and itself on other ranks."""

import csv
import json

import h5py
import numpy

import runs
from predictions import PredictionTest, softmax, write_splits

CLASSES, EXPERTS, FEATURES = 3, 5, 6
SPLITS = {"train": 300, "validation": 40, "test": 70}
KEYS = {
    "run.threads": 1,
    "data.source": "hdf5",
    "data.normalise": "feature",
    "model.gate": "dense:experts",
    "model.expert": "dense:8 relu dense:classes",
    "moe.experts": EXPERTS,
    "train.batch_size": 32,
    "train.epochs": 3,
    "optim.learning_rate": 0.02,
}


def blobs(seed=1, splits=SPLITS):
    random = numpy.random.default_rng(seed)
    centres = random.normal(size=(CLASSES, FEATURES)) * 2
    data = {}
    for split, count in splits.items():
        labels = random.integers(CLASSES, size=count)
        data[split] = {"samples": (10 + centres[labels] + random.normal(size=(count, FEATURES))).astype(numpy.float32),
                       "labels": labels, "ids": random.permutation(10_000)[:count]}
    return data


class Predictions(PredictionTest):
    def trained(self, keys=None, data=None):
        run, file, config = self.new_path(), self.new_path("own.h5"), self.new_path("own.ini")
        config.write_text("")
        self.data = data or blobs()
        keys = {**KEYS, "run.dir": run, "data.file": write_splits(file, self.data), **(keys or {})}
        words = [f"--{key}={value}" for key, value in keys.items() if value != ""]
        self.expect(runs.switchyard("train", config, *words), 0)
        return run

    def forward(self, run, samples):
        """Probabilities of the gate [N, E] and outputs of all experts [N, E, C], in float64."""
        with h5py.File(runs.newest_checkpoint(run)) as file:
            x = (samples - file["data/mean"][:]) / file["data/standard_deviation"][:]
            layer = lambda name, x: x @ file[f"parameters/{name}/weight"][:].astype(float) + file[f"parameters/{name}/bias"][:]
            gate = softmax(layer("gate/dense_1", x))
            outputs = [layer(f"experts/{e:04}/dense_2", numpy.maximum(layer(f"experts/{e:04}/dense_1", x), 0))
                       for e in range(EXPERTS)]
        return gate, numpy.stack(outputs, 1)

    def assert_agree(self, run, found):
        """With `eval`, whatever the model: errors, and losses as -ln of the label's probability."""
        finished = self.expect(runs.switchyard("eval", run), 0)
        said = json.loads(finished.out)
        labels = self.data["test"]["labels"]
        self.assertEqual(said["error"], (found["prediction"] != labels).mean())
        self.assertAlmostEqual(said["loss"], -numpy.log(found["probabilities"][numpy.arange(len(labels)), labels]).mean(),
                               delta=1e-6 * max(1, said["loss"]))
        numpy.testing.assert_allclose(found["probabilities"].sum(1), 1, rtol=1e-5)
        numpy.testing.assert_array_equal(numpy.bincount(found["experts"].ravel(), minlength=EXPERTS), said["load"])
        numpy.testing.assert_array_equal(found["labels"], labels)
        numpy.testing.assert_array_equal(found["ids"], self.data["test"]["ids"])

    def test_a_forward_of_our_own_says_the_same(self):
        for top_k in (0, 2, 1):
            run = self.trained({"moe.top_k": top_k})
            found = self.arrays(run, "--outputs=yes")
            self.assert_agree(run, found)
            gate, outputs = self.forward(run, self.data["test"]["samples"].astype(float))
            rows = numpy.arange(len(gate))[:, None]
            if top_k:
                numpy.testing.assert_array_equal(found["experts"], numpy.argsort(-gate, 1, kind="stable")[:, :top_k])
            weights = gate[rows, found["experts"]]
            if top_k != 1:
                weights /= weights.sum(1, keepdims=True)
            numpy.testing.assert_allclose(found["gate_weights"], weights, atol=1e-6)
            chosen = numpy.log(softmax(outputs[rows, found["experts"]]))  # what this loss is of
            numpy.testing.assert_allclose(found["expert_outputs"], chosen, atol=1e-5)
            if top_k == 1:  # the expert answers alone
                weights = numpy.ones_like(weights)
            expected = (weights[..., None] * numpy.exp(chosen)).sum(1)
            numpy.testing.assert_allclose(found["probabilities"], expected, atol=1e-6)
            numpy.testing.assert_array_equal(found["prediction"], expected.argmax(1))

    def test_every_loss_agrees_with_eval(self):
        for keys in ({"model.loss": "cross_entropy"}, {"model.loss": "stochastic"}, {"model.loss": "cross_entropy", "moe.top_k": 2, "moe.capacity": 0.7},
                     {"moe.experts": EXPERTS, "model.gate": "dense:16 relu attention:experts",
                      "model.expert": "dense:16 relu dense:classes"}):
            with self.subTest(keys):
                run = self.trained(keys)
                self.assert_agree(run, self.arrays(run))

    def test_any_number_of_ranks_gives_the_same_bytes(self):
        run = self.trained({"moe.top_k": 2})
        for suffix, arguments in (("h5", ["--outputs=yes"]), ("csv", []), ("h5", ["--split=train"])):
            first, *others = (self.predict(run, *arguments, ranks=ranks, suffix=suffix).read_bytes() for ranks in (0, 1, 2, 3))
            for other in others:
                self.assertEqual(first, other)

    def test_a_table_says_what_the_arrays_say(self):
        run = self.trained({"moe.top_k": 2})
        found = self.arrays(run)
        with open(self.predict(run, suffix="csv"), newline="") as file:
            rows = list(csv.DictReader(file))
        column = lambda name, kind: numpy.array([kind(row[name]) for row in rows])
        numpy.testing.assert_array_equal(column("id", int), found["ids"])
        numpy.testing.assert_array_equal(column("label", int), found["labels"])
        numpy.testing.assert_array_equal(column("prediction", int), found["prediction"])
        for name, array in (("probability", "probabilities"), ("gate_weight", "gate_weights")):
            for c in range(found[array].shape[1]):
                numpy.testing.assert_array_equal(column(f"{name}_{c}", numpy.float32), found[array][:, c])
        numpy.testing.assert_array_equal(column("expert_1", int), found["experts"][:, 1])

    def test_other_data_without_labels_and_of_another_source(self):
        run = self.trained()
        found = self.arrays(run)
        test = self.data["test"]["samples"]
        bare = write_splits(self.new_path("bare.h5"), {"test": {"samples": test}})
        folder = self.new_path("npy")
        folder.mkdir()
        numpy.save(folder / "test_samples.npy", test.astype(numpy.float64))
        table = self.new_path("csv")
        table.mkdir()
        numpy.savetxt(table / "test.csv", test, delimiter=",", header=",".join(f"x{f}" for f in range(FEATURES)), comments="",
                      fmt="%.9g")
        for arguments in ([f"--data.file={bare}"], ["--data.source=npy", f"--data.dir={folder}"],
                          ["--data.source=csv", f"--data.dir={table}"]):
            with self.subTest(arguments):
                other = self.arrays(run, *arguments)
                self.assertNotIn("labels", other)
                numpy.testing.assert_array_equal(other["ids"], numpy.arange(len(test)))
                for name in ("prediction", "probabilities", "experts", "gate_weights"):
                    numpy.testing.assert_array_equal(other[name], found[name])

    def test_data_that_lack_the_last_class(self):
        run = self.trained()
        found = self.arrays(run)
        few = self.data["test"]["labels"] == 0
        file = write_splits(self.new_path("few.h5"), {"train": self.data["train"], "test": {
            name: values[few] for name, values in self.data["test"].items()}})
        with h5py.File(file, "a") as out:
            out["train/labels"][...] = 0
        other = self.arrays(run, f"--data.file={file}")
        numpy.testing.assert_array_equal(other["probabilities"], found["probabilities"][few])
        self.expect(runs.switchyard("eval", run, f"--data.file={file}"), 0)
        alone = write_splits(self.new_path("alone.h5"), {"test": self.data["test"]})  # without what was trained on
        said, again = (json.loads(self.expect(runs.switchyard("eval", run, *more), 0).out) for more in ([], [f"--data.file={alone}"]))
        self.assertEqual(said["loss"], again["loss"])
        with h5py.File(file, "a") as out:
            out["test/labels"][0] = CLASSES
        for command in (["eval", run], ["predict", run, f"--out={self.new_path('p.h5')}"]):
            self.expect_failure(runs.switchyard(*command, f"--data.file={file}"), 3, "labels up to 3", "knows 3 classes",
                                kind="DataError")

    def test_samples_of_another_kind(self):
        run = self.trained()
        test = self.data["test"]["samples"]

        def refused(samples, *fragments):
            file = write_splits(self.new_path("other.h5"), {"test": {"samples": samples, "labels": self.data["test"]["labels"]}})
            for command in (["eval", run], ["predict", run, f"--out={self.new_path('p.h5')}"]):
                finished = runs.switchyard(*command, f"--data.file={file}")
                self.expect_failure(finished, 3, *fragments, kind="DataError")

        refused(test.astype(numpy.uint8), "the data are pixels (uint8, value / 255)", "numbers")
        refused(test[:, 1:], "1 x 1 x 5", "1 x 1 x 6")
        refused(test.reshape(-1, 2, 3), "1 x 2 x 3")

    def table(self, names, **arrays):
        folder = self.new_path("csv")
        folder.mkdir()
        for split, samples in arrays.items():
            with open(folder / f"{split}.csv", "w", newline="") as file:
                rows = csv.writer(file)
                rows.writerow(names)
                rows.writerows(samples)
        return folder

    def test_columns_of_a_run(self):
        names = [f"x{f}" for f in range(FEATURES)]
        data = blobs()
        rows = {split: [[*map(repr, map(float, row)), label, id] for row, label, id in zip(*arrays.values())]
                for split, arrays in data.items()}
        folder = self.table([*names, "class", "number"], **rows)
        run = self.trained({"data.source": "csv", "data.file": "", "data.dir": folder, "csv.label": "class", "csv.id": "number"},
                           data)
        found = self.arrays(run)
        numpy.testing.assert_array_equal(found["ids"], data["test"]["ids"])
        bare = self.table(names, test=data["test"]["samples"].tolist())
        numpy.testing.assert_array_equal(self.arrays(run, f"--data.dir={bare}")["probabilities"], found["probabilities"])
        turned = self.table(names[::-1], test=data["test"]["samples"].tolist())
        finished = runs.switchyard("predict", run, f"--out={self.new_path('p.h5')}", f"--data.dir={turned}")
        self.expect_failure(finished, 3, "columns of the data are x5, x4", "x0, x1", kind="DataError")
        other = self.arrays(run, "--data.source=hdf5", f"--data.file={write_splits(self.new_path('own.h5'), data)}")
        numpy.testing.assert_array_equal(other["probabilities"], found["probabilities"])

    def test_what_is_refused(self):
        run = self.trained({"data.validation_samples": "auto"})
        out = f"--out={self.new_path('p.h5')}"
        config = lambda *arguments: (self.expect_failure(runs.switchyard("predict", *arguments[:-1]), 2, arguments[-1], kind="ConfigError"))
        config(run, "--out=")
        config(run, "--out=a.txt", "--out=a.txt says no format")
        config(run, out, "--split=all", "--split=all is no split")
        config(run, out, "--outputs=maybe", "--outputs=maybe")
        config(run, "--out=p.csv", "--outputs=yes", "write --out=FILE.h5")
        config(run, out, "--moe.experts=3", "moe.experts")
        mine = self.new_path("mine.h5")
        mine.write_text("mine")
        self.expect_failure(runs.switchyard("predict", run, f"--out={mine}"), 3, str(mine), kind="DataError")
        self.assertEqual(mine.read_text(), "mine")
        wide = write_splits(self.new_path("wide.h5"), {"test": {"samples": numpy.zeros((5, FEATURES + 1), numpy.float32)}})
        finished = runs.switchyard("predict", run, out, f"--data.file={wide}")
        self.assertIn(finished.code, (2, 3))

    def test_labels_that_choose_experts_are_needed(self):
        run = self.trained({"model.gate": "by_label:experts", "moe.experts": 2, "moe.partition": "0 1 | 2"})
        self.assertEqual(set(self.arrays(run)["experts"][:, 0]), {0, 1})
        bare = write_splits(self.new_path("bare.h5"), {"test": {"samples": self.data["test"]["samples"]}})
        finished = runs.switchyard("predict", run, f"--out={self.new_path('p.h5')}", f"--data.file={bare}")
        self.expect_failure(finished, 2, "the data have no labels", "by_label", kind="ConfigError")


if __name__ == "__main__":
    runs.main()
