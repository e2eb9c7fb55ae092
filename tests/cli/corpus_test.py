"""`switchyard corpus` from a user's side: the file against the text, read with h5py alone, its table, what it refuses."""

import gzip
import os
import pathlib
import random
import re
import subprocess

import h5py
import numpy

import runs

SOURCE = pathlib.Path(__file__).resolve().parents[2]
WORDS = ["switch", "yard", "wagons", "arrive", "depart,", "and", "the", "naïve", "(x)", "→", "\tif", "  else", "7", "1984"]


def page(number, lines=40):
    random.seed(number)
    words = ([f"page {number} of many"] + [" ".join(random.choices(WORDS, k=8)) + f" {random.random()}" for _ in range(lines)])
    return "".join(word + random.choice(["\n", "\n\n"]) for word in words).encode()


def documents(file):
    """[(split, domain, text)], as docs/language_models.md says that tokens become text."""
    begin, text = file["pieces/begin"][:], file["pieces/bytes"][:].tobytes()
    pieces = [text[a:b] for a, b in zip(begin, begin[1:])]
    tokens, at = file["tokens"][:], file["document_begin"][:]
    domains = file["domains"][()].decode().split()
    return [(int(split), domains[domain], b"".join(pieces[token] for token in tokens[a:b]))
            for split, domain, a, b in zip(file["document_split"], file["document_domain"], at, at[1:])]


