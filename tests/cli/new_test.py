"""`switchyard new`: a configuration for each kind of data, which trains as it is."""

import configparser
import pathlib

import h5py
import numpy

import runs

SOURCE = pathlib.Path(__file__).resolve().parents[2]


def blobs(count, shape=(9,), dtype=numpy.float32, seed=1, classes=3):
    centres = numpy.random.default_rng(0).normal(size=(classes, *shape))
    random = numpy.random.default_rng(seed)
    labels = random.integers(classes, size=count)
    samples = 100 + 40 * centres[labels] + random.normal(size=(count, *shape)) * 10
    return numpy.clip(samples, 0, 255).astype(dtype), labels


class OfData(runs.RunTest):
    def new(self, data, *arguments, name=None):
        """The configuration that is written, read, and what was said."""
        name = name or self.new_path("own")
        finished = self.expect(runs.switchyard("new", name, f"--data={data}", *arguments, cwd=self.folder), 0)
        self.assertEqual(finished.err, "")
        file = pathlib.Path(f"{name}.ini")
        parser = configparser.ConfigParser(inline_comment_prefixes="#", comment_prefixes="#")
        parser.read_string(file.read_text())
        self.said = finished.out
        self.assertIn(f"switchyard train {file}", self.said)
        self.assertIn("# ", file.read_text())
        return file, parser

    def trained(self, file, parser, *arguments):
        """As it stands, in the folder that it names."""
        self.expect(runs.switchyard("train", file, "--run.threads=1", *arguments, cwd=self.folder), 0)
        return runs.summary(self.folder / parser["run"]["dir"])

    def assert_learns(self, data, most_error, *arguments):
        file, parser = self.new(data, *arguments)
        self.assertEqual((parser["moe"]["experts"], parser["moe"]["top_k"]), ("8", "2"))
        self.assertLess(self.trained(file, parser)["test"]["error"], most_error)
        return parser

    def hdf5(self, **options):
        file = self.new_path("own.h5")
        with h5py.File(file, "w") as out:
            for split, count, seed in (("train", 300, 1), ("test", 60, 2)):
                out[f"{split}/samples"], out[f"{split}/labels"] = blobs(count, seed=seed, **options)
        return file

    def texts(self):
        folder = self.new_path("texts")
        folder.mkdir()
        for kind, pattern in (("pages", "docs/*.md"), ("programs", "tests/cli/*.py")):
            (folder / f"{kind}.txt").write_text("".join(file.read_text() for file in sorted(SOURCE.glob(pattern))[:12]))
        return folder


