"""switchyard_reader's forward in NumPy against `switchyard predict`: every gate, loss, layer and option of the routing."""

import gzip
import pathlib
import re
import struct
import unittest.mock
import zlib

import h5py
import numpy
import pandas

import cifar_files
import runs
import switchyard_reader
from switchyard_reader import gates, losses, model, network

CLASSES, EXPERTS, ROWS = 3, 4, 60
IMAGE, PATCHES, TABLE = (2, 9, 8), (1, 5, 6), (1, 1, 7)
BASE = {
    "run.threads": 1,
    "data.source": "hdf5",
    "data.normalise": "feature",
    "data.validation_samples": 0,
    "model.gate": "dense:experts",
    "model.expert": "dense:8 relu dense:classes",
    "moe.experts": EXPERTS,
    "train.batch_size": 32,
    "train.max_steps": 3,
    "optim.learning_rate": 0.05,
}
SUM = {"model.loss": "cross_entropy"}
CAPACITY = {**SUM, "moe.top_k": 2, "moe.capacity": 0.6, "moe.capacity_when": "always"}
CONV = "conv:3 relu max_pool dense:experts"

# Name -> shape of a sample, keys. Each word of the tables of the program is in one of them (test_every_word_is_compared).
CONFIGURATIONS = {
    "dense": (TABLE, {}),
    "one of all": (TABLE, {"moe.top_k": 1}),
    "two of all": (TABLE, {"moe.top_k": 2}),
    "all as slots": (TABLE, {"moe.top_k": EXPERTS, **SUM}),
    "gate with layers": (TABLE, {"model.gate": "dense:6 relu dense:5 dense:experts"}),
    "a scale for each channel": (IMAGE, {"data.normalise": "channel"}),
    "given scales": (IMAGE, {"data.normalise": "given", "data.mean": "0.4 0.1", "data.standard_deviation": "2 0.7"}),
    "one given scale": (TABLE, {"data.normalise": "given", "data.mean": 0.2, "data.standard_deviation": 1.7}),
    "stochastic": (TABLE, {"model.loss": "stochastic"}),
    "predicted loss": (TABLE, {"model.loss": "predicted_loss"}),
    "cross-entropy": (TABLE, SUM),
    "double softmax": (TABLE, {"model.loss": "double_softmax"}),
    "logistic": (TABLE, {"model.loss": "logistic", "classes": 2}),
    "logistic of one": (TABLE, {"model.loss": "logistic", "classes": 2, "moe.top_k": 1}),
    "expert temperature": (TABLE, {"moe.expert_temperature": 2}),
    "sigmoids": (TABLE, {**SUM, "moe.scores": "sigmoid", "moe.normalise": "all", "moe.top_k": 2, "moe.scale": 2.5}),
    "sigmoids of the chosen": (TABLE, {"moe.scores": "sigmoid", "moe.top_k": 2}),
    "one sigmoid": (TABLE, {**SUM, "moe.scores": "sigmoid", "moe.top_k": 1}),
    "shares of all": (TABLE, {**SUM, "moe.normalise": "all", "moe.top_k": 2}),
    "shares of the chosen": (TABLE, {"moe.normalise": "chosen", "moe.top_k": 3}),
    "noise of training": (TABLE, {"moe.noise": "normal", "moe.top_k": 2}),
    "noisy softmax": (TABLE, {"moe.noise": "uniform", "moe.top_k": 2, "moe.gate_value": "noisy_softmax"}),
    "noisy logit": (TABLE, {**SUM, "moe.noise": "uniform", "moe.top_k": 2, "moe.gate_value": "noisy_logit"}),
    "noise of evaluations": (TABLE, {"moe.noise": "uniform", "moe.noise_when": "always", "moe.top_k": 2, "moe.experts": 6}),
    "normal noise of evaluations": (TABLE, {**SUM, "moe.noise": "normal", "moe.noise_when": "always", "moe.top_k": 2,
                                            "moe.gate_value": "noisy_softmax", "moe.noise_scale": 0.3}),
    "noisy logit of evaluations": (TABLE, {**SUM, "moe.noise": "uniform", "moe.noise_when": "always", "moe.noise_draw": "once",
                                           "moe.top_k": 2, "moe.gate_value": "noisy_logit"}),
    "bias": (TABLE, {"moe.bias_rate": 0.1, "moe.top_k": 2}),
    "bias of sigmoids": (TABLE, {**SUM, "moe.bias_rate": 0.1, "moe.top_k": 2, "moe.scores": "sigmoid"}),
    "groups": (TABLE, {"moe.experts": 8, "moe.groups": 4, "moe.top_groups": 2, "moe.top_k": 3}),
    "groups with a bias": (TABLE, {"moe.experts": 8, "moe.groups": 4, "moe.top_groups": 2, "moe.top_k": 2, "moe.bias_rate": 0.1,
                                   "moe.scores": "sigmoid"}),
    "capacity of training": (TABLE, {**CAPACITY, "moe.capacity_when": "training"}),
    "capacity by position": (TABLE, CAPACITY),
    "capacity by score": (TABLE, {**CAPACITY, "moe.drop": "score", "train.parts": 2}),
    "cosines": (TABLE, {"model.gate": "cosine:experts", "moe.cosine_width": 5, "moe.cosine_temperature": 0.3}),
    "cosines behind layers": (TABLE, {"model.gate": "dense:6 relu cosine:experts", "moe.top_k": 2}),
    "attention": (TABLE, {"model.gate": "dense:6 relu attention:experts"}),
    "attention alone": (IMAGE, {"model.gate": "attention:experts", "model.expert": "conv:2 relu max_pool dense:8 dense:classes"}),
    "most certain": (TABLE, {"model.gate": "most_certain:experts"}),
    "by label": (TABLE, {"model.gate": "by_label:experts", "moe.experts": 2, "moe.partition": "0 2 | 1"}),
    "no gate": (TABLE, {"model.gate": "none", "moe.experts": 1}),
    "one expert": (TABLE, {"moe.experts": 1}),
    "convolutions": (IMAGE, {"model.gate": CONV, "model.expert": "conv:4 batch_norm relu max_pool dense:classes"}),
    "padded convolutions": (IMAGE, {
        "model.gate": "padded_conv:5 batch_norm relu max_pool padded_conv:3 max_pool dense:experts",
        "model.expert": "padded_conv:3 relu padded_conv:4 batch_norm max_pool dense:5 relu dense:classes"}),
    "padded behind conv": (IMAGE, {"model.expert": "conv:3 batch_norm relu max_pool padded_conv:4 batch_norm relu dense:classes"}),
    "strides": (IMAGE, {
        "model.gate": "padded_conv:4/2 relu6 depthwise_conv batch_norm pointwise_conv:3/2 relu global_average_pool dense:experts",
        "model.expert": "pointwise_conv:3 batch_norm relu6 depthwise_conv/2 dense:classes"}),
    "residual blocks": (IMAGE, {
        "model.gate": "padded_conv:3 batch_norm relu residual:3 residual:4/2 global_average_pool dense:experts",
        "model.expert": "padded_conv:4 relu max_pool residual:5 dense:classes"}),
    "inverted residual blocks": (IMAGE, {
        "model.gate": "padded_conv:3 inverted_residual:3 inverted_residual:3*2 inverted_residual:4/2*3 dense:experts",
        "model.expert": "padded_conv:2 relu inverted_residual:2*2 global_average_pool dense:classes"}),
    "attention to averages": (IMAGE, {"model.gate": "attention:experts",
                                      "model.expert": "padded_conv:3 relu global_average_pool dense:classes"}),
    "batch norm of the chosen": (IMAGE, {"model.gate": CONV, "moe.top_k": 1,
                                         "model.expert": "padded_conv:3 batch_norm dense:classes"}),
    "patch filters": (PATCHES, {"model.gate": "patch_filters:1 sum:experts", "model.expert": "patch_filters:4 cubic sum:classes"}),
    "patch filters of channels": (IMAGE, {"model.gate": "patch_filters:2 bias tanh sum:experts",
                                          "model.expert": "patch_filters:3 bias gelu sum:classes"}),
    "patch filters of squares": ((2, 9, 6), {"model.gate": "patches:3 patch_filters:1 bias sum:experts",
                                             "model.expert": "patches:3 patch_filters:2 relu sum:classes"}),
    "other activations": (PATCHES, {"model.gate": "patch_filters:2 relu sum:experts",
                                    "model.expert": "patch_filters:3 bias celu sum:classes"}),
    "tf32 on a processor": (TABLE, {"train.precision": "tf32"}),
    "bf16": (IMAGE, {"train.precision": "bf16", "model.gate": "conv:3 relu max_pool dense:5 relu dense:experts"}),
    "bf16 cosines": (TABLE, {"train.precision": "bf16", "model.gate": "cosine:experts"}),
    "bf16 attention": (TABLE, {"train.precision": "bf16", "model.gate": "dense:6 relu attention:experts"}),
}

