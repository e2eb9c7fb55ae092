"""The samples of a configuration as HDF5: those of text, against the files."""

import gzip
import random

import h5py
import numpy

import runs

WINDOW = 100
CONFIG = """\
[data]
source = text
dir = {folder}
window = {window}
[model]
family = tokens
gate = dense:experts
expert = dense:4 relu dense:width
"""


def documents_of(text):
    while text:
        end = text.find(b"\n", 4095) + 1 or len(text)
        yield text[:min(end, 8192)]
        text = text[min(end, 8192):]


class OfText(runs.RunTest):
    def setUp(self):
        super().setUp()
        self.texts = folder = self.new_path("texts")
        folder.mkdir()
        random.seed(1)
        self.files = [bytes(random.choices(range(256), k=size)) for size in (200_000, 90_000, 123_456)]
        (folder / "b.txt").write_bytes(self.files[1])
        (folder / "c.txt").write_bytes(self.files[2])
        (folder / "a.txt.gz").write_bytes(gzip.compress(self.files[0]))

    def config(self, window=WINDOW):
        file = self.new_path("config.ini")
        file.write_text(CONFIG.format(folder=self.texts, window=window))
        return file

    def samples(self, config):
        file = self.new_path("samples.h5")
        self.expect(runs.switchyard("samples", config, f"--out={file}"), 0)
        return h5py.File(file)

    def test_each_document_is_windows_of_one_split(self):
        splits = self.samples(self.config())
        rows = {split: zip(group["tokens"][:], group["targets"][:], group["clusters"][:]) for split, group in splits.items()
                if isinstance(group, h5py.Group)}
        self.assertEqual(set(rows), {"train", "validation", "test"})
        upcoming = {split: next(of, None) for split, of in rows.items()}
        documents = [0] * 3
        for domain, text in enumerate(self.files):
            for document in documents_of(text):
                values = numpy.frombuffer(document, numpy.uint8)
                starts = range(0, len(values) - WINDOW, WINDOW)
                if not starts:
                    continue
                [split] = [split for split, row in upcoming.items()
                           if row and row[2] == domain and (row[0] == values[:WINDOW]).all()]
                documents[domain] += 1
                for start in starts:
                    tokens, targets, cluster = upcoming[split]
                    numpy.testing.assert_array_equal(tokens, values[start:start + WINDOW])
                    numpy.testing.assert_array_equal(targets, values[start + 1:start + WINDOW + 1])
                    self.assertEqual(cluster, domain)
                    upcoming[split] = next(rows[split], None)
        self.assertEqual(set(upcoming.values()), {None})
        self.assertGreater(min(documents), 10)

    def test_a_window_of_one_byte_is_a_row(self):
        tokens = self.samples(self.config(window=1))["test/tokens"]
        self.assertEqual(tokens.shape[1:], (1,))

    def test_a_folder_without_text_is_refused(self):
        for file in self.texts.iterdir():
            file.rename(file.with_suffix(".old"))
        finished = runs.switchyard("samples", self.config(), f"--out={self.new_path('samples.h5')}")
        self.expect_failure(finished, 3, "holds no text")


if __name__ == "__main__":
    runs.main()
