"""A user's own arrays: the same rows from every kind of file, what a run sees of them, and files that are wrong."""

import csv
import gzip
import json
import pathlib
import re
import subprocess
import sys
import time

import h5py
import numpy

import runs

SOURCE = pathlib.Path(__file__).resolve().parents[2]
CLASSES = 3
FEATURES = 7
SPLITS = {"train": 400, "validation": 60, "test": 90}
KEYS = {
    "run.threads": 1,
    "model.gate": "dense:experts",
    "model.expert": "dense:16 relu dense:classes",
    "moe.experts": 4,
    "train.batch_size": 64,
    "train.epochs": 2,
}


def blobs(seed=1, splits=SPLITS, shape=(FEATURES,), dtype=numpy.float32):
    """{split: {samples, labels, clusters}}: a blob for each class and cluster, of numbers far from 0."""
    random = numpy.random.default_rng(seed)
    centres = random.normal(size=(CLASSES, 2, *shape)) * 2
    data = {}
    for split, count in splits.items():
        labels, clusters = random.integers(CLASSES, size=count), random.integers(2, size=count)
        samples = 40 + 5 * (centres[labels, clusters] + random.normal(size=(count, *shape)))
        data[split] = {"samples": samples.astype(dtype), "labels": labels, "clusters": clusters}
    return data


def write_hdf5(file, data, **changed):
    with h5py.File(file, "w") as out:
        for split, arrays in data.items():
            for name, values in arrays.items():
                path = f"{split}/{name}"
                if changed.get(path, values) is not None:
                    out[path] = changed.get(path, values)
        for path, values in changed.items():  # what is beside them
            if path not in out and values is not None:
                out[path] = values
    return file


def write_npy(folder, data):
    folder.mkdir(parents=True)
    for split, arrays in data.items():
        for name, values in arrays.items():
            numpy.save(folder / f"{split}_{name}.npy", values)
    return folder


def write_csv(folder, data, compressed=False):
    folder.mkdir(parents=True)
    for split, arrays in data.items():
        name = folder / f"{split}.csv"
        with gzip.open(f"{name}.gz", "wt", newline="") if compressed else open(name, "w", newline="") as out:
            rows = csv.writer(out)
            features = arrays["samples"].reshape(len(arrays["labels"]), -1)
            rows.writerow([*(f"x{f}" for f in range(features.shape[1])), "label", "the, cluster"])
            for row, label, cluster in zip(features, arrays["labels"], arrays["clusters"]):
                rows.writerow([*map(repr, row.tolist()), label, cluster])
    return folder


class OwnData(runs.RunTest):
    def hdf5_keys(self, data, **changed):
        return {"data.source": "hdf5", "data.file": write_hdf5(self.new_path("own.h5"), data, **changed)}

    def npy_keys(self, data):
        return {"data.source": "npy", "data.dir": write_npy(self.new_path("npy"), data)}

    def csv_keys(self, data, **options):
        return {"data.source": "csv", "data.dir": write_csv(self.new_path("csv"), data, **options), "csv.cluster": "the, cluster"}

    def words(self, keys):
        return [f"--{key}={value}" for key, value in {**KEYS, **keys}.items()]

    def configuration(self):
        file = self.new_path("own.ini")
        file.write_text("")
        return file

    def trained(self, keys, ranks=0):
        run = self.new_path()
        self.expect(runs.switchyard("train", self.configuration(), *self.words({**keys, "run.dir": run}), ranks=ranks), 0)
        return run

    def samples(self, keys):
        """What a run sees: {split: {name: array}}."""
        file = self.new_path("samples.h5")
        self.expect(runs.switchyard("samples", self.configuration(), *self.words(keys), f"--out={file}"), 0)
        with h5py.File(file) as found:
            return {split: {name: values[:] for name, values in group.items()} for split, group in found.items()
                    if isinstance(group, h5py.Group)}

    def refusal(self, keys, code=3, kind="DataError"):
        """The sentence with which training on such data is refused, by one rank and by two alike."""
        sentences = []
        for ranks in (0, 2):
            words = self.words({**keys, "run.dir": self.new_path()})
            finished = self.expect_failure(runs.switchyard("train", self.configuration(), *words, ranks=ranks), code, kind=kind)
            sentences.append(re.search(rf"{kind}: (.*)", finished.err)[1])
        self.assertEqual(*sentences)
        return sentences[0]

    def assert_refused(self, keys, *fragments, **options):
        sentence = self.refusal(keys, **options)
        for fragment in (*fragments, "; "):  # what to try
            self.assertIn(fragment, sentence)
        return sentence