class Configurations(OfData):
    def test_rows_of_numbers(self):
        parser = self.assert_learns(self.hdf5(), 0.1)
        self.assertEqual((parser["data"]["source"], parser["data"]["normalise"]), ("hdf5", "feature"))
        self.assertNotIn("conv", parser["model"]["expert"])
        self.assertIn("270 samples for training, 30 for validation, 60 for test; 1 x 1 x 9 numbers, 3 classes (0 to 2)", self.said)

    def test_real_numbers(self):
        random = numpy.random.default_rng(1)
        samples = random.normal(size=(400, 6))
        labels = 1000 + 50 * abs(samples[:, 0]) + 20 * samples[:, 1]
        file = self.new_path("prices.h5")
        with h5py.File(file, "w") as out:
            out["train/samples"], out["train/labels"] = samples[:320], labels[:320]
            out["test/samples"], out["test/labels"] = samples[320:], labels[320:]
        self.expect_failure(runs.switchyard("new", self.new_path("own"), f"--data={file}"), 3, "set model.loss = squared_error")
        for loss in ("squared_error", "gaussian"):
            with self.subTest(loss=loss):
                ini, parser = self.new(file, f"--model.loss={loss}")
                self.assertIn("1 number to learn", self.said)
                self.assertEqual((parser["model"]["loss"], parser["data"]["scale_targets"]), (loss, "yes"))
                self.assertGreater(self.trained(ini, parser)["test"]["r2"], 0.9)

    def test_whole_numbers_may_be_no_classes(self):
        file = self.new_path("ages.h5")
        with h5py.File(file, "w") as out:
            out["train/samples"], out["train/labels"] = numpy.random.default_rng(1).normal(size=(90, 3)), numpy.arange(90)
        finished = runs.switchyard("new", self.new_path("own"), f"--data={file}", cwd=self.folder)
        self.assertIn("add --model.loss=squared_error", self.expect(finished, 0).err)

    def test_images(self):
        for shape, dtype in (((12, 10), numpy.uint8), ((3, 16, 16), numpy.float32), ((5, 9, 8), numpy.uint8), ((40, 40), numpy.uint8)):
            with self.subTest(shape=shape, dtype=dtype):
                file, parser = self.new(self.hdf5(shape=shape, dtype=dtype))
                self.assertEqual(parser["data"]["normalise"], "channel" if dtype is numpy.uint8 else "feature")
                if shape[0] != 5:
                    self.assertRegex(parser["model"]["gate"], "conv:")
                self.trained(file, parser, "--train.max_steps=20")

    def test_tiny_data(self):
        file = self.new_path("tiny.h5")
        with h5py.File(file, "w") as out:
            out["train/samples"], out["train/labels"] = blobs(7)
        self.trained(*self.new(file))

    def test_npy(self):
        folder = self.new_path("npy")
        folder.mkdir()
        for name, values in zip(("samples", "labels"), blobs(300)):
            numpy.save(folder / f"train_{name}.npy", values)
        self.assertEqual(self.assert_learns(folder, 0.1)["data"]["source"], "npy")

    def test_csv(self):
        folder = self.new_path("csv")
        folder.mkdir()
        samples, labels = blobs(300)
        rows = [",".join([*map(repr, row.tolist()), str(label)]) for row, label in zip(samples.astype(float), labels)]
        (folder / "train.csv").write_text("\n".join([",".join([*"abcdefghi", "kind"]), *rows, ""]))
        (folder / "README.txt").write_text("What these are.\n")
        finished = runs.switchyard("new", self.new_path("own"), f"--data={folder}")
        self.expect_failure(finished, 3, "no column 'label'", "csv.label", kind="DataError")
        parser = self.assert_learns(folder, 0.1, "--csv.label=kind", "--data.validation_samples=40")
        self.assertEqual((parser["csv"]["label"], parser["data"]["validation_samples"]), ("kind", "40"))

    def test_idx(self):
        file, parser = self.new(self.data, "--data.validation_samples=700")
        self.assertLess(self.trained(file, parser, "--train.max_steps=300")["test"]["error"], 0.6)
        self.assertEqual((parser["data"]["source"], parser["data"]["normalise"]), ("idx", "channel"))

    def test_cifar(self):
        folder = self.new_path("cifar")
        folder.mkdir()
        random = numpy.random.default_rng(1)
        for name in ("train", "test"):
            records = random.integers(256, size=(60, 3074), dtype="u1")
            records[:, 0], records[:, 1] = records[:, 0] % 20, records[:, 1] % 100
            (folder / f"{name}.bin").write_bytes(records.tobytes())
        file, parser = self.new(folder, "--data.augment=flip crop:4")
        self.assertEqual((parser["data"]["source"], parser["data"]["augment"]), ("cifar", "flip crop:4"))
        self.assertIn("100 classes (0 to 99), 20 clusters", self.said)
        self.trained(file, parser, "--train.max_steps=3")

    def test_text(self):
        file, parser = self.new(self.texts())
        self.assertEqual((parser["data"]["source"], parser["model"]["family"]), ("text", "tokens"))
        self.trained(file, parser, "--train.max_steps=5")

    def test_tokens(self):
        folder, tokens = self.texts(), self.new_path("tokens.h5")
        self.expect(runs.switchyard("corpus", *folder.iterdir(), f"--out={tokens}", "--vocabulary=512"), 0)
        file, parser = self.new(tokens)
        self.assertEqual((parser["data"]["source"], parser["model"]["family"]), ("tokens", "transformer"))
        self.trained(file, parser, "--train.max_steps=3")

    def test_a_converted_file(self):
        converted = self.new_path("converted.h5")
        self.expect(runs.switchyard("convert", "--data.source=idx", f"--data.dir={self.data}", f"--out={converted}"), 0)
        file, parser = self.new(converted)
        self.assertEqual((parser["data"]["source"], parser["data"]["normalise"]), ("hdf5", "channel"))
        self.trained(file, parser, "--train.max_steps=3")

    def test_scales_that_are_given_stay(self):
        _, parser = self.new(self.hdf5(), "--data.mean=100", "--data.standard_deviation=50")
        self.assertEqual((parser["data"]["mean"], parser["data"]["standard_deviation"]), ("100", "50"))
        self.assertNotIn("normalise", parser["data"])

    def test_what_it_says_next(self):
        file, parser = self.new(self.hdf5())
        commands = [line.split("#")[0].split() for line in self.said.splitlines() if line.startswith("  switchyard")]
        self.assertEqual([words[1] for words in commands], ["plan", "train", "report"])
        for words in commands:
            self.expect(runs.switchyard(*words[1:], cwd=self.folder), 0)


class Refused(OfData):
    def assert_refused(self, code, words, *fragments):
        finished = runs.switchyard("new", *words, cwd=self.folder)
        self.expect_failure(finished, code, *fragments, kind={2: "ConfigError", 3: "DataError"}[code])

    def test_a_configuration_that_is_there(self):
        file = self.new_path("mine.ini")
        file.write_text("mine")
        self.assert_refused(3, [file, f"--data={self.hdf5()}"], "mine.ini is there already")
        self.assert_refused(3, [file.with_suffix(""), f"--data={self.hdf5()}"], "mine.ini is there already")
        self.assertEqual(file.read_text(), "mine")

    def test_what_is_no_command(self):
        data = self.hdf5()
        self.assert_refused(2, [f"--data={data}"], "new takes a name")
        self.assert_refused(2, ["own"], "was not told where the data are")
        self.assert_refused(2, ["own", f"--data={data}", "--moe.experts=3"], "--moe.experts says nothing about data")

    def test_what_is_no_data(self):
        empty = self.new_path("empty")
        empty.mkdir()
        self.assert_refused(3, ["own", f"--data={empty}"], "holds no data that are known", "train_samples.npy", "train.csv")
        (empty / "train.csv").write_text("")
        (empty / "train_samples.npy").write_text("")
        self.assert_refused(3, ["own", f"--data={empty}"], "data of two kinds")
        self.assert_refused(3, ["own", f"--data={self.folder / 'nowhere'}"], "nowhere cannot be read")
        alone = self.new_path("table.csv")
        alone.write_text("x,label\n1,0\n")
        self.assert_refused(3, ["own", f"--data={alone}"], "table.csv is no file of samples", "folder")
        run = self.train(train_max_steps=1)
        self.assert_refused(3, ["own", f"--data={runs.newest_checkpoint(run)}"], "is a checkpoint")
        self.assertFalse((self.folder / "own.ini").exists())


if __name__ == "__main__":
    runs.main()