# The same where labels are real numbers; "targets": of a sample.
REGRESSIONS = {
    "squared error": (TABLE, {"model.loss": "squared_error"}),
    "squared error of two": (TABLE, {"model.loss": "squared_error", "moe.top_k": 2, "moe.scores": "sigmoid",
                                     "moe.normalise": "all", "moe.scale": 1.5, "targets": 3}),
    "squared error with places": (TABLE, {**CAPACITY, "model.loss": "squared_error"}),
    "gaussian": (TABLE, {"model.loss": "gaussian", "targets": 2}),
    "gaussian of one": (TABLE, {"model.loss": "gaussian", "model.deviation": 0.5, "moe.top_k": 1}),
    "gaussian, scaled": (TABLE, {"model.loss": "gaussian", "data.scale_targets": "yes"}),
    "squared error, scaled": (TABLE, {"model.loss": "squared_error", "data.scale_targets": "yes", "targets": 2}),
}

# Of the sample that differs most. bf16: where the middle between two bfloat16s lies between float32 and float64, their roundings
# differ by 2^-8; that is rare. Normal noise: the program's inverse of the distribution function is within 2e-6 of the exact one.
TOLERANCES = {"bf16": 1e-3, "bf16 cosines": 1e-3, "bf16 attention": 1e-3, "normal noise of evaluations": 3e-6}