class Sources(OwnData):
    @staticmethod
    def digest(run):
        with h5py.File(runs.newest_checkpoint(run)) as file:
            return file["data/digest"][()]

    def test_the_same_rows_are_the_same_run(self):
        data = blobs()
        wide = {split: {**arrays, "samples": arrays["samples"].astype(numpy.float64), "labels": arrays["labels"].astype(numpy.uint8)}
                for split, arrays in data.items()}
        scaled = {"data.normalise": "feature"}
        first = self.trained({**self.hdf5_keys(data), **scaled})
        others = {"float64": self.hdf5_keys(wide), "npy": self.npy_keys(data), "npy of float64": self.npy_keys(wide),
                  "csv": self.csv_keys(data), "csv.gz": self.csv_keys(data, compressed=True)}
        for name, keys in others.items():
            with self.subTest(name):
                run = self.trained({**keys, **scaled})
                self.assertEqual(*(self.digest(r) for r in (first, run)))
                self.assert_same_arrays(*(runs.newest_checkpoint(r) for r in (first, run)))

    def test_any_number_of_ranks_gives_the_same_bits(self):
        keys = {**self.hdf5_keys(blobs()), "data.normalise": "feature"}
        first, *others = (self.trained(keys, ranks) for ranks in (0, 2, 3))
        for run in others:
            self.assert_same_run(first, run)

    def test_a_model_learns_them(self):
        run = self.trained({**self.hdf5_keys(blobs()), "data.normalise": "feature", "train.epochs": 15, "optim.learning_rate": 0.01})
        self.assertLess(runs.summary(run)["test"]["error"], 0.1)

    def test_rows_stay_as_they_are(self):
        for name, shape, expected in (("numbers", (), (1, 1, 1)), ("features", (5,), (1, 1, 5)), ("images", (4, 6), (1, 4, 6)),
                                      ("channels", (3, 4, 6), (3, 4, 6))):
            data = blobs(shape=shape)
            for keys in (self.hdf5_keys(data), self.npy_keys(data)):
                with self.subTest(name, source=keys["data.source"]):
                    found = self.samples(keys)
                    self.assertEqual(set(found), set(data))
                    for split, arrays in data.items():
                        numpy.testing.assert_array_equal(found[split]["samples"],
                                                         arrays["samples"].reshape(-1, *expected))
                        for array in ("labels", "clusters"):
                            numpy.testing.assert_array_equal(found[split][array], arrays[array])

    def test_images_with_channels_behind_are_a_warning(self):
        for shape, warns in (((8, 8, 3), True), ((3, 8, 8), False)):
            run = self.new_path()
            words = self.words({**self.hdf5_keys(blobs(shape=shape)), "run.dir": run, "train.max_steps": 1})
            finished = self.expect(runs.switchyard("train", self.configuration(), *words), 0)
            self.assertEqual("channels come before height and width" in finished.out + finished.err, warns)

    def test_ids_of_samples_that_are_taken_from_training(self):
        data = blobs(splits={"train": 60})
        found = self.samples(self.npy_keys(data))
        for arrays in found.values():
            numpy.testing.assert_array_equal(arrays["samples"][:, 0, 0], data["train"]["samples"][arrays["ids"]])
        data["train"]["ids"] = numpy.arange(60) * 7 - 3
        named = self.samples(self.npy_keys(data))
        for split, arrays in found.items():
            numpy.testing.assert_array_equal(named[split]["ids"], arrays["ids"] * 7 - 3)

    def test_what_samples_writes_comes_in_again(self):
        keys = self.hdf5_keys(blobs(shape=(3, 4, 6)))
        file = self.new_path("again.h5")
        self.expect(runs.switchyard("samples", self.configuration(), *self.words(keys), f"--out={file}"), 0)
        first, again = self.samples(keys), self.samples({"data.source": "hdf5", "data.file": file})
        for split in SPLITS:
            numpy.testing.assert_array_equal(first[split]["samples"], again[split]["samples"])

    def test_labels_may_be_stored_in_any_way(self):
        data = blobs()
        file = write_hdf5(self.new_path("own.h5"), data)
        with h5py.File(file, "a") as out:
            del out["train/labels"]
            out.create_dataset("train/labels", data=data["train"]["labels"].astype(">i2"), chunks=(50,), compression="gzip")
        numpy.testing.assert_array_equal(self.samples({"data.source": "hdf5", "data.file": file})["train"]["labels"],
                                         data["train"]["labels"])


    def test_samples_of_whole_numbers_are_numbers(self):
        plain = blobs()
        for arrays in plain.values():
            arrays["samples"] = numpy.round(arrays["samples"])
        first = self.trained(self.hdf5_keys(plain))
        for dtype in (numpy.int8, numpy.int16, numpy.int32):
            data = {split: {**arrays, "samples": arrays["samples"].astype(dtype)} for split, arrays in plain.items()}
            for keys in (self.hdf5_keys(data), self.npy_keys(data)):
                self.assert_same_run(first, self.trained(keys))

    def test_labels_may_be_booleans(self):
        data = blobs()
        for arrays in data.values():
            arrays["labels"] = arrays["labels"] == 1
        for keys in (self.hdf5_keys(data), self.npy_keys(data)):
            numpy.testing.assert_array_equal(self.samples(keys)["train"]["labels"], data["train"]["labels"].astype(int))


