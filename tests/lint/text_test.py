"""No file in src/ is too long, marks unfinished work or lists keys of a configuration, and no script stops reading a pipe
early; planted offences are found."""

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


class Scripts(unittest.TestCase):
    """Under pipefail a reader that stops early fails the script now and then: its writer ends by SIGPIPE, code 141."""

    def test_read_pipes_to_their_end(self):
        scripts = [file for folder in ["launch", ".ci", "tests"] for file in (ROOT / folder).rglob("*")
                   if file.is_file() and rules.is_bash(file)]
        self.assertGreater(len(scripts), 20, "no scripts found: wrong folder?")
        self.assertEqual([f"{file.relative_to(ROOT)}:{number}: {sentence}" for file in scripts
                          for number, sentence in rules.pipe_findings(file.read_text(encoding="utf-8"))], [])

    def test_a_reader_that_stops_is_found(self):
        for reader in ["head -n 1", "grep -q a", "grep -Fqx a", "grep -m 1 a", "awk '{ print; exit }'", "sed -n '1p;q'", "sed 3q"]:
            self.assertEqual(list(rules.pipe_findings(f"echo\nls | {reader} >b\n")),
                             [(2, f"{reader.split()[0]} may stop before the end of its pipe")], reader)
            self.assertEqual(list(rules.pipe_findings(f"set +o pipefail\nls | {reader}\nset -o pipefail\n")), [], reader)
        for reader in ["sed -n 1p", "tail -n 1", "grep -v q", "awk 'NR == 1'"]:
            self.assertEqual(list(rules.pipe_findings(f"ls | {reader}\n")), [], reader)
        self.assertEqual(list(rules.pipe_findings("ls || head -n 1 a\ngrep -q a b | cat\n# ls | head\n")), [])


if __name__ == "__main__":
    unittest.main()
