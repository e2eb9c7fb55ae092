"""src/ and tests/ are formatted as .clang-format says; a planted offence is found.

Arguments: the root of the project and clang-format (the test exists only where it is installed)."""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

import rules

CLANG_FORMAT = sys.argv.pop(2)
ROOT = pathlib.Path(sys.argv.pop(1)).resolve()


def badly_formatted(files):
    """The files that clang-format would change; one process per processor, since it is slow."""
    processes = os.cpu_count() or 1
    batches = [files[i::processes] for i in range(processes)]
    running = [
        subprocess.Popen([CLANG_FORMAT, "--dry-run", "--Werror", "--ferror-limit=1", "--style=file", *map(str, batch)],
                         stderr=subprocess.PIPE, text=True)
        for batch in batches if batch
    ]
    named = []
    for process in running:
        messages = process.communicate()[1]
        named += {line.split(": error:")[0].rsplit(":", 2)[0] for line in messages.splitlines() if ": error:" in line}
        if process.returncode != 0 and not named:
            raise RuntimeError(messages)
    return sorted(named)


class Format(unittest.TestCase):
    def test_sources_and_tests_are_formatted(self):
        files = rules.source_files(ROOT / "src") + rules.source_files(ROOT / "tests")
        self.assertGreater(len(files), 10, "no sources found: wrong folder?")
        self.maxDiff = None
        self.assertEqual(badly_formatted(files), [], "run clang-format -i on these")

    def test_a_badly_formatted_file_is_found(self):
        with tempfile.TemporaryDirectory() as folder:
            shutil.copy(ROOT / ".clang-format", folder)
            good, bad = pathlib.Path(folder) / "good.cpp", pathlib.Path(folder) / "bad.cpp"
            good.write_text("int a = 1;\n")
            bad.write_text("int   a=1 ;\n")
            found = badly_formatted([good, bad])
            self.assertEqual(found, [str(bad)])


if __name__ == "__main__":
    unittest.main()