class Scales(OwnData):
    def assert_scaled(self, keys, data, mean, deviation, unit=1.0):
        found = self.samples(keys)
        for split, arrays in data.items():
            expected = ((arrays["samples"].astype(numpy.float64) / unit - mean) / deviation).astype(numpy.float32)
            numpy.testing.assert_allclose(found[split]["samples"].reshape(expected.shape), expected, rtol=2e-6, atol=2e-6)

    def test_given_numbers(self):
        data = blobs(shape=(2, 3, 4))
        keys = {**self.hdf5_keys(data), "data.mean": "40 41", "data.standard_deviation": "5 6"}
        self.assert_scaled(keys, data, numpy.reshape([40, 41], (2, 1, 1)), numpy.reshape([5, 6], (2, 1, 1)))

    def test_of_the_training_samples(self):
        data = blobs(shape=(2, 3, 4))
        train = data["train"]["samples"].astype(numpy.float64)
        for kind, axes in (("channel", (0, 2, 3)), ("feature", 0)):
            for keys in (self.hdf5_keys(data), self.npy_keys(data)):
                self.assert_scaled({**keys, "data.normalise": kind}, data, train.mean(axes, keepdims=True)[0],
                                   train.std(axes, keepdims=True)[0])

    def test_validation_samples_that_are_taken_from_them_do_not_count(self):
        data = blobs(splits={"train": 50})
        keys = {**self.npy_keys(data), "data.validation_samples": 20, "data.test_samples": 10}
        plain = self.samples(keys)
        self.assertEqual([len(plain[split]["labels"]) for split in SPLITS], [20, 20, 10])
        together = numpy.concatenate([plain[split]["samples"].reshape(-1, FEATURES) for split in SPLITS])
        numpy.testing.assert_array_equal(*(rows[numpy.lexsort(rows.T)] for rows in (together, data["train"]["samples"])))
        train = plain["train"]["samples"].astype(numpy.float64)
        found = self.samples({**keys, "data.normalise": "feature"})
        for split in SPLITS:
            numpy.testing.assert_allclose(found[split]["samples"], (plain[split]["samples"] - train.mean(0)) / train.std(0),
                                          rtol=2e-6, atol=2e-6)

    def test_a_checkpoint_keeps_them_for_other_data(self):
        data, other = blobs(), blobs(seed=1, splits={"train": 30, "test": 200})
        for arrays in other.values():
            arrays["samples"] += 3
        learned = self.trained({**self.hdf5_keys(data), "data.normalise": "feature"})
        with h5py.File(runs.newest_checkpoint(learned)) as file:
            mean, deviation = file["data/mean"][:], file["data/standard_deviation"][:]
        train = data["train"]["samples"].astype(numpy.float64)
        numpy.testing.assert_allclose(mean, train.mean(0), rtol=1e-12)
        numpy.testing.assert_allclose(deviation, train.std(0), rtol=1e-12)
        given = self.trained({**self.hdf5_keys(data), "data.mean": " ".join(map(repr, mean.tolist())),
                              "data.standard_deviation": " ".join(map(repr, deviation.tolist()))})
        self.assert_same_arrays(*(runs.newest_checkpoint(run) for run in (learned, given)), without=("data/",))
        file = write_hdf5(self.new_path("other.h5"), other)
        losses = []
        for run in (learned, given):
            finished = self.expect(runs.switchyard("eval", run, f"--data.file={file}"), 0)
            found = json.loads(finished.out)
            self.assertFalse(found["data"]["same_as_run"])
            losses.append(found["loss"])
        self.assertEqual(*losses)

    def test_pixels_are_divided_by_255(self):
        random = numpy.random.default_rng(2)
        data = {split: {"samples": random.integers(256, size=(count, 6, 5), dtype=numpy.uint8),
                        "labels": random.integers(CLASSES, size=count)} for split, count in SPLITS.items()}
        keys = {"data.mean": 0.5, "data.standard_deviation": 0.25}
        for source in (self.hdf5_keys(data), self.npy_keys(data)):
            self.assert_scaled({**source, **keys}, data, 0.5, 0.25, unit=255)

    def test_what_never_changes_becomes_zero(self):
        data = blobs()
        for arrays in data.values():
            arrays["samples"][:, 2] = 0.1
        found = self.samples({**self.hdf5_keys(data), "data.normalise": "feature"})
        numpy.testing.assert_allclose(found["test"]["samples"][..., 2], 0, atol=1e-6)


