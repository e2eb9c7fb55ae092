"""Labels that are real numbers: squared errors and Gaussians against float64, their gradients, and every way in and out."""

import csv
import json
import math

import h5py
import numpy

import runs
from predictions import PredictionTest, softmax, write_splits

EXPERTS, FEATURES = 4, 3
SPLITS = {"train": 60, "validation": 20, "test": 30}
KEYS = {
    "run.threads": 1,
    "data.source": "hdf5",
    "model.gate": "dense:experts",
    "model.expert": "dense:5 relu dense:classes",
    "model.loss": "squared_error",
    "moe.experts": EXPERTS,
    "optim.name": "sgd",
    "optim.momentum": 0,
    "optim.learning_rate": 0.05,
    "train.batch_size": 16,
    "train.epochs": 3,
}
DEVIATION = 0.6


def made_up(targets=0, weights=False, splits=SPLITS):
    """targets = 0: labels of one dimension."""
    random = numpy.random.default_rng(3)
    data = {}
    for split, count in splits.items():
        x = random.normal(size=(count, FEATURES))
        y = numpy.stack([numpy.abs(x[:, 0]) - x[:, 1] * (t + 1) for t in range(max(targets, 1))], 1)
        data[split] = {"samples": x, "labels": y if targets else y[:, 0]}
        if weights:
            data[split]["weights"] = random.uniform(0, 2, size=count)
    return data


def parameters_of(checkpoint):
    with h5py.File(checkpoint) as file:
        found = {}
        file["parameters"].visititems(
            lambda name, item: found.update({name: item[()].astype(float)}) if isinstance(item, h5py.Dataset) else None)
        return found


def parameter_bytes(run):
    return {name: values.tobytes() for name, values in parameters_of(runs.newest_checkpoint(run)).items()}


def forward(parameters, x):
    """Logits of the gate [N, E] and outputs of all experts [N, E, T], in float64."""
    layer = lambda name, x: x @ parameters[f"{name}/weight"] + parameters[f"{name}/bias"]
    outputs = [layer(f"experts/{e:04}/dense_2", numpy.maximum(layer(f"experts/{e:04}/dense_1", x), 0)) for e in range(EXPERTS)]
    return layer("gate/dense_1", x), numpy.stack(outputs, 1)


def chosen(parameters, x, top_k):
    """Experts [N, K], their weights, and their outputs [N, K, T]."""
    logits, outputs = forward(parameters, x)
    experts = numpy.argsort(-logits, 1, kind="stable")[:, : top_k or EXPERTS]
    rows = numpy.arange(len(x))[:, None]
    weights = softmax(logits)[rows, experts]
    if top_k != 1:
        weights = weights / weights.sum(1, keepdims=True)
    return experts, weights, outputs[rows, experts]


def losses(keys, parameters, x, y, evaluation=False):
    """Of each sample: what is trained, or -ln of the density (the squared error) of what is predicted."""
    _, weights, outputs = chosen(parameters, x, keys["moe.top_k"])
    y = y.reshape(len(x), -1)
    if keys["model.loss"] == "squared_error":
        return ((numpy.einsum("nk,nkt->nt", weights, outputs) - y) ** 2).mean(1)
    if evaluation and weights.shape[1] == 1:
        weights = numpy.ones_like(weights)
    joint = weights * numpy.exp(-((outputs - y[:, None]) ** 2).sum(2) / (2 * DEVIATION**2))
    return -numpy.log(joint.sum(1) / (DEVIATION * math.sqrt(2 * math.pi)) ** y.shape[1])


CASES = [{"model.loss": loss, "moe.top_k": top_k, **({"model.deviation": DEVIATION} if loss == "gaussian" else {})}
         for loss in ("squared_error", "gaussian") for top_k in (0, 2, 1)]