class OfPages(runs.RunTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.pages, cls.odd = cls.new_path() / "pages", cls.new_path("odd.txt")
        (cls.pages / "deep/er").mkdir(parents=True)
        for number in range(100):
            name, text = f"deep/{number:03}.rst" if number % 3 else f"deep/er/{number:03}.txt", page(number)
            (cls.pages / name).write_bytes(text)
        (cls.pages / "last.pod.gz").write_bytes(gzip.compress(page(100)))
        random.seed(0)
        cls.odd.write_bytes(bytes(random.choices(range(256), k=3000)) + b"".join(page(n, 100) for n in range(101, 106)))
        cls.file = cls.new_path("tokens.h5")
        cls.made = cls.make(cls.file)
        if cls.made.code != 0:
            raise AssertionError(cls.made)

    @classmethod
    def make(cls, file, *more):
        return runs.switchyard("corpus", cls.pages, f"other={cls.odd}", "--vocabulary=500", f"--out={file}", *more)


class Corpus(OfPages):
    def test_the_file_holds_the_text(self):
        with h5py.File(self.file) as file:
            found = documents(file)
            self.assertEqual(file["tokens"].dtype, numpy.uint16)
            self.assertEqual(file["vocabulary"][()], 500)
            self.assertEqual(len(file["pieces/kind"]), 500)
            self.assertEqual([int(file["tokens"][end - 1]) for end in file["document_begin"][1:]], [1] * len(found))
            self.assertEqual(file["end_of_document"][()], 1)
        self.assertEqual(sorted(text for _, domain, text in found if domain == "pages"), sorted(map(page, range(101))))
        odd = [text for _, domain, text in found if domain == "other"]
        whole = self.odd.read_bytes()
        self.assertEqual(b"".join(sorted(odd, key=whole.index)), whole)
        self.assertEqual([split for split, _, _ in found], sorted(split for split, _, _ in found))

    def test_splits_are_those_of_text_as_bytes(self):
        """The same file as data.source = text: a window's split is that of the document which holds it."""
        texts, config, windows = self.new_path("texts"), self.new_path("config.ini"), self.new_path("windows.h5")
        texts.mkdir()
        (texts / "odd.txt").write_bytes(self.odd.read_bytes() + b"".join(page(n, 300) for n in range(200, 220)))
        config.write_text(f"[data]\nsource = text\ndir = {texts}\nwindow = 512\n"
                          "[model]\nfamily = tokens\ngate = dense:experts\nexpert = dense:width\n")
        self.expect(runs.switchyard("samples", config, f"--out={windows}"), 0)
        made = self.new_path("odd.h5")
        self.expect(runs.switchyard("corpus", texts / "odd.txt", "--vocabulary=400", f"--out={made}"), 0)
        by_split = {}
        with h5py.File(made) as file:
            for split, _, text in documents(file):
                by_split.setdefault(("train", "validation", "test")[split], []).append(text)
        with h5py.File(windows) as file:
            self.assertEqual({name for name in file if isinstance(file[name], h5py.Group)}, set(by_split))
            for split, texts in by_split.items():
                expected = [text[at:at + 512] for text in texts for at in range(0, len(text) - 512, 512)]
                self.assertEqual([bytes(row.astype(numpy.uint8)) for row in file[split]["tokens"][:]], expected)

    def test_the_table_counts_what_the_file_holds(self):
        with h5py.File(self.file) as file:
            found, sizes = documents(file), numpy.diff(file["document_begin"][:])
            stored = {name: file[f"bytes/{name}"][()] for name in ("train", "validation", "test")}
        rows = re.findall(r"(?m)^ +(\w+)  (train|validation|test) +([\d,]+) +([\d,]+) +([\d,]+) +([\d.]+)$", self.made.out)
        self.assertEqual(len(rows), 9)
        for domain, split, *shown in rows:
            of = [i for i, (s, d, _) in enumerate(found)
                  if ("train", "validation", "test")[s] == split and domain in (d, "all")]
            size, tokens = sum(len(found[i][2]) for i in of), sum(int(sizes[i]) for i in of)
            self.assertEqual(shown[:3], [f"{len(of):,}", f"{size:,}", f"{tokens:,}"])
            self.assertEqual(shown[3], f"{size / tokens if tokens else 0:.2f}")
            if domain == "all":
                self.assertEqual(stored[split], size)
        self.assertRegex(self.made.out, r"(?m)^reading .*pages\n")
        self.assertIn("learning 500 pieces from 1 line in 1\n", self.made.out)

    def test_the_inputs_are_named_with_their_digests(self):
        with h5py.File(self.file) as file:
            lines = file["inputs"][()].decode().splitlines()
        self.assertEqual(len(lines), 102)
        for line in lines:
            self.assertRegex(line, r"^[0-9a-f]{32} \d+ (pages/(deep/(er/)?\d{3}\.(rst|txt)|last\.pod)|other)$")

    def test_the_same_text_gives_the_same_bytes(self):
        again = self.new_path("again.h5")
        self.expect(self.make(again), 0)
        self.assertEqual(again.read_bytes(), self.file.read_bytes())

    def test_what_is_left_out_by_name(self):
        file = self.new_path("less.h5")
        self.expect(self.make(file, "--without=er"), 0)
        with h5py.File(file) as made:
            texts = {text for _, _, text in documents(made)}
        self.assertNotIn(page(0), texts)
        self.assertIn(page(1), texts)

    def test_other_commands_say_what_it_is(self):
        for command in ("inspect", "verify"):
            self.expect_failure(runs.switchyard(command, self.file), 3, "it holds tokens, and is no checkpoint")


class Refusals(OfPages):
    def refused(self, code, *said, arguments):
        before = sorted(self.folder.iterdir())
        self.expect_failure(runs.switchyard("corpus", *arguments), code, *said)
        self.assertEqual(sorted(self.folder.iterdir()), before)

    def test_bad_input(self):
        out = f"--out={self.new_path('none.h5')}"
        self.refused(2, "no text was named", arguments=[out])
        self.refused(2, "was not told where to write", arguments=[self.pages])
        self.refused(3, "tokens.h5 is there already", "--out=FILE", arguments=[self.pages, f"--out={self.file}"])
        self.refused(3, "there is no folder", arguments=[self.pages, f"--out={self.new_path('nowhere')}/tokens.h5"])
        self.refused(3, "missing.txt cannot be opened", arguments=[self.new_path("missing.txt"), out])
        self.refused(2, "'--vocabulary=many' is no number", arguments=[self.pages, "--vocabulary=many", out])
        self.refused(2, "a vocabulary of 259", "260 to", arguments=[self.pages, "--vocabulary=259", out])
        self.refused(2, "a vocabulary of 270 cannot be made", arguments=[self.pages, "--vocabulary=270", out])
        self.refused(2, "a vocabulary of 99999 cannot be made", arguments=[self.pages, "--vocabulary=99999", out])
        self.refused(3, "adds no text", arguments=[self.pages, f"again={self.pages}", out])
        self.refused(2, "both of the domain pages", arguments=[self.pages, self.pages, out])


class Debian(runs.RunTest):
    """launch/corpus-debian.sh where all packages count as installed: nothing is fetched here."""

    def test_lists_folders_of_text_or_says_what_lacks(self):
        tools = self.new_path("tools")
        tools.mkdir()
        for name, text in (("dpkg-query", 'for p in "$@"; do echo "installed $p"; done'), ("apt-get", "exit 1")):
            (tools / name).write_text(f"#!/bin/sh\n{text}\n")
            (tools / name).chmod(0o755)
        done = subprocess.run([SOURCE / "launch/corpus-debian.sh"], capture_output=True, text=True,
                              env={**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"})
        if done.returncode != 0:
            self.assertRegex(done.stderr, r"the package of \w+ is installed without /usr/\S+ \(")
            self.assertEqual(done.stdout, "")
            return
        words = done.stdout.split()
        self.assertEqual(words.pop(), "--without=translations")
        self.assertEqual([word.split("=")[0] for word in words], ["linux", "python", "perl"])
        for word in words:
            self.assertTrue(pathlib.Path(word.split("=")[1]).is_dir(), word)


if __name__ == "__main__":
    runs.main()