class Wrong(OwnData):
    """Each file that is wrong is refused in a sentence that names the data set or the row."""

    def assert_hdf5_refused(self, path, value, *fragments):
        return self.assert_refused(self.hdf5_keys(blobs(), **{path: value}), "own.h5", *fragments)

    def test_no_labels(self):
        self.assert_hdf5_refused("train/labels", None, "no data set train/labels")

    def test_no_training_samples(self):
        self.assert_hdf5_refused("train/samples", None, "no data set train/samples")

    def test_labels_of_another_number(self):
        self.assert_hdf5_refused("test/labels", numpy.zeros(89, int), "test/labels has 89 rows", "90 samples")

    def test_negative_labels(self):
        labels = blobs()["train"]["labels"]
        labels[17] = -1
        self.assert_hdf5_refused("train/labels", labels, "train/labels[17] is -1 (the first row is [0]")

    def test_huge_labels(self):
        labels = blobs()["train"]["labels"].astype(numpy.uint64)
        labels[3] = 2**64 - 1
        self.assert_hdf5_refused("train/labels", labels, "train/labels[3] is 9223372036854775807 or more")
        keys = self.npy_keys(blobs())
        numpy.save(keys["data.dir"] / "train_labels.npy", labels)
        self.assert_refused(keys, "train_labels.npy holds 18446744073709551615 at [3]")

    def test_labels_that_are_text(self):
        self.assert_hdf5_refused("train/labels", numpy.array([b"cat"] * 400), "train/labels is text", "number classes from 0")

    def test_labels_that_are_floats(self):
        self.assert_hdf5_refused("train/labels", numpy.zeros(400), "train/labels is float64", "set model.loss = squared_error")

    def test_ids_and_clusters_that_are_no_whole_numbers(self):
        for name, value in (("ids", [b"a"] * 400), ("ids", [0.5] * 400), ("clusters", [0.5] * 400)):
            with self.subTest(name=name):
                sentence = self.assert_hdf5_refused(f"train/{name}", numpy.array(value), f"train/{name} is ")
                self.assertNotIn("squared_error", sentence)
                self.assertNotIn("classes", sentence)

    def test_labels_of_far_more_rows_than_samples(self):
        """They are not read first: they could be larger than memory."""
        file = write_hdf5(self.new_path("own.h5"), blobs(), **{"train/labels": None})
        with h5py.File(file, "a") as out:
            out.create_dataset("train/labels", shape=(10**12,), dtype="i8", chunks=(10**6,))
        self.assert_refused({"data.source": "hdf5", "data.file": file}, "train/labels has 1000000000000 rows", "400 samples")

    def test_labels_by_a_filter_that_is_not_there(self):
        file = write_hdf5(self.new_path("own.h5"), blobs(), **{"train/labels": None})
        with h5py.File(file, "a") as out:
            out.create_dataset("train/labels", data=blobs()["train"]["labels"], compression="lzf")
        self.assert_refused({"data.source": "hdf5", "data.file": file}, "train/labels is compressed with the filter 32000 'lzf'",
                            "with gzip")

    def test_a_number_of_classes_that_is_none(self):
        for value, words in ((2, "classes is 2, but labels go up to "), (-4, "classes is -4, but"), (10**9, "classes is 1000000000 "),
                             (2.5, "classes is no single whole number"), ([3, 4], "classes is no single whole number")):
            with self.subTest(value=value):
                self.assert_hdf5_refused("classes", value, words)

    def test_names_of_another_number(self):
        self.assert_hdf5_refused("columns", numpy.bytes_("a\nb\n"), "columns has 2 names", f"has {FEATURES} numbers")

    def test_what_is_not_read_is_said(self):
        """A name that is wrong by a letter would be left out in silence."""
        of_hdf5, of_npy = self.hdf5_keys(blobs(), **{"train/weight": numpy.ones(400)}), self.npy_keys(blobs())
        numpy.save(of_npy["data.dir"] / "train_weight.npy", numpy.ones(400))
        for keys, words in ((of_hdf5, "train/weight is not read (samples, labels, clusters, ids, weights are)"),
                            (of_npy, "train_weight.npy is not read")):
            finished = runs.switchyard("train", self.configuration(), *self.words({**keys, "run.dir": self.new_path()}))
            self.assertIn(words, " ".join(self.expect(finished, 0).out.split()))

    def test_one_class(self):
        labels = {f"{split}/labels": numpy.zeros(len(of["labels"]), int) for split, of in blobs().items()}
        for loss in ("cross_entropy", "logistic", "double_softmax"):
            with self.subTest(loss=loss):
                self.assert_refused({**self.hdf5_keys(blobs(), **labels), "model.loss": loss}, f"model.loss = {loss} with 1 class ",
                                    code=2, kind="ConfigError")

    def test_labels_of_two_dimensions(self):
        self.assert_hdf5_refused("train/labels", numpy.zeros((400, 1), int), "train/labels is 400 x 1")

    def test_samples_of_another_type(self):
        self.assert_hdf5_refused("train/samples", numpy.zeros((400, FEATURES), numpy.int64), "train/samples is int64")
        self.assert_hdf5_refused("train/samples", numpy.zeros((400, FEATURES), ">f4"), "train/samples is float32, big-endian")
        self.assert_hdf5_refused("train/samples", numpy.array([[b"a"] * FEATURES] * 400), "train/samples is text")

    def test_samples_of_another_shape(self):
        self.assert_hdf5_refused("train/samples", numpy.zeros((400, 2, 2, 2, 2), numpy.float32), "400 x 2 x 2 x 2 x 2")
        self.assert_hdf5_refused("train/samples", numpy.float32(1), "train/samples is a single number")
        self.assert_hdf5_refused("train/samples", numpy.zeros((0, FEATURES), numpy.float32), "train/samples is 0 x 7")
        self.assert_hdf5_refused("train/samples", numpy.zeros((400, 0), numpy.float32), "train/samples is 400 x 0")
        self.assert_hdf5_refused("test/samples", numpy.zeros((90, FEATURES + 1), numpy.float32), "test/samples", "1 x 1 x 8")

    def test_pixels_beside_numbers(self):
        self.assert_hdf5_refused("test/samples", numpy.zeros((90, FEATURES), numpy.uint8), "test/samples", "pixels (uint8)")

    def test_numbers_that_are_not_finite(self):
        for value, text in ((numpy.nan, "nan"), (numpy.inf, "inf"), (1e39, "inf in float32")):
            samples = blobs()["train"]["samples"].astype(numpy.float64)
            samples[211, 3] = value
            self.assert_hdf5_refused("train/samples", samples, f"train/samples[211, 3] is {text}")

    def test_clusters_of_one_split(self):
        self.assert_hdf5_refused("test/clusters", None, "test/samples has none")

    def test_chunks(self):
        for options, words in (({"chunks": (10, FEATURES)}, "chunks"), ({"compression": "gzip"}, "compressed chunks")):
            file = write_hdf5(self.new_path("own.h5"), blobs(), **{"train/samples": None})
            with h5py.File(file, "a") as out:
                out.create_dataset("train/samples", data=blobs()["train"]["samples"], **options)
            self.assert_refused({"data.source": "hdf5", "data.file": file}, "train/samples is stored in " + words, "h5repack -l CONTI")

    def test_a_link_to_another_file(self):
        file, other = (write_hdf5(self.new_path(name), blobs()) for name in ("own.h5", "other.h5"))
        with h5py.File(file, "a") as out:
            del out["train/samples"]
            out["train/samples"] = h5py.ExternalLink(other, "/train/samples")
        self.assert_refused({"data.source": "hdf5", "data.file": file}, "train/samples is a link to", "other.h5")
        with h5py.File(file, "a") as out:
            del out["train/samples"]
            out["elsewhere"] = blobs()["train"]["samples"]
            out["train/samples"] = h5py.SoftLink("/elsewhere")
        numpy.testing.assert_array_equal(self.samples({"data.source": "hdf5", "data.file": file})["train"]["samples"][:, 0, 0],
                                         blobs()["train"]["samples"])

    def test_splits_by_another_name(self):
        file = write_hdf5(self.new_path("own.h5"), {**blobs(), "val": blobs()["validation"]})
        self.assert_refused({"data.source": "hdf5", "data.file": file}, "val/samples is of no split")
        keys = self.npy_keys({**blobs(), "val": blobs()["validation"]})
        self.assert_refused(keys, "val_samples.npy is of no split")

    def test_samples_that_were_never_written(self):
        file = write_hdf5(self.new_path("own.h5"), blobs(), **{"train/samples": None})
        with h5py.File(file, "a") as out:
            out.create_dataset("train/samples", shape=(400, FEATURES), dtype=numpy.float32)
        self.assert_refused({"data.source": "hdf5", "data.file": file}, "train/samples was never written")

    def test_a_group_in_place_of_a_data_set(self):
        file = write_hdf5(self.new_path("own.h5"), blobs(), **{"train/samples": None})
        with h5py.File(file, "a") as out:
            out.create_group("train/samples")
        self.assert_refused({"data.source": "hdf5", "data.file": file}, "train/samples is a group")

    def test_truncated_files(self):
        file = write_hdf5(self.new_path("own.h5"), blobs())
        file.write_bytes(file.read_bytes()[:-5000])
        self.assert_refused({"data.source": "hdf5", "data.file": file}, "own.h5", "truncated")
        for name, size in (("train_samples", -10), ("train_labels", -10), ("train_samples", 60), ("train_samples", 3)):
            keys = self.npy_keys(blobs())
            npy = keys["data.dir"] / f"{name}.npy"
            npy.write_bytes(npy.read_bytes()[:size])
            self.assert_refused(keys, f"{name}.npy")

    def test_no_hdf5(self):
        file = self.new_path("own.h5")
        file.write_text("x1,x2,label\n1,2,0\n")
        self.assert_refused({"data.source": "hdf5", "data.file": file}, "own.h5 is no HDF5 file")
        self.assert_refused({"data.source": "hdf5", "data.file": self.folder / "nowhere.h5"}, "nowhere.h5", "No such file")
        self.assert_refused({"data.source": "hdf5", "data.file": self.folder}, "a folder")

    def test_npy(self):
        for name, value, fragment in (
                ("train_samples", numpy.zeros((400, FEATURES), numpy.int64), "type <i8"),
                ("train_samples", numpy.asfortranarray(numpy.zeros((400, FEATURES), numpy.float32)), "column by column"),
                ("train_samples", numpy.zeros(400, [("a", "f4"), ("b", "f4")]), "fields"),
                ("train_labels", numpy.array(["cat"] * 400), "text"),
                ("train_labels", numpy.zeros(400), "type <f8"),
                ("train_labels", numpy.zeros((400, 1), int), "400 x 1"),
                ("test_labels", numpy.full(90, -1), "[0] is -1")):
            keys = self.npy_keys(blobs())
            numpy.save(keys["data.dir"] / f"{name}.npy", value)
            with self.subTest(name=name, fragment=fragment):
                self.assert_refused(keys, f"{name}.npy", fragment)
        keys = self.npy_keys(blobs())
        (keys["data.dir"] / "train_labels.npy").unlink()
        self.assert_refused(keys, "train_labels.npy", "No such file")

    def test_csv(self):
        for text, *fragments in (
                ("", "is empty"),
                ("x,label\n", "a header and no row"),
                ("1,2,0\n3,4,1\n", "a row of numbers"),
                ("0,1\n3,4\n", "no column 'label' (it has 0, 1)"),
                ("x,y\n1,2\n", "no column 'label'", "x, y", "csv.label"),
                ("x,label\n1,0\n2,0,5\n", "3 fields in row 2"),
                ("x,label\n1,0\n2\n", "1 fields in row 2"),
                ("x,label\nred,0\n", "'red' in column 'x' of row 1 (row 1 is the first below the header", "pandas.get_dummies"),
                ("x,label\n1,0\n,0\n", "nothing in column 'x' of row 2"),
                ("x,label\n1,cat\n", "'cat' in column 'label' of row 1", "pandas.Categorical"),
                ("x,label\n1,0\n1,0.5\n", "'0.5' in column 'label' of row 2"),
                ("x,label\n1,0\n1,-2\n", "label of row 2 is -2", "the first row below the header is row 1"),
                ("x,label\n1,0\nnan,1\n", "'nan' in column 'x' of row 2"),
                ("x,label\n1e39,0\n", "'1e39' in column 'x' of row 1", "a finite float32"),
                (",x,label\n0,1,0\n", "column 1 without a name", "index=False"),
                ("x,label,Unnamed: 0\n0,1,0\n", "column 3 without a name"),
                ("x;label\n1;0\n", "semicolons between its columns"),
                ("x,la\0bel\n1,0\n", "x, la?bel"),
                ("x,label\n1,0\n1,1\n", "holds 2 samples, too few"),
                ("x,x,label\n1,2,0\n", "two columns called 'x'"),
                ("label\n0\n", "no column of numbers"),
                ('x,label\n1,0\n"2,1\n', "behind row 1, counted below the header from 1", "quotes")):
            folder = self.new_path("csv")
            folder.mkdir()
            (folder / "train.csv").write_text(text)
            with self.subTest(text):
                self.assert_refused({"data.source": "csv", "data.dir": folder}, "train.csv", *fragments)

    def test_csv_twice(self):
        keys = self.csv_keys(blobs())
        with gzip.open(keys["data.dir"] / "test.csv.gz", "wt") as out:
            out.write((keys["data.dir"] / "test.csv").read_text())
        self.assert_refused(keys, "test.csv is beside")

    def test_npy_that_goes_on(self):
        for name in ("test_samples", "test_labels"):
            keys = self.npy_keys(blobs())
            with open(keys["data.dir"] / f"{name}.npy", "ab") as out:
                out.write(b"more")
            self.assert_refused(keys, f"{name}.npy goes on behind")

    def test_csv_of_other_columns(self):
        keys = self.csv_keys(blobs())
        file = keys["data.dir"] / "test.csv"
        file.write_text(file.read_text().replace("x2", "z2", 1))
        self.assert_refused(keys, "test.csv names other columns")

    def test_a_file_that_changes_while_it_is_read(self):
        keys = self.hdf5_keys(blobs(splits={"train": 4000, "test": 90}))
        run = self.new_path()
        running = runs.Running("train", self.configuration(), *self.words(
            {**keys, "run.dir": run, "train.epochs": 100, "train.log_every_steps": 1, "data.validation_samples": 0}))
        self.assertTrue(running.wait_until(lambda: (run / "metrics.jsonl").exists() and (run / "metrics.jsonl").stat().st_size))
        pathlib.Path(keys["data.file"]).touch()
        finished = running.wait()
        self.expect_failure(finished, 3, "own.h5: ", "was changed while it is read", kind="DataError")


    def test_a_file_that_changes_while_ranks_read_it(self):
        """All of them see it, and one sentence is said, whether a step or an evaluation was under way."""
        for keys in ({"train.epochs": 10_000}, {"train.epochs": 10_000, "train.evaluate_every_steps": 1}):
            keys = {**keys, **self.hdf5_keys(blobs(splits={"train": 4000, "validation": 4000, "test": 90}))}
            run = self.new_path()
            running = runs.Running("train", self.configuration(), *self.words(
                {**keys, "run.dir": run, "train.log_every_steps": 1, "train.order": "fixed", "train.batch_size": 512}), ranks=3)
            self.assertTrue(running.wait_until(lambda: (run / "metrics.jsonl").exists() and (run / "metrics.jsonl").stat().st_size))
            pathlib.Path(keys["data.file"]).touch()
            self.expect_failure(running.wait(), 3, "was changed while it is read", kind="DataError")

    def test_a_file_that_one_rank_cannot_read(self):
        """The others are where they agree, and say so with it."""
        keys = self.hdf5_keys(blobs(splits={"train": 4000, "validation": 400, "test": 90}))
        for nth in (500, 1400):  # a row of each of some 1,330 in steps, then of 130 in an evaluation
            words = self.words({**keys, "run.dir": self.new_path(), "train.epochs": 1, "train.batch_size": 512})
            finished = runs.switchyard("train", self.configuration(), *words, ranks=3,
                                       environment=runs.fault("pread", nth, "5", 1, path=keys["data.file"]))
            self.expect_failure(finished, 3, "train/samples cannot be read", kind="DataError")
            self.assertRegex(finished.err, r"\[0/3 .*DataError: rank 1.*Input/output error")  # agreed, not ended by rank 1

    def test_an_enumeration_is_no_label(self):
        file = write_hdf5(self.new_path("own.h5"), blobs(), **{"train/labels": None})
        kinds = h5py.enum_dtype({"FALSE": 0, "MAYBE": 1}, basetype="i1")
        with h5py.File(file, "a") as out:
            out.create_dataset("train/labels", data=numpy.zeros(400, "i1"), dtype=kinds)
        self.assert_refused({"data.source": "hdf5", "data.file": file}, "train/labels is an enumeration")

    def test_a_label_that_would_make_a_giant_of_the_model(self):
        labels = blobs()["train"]["labels"]
        labels[211] = 999_999
        self.assert_hdf5_refused("train/labels", labels, "train/labels[211] is 999999", "end below 10000")
        clusters = blobs()["train"]["clusters"]
        clusters[5] = 10_000
        self.assert_hdf5_refused("train/clusters", clusters, "train/clusters[5] is 10000")


