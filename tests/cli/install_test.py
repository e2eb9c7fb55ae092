"""What `cmake --install` puts in place works from there: program, launcher, man page, completion, linked documents."""

import os
import pathlib
import re
import shutil
import subprocess

import runs

SOURCE = pathlib.Path(__file__).resolve().parents[2]
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")  # of Markdown, to a file


def commands():
    return re.findall(r"(?m)^  ([a-z]+) +\S", runs.switchyard("--help").out)


class Installed(runs.RunTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.prefix = cls.folder / "usr"
        done = subprocess.run(["cmake", "--install", pathlib.Path(runs.binary()).parent, "--prefix", cls.prefix],
                              capture_output=True, text=True)
        if done.returncode != 0:
            raise AssertionError(done)

    def run_installed(self, *words):
        """With the folder of programs in PATH, as a user has it."""
        path = f"{self.prefix / 'bin'}:{os.environ['PATH']}"
        return subprocess.run(words, capture_output=True, text=True, timeout=runs.HANGS_SECONDS, cwd=self.folder,
                              env={**os.environ, **runs.NO_GRACE, "PATH": path})

    def test_the_program_is_the_one_that_was_built(self):
        installed = self.run_installed("switchyard", "--version")
        self.assertEqual((installed.returncode, installed.stdout), (0, runs.switchyard("--version").out))

    def test_the_launcher_trains_an_installed_configuration(self):
        configuration = self.prefix / "share/switchyard/configs/fashion_mnist/original.ini"
        done = self.run_installed("switchyard-run", "-n", "2", "switchyard", "train", configuration,
                                  f"--data.dir={self.data}", "--train.max_steps=2", "--run.dir=run")
        self.assertEqual(done.returncode, 0, done)
        self.assertEqual(runs.summary(self.folder / "run")["exit"]["code"], 0)

    def test_the_launcher_gives_its_installed_name(self):
        done = self.run_installed("switchyard-run", "-n", "2")
        self.assertEqual(done.returncode, 2, done)
        self.assertRegex(done.stderr, r"^switchyard-run on .*usage: switchyard-run \[-n RANKS\]")

    def test_the_links_of_the_documents_lead_to_installed_files(self):
        documents = self.prefix / "share/doc/switchyard"
        pages = sorted(documents.rglob("*.md"))
        self.assertIn(documents / "docs/configuration.md", pages)
        for page in pages:
            for target in LINK.findall(re.sub("`[^`]*`", "", page.read_text())):
                self.assertTrue((page.parent / target).exists(), f"{page}: {target}")

    def test_the_manual_tells_of_the_commands_of_the_program(self):
        page = (self.prefix / "share/man/man1/switchyard.1").read_text()
        section = re.search(r"(?s)^\.SH COMMANDS\n(.*?)^\.PP", page, re.MULTILINE).group(1)
        self.assertEqual(re.findall(r"(?m)^\.TP\n\.BI? ([a-z]+)", section), commands())
        codes = dict(re.findall(r"(?m)^\| (\d+) \| (.*?) \|$", (SOURCE / "docs/launching.md").read_text()))
        for code in re.findall(r"(?m)^(\d+)\|", page):
            self.assertIn(code, codes)

    def test_there_is_no_file_that_only_a_checkout_needs(self):
        programs = sorted(file.name for file in (self.prefix / "bin").iterdir())
        self.assertEqual(programs, ["switchyard", "switchyard-run"])
        for file in ("LICENSE", "CHANGELOG.md", "docs/architecture.md"):
            self.assertTrue((self.prefix / "share/doc/switchyard" / file).is_file(), file)
        for file in ("slurm.sbatch", "python/pyproject.toml", "python/switchyard_reader/model.py"):
            self.assertTrue((self.prefix / "share/switchyard" / file).is_file(), file)
        self.assertEqual(list(self.prefix.rglob("*.a")) + list(self.prefix.rglob("*test*")), [])


class Completion(runs.RunTest):
    def complete(self, *words):
        """What bash offers for the last of `words`, after the program's name."""
        script = """source "$1"; program="$2"; COMP_WORDS=("${@:2}"); COMP_CWORD=$(($# - 2))
                    _switchyard "$program" "${@: -1}" ""; printf '%s\\n' "${COMPREPLY[@]}" """
        done = subprocess.run([shutil.which("bash"), "-c", script, "bash", SOURCE / "launch/completion.bash",
                               runs.binary(), *words], capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stderr), (0, ""), done)
        return done.stdout.split()

    def test_the_commands_are_those_of_the_program(self):
        self.assertEqual(self.complete(""), [*commands(), "help", "--help", "--version"])
        self.assertEqual(self.complete("res"), ["resume"])

    def test_help_is_of_commands_and_sections(self):
        offered = self.complete("help", "")
        self.assertLess({*commands(), "moe", "data", "csv", "configuration"}, set(offered))
        for word in offered:
            self.expect(runs.switchyard("help", word), 0)
        self.assertEqual(self.complete("help", "moe", ""), [])

    def test_the_keys_are_those_of_the_program(self):
        page = runs.switchyard("help", "configuration").out
        sections = re.split(r"(?m)^## \[(\w+)\]", page)[1:]
        keys = [f"--{name}.{key}=" for name, table in zip(sections[::2], sections[1::2])
                for key in re.findall(r"(?m)^\| `(\w+)`", table)]
        self.assertGreater(len(keys), 50)
        for command in ("train", "plan", "samples", "bench", "study"):
            self.assertLessEqual(set(keys), set(self.complete(command, "--")), command)

    def test_the_options_of_each_command(self):
        self.assertEqual(self.complete("report", "--"), ["--data.dir=", "--help", "--out=", "--predictions="])
        self.assertEqual(self.complete("list", "--"), ["--format=", "--help"])
        self.assertEqual(self.complete("eval", "--sp"), ["--split="])
        self.assertIn("--train.max_steps=", self.complete("resume", "--train"))
        self.assertNotIn("--model.gate=", self.complete("resume", "--"))
        self.assertEqual(self.complete("study", "--study.see"), ["--study.seeds="])
        self.assertEqual(self.complete("doctor", "--"), ["--help"])
        self.assertEqual(self.complete("convert", "--csv"), ["--csv.cluster=", "--csv.id=", "--csv.label=", "--csv.weight="])
        self.assertEqual(self.complete("convert", "--o"), ["--out="])
        self.assertIn("--data=", self.complete("new", "--data"))
        self.assertEqual(self.complete("new", "--moe"), [])

    def test_other_words_are_files(self):
        self.assertEqual(self.complete("train", "conf"), [])


if __name__ == "__main__":
    runs.main()