def made_up(shape, classes, seed=1, dtype=numpy.float32):
    random = numpy.random.default_rng(seed)
    labels = random.integers(classes, size=ROWS)
    samples = random.normal(size=(ROWS, *shape)) + random.normal(size=(classes, *shape))[labels]
    return samples.astype(dtype), labels


class ModelTest(runs.RunTest):
    @classmethod
    def write_data(cls):
        pass

    def train(self, keys):
        run, config = self.new_path(), self.new_path("run.ini")
        config.write_text("")
        words = [f"--{key}={value}" for key, value in {**BASE, "run.dir": run, **keys}.items() if value != ""]
        self.expect(runs.switchyard("train", config, *words), 0)
        return run

    def file_of(self, samples, labels, **more):
        file = self.new_path("own.h5")
        with h5py.File(file, "w") as out:
            for split in ("train", "test"):
                out[f"{split}/samples"], out[f"{split}/labels"] = samples, labels
            for name, values in more.items():
                out[name] = values
        return file

    def said(self, run, *arguments):
        """What the program says of the test split."""
        file = self.new_path("said.h5")
        self.expect(runs.switchyard("predict", run, f"--out={file}", "--outputs=yes", *arguments), 0)
        return switchyard_reader.read_predictions(file)

    def assert_agree(self, found, said, tolerance=1e-6):
        """Integers are the same. Of others: a float32 sum of n products errs by about 6e-8 √n of the largest numbers in it, a
        probability by no more than what it is a softmax of. So the measure is absolute where the outputs of the sample's experts
        are of the order of 1, and relative to the largest of them above that."""
        size = numpy.maximum(1, abs(said["expert_outputs"]).max((1, 2)))
        self.assertEqual(set(found), set(said))
        for name, expected in said.items():
            self.assertEqual(found[name].shape, expected.shape, name)
            if expected.dtype.kind in "iu":
                numpy.testing.assert_array_equal(found[name], expected, name)
                continue
            error = abs(found[name] - expected).reshape(len(expected), -1).max(1) / size
            self.assertLess(error.max(), tolerance, name)
            self.assertLess(numpy.median(error), 1e-6, name)