class Hints(OwnData):
    """What is probably not meant so is said before a run begins, once."""

    def warned(self, keys, ranks=2):
        words = self.words({**keys, "run.dir": self.new_path(), "train.max_steps": 1})
        finished = self.expect(runs.switchyard("train", self.configuration(), *words, ranks=ranks), 0)
        return " ".join((finished.out + finished.err).split())

    def test_tables_that_nothing_reads(self):
        keys = self.csv_keys(blobs())
        self.assertNotIn("not read", self.warned(keys))
        (keys["data.dir"] / "validation.csv").rename(keys["data.dir"] / "val.csv")
        said = self.warned(keys)
        self.assertEqual(said.count("val.csv in"), 1)
        self.assertIn("is not read (train.csv, validation.csv and test.csv are)", said)

    def test_a_column_that_names_samples(self):
        keys = self.csv_keys(blobs())
        for file in keys["data.dir"].iterdir():
            file.write_text(file.read_text().replace("x2", "ID", 1))
        said = self.warned(keys)
        self.assertEqual(said.count("the column 'ID'"), 1)
        self.assertIn("set csv.id = ID", said)

    def test_most_classes_without_samples(self):
        data = blobs()
        data["train"]["labels"][7] = 500
        said = self.warned(self.hdf5_keys(data))
        self.assertIn("most classes have no training sample (497 of 501", said)

    def test_ranks_with_other_ids(self):
        words = []
        for shift in (0, 1):
            data = blobs()
            for arrays in data.values():
                arrays["ids"] = numpy.arange(len(arrays["labels"])) + shift
            words.append(self.words({**self.hdf5_keys(data), "run.dir": self.folder / "never"}))
        config = self.configuration()
        finished = runs.different_ranks(*(runs.Rank("train", config, *some) for some in words))
        self.expect_failure(finished, 3, "the digest of the samples' ids", kind="DataError")


