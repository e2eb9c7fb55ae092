"""The commands of README.md and docs/: those of the README are run in their order, on few samples; the others must name
commands, options, presets, targets, tests and scripts that there are."""

import json
import os
import pathlib
import re
import shlex
import subprocess

import runs

SOURCE = pathlib.Path(__file__).resolve().parents[2]
PAGES = sorted([*SOURCE.glob("*.md"), *(SOURCE / "docs").rglob("*.md")])
PROGRAMS = ("cmake", "ctest", "launch/", "tests/", "build/release/switchyard", "switchyard", "sbatch", "mpirun")


def commands(page):
    """Indented lines that begin with a program, without comments, as lists of words; && separates two."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    for line in re.findall(r"(?m)^    (\S.*)$", text):
        if line.startswith(PROGRAMS):
            for command in re.split(r" && ", re.sub(r"\s#.*", "", line)):
                yield shlex.split(command)


def all_commands():
    return [(page.relative_to(SOURCE).as_posix(), words) for page in PAGES for words in commands(page)]


class Readme(runs.RunTest):
    FEW = {
        "train": ["--train.max_steps=4"],
        "study": ["--train.max_steps=2", "--study.seeds=1", "--study.selection_seeds=1", "--study.selection_epochs=1"],
        "samples": [], "convert": [], "new": [], "plan": [], "eval": [], "report": [], "list": [], "inspect": [], "diff": [],
        "resume": [],
    }

    def run_line(self, words):
        at = words.index("build/release/switchyard")
        command = words[at + 1]
        here = {"build/release/switchyard": runs.binary(), "launch/run.sh": SOURCE / "launch/run.sh"}
        words = [here.get(word, SOURCE / word if word.startswith("configs/") else word) for word in words]
        data = [f"--data.dir={self.data}"] if command in ("train", "study", "plan") else []
        done = subprocess.run([*map(str, words), *self.FEW[command], *data], capture_output=True, text=True, cwd=self.folder,
                              timeout=runs.HANGS_SECONDS, env={**os.environ, **runs.NO_GRACE})
        self.assertEqual(done.returncode, 0, f"{words}\n{done.stdout}\n{done.stderr}")
        return command

    def test_runs_from_top_to_bottom(self):
        lines = [words for words in commands(SOURCE / "README.md") if "build/release/switchyard" in words]
        seen = {self.run_line(words) for words in lines}
        self.assertEqual(seen, set(self.FEW))
        for file in ("runs/one/report.html", "comparison.html", "samples.h5", "runs/studies/importance/study.md"):
            self.assertTrue((self.folder / file).is_file(), file)


class Pages(runs.RunTest):
    def test_have_commands(self):
        self.assertGreater(len(all_commands()), 30)

    def test_name_commands_and_options_of_the_program(self):
        listed = re.findall(r"(?m)^  ([a-z]+) +\S", runs.switchyard("--help").out)
        options = set(re.findall(r"--[a-z_]+(?:\.[a-z0-9_]+)*", "".join(runs.switchyard(c, "--help").out for c in listed)))
        for page, words in all_commands():
            program = next((i for i, word in enumerate(words) if word in ("switchyard", "build/release/switchyard")), None)
            if program is None or words[0] == "cmake":  # whose target it may be
                continue
            self.assertIn(words[program + 1], listed, (page, words))
            for option in re.findall(r"--[a-z_]+(?:\.[a-z0-9_]+)*(?==)", " ".join(words[program:])):
                self.assertIn(option, options, (page, words))

    def test_keys_are_what_the_program_says(self):
        page = (SOURCE / "docs/configuration.md").read_text(encoding="utf-8")
        self.assertEqual(runs.switchyard("help", "configuration").out, page)

    def test_name_configurations_and_scripts_that_there_are(self):
        for page, words in all_commands():
            for word in words:
                if re.match(r"(configs|launch|tests)/", word):
                    self.assertTrue((SOURCE / word).exists(), (page, words))
            if words[0].startswith(("launch/", "tests/")):
                self.assertTrue(os.access(SOURCE / words[0], os.X_OK), (page, words))


class Cluster(runs.RunTest):
    """docs/cluster.md on hosts that are all this machine."""

    def test_runs_from_top_to_bottom(self):
        (self.folder / "hosts").write_text("localhost slots=4\n")
        here = {"build/release/switchyard": runs.binary(), "launch/run.sh": SOURCE / "launch/run.sh", "10.1.0.0/16": "127.0.0.0/8"}
        lines = [words for words in commands(SOURCE / "docs/cluster.md") if words[0] == "launch/run.sh"]
        self.assertEqual(len(lines), 4)
        for at, words in enumerate(lines):
            words = [here.get(word, SOURCE / word if word.startswith("configs/") else word) for word in words]
            if "train" in words:
                words += [f"--data.dir={self.data}", f"--run.dir={self.folder}/cluster{at}", "--train.max_steps=2", "--run.threads=1"]
            done = subprocess.run([*map(str, words)], capture_output=True, text=True, cwd=self.folder,
                                  timeout=runs.HANGS_SECONDS, env={**os.environ, **runs.NO_GRACE})
            self.assertEqual(done.returncode, 0, f"{words}\n{done.stdout}\n{done.stderr}")
            self.assertRegex(done.stdout, r"\b4 (rank|process)")


class Build(runs.RunTest):
    """Presets, targets and selections of tests, against the folder of this build."""

    @classmethod
    def setUpClass(cls):
        cls.presets = json.loads((SOURCE / "CMakePresets.json").read_text())
        cls.build = pathlib.Path(runs.binary()).parent
        cls.lines = [(page, words) for page, words in all_commands() if words[0] in ("cmake", "ctest")]

    def preset(self, kind, name):
        return next((preset for preset in self.presets[kind] if preset["name"] == name), None)

    def ask(self, *words):
        return subprocess.run(list(map(str, words)), capture_output=True, text=True)

    def test_presets_are_there(self):
        for page, words in self.lines:
            if "--preset" not in words:
                continue
            kind = ("testPresets" if words[0] == "ctest" else
                    {"--workflow": "workflowPresets", "--build": "buildPresets"}.get(words[1], "configurePresets"))
            self.assertIsNotNone(self.preset(kind, words[words.index("--preset") + 1]), (page, words))

    def test_targets_are_there(self):
        known = set(re.findall(r"(?m)^([\w-]+): ", self.ask("ninja", "-C", self.build, "-t", "targets", "all").stdout))
        self.assertIn("switchyard", known)
        wanted = {target for _, words in self.lines if "--target" in words for target in words[words.index("--target") + 1:]}
        self.assertGreater(len(wanted), 0)
        self.assertEqual(wanted - known, set())

    def test_selections_find_tests(self):
        selections = [words[1:] for _, words in self.lines if words[0] == "ctest"]
        self.assertGreater(len(selections), 0)
        for words in selections:
            at = words.index("--preset")
            left_out = self.preset("testPresets", words[at + 1]).get("filter", {}).get("exclude", {}).get("label", "none of these")
            done = self.ask("ctest", "--test-dir", self.build, "-N", "-LE", left_out, *words[:at], *words[at + 2:])
            self.assertRegex(done.stdout, r"Total Tests: [1-9]", (words, done))


if __name__ == "__main__":
    runs.main()
