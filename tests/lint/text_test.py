"""No file is too long and no unfinished work is marked in src/; planted offences are found."""

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


if __name__ == "__main__":
    unittest.main()