class OfOthers(OwnData):
    """Data that are not the run's, in `eval` and `predict`."""

    def test_an_evaluation_takes_the_splits_of_a_file(self):
        run = self.trained({**self.hdf5_keys(blobs(splits={"train": 400})), "data.validation_samples": 50, "data.test_samples": 60})
        file = write_hdf5(self.new_path("other.h5"), blobs(seed=2))
        for split, count in SPLITS.items():
            finished = self.expect(runs.switchyard("eval", run, f"--data.file={file}", f"--split={split}"), 0)
            self.assertEqual(json.loads(finished.out)["samples"], count)

    def test_predictions_leave_no_sample_out_in_silence(self):
        run = self.trained(self.hdf5_keys(blobs(splits={"train": 400})))
        out = self.new_path("predictions.csv")
        count = lambda: len(out.read_text().splitlines()) - 1
        self.expect(runs.switchyard("predict", run, f"--out={out}"), 0)  # its own: a fifth is for test
        self.assertEqual(count(), 80)
        file = write_hdf5(self.new_path("other.h5"), blobs(seed=2, splits={"train": 100}))
        for split, some in (("test", 20), ("train", 70)):
            finished = runs.switchyard("predict", run, f"--out={out}", f"--data.file={file}", f"--split={split}", ranks=2)
            self.expect_failure(finished, 3, f"the {split} split is {some} of the 100 training samples", "test/samples", kind="DataError")
        file = write_hdf5(self.new_path("other.h5"), blobs(seed=2, splits={"test": 100}))
        self.expect(runs.switchyard("predict", run, f"--out={out}", f"--data.file={file}"), 0)
        self.assertEqual(count(), 100)