class Regression(PredictionTest):
    def train(self, keys=None, data=None, ranks=0, run=None):
        run, config = run or self.new_path(), self.new_path("own.ini")
        config.write_text("")
        self.data = data or made_up()
        keys = {"data.file": write_splits(self.new_path("own.h5"), self.data), **KEYS, "run.dir": run, **(keys or {})}
        words = [f"--{key}={value}" for key, value in keys.items() if value != ""]
        return run, runs.switchyard("train", config, *words, ranks=ranks)

    def trained(self, *arguments, **keys):
        run, finished = self.train(*arguments, **keys)
        self.expect(finished, 0)
        return run

    def refused(self, words, keys=None, data=None, code=3):
        _, finished = self.train(keys, data)
        self.expect(finished, code)
        self.assertIn(words, finished.err)
        self.assertEqual(finished.err.count("error:"), 1)

    def test_predictions_and_evaluations_are_those_of_float64(self):
        for case in CASES:
            for targets in (0, 2):
                with self.subTest(targets=targets, **case):
                    data = made_up(targets)
                    run = self.trained(case, data)
                    found = self.arrays(run, "--outputs=yes")
                    parameters = parameters_of(runs.newest_checkpoint(run))
                    x, y = data["test"]["samples"].astype(numpy.float32).astype(float), data["test"]["labels"]
                    experts, weights, outputs = chosen(parameters, x, case["moe.top_k"])
                    numpy.testing.assert_array_equal(found["labels"], y)
                    numpy.testing.assert_array_equal(numpy.sort(found["experts"], 1), numpy.sort(experts, 1))
                    order = numpy.argsort(found["experts"], 1), numpy.argsort(experts, 1)
                    rows = numpy.arange(len(x))[:, None]
                    numpy.testing.assert_allclose(found["gate_weights"][rows, order[0]], weights[rows, order[1]], atol=1e-6)
                    numpy.testing.assert_allclose(found["expert_outputs"][rows, order[0]], outputs[rows, order[1]], atol=1e-5)
                    alone = case["model.loss"] == "gaussian" and case["moe.top_k"] == 1
                    mean = numpy.einsum("nk,nkt->nt", numpy.ones_like(weights) if alone else weights, outputs)
                    self.assertEqual(found["prediction"].shape, y.shape)
                    numpy.testing.assert_allclose(found["prediction"].reshape(len(x), -1), mean, atol=2e-6)
                    said = json.loads(self.expect(runs.switchyard("eval", run), 0).out)
                    errors = (found["prediction"] - y).reshape(len(x), -1) ** 2
                    variance = ((y - y.mean(0)) ** 2).reshape(len(x), -1).mean(0)
                    self.assertAlmostEqual(said["mean_squared_error"], errors.mean(), delta=1e-6 * errors.mean())
                    self.assertAlmostEqual(said["r2"], (1 - errors.mean(0) / variance).mean(), delta=1e-6)
                    self.assertAlmostEqual(said["loss"], losses(case, parameters, x, y, True).mean(), delta=1e-5)
                    self.assertAlmostEqual(said["task_loss"], losses(case, parameters, x, y).mean(), delta=1e-5)
                    self.assertNotIn("error", said)
                    self.assertNotIn("class_by_expert", said)

    def test_a_step_goes_down_the_finite_differences_of_the_loss(self):
        for case in CASES:
            for weights in (False, True):
                with self.subTest(weights=weights, **case):
                    data = made_up(2, weights)
                    keys = {**case, "train.batch_size": 1000, "train.epochs": 2, "checkpoint.every_steps": 1,
                            "checkpoint.keep_last": 2, "optim.clip_norm": 0}
                    run = self.trained(keys, data)
                    before, after = (parameters_of(run / "checkpoints" / f"step-000000{step}.h5") for step in (1, 2))
                    x, y = data["train"]["samples"].astype(numpy.float32).astype(float), data["train"]["labels"]
                    of_samples = data["train"].get("weights", numpy.ones(len(x)))
                    of_samples = of_samples / of_samples.mean()

                    def loss():
                        return (of_samples * losses(case, before, x, y)).mean()

                    for name, values in before.items():
                        gradient = numpy.empty(values.size)
                        flat = values.reshape(-1)
                        for i in range(values.size):
                            original = flat[i]
                            flat[i] = original + 1e-6
                            above = loss()
                            flat[i] = original - 1e-6
                            below = loss()
                            flat[i] = original
                            gradient[i] = (above - below) / 2e-6
                        step = (values - after[name]).reshape(-1) / KEYS["optim.learning_rate"]
                        # A parameter is rounded to float32 after the step: 6e-8 of it, over the rate.
                        numpy.testing.assert_allclose(step, gradient, atol=1e-5, rtol=1e-4, err_msg=name)

    def test_the_same_rows_are_the_same_bits_from_every_source_and_on_any_ranks(self):
        data = made_up(weights=True)
        keys = {"model.loss": "gaussian", "data.scale_targets": "yes"}
        of_file = self.trained(keys, data)
        numbers = self.new_path()
        numbers.mkdir()
        tables = self.new_path()
        tables.mkdir()
        for split, arrays in data.items():
            for name, values in arrays.items():
                numpy.save(numbers / f"{split}_{name}.npy", values)
            with open(tables / f"{split}.csv", "w", newline="") as file:
                writer = csv.writer(file)
                writer.writerow(["a", "price", "b", "count", "c"])
                for x, y, w in zip(arrays["samples"], arrays["labels"], arrays["weights"]):
                    writer.writerow([x[0], y, x[1], w, x[2]])
        others = [({"data.source": "npy", "data.dir": numbers, "data.file": ""}, 2),
                  ({"data.source": "csv", "data.dir": tables, "data.file": "", "csv.label": "price", "csv.weight": "count"}, 3)]
        for place, ranks in others:
            with self.subTest(**place):
                other = self.trained({**keys, **place}, data, ranks=ranks)
                first, second = runs.newest_checkpoint(of_file), runs.newest_checkpoint(other)
                self.assertEqual(parameter_bytes(of_file), parameter_bytes(other))
                with h5py.File(first) as a, h5py.File(second) as b:
                    self.assertEqual(a["data/digest"][()], b["data/digest"][()])
                    numpy.testing.assert_array_equal(a["data/target_mean"], b["data/target_mean"])
                for suffix in ("h5", "csv"):
                    self.assertEqual(self.predict(of_file, suffix=suffix).read_bytes(),
                                     self.predict(of_file, suffix=suffix, ranks=ranks).read_bytes())

    def test_scaled_labels_are_told_in_the_units_of_the_data(self):
        keys = {"model.loss": "gaussian", "train.epochs": 30}
        data = made_up()
        mean, deviation = data["train"]["labels"].mean(), data["train"]["labels"].std()
        for arrays in data.values():
            arrays["labels"] = (arrays["labels"] - mean) / deviation
        by_hand = self.trained(keys, data)
        said_by_hand = json.loads(self.expect(runs.switchyard("eval", by_hand), 0).out)
        for arrays in data.values():
            arrays["labels"] = 1000 + 50 * arrays["labels"]
        run = self.trained({**keys, "data.scale_targets": "yes"}, data)
        with h5py.File(runs.newest_checkpoint(run)) as file:
            self.assertAlmostEqual(file["data/target_mean"][0], 1000, places=9)
            self.assertAlmostEqual(file["data/target_standard_deviation"][0], 50, places=9)
            self.assertEqual(file["data/targets"][()], 1)
        found = self.arrays(run)
        numpy.testing.assert_allclose(found["prediction"], 1000 + 50 * self.arrays(by_hand)["prediction"], rtol=1e-5)
        said = json.loads(self.expect(runs.switchyard("eval", run), 0).out)
        self.assertGreater(said["r2"], 0.5)
        self.assertAlmostEqual(said["r2"], said_by_hand["r2"], places=4)
        self.assertAlmostEqual(said["mean_squared_error"], 50**2 * said_by_hand["mean_squared_error"], delta=0.1)
        # A density of 50-fold units is a fiftieth.
        self.assertAlmostEqual(said["loss"], said_by_hand["loss"] + math.log(50), places=4)
        self.assertAlmostEqual(said["task_loss"], said_by_hand["task_loss"], places=4)
        new = self.new_path("new.h5")
        write_splits(new, {"test": {"samples": data["test"]["samples"]}})
        numpy.testing.assert_array_equal(self.arrays(run, f"--data.file={new}")["prediction"], found["prediction"])
        with open(self.predict(run, suffix="csv")) as file:
            rows = list(csv.DictReader(file))
        self.assertEqual([float(row["prediction"]) for row in rows], found["prediction"].tolist())
        self.assertEqual([float(row["label"]) for row in rows], found["labels"].tolist())

    def test_weights_count_by_their_share(self):
        data = made_up(weights=True)
        run = self.trained(data=data)
        data["train"]["weights"] *= 4
        again = self.trained(data=data)
        self.assertEqual(parameter_bytes(run), parameter_bytes(again))
        # What weighs nothing teaches nothing, also in a classifier.
        labels = numpy.arange(60) % 3
        for nonsense in (labels, (labels + 1) % 3):
            mixed = made_up(weights=True)
            for split, arrays in mixed.items():
                arrays["labels"] = numpy.arange(len(arrays["labels"])) % 3
            mixed["train"]["weights"] = (numpy.arange(60) % 2).astype(float)
            mixed["train"]["labels"] = numpy.where(mixed["train"]["weights"] > 0, labels, nonsense)
            run = self.trained({"model.loss": "likelihood"}, mixed)
            found = parameter_bytes(run)
            self.assertEqual(found, getattr(self, "first", found))
            self.first = found

    def test_a_stopped_run_goes_on_with_the_same_bits(self):
        whole = self.trained({"data.scale_targets": "yes"})
        part = self.trained({"data.scale_targets": "yes", "train.max_steps": 5})
        self.expect(runs.switchyard("resume", part, "--train.max_steps=0", ranks=3), 0)
        self.assertEqual(parameter_bytes(whole), parameter_bytes(part))

    def test_records_name_the_squared_error_and_a_report_is_made(self):
        run = self.trained({"model.loss": "gaussian"})
        records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        steps = [record for record in records if record["kind"] == "step"]
        self.assertTrue(all(record["mean_squared_error"] > 0 and "error" not in record for record in steps))
        evaluations = [record for record in records if record["kind"] == "evaluation"]
        self.assertTrue(all({"r2", "mean_squared_error", "loss"} <= record.keys() for record in evaluations))
        summary = json.loads((run / "summary.json").read_text())
        self.assertIn("loss", summary["best"])
        self.assertEqual(sum(summary["test"]["expert_share"]), 1)
        self.expect(runs.switchyard("report", run), 0)

    def csv_folder(self):
        folder = self.new_path("tables")
        folder.mkdir()
        (folder / "train.csv").write_text("x,a,b\n" + "1,2,3\n" * 40)
        return folder

    def test_what_does_not_fit_is_refused(self):
        data = made_up()
        data["train"]["labels"][7] = numpy.nan
        self.refused("own.h5: train/labels[7] is nan (finite numbers are read", data=data)
        data["train"]["labels"][7] = 1e300
        self.refused("own.h5: train/labels[7] is 1e+300 (finite numbers are read, as large as float32 has them)", data=data)
        self.refused("csv.label = a,,b has a column without a name",
                     {"data.source": "csv", "data.file": "", "data.dir": self.csv_folder(), "csv.label": "a,,b"}, code=2)
        data = made_up(2)
        data["test"]["labels"] = data["test"]["labels"][:, :1]
        self.refused("own.h5: test/labels has 1 numbers a sample, but", data=data)
        data = made_up()
        data["train"]["labels"] = data["train"]["labels"][:-1]
        self.refused("own.h5: train/labels has 59 rows, but", data=data)
        data = made_up(weights=True)
        data["train"]["weights"][3] = -1
        self.refused("own.h5: train/weights[3] is -1 (a weight is 0 at least)", data=data)
        data["train"]["weights"][:] = 0
        self.refused("own.h5: train/weights adds up to 0 over the training samples", data=data)
        data = made_up()
        del data["train"]["labels"]
        self.refused("has no data set train/labels", data=data)
        self.refused("set model.loss = squared_error", {"model.loss": "likelihood"}, made_up())
        self.refused("labels of data.source = random are classes", {"data.source": "random", "data.file": ""}, code=2)
        self.refused("model.deviation = 2 with model.loss = squared_error", {"model.deviation": 2}, code=2)
        self.refused("data.scale_targets = yes with model.loss = likelihood",
                     {"model.loss": "likelihood", "data.scale_targets": "yes"}, code=2)
        self.refused("it chooses by the class of a sample", {"model.gate": "by_label:experts", "moe.partition": "0 | 1 | 2 | 3"},
                     code=2)
        self.refused("moe.capacity = 1 with model.loss = gaussian",
                     {"model.loss": "gaussian", "moe.top_k": 2, "moe.capacity": 1}, code=2)

    def test_a_model_of_other_labels_is_not_asked(self):
        run = self.trained()
        other = write_splits(self.new_path("other.h5"), made_up(2))
        finished = runs.switchyard("eval", run, f"--data.file={other}")
        self.expect(finished, 3)
        self.assertIn("the data have labels of 2 numbers, and the model of the checkpoint gives 1", finished.err)


if __name__ == "__main__":
    runs.main()
