"""`data.source = images`: folders of PNG and JPEG files that train like arrays of the same pixels, on any number of ranks."""

import base64
import re
import struct
import zlib

import h5py
import numpy

import runs

VECTORS = {"model.gate": "dense:experts", "model.expert": "dense:8 relu dense:classes"}
KEYS = {"run.threads": 1, "moe.experts": 3, "moe.top_k": 2, "train.batch_size": 16, "train.epochs": 2, "train.shards": 4,
        "data.normalise": "channel", **VECTORS}
CLASSES = ("Yak", "ant", "cat")  # in the order of their bytes
# A JPEG file of 8 x 8 grey pixels.
JPEG = base64.b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDABsSFBcUERsXFhceHBsgKEIrKCUlKFE6PTBCYFVlZF9VXVtqeJmBanGQc1tdhbWGkJ6jq62rZ4C8yb"
    "qmx5moq6T/wAALCAAIAAgBAREA/8QAHwAAAQUBAQEBAQEAAAAAAAAAAAECAwQFBgcICQoL/8QAtRAAAgEDAwIEAwUFBAQAAAF9AQIDAAQRBRIh"
    "MUEGE1FhByJxFDKBkaEII0KxwRVS0fAkM2JyggkKFhcYGRolJicoKSo0NTY3ODk6Q0RFRkdISUpTVFVWV1hZWmNkZWZnaGlqc3R1dnd4eXqDhI"
    "WGh4iJipKTlJWWl5iZmqKjpKWmp6ipqrKztLW2t7i5usLDxMXGx8jJytLT1NXW19jZ2uHi4+Tl5ufo6erx8vP09fb3+Pn6/9oACAEBAAA/AJLn"
    "b5fHWv/Z")


def png(pixels):
    """Height x width, or height x width x 3, of uint8."""
    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
    height, width = pixels.shape[:2]
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, 8, 2 if pixels.ndim == 3 else 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


