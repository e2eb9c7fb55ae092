"""Every header compiles alone. One that a source file includes before anything else is proven by that file's
compilation; the others are compiled here.

    headers_test.py ROOT COMPILER FLAGS..."""

import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

import rules

ROOT, COMPILE = pathlib.Path(sys.argv[1]).resolve(), sys.argv[2:]
del sys.argv[1:]


def unproven(root):
    """Headers below `root` that are no source file's first include. (.cuh is nvcc's: the CUDA build compiles it.)"""
    first = set()
    for file in root.rglob("*.cpp"):
        found = next(iter(rules.includes(file.read_text())), None)
        first.add(found[2] if found else None)
    headers = (file.relative_to(root).as_posix() for file in root.rglob("*.hpp"))
    return sorted(header for header in headers if header not in first)


def findings(root):
    """What the compiler says of each that does not compile."""
    result = []
    for header in unproven(root):
        finished = subprocess.run([*COMPILE, f"-I{root}", "-fsyntax-only", "-x", "c++", "-"], input=f'#include "{header}"\n',
                                  capture_output=True, text=True)
        if finished.returncode != 0:
            error = re.search(r"error: (.*)", finished.stderr)
            result.append(f"{header}: {error[1] if error else finished.stderr}")
    return result


class Headers(unittest.TestCase):
    def test_compile_alone(self):
        self.assertGreater(len(unproven(ROOT / "src")), 10, "no headers found: wrong folder?")
        self.assertEqual(findings(ROOT / "src"), [])

    def test_one_that_leans_on_others_is_found(self):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            (root / "leaning.hpp").write_text("inline std::string name() { return {}; }\n")
            (root / "proven.hpp").write_text("inline std::string name() { return {}; }\n")
            (root / "proven.cpp").write_text('#include "proven.hpp"\n')
            (root / "whole.hpp").write_text("#include <string>\ninline std::string name() { return {}; }\n")
            found = findings(root)
        self.assertEqual(len(found), 1, found)
        self.assertRegex(found[0], "^leaning.hpp: .*std")


if __name__ == "__main__":
    unittest.main()