class Predictions(ModelTest):
    def test_every_configuration(self):
        for name, (shape, keys) in CONFIGURATIONS.items():
            with self.subTest(name):
                keys = dict(keys)
                samples, labels = made_up(shape, keys.pop("classes", CLASSES))
                run = self.train({**keys, "data.file": self.file_of(samples, labels)})
                found = switchyard_reader.open(run).model("latest").predict(samples, labels=labels)
                self.assert_agree(found, self.said(run), TOLERANCES.get(name, 1e-6))
                evaluated, chances = runs.summary(run)["test"], found["probabilities"][numpy.arange(ROWS), labels]
                self.assertEqual((found["prediction"] != labels).mean(), evaluated["error"])
                self.assertAlmostEqual(-numpy.log(chances).mean(), evaluated["loss"], delta=2 * TOLERANCES.get(name, 1e-6))

    def test_every_regression(self):
        for name, (shape, keys) in REGRESSIONS.items():
            with self.subTest(name):
                keys = dict(keys)
                samples, labels = made_up(shape, CLASSES)
                targets = keys.pop("targets", 0)
                numbers = 1 + 3 * labels[:, None] + samples.reshape(ROWS, -1)[:, :max(targets, 1)].astype(float)
                numbers = numbers if targets else numbers[:, 0]
                run = self.train({**keys, "data.file": self.file_of(samples, numbers)})
                found = switchyard_reader.open(run).model("latest").predict(samples, labels=numbers)
                self.assertNotIn("probabilities", found)
                self.assert_agree(found, self.said(run), 3e-6)  # times the deviation of the labels, which is 3
                error = ((found["prediction"] - numbers) ** 2).mean()
                self.assertAlmostEqual(error, runs.summary(run)["test"]["mean_squared_error"], delta=1e-5 * error)
                table = self.new_path("said.csv")
                self.expect(runs.switchyard("predict", run, f"--out={table}"), 0)
                read = switchyard_reader.read_predictions(table)
                for array in ("labels", "prediction", "experts", "gate_weights"):
                    numpy.testing.assert_array_equal(read[array], self.said(run)[array], array)

    def test_what_an_evaluation_may_set(self):
        samples, labels = made_up(TABLE, CLASSES)
        run = self.train({"data.file": self.file_of(samples, labels), "moe.top_k": 2, "moe.bias_rate": 0.5})
        opened = switchyard_reader.open(run)
        usual = opened.model("latest").predict(samples, labels=labels)
        for settings in ({"moe.top_k": 1}, {"moe.bias_rate": 0}):
            found = opened.model("latest", settings).predict(samples, labels=labels)
            self.assert_agree(found, self.said(run, *(f"--{key}={value}" for key, value in settings.items())))
            self.assertFalse(numpy.array_equal(found["experts"], usual["experts"]))

    def test_noise_is_of_a_split_and_of_places(self):
        samples, labels = made_up(TABLE, CLASSES)
        keys = {"moe.noise": "uniform", "moe.noise_when": "always", "moe.top_k": 1}
        run = self.train({**keys, "data.file": self.file_of(samples, labels), "data.validation_samples": 20})
        mixture = switchyard_reader.open(run).model("latest")
        for split in ("validation", "train"):
            said = self.said(run, f"--split={split}")
            of_split = samples[said["ids"]]
            with unittest.mock.patch.object(model, "_ROWS", 7):
                found = mixture.predict(of_split, said["ids"], said["labels"], split=split)
            self.assert_agree(found, said)
            self.assertFalse(numpy.array_equal(found["experts"], mixture.predict(of_split)["experts"]))

    def test_ids_and_rows_do_not_change_what_is_said(self):
        samples, labels = made_up(TABLE, CLASSES)
        mixture = switchyard_reader.open(self.train({"data.file": self.file_of(samples, labels)})).model("latest")
        whole, ids = mixture.predict(samples), numpy.arange(ROWS) * 7 - 3
        self.assertNotIn("labels", whole)
        numpy.testing.assert_array_equal(whole["ids"], numpy.arange(ROWS))
        with unittest.mock.patch.object(model, "_ROWS", 7):
            parts = mixture.predict(samples.reshape(ROWS, -1), ids=ids)
        numpy.testing.assert_array_equal(parts["ids"], ids)
        numpy.testing.assert_allclose(parts["probabilities"], whole["probabilities"], rtol=1e-12)

    def test_what_is_refused(self):
        samples, labels = made_up(TABLE, CLASSES)
        file = self.file_of(samples, labels)
        run = switchyard_reader.open(self.train({"data.file": file}))
        mixture = run.model("latest")
        by_label = switchyard_reader.open(self.train({"data.file": file, **CONFIGURATIONS["by label"][1]})).model("latest")

        def refused(call, *fragments):
            with self.assertRaises(switchyard_reader.ReadError) as caught:
                call()
            for fragment in (*fragments, "; "):
                self.assertIn(fragment, str(caught.exception))

        refused(lambda: mixture.predict(samples, split="all"), "split='all'")
        refused(lambda: run.model("latest", {"moe.experts": 3}), "moe.experts cannot be set here")
        refused(lambda: run.model("latest", {"moe.bias_rate": 1}), "it can only be set to 0")
        refused(lambda: run.model("latest", {"moe.top_k": 5}), "'moe.top_k': 5", "moe.experts = 4")
        attentive = switchyard_reader.open(self.train({"data.file": file, **CONFIGURATIONS["attention"][1]}))
        refused(lambda: attentive.model("latest", {"moe.top_k": 1}), "attention:experts", "scores the experts by the sample")
        refused(lambda: mixture.predict(samples[:, :, :, 1:]), "60 x 1 x 1 x 6", "1 x 1 x 7")
        refused(lambda: mixture.predict(samples[:0]), "one sample at least")
        refused(lambda: mixture.predict(samples.astype(numpy.uint8)), "uint8", "numbers")
        refused(lambda: mixture.predict(samples * numpy.inf), "not finite")
        refused(lambda: mixture.predict(samples.astype(float) * 1e39), "not finite in float32")
        refused(lambda: mixture.predict(samples.astype(str)), "a model takes numbers")
        refused(lambda: mixture.predict(samples, labels=labels[:5]), "labels are an array of 5", "60 samples")
        refused(lambda: mixture.predict(samples, ids=labels + 0.5), "ids are", "float64")
        refused(lambda: by_label.predict(samples), "chooses experts by labels")
        refused(lambda: by_label.predict(samples, labels=labels + 9), "is none of moe.partition")
        known = run.checkpoint("latest")
        for key, value in (("model.loss", "hinge"), ("model.gate", "oracle:experts"), ("model.expert", "lstm:4 dense:classes")):
            known.config = run.config.changed({key: value})
            refused(known.model, value.split(":")[0], "this reader knows", "version")