class Images(runs.RunTest):
    def image_folder(self, shape=(6, 5, 3), counts=(("train", 24), ("test", 6)), classes=CLASSES):
        """A folder, and what it holds: {split: (samples, labels)}, samples x channels x height x width."""
        folder, held = self.new_path("images"), {}
        random = numpy.random.default_rng(3)
        for split, count in counts:
            samples, labels = [], []
            for label, name in enumerate(classes):
                (folder / split / name).mkdir(parents=True)
                for place in range(count):
                    pixels = (40 + 60 * label + random.integers(40, size=shape)).astype("u1")
                    (folder / split / name / f"{place:03}.png").write_bytes(png(pixels))
                    samples.append(pixels.transpose(2, 0, 1) if pixels.ndim == 3 else pixels[None])
                    labels.append(label)
            held[split] = numpy.stack(samples), numpy.array(labels)
        return folder, held

    def words(self, keys):
        return [f"--{key}={value}" for key, value in keys.items()]

    def trained(self, keys, ranks=0):
        config, run = self.new_path("config.ini"), self.new_path()
        config.write_text("")
        finished = self.expect(runs.switchyard("train", config, *self.words({**KEYS, **keys, "run.dir": run}), ranks=ranks), 0)
        self.said = finished.out + finished.err
        return run

    def test_two_ranks_and_arrays_give_the_bits_of_one(self):
        folder, held = self.image_folder()
        keys = {"data.source": "images", "data.dir": folder}
        one = self.trained(keys)
        self.assertRegex(self.said, r"classes +0 Yak, 1 ant, 2 cat")
        self.assert_same_run(one, self.trained(keys, ranks=2))
        arrays = self.new_path("arrays.h5")
        with h5py.File(arrays, "w") as out:
            for split, (samples, labels) in held.items():
                out[f"{split}/samples"], out[f"{split}/labels"] = samples, labels
            out["class_names"] = numpy.bytes_("".join(f"{name}\n" for name in CLASSES))
        self.assert_same_run(one, self.trained({"data.source": "hdf5", "data.file": arrays}))

    def test_converted(self):
        folder, held = self.image_folder(shape=(6, 5))
        keys, file = {"data.source": "images", "data.dir": folder}, self.new_path("converted.h5")
        self.expect(runs.switchyard("convert", *self.words(keys), f"--out={file}"), 0)
        with h5py.File(file) as found:
            for split, (samples, labels) in held.items():
                numpy.testing.assert_array_equal(found[f"{split}/samples"][:], samples)
                self.assertEqual(found[f"{split}/samples"].dtype, numpy.uint8)
                numpy.testing.assert_array_equal(found[f"{split}/labels"][:], labels)
            self.assertEqual(found["class_names"][()].decode().rstrip("\0"), "Yak\nant\ncat\n")
        one, other = self.trained(keys), self.trained({"data.source": "hdf5", "data.file": file})
        self.assertRegex(self.said, r"classes +0 Yak, 1 ant, 2 cat")
        self.assert_same_run(one, other)
        for names, why in (("Yak\nant\n", "class_names has 2 names, but there are 3 classes"),
                           ("Yak\nant\ncat\ndog\n", "class_names has 4 names, but there are 3 classes"),
                           ("Yak\nant\nant\n", "class_names has the name ant twice"),
                           ("Yak\n\ncat\n", "class_names has an empty name")):
            with h5py.File(file, "a") as out:
                del out["class_names"]
                out["class_names"] = numpy.bytes_(names)
            finished = runs.switchyard("convert", "--data.source=hdf5", f"--data.file={file}", f"--out={self.new_path('x.h5')}")
            self.expect_failure(finished, 3, why, kind="DataError")
        with h5py.File(file, "a") as out:  # a class may have a name and no sample, if nothing says how many there are
            del out["class_names"], out["classes"]
            out["class_names"] = numpy.bytes_("Yak\nant\ncat\ndog\n")
        run = self.trained({"data.source": "hdf5", "data.file": file})
        self.assertRegex(self.said, r"warning: the class dog has no training sample")

    def test_a_label_is_the_same_class_in_an_evaluation(self):
        folder, _ = self.image_folder()
        run = self.trained({"data.source": "images", "data.dir": folder})
        self.expect(runs.switchyard("eval", run), 0)
        fewer, _ = self.image_folder(counts=(("test", 5),), classes=("Yak", "cat"))
        finished = runs.switchyard("eval", run, f"--data.dir={fewer}")
        self.expect_failure(finished, 3, "the classes of the data are Yak, cat", "Yak, ant, cat", kind="DataError")
        (fewer / "test" / "ant").mkdir()
        self.expect(runs.switchyard("eval", run, f"--data.dir={fewer}"), 0)

    def test_a_prediction_of_images_without_classes(self):
        folder, held = self.image_folder()
        run = self.trained({"data.source": "images", "data.dir": folder})
        plain, out = self.new_path("plain"), [self.new_path("a.h5"), self.new_path("b.h5")]
        (plain / "test").mkdir(parents=True)
        for place, sample in enumerate(held["test"][0]):
            (plain / "test" / f"{place:03}.png").write_bytes(png(sample.transpose(1, 2, 0)))
        self.expect(runs.switchyard("predict", run, f"--out={out[0]}"), 0)
        self.expect(runs.switchyard("predict", run, f"--data.dir={plain}", f"--out={out[1]}"), 0)
        with h5py.File(out[0]) as of_classes, h5py.File(out[1]) as of_none:
            self.assertNotIn("labels", of_none)
            for path in ("probabilities", "prediction", "ids"):
                numpy.testing.assert_array_equal(of_classes[path][:], of_none[path][:])
            self.assertEqual(of_none["class_names"][()].decode().rstrip("\0"), "Yak\nant\ncat\n")
        page = self.new_path("page.html")
        self.expect(runs.switchyard("report", run, f"--predictions={out[1]}", f"--data.dir={plain}", f"--out={page}"), 0)
        shown = page.read_text()
        self.assertRegex(shown, r"sample \d+: prediction (Yak|ant|cat) ")
        self.assertEqual(set(re.findall(r"<b>(.*?)</b><br>", shown)) - set(CLASSES), set(), "what it was taken for, alone")
        finished = runs.switchyard("eval", run, f"--data.dir={plain}")
        self.expect_failure(finished, 3, "labels", kind="DataError")

    def test_images_unlike_those_of_the_run(self):
        folder, _ = self.image_folder()
        run = self.trained({"data.source": "images", "data.dir": folder})
        for shape, why in (((7, 5, 3), "the data are 3 x 7 x 5"), ((6, 5), "the data are 1 x 6 x 5")):
            other, _ = self.image_folder(shape=shape, counts=(("test", 3),))
            words = ["predict", run, f"--data.dir={other}", f"--out={self.new_path('p.h5')}"]
            self.expect_failure(runs.switchyard(*words), 3, why, "with --images.size=6x5 --images.channels=3", kind="DataError")
            self.expect(runs.switchyard(*words, "--images.size=6x5", "--images.channels=3"), 0)

    def test_a_folder_without_splits(self):
        folder, _ = self.image_folder()
        config = self.new_path("config.ini")
        config.write_text("")
        for asked, why in ((folder / "train", "set data.dir to the folder above"), (folder / "none", "is no folder: there is nothing"),
                           (folder / "train" / "cat" / "000.png", "is no folder (data.source = images reads"),
                           (folder / "test" / "cat", "set data.dir to the folder that holds one")):
            finished = runs.switchyard("plan", config, "--data.source=images", f"--data.dir={asked}", *self.words(VECTORS))
            self.expect_failure(finished, 3, why, f"{asked}/train/CLASS/*.jpg", kind="DataError")
        classes = (folder / "train").rename(self.new_path("classes"))
        finished = runs.switchyard("plan", config, "--data.source=images", f"--data.dir={classes}", *self.words(VECTORS))
        self.expect_failure(finished, 3, f"move the folders of classes into {classes}/train", kind="DataError")

    def test_jpeg_and_png_of_one_size_by_a_key(self):
        folder, _ = self.image_folder(shape=(6, 5))
        (folder / "train" / "cat" / "photo.JPG").write_bytes(JPEG)
        config = self.new_path("config.ini")
        config.write_text("")
        words = [config, "--data.source=images", f"--data.dir={folder}", *self.words(VECTORS)]
        finished = runs.switchyard("plan", *words)
        self.expect_failure(finished, 3, "photo.JPG has 8 x 8 pixels", "6 x 5", "images.size", kind="DataError")
        said = self.expect(runs.switchyard("plan", *words, "--images.size=4x4", "--images.channels=3"), 0).out
        self.assertRegex(said, r"(?m)^ +48 x 5 ")  # a matrix of the gate
        for size in ("4", "0x4", "20000x20000", "4x65536"):
            finished = runs.switchyard("plan", *words, f"--images.size={size}")
            self.expect_failure(finished, 2, f"images.size = {size} is no size that is read", "from 1 to 65535", "up to 89478485",
                                kind="ConfigError")
        (folder / "train" / "cat" / "photo.JPG").write_bytes(JPEG[:-20])
        finished = runs.switchyard("plan", *words, "--images.size=4x4")
        self.expect_failure(finished, 3, "photo.JPG cannot be read as a JPEG image", kind="DataError")

    def test_new_finds_them(self):
        folder, _ = self.image_folder(counts=(("train", 60),))
        (folder / "README.txt").write_text("pictures\n")
        name, run = self.new_path("own.ini"), self.new_path()
        said = self.expect(runs.switchyard("new", name, f"--data={folder}", "--images.size=8x8"), 0).out
        self.assertIn("3 x 8 x 8 pixels, 3 classes", said)
        self.assertIn("[images]\nsize = 8x8", name.read_text())
        self.expect(runs.switchyard("train", name, f"--run.dir={run}", "--train.max_steps=3"), 0)


if __name__ == "__main__":
    runs.main()
