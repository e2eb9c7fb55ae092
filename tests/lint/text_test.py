"""No file in src/ is too long, marks unfinished work or lists keys of a configuration; planted offences are found."""

import pathlib
import sys
import tempfile
import unittest

import rules

ROOT = pathlib.Path(sys.argv.pop(1) if len(sys.argv) > 1 else ".").resolve()


class Sources(unittest.TestCase):
    def test_are_short_and_finished(self):
        self.assertGreater(len(rules.source_files(ROOT / "src")), 10, "no sources found: wrong folder?")
        self.assertEqual(rules.findings(ROOT / "src", rules.TEXT_RULES), [])

    def test_tests_are_short(self):
        self.assertEqual(rules.findings(ROOT / "tests", [rules.length_findings]), [])

    def test_the_reader_is_short(self):
        files = rules.source_files(ROOT / "python", {".py"})
        self.assertGreater(len(files), 5)
        self.assertEqual([file for file in files if list(rules.length_findings(file.read_text(encoding="utf-8"), file))], [])


class Planted(unittest.TestCase):
    def findings(self, text):
        with tempfile.TemporaryDirectory() as root:
            (pathlib.Path(root) / "a.cpp").write_text(text)
            return rules.findings(root, rules.TEXT_RULES)

    def test_a_long_file_is_found(self):
        self.assertEqual(self.findings("int a;\n" * 499), [])
        self.assertEqual(self.findings("int a;\n" * 500), ["a.cpp:500: has 500 lines, 500 or more"])

    def test_unfinished_work_is_found(self):
        for mark in ["TODO", "FIXME", "XXX"]:
            self.assertEqual(self.findings(f"int a;\n// {mark}: later\n"), [f"a.cpp:2: {mark} is left behind"])
        self.assertEqual(self.findings("int mastodon;  // TODOS is a word of its own\n"), [])

    def test_a_list_of_keys_is_found(self):
        found = ["a.cpp:2: a list of keys outside the tables: ask the role of the field"]
        for keys in ['"run.threads", "data.dir"', '"run.threads",\n    "data.dir"', '{"moe.top_k", "k"},\n  {"optim.name", "n"}']:
            self.assertEqual(self.findings(f"int a;\nconst char* const keys[] = {{{keys}}};\n"), found, keys)
        self.assertEqual(self.findings('text_of(config, "moe.noise"), text_of(config, "moe.noise_draw")\n'), [])
        self.assertEqual(self.findings('open("run.ini", "train.bin");\n'), [])


if __name__ == "__main__":
    unittest.main()
