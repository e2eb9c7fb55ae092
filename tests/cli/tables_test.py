"""Real tables, of scikit-learn: the same bits from every source, as good as linear models, and what is said of each sample."""

import csv
import json
import pathlib
import sys

import h5py
import numpy
from sklearn import datasets, linear_model, pipeline, preprocessing

import runs

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "python"))
import switchyard_reader  # noqa: E402

FOLDS = 5
# Name -> configuration, folds of which each is for test once: of small tables all, since one of 36 samples is three points.
TABLES = {"wine": ("arrays", FOLDS), "breast_cancer": ("arrays", FOLDS), "digits": ("arrays", 1), "diabetes": ("regression", FOLDS)}


def table(name):
    loaded = getattr(datasets, f"load_{name}")()
    return loaded.data, loaded.target


def folds(count):
    """Places for training and for test, of each fold."""
    order = numpy.random.default_rng(7).permutation(count)
    for fold in range(FOLDS):
        is_test = numpy.arange(count) % FOLDS == fold
        yield order[~is_test], order[is_test]


def accuracy(prediction, labels):
    return (prediction == labels).mean()


def r2(prediction, labels):
    return 1 - ((prediction - labels) ** 2).mean() / labels.var()


class Tables(runs.RunTest):
    @classmethod
    def write_data(cls):
        pass

    def train(self, name, keys):
        run = self.new_path()
        keys = {"run.dir": run, "run.threads": 1, **keys}
        config = ROOT / "configs/own" / f"{TABLES[name][0]}.ini"
        self.expect(runs.switchyard("train", config, *(f"--{key}={value}" for key, value in keys.items() if value != "")), 0)
        return run

    def hdf5(self, splits):
        file = self.new_path("own.h5")
        with h5py.File(file, "w") as out:
            for split, (x, y) in splits.items():
                out[f"{split}/samples"], out[f"{split}/labels"] = x, y
        return file

    def predictions(self, run, *arguments, **keys):
        file = self.new_path("predictions.h5")
        self.expect(runs.switchyard("predict", run, f"--out={file}", *arguments, **keys), 0)
        return file

    def test_as_good_as_linear_models(self):
        for name, (kind, count) in TABLES.items():
            with self.subTest(name):
                x, y = table(name)
                linear = linear_model.LinearRegression() if kind == "regression" else linear_model.LogisticRegression(max_iter=5000)
                score = r2 if kind == "regression" else accuracy
                ours, theirs, labels = [], [], []
                for train, test in list(folds(len(x)))[:count]:
                    file = self.hdf5({"train": (x[train], y[train]), "test": (x[test], y[test])})
                    run = self.train(name, {"data.file": file, "data.validation_samples": 0})
                    ours.append(switchyard_reader.read_predictions(self.predictions(run))["prediction"])
                    theirs.append(pipeline.make_pipeline(preprocessing.StandardScaler(), linear).fit(x[train], y[train]).predict(x[test]))
                    labels.append(y[test])
                ours, theirs = (score(numpy.concatenate(said), numpy.concatenate(labels)) for said in (ours, theirs))
                self.assertGreater(ours, theirs - 0.01)

    def test_every_source_gives_the_same_bits_and_predictions_agree(self):
        for name, (kind, _) in TABLES.items():
            with self.subTest(name):
                x, y = table(name)
                train, test = next(folds(len(x)))
                splits = {"train": (x[train], y[train]), "test": (x[test], y[test])}
                short = {"train.epochs": 2, "data.validation_samples": 20}
                first = self.train(name, {**short, "data.file": self.hdf5(splits)})
                numbers, tables = self.new_path(), self.new_path()
                numbers.mkdir()
                tables.mkdir()
                for split, (samples, labels) in splits.items():
                    numpy.save(numbers / f"{split}_samples.npy", samples)
                    numpy.save(numbers / f"{split}_labels.npy", labels)
                    with open(tables / f"{split}.csv", "w", newline="") as file:
                        writer = csv.writer(file)
                        writer.writerow([f"x{f}" for f in range(x.shape[1])] + ["label"])
                        writer.writerows([*row, label] for row, label in zip(samples.tolist(), labels.tolist()))
                for source, folder in (("npy", numbers), ("csv", tables)):
                    other = self.train(name, {**short, "data.source": source, "data.dir": folder})
                    ours, theirs = (runs.checkpoint_bytes(runs.newest_checkpoint(run)) for run in (first, other))
                    self.assertEqual(ours, theirs)
                self.assert_predictions_agree(first, x[test], y[test], kind)

    def assert_predictions_agree(self, run, x, y, kind):
        """With itself on 1, 2, 3 ranks, with `eval`, and with the forward in NumPy."""
        files = [self.predictions(run, "--outputs=yes", ranks=ranks) for ranks in (0, 2, 3)]
        self.assertEqual(len({file.read_bytes() for file in files}), 1)
        said = switchyard_reader.read_predictions(files[0])
        evaluated = json.loads(self.expect(runs.switchyard("eval", run), 0).out)
        if kind == "regression":
            self.assertAlmostEqual(evaluated["r2"], r2(said["prediction"], y), places=6)
        else:
            self.assertAlmostEqual(evaluated["error"], 1 - accuracy(said["prediction"], y), places=12)
        found = switchyard_reader.open(run).model("latest").predict(x, labels=y)
        scale = y.std() if kind == "regression" else 1
        for array in said:
            if said[array].dtype.kind in "iu":
                numpy.testing.assert_array_equal(found[array], said[array], array)
            else:
                size = scale if array == "prediction" else max(1, abs(said[array]).max())
                numpy.testing.assert_allclose(found[array] / size, said[array] / size, rtol=0, atol=1e-6, err_msg=array)


if __name__ == "__main__":
    runs.main()