class Large(OwnData):
    """A file larger than any memory, as far as the tests' file system has holes."""

    GIB = 20
    MOST_RESIDENT = 2 << 30

    def test_rows_are_read_when_they_are_needed(self):
        features = 1 << 16
        rows = self.GIB << 30 >> 18
        file = self.new_path("large.h5")
        random = numpy.random.default_rng(1)
        with h5py.File(file, "w") as out:
            layout = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            layout.set_layout(h5py.h5d.CONTIGUOUS)
            layout.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
            layout.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
            samples = h5py.Dataset(h5py.h5d.create(out.create_group("train").id, b"samples", h5py.h5t.IEEE_F32LE,
                                                   h5py.h5s.create_simple((rows, features)), layout))
            samples[-1] = random.normal(size=features)  # the last one is there
            out["train/labels"] = random.integers(CLASSES, size=rows)
        self.assertGreater(file.stat().st_size, self.GIB << 30)
        if file.stat().st_blocks * 512 > 1 << 30:
            self.fail("the file system of the tests has no holes: this file takes 20 GiB there")
        running = runs.Running("train", self.configuration(), *self.words({
            "data.source": "hdf5", "data.file": file, "run.dir": self.new_path(), "train.max_steps": 5,
            "data.test_samples": 50, "data.validation_samples": 50}), ranks=2)
        resident = {}

        def ended():
            for rank, pid in running.rank_pids().items():
                try:
                    status = pathlib.Path(f"/proc/{pid}/status").read_text()
                except OSError:
                    continue
                found = re.search(r"VmHWM:\s+(\d+) kB", status)
                resident[rank] = max(resident.get(rank, 0), int(found[1]) * 1024 if found else 0)
            time.sleep(0.1)
            return False

        running.wait_until(ended)
        self.expect(running.wait(), 0)
        self.assertEqual(set(resident), {0, 1})
        self.assertLess(max(resident.values()), self.MOST_RESIDENT)


