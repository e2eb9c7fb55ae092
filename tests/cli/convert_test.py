"""`switchyard convert`: what it writes of every source, that a run of it is the run of the source, and what it refuses."""

import gzip
import pathlib
import re
import struct

import h5py
import numpy

import runs

CODES = {"u1": 8, "i1": 9, "i2": 11, "i4": 12, "f4": 13, "f8": 14}  # of IDX
WORDS = {"u1": "ubyte", "i1": "byte", "i2": "short", "i4": "int", "f4": "float", "f8": "double"}
VECTORS = {"model.gate": "dense:experts", "model.expert": "dense:8 relu dense:classes"}
KEYS = {"run.threads": 1, "moe.experts": 3, "moe.top_k": 2, "train.batch_size": 32, "train.epochs": 2, **VECTORS}


def write_idx(path, array):
    kind = array.dtype.str[1:]
    content = struct.pack(">HBB", 0, CODES[kind], array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    content += array.astype(">" + kind).tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def numbers(count, shape, dtype, seed=1, classes=3):
    random = numpy.random.default_rng(seed)
    labels = random.integers(classes, size=count)
    values = 40 + 30 * labels.reshape(-1, *[1] * len(shape)) + random.normal(size=(count, *shape)) * 8
    return values.astype(dtype), labels


class Converted(runs.RunTest):
    def words(self, keys):
        return [f"--{key}={value}" for key, value in keys.items()]

    def convert(self, keys, *arguments, **options):
        file = self.new_path("converted.h5")
        finished = self.expect(runs.switchyard("convert", *self.words(keys), *arguments, f"--out={file}", **options), 0)
        self.said = finished.out
        return file

    def trained(self, keys):
        config, run = self.new_path("config.ini"), self.new_path()
        config.write_text("")
        self.expect(runs.switchyard("train", config, *self.words({**KEYS, **keys, "run.dir": run})), 0)
        return run

    def text(self, run, path):
        with h5py.File(runs.newest_checkpoint(run)) as file:
            return file[path][()]

    def assert_same_runs(self, keys, file, **more):
        """A run of the file is that of the source: its bits, what its data are, and what it says of them."""
        with h5py.File(file) as found:
            taken = {} if "validation" in found else {"data.validation_samples": 7}
        for scales in ({"data.normalise": "channel"}, {"data.normalise": "feature", **taken}):
            one = self.trained({**keys, **scales, **more})
            other = self.trained({"data.source": "hdf5", "data.file": file, **scales, **more})
            self.assert_same_run(one, other)
            for path in ("data/digest", "data/shape"):
                self.assertEqual(*(self.text(run, path) for run in (one, other)))
        digest = self.text(one, "data/digest").decode().rstrip("\0")
        self.assertIn(f"the digest of the data is {digest};", self.said)

    def assert_holds(self, file, arrays):
        """{path: (values, type)}, and nothing else in the splits."""
        with h5py.File(file) as found:
            paths = {f"{split}/{name}" for split, group in found.items() if isinstance(group, h5py.Group) for name in group}
            self.assertEqual(paths, set(arrays))
            for path, (values, kind) in arrays.items():
                self.assertEqual(found[path].dtype.str.lstrip("<|"), kind, path)
                numpy.testing.assert_array_equal(found[path][:], values, path)
                self.assertIn(f"{path}: ", self.said)


class OfSources(Converted):
    def idx(self, kind, shape, compressed=False):
        folder = self.new_path("idx")
        folder.mkdir()
        arrays = {}
        for split, prefix, count, seed in (("train", "train", 150, 1), ("test", "t10k", 40, 2)):
            samples, labels = numbers(count, shape, kind, seed)
            gz = ".gz" if compressed else ""
            write_idx(folder / f"{prefix}-images-idx{samples.ndim}-{WORDS[kind]}{gz}", samples)
            write_idx(folder / f"{prefix}-labels-idx1-ubyte", labels.astype("u1"))
            arrays.update({f"{split}/samples": (samples, kind), f"{split}/labels": (labels, "i8")})
        return {"data.source": "idx", "data.dir": folder}, arrays

    def test_idx(self):
        for kind, shape, compressed in (("u1", (6, 5), False), ("u1", (2, 4, 4), True), ("i1", (6,), False), ("i2", (3, 4), True),
                                        ("i4", (), False), ("f4", (3, 4, 4), False), ("f8", (7,), True)):
            with self.subTest(kind=kind, shape=shape):
                keys, arrays = self.idx(kind, shape, compressed)
                file = self.convert(keys)
                self.assert_holds(file, arrays)
                self.assert_same_runs(keys, file)

    def test_images_of_idx_under_convolutions(self):
        keys, _ = self.idx("u1", (12, 12))
        self.assert_same_runs(keys, self.convert(keys), **{"model.gate": "conv:4 relu max_pool dense:experts"})

    def cifar(self, hundred, classes):
        folder = self.new_path("cifar")
        folder.mkdir()
        hundred = int(hundred)  # where the label stands
        random = numpy.random.default_rng(5)
        arrays = {}
        files = {"train": ["train.bin"] if hundred else [f"data_batch_{i}.bin" for i in range(1, 6)],
                 "test": ["test.bin"] if hundred else ["test_batch.bin"]}
        for split, names in files.items():
            labels, coarse, pixels = [], [], []
            for name in names:
                records = random.integers(256, size=(60 if hundred else 20, 3072 + 1 + hundred), dtype="u1")
                records[:, 0], records[:, hundred] = records[:, 0] % (20 if hundred else classes), records[:, hundred] % classes
                (folder / name).write_bytes(records.tobytes())
                labels.append(records[:, hundred])
                coarse.append(records[:, 0])
                pixels.append(records[:, 1 + hundred:].reshape(-1, 3, 32, 32))
            join = lambda parts: numpy.concatenate(parts)
            arrays.update({f"{split}/samples": (join(pixels), "u1"), f"{split}/labels": (join(labels), "i8")})
            if hundred:
                arrays[f"{split}/clusters"] = (join(coarse), "i8")
        return {"data.source": "cifar", "data.dir": folder}, arrays

    def test_cifar(self):
        for hundred, classes in ((False, 10), (False, 4), (True, 100)):  # 4: there are ten, whichever occur
            with self.subTest(hundred=hundred, classes=classes):
                keys, arrays = self.cifar(hundred, classes)
                file = self.convert(keys)
                self.assert_holds(file, arrays)
                self.assert_same_runs(keys, file)

    def test_coarse_labels_of_cifar(self):
        keys, arrays = self.cifar(True, 100)
        file = self.convert({**keys, "cifar.labels": "coarse"})
        coarse = {path.replace("clusters", "labels"): values for path, values in arrays.items() if "clusters" in path}
        samples = {path: values for path, values in arrays.items() if "samples" in path}
        self.assert_holds(file, {**samples, **coarse})
        one = self.trained({**keys, "cifar.labels": "coarse"})
        self.assert_same_run(one, self.trained({"data.source": "hdf5", "data.file": file}))

    def npy(self, dtype, shape=(7,), splits=(("train", 120), ("validation", 30), ("test", 40)), more=()):
        folder = self.new_path("npy")
        folder.mkdir()
        arrays = {}
        for number, (split, count) in enumerate(splits):
            samples, labels = numbers(count, shape, dtype, number)
            extra = {name: numpy.arange(count) * 3 % limit for name, limit in more}
            for name, values, kind in (("samples", samples, dtype), ("labels", labels.astype("i2"), "i8"),
                                       *((name, values, "i8") for name, values in extra.items())):
                numpy.save(folder / f"{split}_{name}.npy", values)
                arrays[f"{split}/{name}"] = values, kind
        return {"data.source": "npy", "data.dir": folder}, arrays

    def test_npy(self):
        for dtype, shape in (("f8", (7,)), ("f4", (2, 3, 4)), ("u1", (5, 5)), ("u1", (3, 32, 32)), ("i2", ())):
            with self.subTest(dtype=dtype, shape=shape):
                keys, arrays = self.npy(dtype, shape, more=(("clusters", 4), ("ids", 10**9)))
                file = self.convert(keys)
                self.assert_holds(file, arrays)
                self.assert_same_runs(keys, file)

    def test_splits_are_those_of_the_source(self):
        keys, arrays = self.npy("f4", splits=(("train", 60),))
        file = self.convert(keys)
        self.assert_holds(file, arrays)
        self.assert_same_runs(keys, file)
        few, arrays = self.npy("f4", splits=(("train", 2),))  # too few to train on, and some for test
        self.assert_holds(self.convert(few), arrays)

    def test_many_classes_of_pixels(self):
        keys, _ = self.npy("u1")
        labels = numpy.load(keys["data.dir"] / "train_labels.npy")
        labels[:3] = 299, 256, 0
        numpy.save(keys["data.dir"] / "train_labels.npy", labels)
        self.assert_same_runs(keys, self.convert(keys))

    def csv(self, rows=90, features=4):
        folder = self.new_path("csv")
        folder.mkdir()
        arrays = {}
        for number, (split, count) in enumerate((("train", rows), ("test", 30))):
            samples, labels = numbers(count, (features,), "f8", number)
            ids, clusters = numpy.arange(count)[::-1] * 5, numpy.arange(count) % 4
            with gzip.open(folder / f"{split}.csv.gz", "wt") as out:
                out.write(",".join([*(f"x {f}" for f in range(features)), "kind", "name", "part"]) + "\n")
                for row, *whole in zip(samples, labels, ids, clusters):
                    out.write(",".join([*map(repr, row.tolist()), *map(str, whole)]) + "\n")
            arrays.update({f"{split}/samples": (samples.astype("f4"), "f4"), f"{split}/labels": (labels, "i8"),
                           f"{split}/ids": (ids, "i8"), f"{split}/clusters": (clusters, "i8")})
        return {"data.source": "csv", "data.dir": folder, "csv.label": "kind", "csv.id": "name", "csv.cluster": "part"}, arrays

    def test_csv(self):
        keys, arrays = self.csv()
        file = self.convert(keys)
        self.assert_holds(file, arrays)
        self.assert_same_runs(keys, file)
        runs_of = [self.trained(keys), self.trained({"data.source": "hdf5", "data.file": file})]
        self.assertEqual(*(self.text(run, "data/columns") for run in runs_of))
        self.assertEqual(self.text(runs_of[0], "data/columns").decode().split("\n")[:2], ["x 0", "x 1"])

    def test_hdf5_that_is_compressed_elsewhere_or_converted_again(self):
        keys, arrays = self.csv()
        once = self.convert(keys)
        twice = self.convert({"data.source": "hdf5", "data.file": once})
        self.assertEqual(once.read_bytes(), twice.read_bytes())

    def test_a_configuration_says_where_the_data_are(self):
        keys, arrays = self.csv()
        config = self.new_path("config.ini")
        config.write_text(f"[data]\nsource = csv\ndir = {keys['data.dir']}\nnormalise = feature\nvalidation_samples = 20\n"
                          "[csv]\nlabel = kind\nid = name\ncluster = other\n")
        file = self.new_path("converted.h5")
        self.said = self.expect(runs.switchyard("convert", config, "--csv.cluster=part", f"--out={file}"), 0).out
        self.assert_holds(file, arrays)

    def test_a_model_reads_a_converted_file_as_its_own(self):
        keys, arrays = self.csv()
        run = self.trained({**keys, "data.normalise": "feature"})
        file = self.convert(keys)
        predictions = []
        for other in ([], ["--data.source=hdf5", f"--data.file={file}"]):
            out = self.new_path("predictions.h5")
            self.expect(runs.switchyard("predict", run, f"--out={out}", *other), 0)
            with h5py.File(out) as found:
                predictions.append(found["probabilities"][:])
                numpy.testing.assert_array_equal(found["ids"][:], arrays["test/ids"][0])
        numpy.testing.assert_array_equal(*predictions)


class Large(Converted):
    """What is converted may be larger than memory: 240 MiB of numbers are here, and 64 MiB at most are to be held."""

    ROWS, FEATURES = 200_000, 300
    MOST_RESIDENT = 190 << 20

    def resident_bytes(self, keys):
        file = self.new_path("converted.h5")
        running = runs.Running("convert", *self.words(keys), f"--out={file}")
        peak = 0

        def looked():
            nonlocal peak
            try:
                found = re.search(r"VmHWM:\s+(\d+) kB", pathlib.Path(f"/proc/{running.process.pid}/status").read_text())
            except OSError:
                return False
            peak = max(peak, int(found[1]) * 1024 if found else 0)
            return False

        running.wait_until(looked)
        self.expect(running.wait(), 0)
        self.assertEqual([path.name for path in file.parent.glob("*.tmp")], [])
        with h5py.File(file) as found:
            self.assertEqual(found["train/samples"].shape, (self.ROWS, self.FEATURES))
            numpy.testing.assert_array_equal(found["train/samples"][::20_000, 7], 1.5)
            self.assertEqual(found["train/samples"][-1, -1], -2.5)
        file.unlink()
        self.assertGreater(peak, 1 << 20)
        return peak

    def test_tables_of_text(self):
        folder = self.new_path("csv")
        folder.mkdir()
        with open(folder / "train.csv", "w") as out:
            out.write(",".join(map(str, range(self.FEATURES))) + ",label\n")
            out.write(("1.5," * self.FEATURES + "0\n") * (self.ROWS - 1) + "1.5," * (self.FEATURES - 1) + "-2.5,1\n")
        self.assertLess(self.resident_bytes({"data.source": "csv", "data.dir": folder}), self.MOST_RESIDENT)

    def test_compressed_idx(self):
        folder = self.new_path("idx")
        folder.mkdir()
        samples = numpy.full((self.ROWS, self.FEATURES), 1.5, "f4")
        samples[-1, -1] = -2.5
        for prefix in ("train", "t10k"):
            part = samples if prefix == "train" else samples[:5]
            content = struct.pack(">HBBII", 0, 13, 2, *part.shape) + part.astype(">f4").tobytes()
            (folder / f"{prefix}-images-idx2-float.gz").write_bytes(gzip.compress(content, 1))
            write_idx(folder / f"{prefix}-labels-idx1-ubyte", numpy.arange(len(part)).astype("u1"))
        self.assertLess(self.resident_bytes({"data.source": "idx", "data.dir": folder}), self.MOST_RESIDENT)

    def test_arrays(self):
        folder = self.new_path("npy")
        folder.mkdir()
        samples = numpy.full((self.ROWS, self.FEATURES), 1.5, "f4")
        samples[-1, -1] = -2.5
        numpy.save(folder / "train_samples.npy", samples)
        numpy.save(folder / "train_labels.npy", numpy.arange(self.ROWS) % 3)
        self.assertLess(self.resident_bytes({"data.source": "npy", "data.dir": folder}), self.MOST_RESIDENT // 2)


    def test_rows_that_are_larger_than_a_piece(self):
        """8 MiB are written at a time, and a row has 10."""
        folder = self.new_path("npy")
        folder.mkdir()
        samples = numpy.random.default_rng(1).normal(size=(3, 2_500_001)).astype("f4")
        for split in ("train", "test"):
            numpy.save(folder / f"{split}_samples.npy", samples)
            numpy.save(folder / f"{split}_labels.npy", numpy.arange(3))
        keys = {"data.source": "npy", "data.dir": folder, "data.validation_samples": 0}
        config, seen = self.new_path("config.ini"), self.new_path("samples.h5")
        config.write_text("")
        words = self.words({**VECTORS, **keys, "moe.experts": 1, "model.gate": "none"})
        self.expect(runs.switchyard("samples", config, *words, f"--out={seen}"), 0)
        for file in (self.convert(keys), seen):
            with h5py.File(file) as found:
                numpy.testing.assert_array_equal(found["train/samples"][:].reshape(samples.shape), samples)
            file.unlink()


class Refused(Converted):
    def npy_folder(self):
        folder = self.new_path("npy")
        folder.mkdir()
        numpy.save(folder / "train_samples.npy", numpy.zeros((9, 2), "f4"))
        numpy.save(folder / "train_labels.npy", numpy.zeros(9, int))
        return folder

    def test_what_is_no_command(self):
        out, folder = self.new_path("out.h5"), self.npy_folder()
        for words, *fragments in (
                ([], "was not told where to write"),
                ([f"--out={out}", "--data.source=random"], "no source that convert reads", "switchyard samples"),
                ([f"--out={out}", "--data.source=text", f"--data.dir={folder}"], "no source that convert reads"),
                ([f"--out={out}", "--data.source=npy"], "data.dir is empty"),
                ([f"--out={out}", "--data.source=npy", f"--data.dir={folder}", "--moe.experts=3"], "--moe.experts says nothing about data"),
                ([f"--out={out}", "a.ini", "b.ini"], "2 were given"),
                ([f"--out={self.folder}/out.csv", "--data.source=npy", f"--data.dir={folder}"], "says another format"),
                ([f"--out={out}", self.folder / "nowhere.ini"], "nowhere.ini")):
            with self.subTest(words):
                self.expect_failure(runs.switchyard("convert", *words), 2, *fragments, kind="ConfigError")
        self.assertFalse(out.exists())

    def test_a_file_of_the_users(self):
        out = self.new_path("mine.h5")
        out.write_text("mine")
        words = ["--data.source=npy", f"--data.dir={self.npy_folder()}", f"--out={out}"]
        self.expect_failure(runs.switchyard("convert", *words), 3, str(out), kind="DataError")
        self.assertEqual(out.read_text(), "mine")

    def test_wrong_data_leave_nothing_behind(self):
        folder, out = self.npy_folder(), self.new_path("out.h5")
        numpy.save(folder / "train_labels.npy", numpy.arange(-1, 8))
        words = ["--data.source=npy", f"--data.dir={folder}", f"--out={out}"]
        self.expect_failure(runs.switchyard("convert", *words), 3, "train_labels.npy[0] is -1", kind="DataError")
        numpy.save(folder / "train_labels.npy", numpy.zeros(9, int))
        samples = numpy.zeros((9, 2), "f4")
        samples[4, 1] = numpy.nan
        numpy.save(folder / "train_samples.npy", samples)
        self.expect_failure(runs.switchyard("convert", *words), 3, "train_samples.npy[4, 1] is nan", kind="DataError")
        self.assertEqual([path.name for path in out.parent.glob(out.name + "*")], [])

    def test_a_full_disk_leaves_what_was_there(self):
        out, folder = self.new_path("out.h5"), self.npy_folder()
        words = ["--data.source=npy", f"--data.dir={folder}", f"--out={out}"]
        self.expect(runs.switchyard("convert", *words), 0)
        before = out.read_bytes()
        numpy.save(folder / "train_samples.npy", numpy.ones((9, 2), "f4"))
        for function in ("fsync", "rename"):
            finished = runs.switchyard("convert", *words, environment=runs.fault(function, 1, "28", path=out.parent))
            self.expect_failure(finished, 3, "No space left on device", kind="DataError")
            self.assertEqual(out.read_bytes(), before)
            self.assertEqual([path.name for path in out.parent.glob(out.name + "*")], [out.name])


if __name__ == "__main__":
    runs.main()