def png(pixels):
    """A PNG file of height x width x 3 bytes, its rows as they are."""
    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    height, width, _ = pixels.shape
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


class Sources(ModelTest):
    """Samples as the files of each data.source have them."""

    SCALES = {"data.mean": 0.3, "data.standard_deviation": 0.2}

    def test_every_source(self):
        values = help_of("data", "source")
        self.assertEqual({name[3:] for name in dir(self) if name.startswith("of_")}, set(values) - {"text", "tokens"})
        for source in values:
            if source not in ("text", "tokens"):
                with self.subTest(source):
                    getattr(self, f"of_{source}")()

    def check(self, keys, samples, labels=None, **more):
        usual = {"data.normalise": "given", "data.validation_samples": "auto"}
        run = self.train({**usual, **keys})
        said = self.said(run)
        found = switchyard_reader.open(run).model("latest").predict(samples, ids=said["ids"],
                                                                    labels=said["labels"] if labels is None else labels, **more)
        self.assert_agree(found, said)

    def of_idx(self):
        folder = self.new_path("idx")
        runs.write_data_set(folder, train_samples=300, test_samples=ROWS)
        raw = gzip.decompress((folder / "t10k-images-idx3-ubyte.gz").read_bytes())[16:]
        labels = numpy.frombuffer((folder / "t10k-labels-idx1-ubyte").read_bytes()[8:], numpy.uint8)
        self.check({"data.source": "idx", "data.dir": folder, **self.SCALES, "model.gate": CONV},
                   numpy.frombuffer(raw, numpy.uint8).reshape(ROWS, runs.IMAGE_SIDE, runs.IMAGE_SIDE), labels)

    def of_cifar(self):
        folder = self.new_path("cifar")
        cifar_files.write_cifar10(folder)
        records = numpy.frombuffer((folder / "test_batch.bin").read_bytes(), numpy.uint8).reshape(-1, 3073)
        scales = {"data.mean": "0.5 0.4 0.3", "data.standard_deviation": "0.2 0.3 0.4"}
        self.check({"data.source": "cifar", "data.dir": folder, **scales, "model.gate": CONV}, records[:, 1:], records[:, 0])

    def of_images(self):
        folder, random = self.new_path("images"), numpy.random.default_rng(4)
        found = {"train": [], "test": []}
        for split, rows in found.items():
            for label in range(CLASSES):
                (folder / split / f"class {label}").mkdir(parents=True)
                for place in range(ROWS // CLASSES):
                    rows.append((random.integers(256, size=(9, 8, 3), dtype=numpy.uint8), label))
                    (folder / split / f"class {label}" / f"{place:03}.png").write_bytes(png(rows[-1][0]))
        samples = numpy.array([pixels for pixels, _ in found["test"]]).transpose(0, 3, 1, 2)
        self.check({"data.source": "images", "data.dir": folder, **self.SCALES}, samples,
                   numpy.array([label for _, label in found["test"]]))

    def of_hdf5(self):
        random = numpy.random.default_rng(3)
        samples, labels = random.integers(256, size=(ROWS, 9, 8), dtype=numpy.uint8), random.integers(CLASSES, size=ROWS)
        for scales in (self.SCALES, {"data.normalise": "channel"}, {"data.normalise": "feature"}):
            self.check({"data.file": self.file_of(samples, labels), **scales}, samples, labels)

    def of_npy(self):
        folder, (samples, labels) = self.new_path("npy"), made_up((2, 5), CLASSES, dtype=numpy.float64)
        folder.mkdir()
        for split in ("train", "test"):
            numpy.save(folder / f"{split}_samples.npy", samples)
            numpy.save(folder / f"{split}_labels.npy", labels)
        self.check({"data.source": "npy", "data.dir": folder, "data.normalise": "feature"}, samples, labels)

    def of_csv(self):
        folder, (samples, labels) = self.new_path("csv"), made_up((4,), CLASSES)
        folder.mkdir()
        table = pandas.DataFrame(samples, columns=["x", "y", "z", "w"]).assign(kind=labels, number=labels + 100)
        for split in ("train", "test"):
            table.to_csv(folder / f"{split}.csv", index=False)
        turned = table[["kind", "w", "z", "y", "x"]]
        self.check({"data.source": "csv", "data.dir": folder, "csv.label": "kind", "csv.id": "number"}, turned, labels)
        run = self.train({"data.source": "csv", "data.dir": folder, "csv.label": "kind", "csv.id": "number",
                          "data.validation_samples": "auto"})
        with self.assertRaisesRegex(switchyard_reader.ReadError, "no column z"):
            switchyard_reader.open(run).model("latest").predict(table.drop(columns="z"))

    def samples_of(self, keys):
        file, config = self.new_path("samples.h5"), self.new_path("run.ini")
        config.write_text("")
        single = {"model.gate": "none", "model.expert": "dense:classes", "moe.experts": 1}
        words = (f"--{key}={value}" for key, value in {**single, **keys}.items())
        self.expect(runs.switchyard("samples", config, f"--out={file}", *words), 0)
        with h5py.File(file) as found:
            return found["test/samples"][:]

    def of_random(self):
        keys = {"data.source": "random", "random.samples": 200, "random.features": 9, **self.SCALES}
        self.check(keys, self.samples_of(keys), scaled=True)

    def of_clusters(self):
        keys = {"data.source": "clusters", "clusters.samples": 80, "clusters.patch_size": 9, "clusters.count": 3}
        for more in ({}, {"scaled": True}):
            self.check({**keys, "model.loss": "logistic", "model.gate": "patch_filters:1 sum:experts",
                        "model.expert": "patch_filters:2 cubic sum:classes"}, self.samples_of(keys), **more)


class Words(ModelTest):
    """What the program knows, so that something new there fails here until it is read and compared, or said not to matter."""

    # Keys of [model] and [moe] that a forward of a mixture does not depend on.
    OF_TRAINING = {"deviation", "init", "gate_init_scale", "expert_init_scale", "expert_temperature", "noise_draw", "similarity_layer",
                   "placement", "replicas", "gradient_blocks"}
    OF_TRANSFORMERS = {"router", "hidden", "sub_heads", "head", "merge", "shared_hidden"}
    OF_ARRAYS = {"cosine_width"}  # which say it, too

    def used(self, key):
        default = help_default(*key.split("."))
        return {str({**BASE, **keys}.get(key, default)) for _, keys in (CONFIGURATIONS | REGRESSIONS).values()}

    def test_every_layer_and_gate_is_compared(self):
        config = self.new_path("run.ini")
        config.write_text("")
        refused = runs.switchyard("train", config, "--data.source=random", "--model.gate=oracle:experts",
                                  "--model.expert=dense:classes")
        listed = set(re.search(r"layers are (.*)", refused.err)[1].replace(" or ", ", ").split(", "))
        ends = set(gates.GATES) - {"", "none"}
        self.assertEqual(listed, network.WORDS | ends)
        texts = " ".join(self.used("model.gate") | self.used("model.expert"))
        self.assertEqual((listed - set(network.NAMED)) | {"none"} | ends, {re.split("[:/*]", word)[0] for word in texts.split()})

    def test_names_stand_for_the_same_networks(self):
        config = self.new_path("run.ini")
        config.write_text("")
        for name, layers in network.NAMED.items():
            refused = runs.switchyard("train", config, "--data.source=random", "--model.gate=dense:experts",
                                      f"--model.expert={name}:classes relu")
            self.assertIn(f"its layers: {layers} dense:classes", refused.err)

    def test_every_loss_and_option_is_compared(self):
        self.assertEqual(set(help_of("model", "loss")), set(losses.LOSSES))
        for name in ("model.loss", "moe.gate_value", "moe.scores", "moe.normalise", "moe.noise", "moe.noise_when", "moe.drop",
                     "moe.capacity_when", "train.precision", "data.normalise", "model.family"):
            with self.subTest(name):
                self.assertEqual(set(help_of(*name.split("."))) - {"tokens", "transformer"}, self.used(name))

    def test_every_key_is_read_or_does_not_matter(self):
        package = pathlib.Path(switchyard_reader.__file__).parent
        text = "".join(file.read_text(encoding="utf-8") for file in package.glob("*.py"))
        read = set(re.findall(r'config\["(?:moe|model)\.(\w+)"\]', text))
        regularisers = {key for key, meaning in help_rows("moe")
                        if re.search("weight of the .*; 0: off|as published|divided by their mean", meaning)}
        known = read | regularisers | self.OF_TRAINING | self.OF_TRANSFORMERS | self.OF_ARRAYS
        self.assertEqual(known, {key for section in ("model", "moe") for key, _ in help_rows(section)})


def help_rows(section):
    """[(key, the rest of its row)] of a section of `switchyard help configuration`."""
    page = runs.switchyard("help", "configuration").out
    [rows] = re.findall(rf"(?ms)^## \[{section}\].*?\n\|---.*?\n(.*?)(?=\n\n|\Z)", page)
    return re.findall(r"(?m)^\| `(\w+)` \|(.*)\|$", rows)


def help_of(section, key):
    """The words that a key takes."""
    return dict(help_rows(section))[key].split("|")[1].strip().replace(" or ", ", ").split(", ")


def help_default(section, key):
    return dict(help_rows(section))[key].split("|")[0].strip().strip("`")


if __name__ == "__main__":
    runs.main()
