"""Links and paths of the documents lead somewhere, and the files about the project agree; planted offences are found."""

import pathlib
import re
import sys
import tempfile
import unittest

ROOT = pathlib.Path(sys.argv.pop(1) if len(sys.argv) > 1 else ".").resolve()
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")  # to a file, with or without a place in it
PATH = re.compile(r"`((?:[\w.*-]+/)+[\w.*-]+\.(?:cpp|hpp|cuh|py|md|ini|sh|sbatch|cmake|svg))`")
BASES = ("", "src", "docs", "tests")  # a path is told from any of these, as the sentence around it says


def pages(root):
    return sorted([*root.glob("*.md"), *(root / "docs").rglob("*.md")])


def findings(root):
    for page in pages(root):
        text = page.read_text(encoding="utf-8")
        name = page.relative_to(root).as_posix()
        for target in LINK.findall(re.sub("`[^`]*`", "", text)):
            if not (page.parent / target).exists():
                yield f"{name}: a link leads to {target}, which is not there"
        if name == "CHANGELOG.md":
            continue  # it tells of what is gone
        for path in PATH.findall(text):
            if path.split("/")[0].isupper() or "/NAME" in path:
                continue  # RUN/config.ini, moe/NAME.cpp
            if not any(next(iter((root / base).glob(path)), None) for base in BASES):
                yield f"{name}: no file {path}"


class Documents(unittest.TestCase):
    def test_links_and_paths_lead_somewhere(self):
        self.assertGreater(len(pages(ROOT)), 10)
        self.assertEqual(list(findings(ROOT)), [])

    def test_the_list_of_the_readme_is_whole(self):
        readme = (ROOT / "README.md").read_text(encoding="utf-8")
        for page in (ROOT / "docs").glob("*.md"):
            self.assertIn(f"](docs/{page.name})", readme, "README.md does not tell of this page")

    def test_one_version(self):
        version = re.search(r"project\(switchyard VERSION ([\d.]+)", (ROOT / "CMakeLists.txt").read_text()).group(1)
        self.assertIn(f"\nversion: {version}\n", (ROOT / "CITATION.cff").read_text())
        self.assertIn(f'__version__ = "{version}"', (ROOT / "python/switchyard_reader/version.py").read_text())
        changes = re.findall(r"(?m)^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text())
        self.assertEqual(changes[0], "Unreleased")

    def test_the_citation_is_a_flat_list_of_known_names(self):
        """Format 1.2.0; a reader of YAML is no part of the packages."""
        names = re.findall(r"(?m)^([\w-]+):", (ROOT / "CITATION.cff").read_text())
        self.assertLessEqual({"cff-version", "message", "title", "authors"}, set(names))
        self.assertLessEqual(set(names), {"cff-version", "message", "title", "authors", "type", "abstract", "version", "license",
                                          "keywords", "date-released", "doi", "repository-code", "url"})
        self.assertEqual(len(names), len(set(names)))


class Planted(unittest.TestCase):
    def findings(self, text):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            (root / "src/moe").mkdir(parents=True)
            (root / "docs").mkdir()
            (root / "src/moe/layer.cpp").write_text("")
            (root / "docs/a.md").write_text(text)
            return list(findings(root))

    def test_a_link_and_a_path_to_nowhere_are_found(self):
        self.assertEqual(self.findings("[b](b.md#x)"), ["docs/a.md: a link leads to b.md, which is not there"])
        self.assertEqual(self.findings("see `moe/layr.cpp`"), ["docs/a.md: no file moe/layr.cpp"])
        self.assertEqual(self.findings("[a](a.md#x) of `moe/layer.cpp`, `src/moe/*.cpp` and `[](index_t i)`, [z](https://z)"), [])


if __name__ == "__main__":
    unittest.main()
