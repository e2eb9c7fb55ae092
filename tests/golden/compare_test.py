"""tests/golden/compare.py sees a number that has moved, and only that."""

import pathlib
import shutil
import subprocess
import sys
import unittest

import runs

COMPARE = pathlib.Path(__file__).with_name("compare.py")
CHECKOUT = COMPARE.parents[2]
NAME = "clusters/setting1_cubic"


class Compare(runs.RunTest):
    def compare(self, change=lambda text: text, part=NAME):
        """This checkout with one whose configurations are changed."""
        other = self.new_path("checkout")
        shutil.copytree(CHECKOUT / "configs", other / "configs")
        file = other / "configs" / f"{NAME}.ini"
        file.write_text(change(file.read_text()))
        return subprocess.run([sys.executable, "-B", COMPARE, CHECKOUT, runs.binary(), other, runs.binary(), part],
                              stdout=subprocess.PIPE, text=True)

    def test_the_same(self):
        finished = self.compare()
        self.assertEqual(finished.returncode, 0, finished.stdout)
        self.assertIn("1 of 1 configurations", finished.stdout)

    def test_of_data_of_ones_own(self):
        finished = self.compare(part="own/")
        self.assertEqual(finished.returncode, 0, finished.stdout)
        self.assertIn("2 of 2 configurations", finished.stdout)

    def test_a_learning_rate_that_is_a_little_larger(self):
        finished = self.compare(lambda text: text.replace("\nlearning_rate = 0.001", "\nlearning_rate = 0.0010001"))
        self.assertEqual(finished.returncode, 1, finished.stdout)
        self.assertRegex(finished.stdout, f"{NAME}: .*DIFFERENT\n  this build, 1 rank x 1 thread: \\d+ differ: ")

    def test_a_run_that_fails(self):
        finished = self.compare(lambda text: text.replace("top_k = 1", "top_k = 77"))
        self.assertEqual(finished.returncode, 1, finished.stdout)
        self.assertIn(f"{NAME}: FAILED", finished.stdout)


if __name__ == "__main__":
    runs.main()