class Page(OwnData):
    """docs/own_data.md, from top to bottom."""

    def test_its_commands_run(self):
        page = (SOURCE / "docs/own_data.md").read_text(encoding="utf-8")
        program = "".join(re.findall(r"(?ms)^```python\n(.*?)^```", page))
        subprocess.run([sys.executable, "-c", program], check=True, cwd=self.folder)
        lines = re.findall(r"(?m)^    switchyard (.*)$", page)
        self.assertEqual([line.split()[0] for line in lines], ["new", "train", "eval", "report", "predict", "predict", "new", "train", "predict"])
        for line in lines:
            words = [SOURCE / word if word.startswith("configs/") else word for word in line.split()]
            self.expect(runs.switchyard(*words, cwd=self.folder), 0)
        self.assertLess(runs.summary(self.folder / "runs/own")["test"]["error"], 0.15)
        with h5py.File(self.folder / "predictions.h5") as found:
            documented = set(re.findall(r"(?m)^\| `([a-z_]+)` \|", page)) - {"expert_outputs"}
            self.assertEqual({name for name, values in found.items() if values.shape}, documented)
        with open(self.folder / "predictions.csv", newline="") as file:
            self.assertEqual(len(list(csv.reader(file))), 101)
        self.assertGreater(runs.summary(self.folder / "runs/prices")["test"]["r2"], 0.7)
        with open(self.folder / "prices.csv", newline="") as file:
            self.assertEqual(next(csv.reader(file))[:4], ["id", "prediction", "label", "expert_0"])


class Keys(OwnData):
    def assert_keys_refused(self, keys, *fragments):
        finished = runs.switchyard("train", self.configuration(), *self.words({**keys, "run.dir": self.new_path()}))
        self.expect_failure(finished, 2, *fragments, kind="ConfigError")

    def test_that_have_no_meaning(self):
        keys = self.hdf5_keys(blobs())
        self.assert_keys_refused({"data.source": "hdf5"}, "data.file is empty", "an HDF5 file")
        self.assert_keys_refused({"data.source": "csv"}, "data.dir is empty")
        self.assert_keys_refused({**keys, "data.test_samples": 5}, "data.test_samples = 5", "the data have 90")
        self.assert_keys_refused({**keys, "data.validation_samples": 5}, "data.validation_samples = 5", "the data have 60")
        self.assert_keys_refused({**keys, "data.normalise": "feature", "data.mean": 3}, "data.normalise")
        self.assert_keys_refused({**keys, "data.mean": "1 2 3"}, "data.mean has 3 numbers")
        self.assert_keys_refused({"data.source": "random", "data.normalise": "feature"}, "data.normalise is set")
        self.assert_keys_refused({"data.source": "random", "data.test_samples": 3}, "data.test_samples = 3")
        alone = self.npy_keys(blobs(splits={"train": 10}))
        self.assert_keys_refused({**alone, "data.test_samples": 9}, "leaves no training sample", "data.test_samples = 9")


if __name__ == "__main__":
    runs.main()
