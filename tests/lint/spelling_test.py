"""Spelling is British, in names as in sentences; planted offences are found."""

import pathlib
import re
import sys
import unittest

import rules

ROOT = pathlib.Path(sys.argv.pop(1) if len(sys.argv) > 1 else ".").resolve()
WRITTEN = {*rules.SOURCE_SUFFIXES, ".py", ".md", ".ini", ".sh", ".sbatch", ".bash", ".cmake", ".txt", ".svg", ".1"}

AMERICAN = re.compile(
    r"(?!.*(?:siz|seiz|priz|sanitiz))\w+iz(?:e|ed|es|er|ers|ing|able|ations?)|cent(?:er|ers|ered|ering)|analyz\w+|gray|"
    r"(?:behavi|col|fav|harb|hon|hum|lab|neighb|rum|vap|vig)or(?:s|ed|ing|able|ite|ites)?|"
    r"(?:cancel|label|model|signal|travel)(?:ed|ing|er)|artifacts?|catalogs?|defenses?|judgments?|license[ds]?|fulfill")
# Names that others gave, and those that files of runs and configurations hold.
GIVEN_NAMES = re.compile(
    r"\w*(?:MPI|NCCL)_\w+|\b(?:png|PNG|JCS)_\w+|\b(?:jpeg|in|out)_color_space\b|\b(?:cuda|H5|std::|benchmark::)\w+|AuthorizedKeysFile|common-licenses|LICENSE|\"license\"|initializer_list|\w+_color_sinks?\w*|-W[\w-]+|"
    r"normalization_rule_name|\"(?:initializer_range|tokenizer_class)\"|tokenizer(?=\.model)|LoadFromSerializedProto|-artifact_prefix|color-(?:scheme|adjust)|\bcolor:|: center\b|(?:cluster_)?center_(?:min|max)|\"(?:cluster_)?center\"|"
    r"optimizer(?=/)|(?<=[\"'`])optimizer(?=[\"'`])")


def findings(text):
    """(line number, word) of what is spelt as in America."""
    for number, line in enumerate(text.splitlines(), start=1):
        for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]{2,}(?![a-z])", GIVEN_NAMES.sub(" ", line)):
            if AMERICAN.fullmatch(word.lower()):
                yield number, word


class Project(unittest.TestCase):
    def test_is_spelt_in_the_british_way(self):
        files = [file for folder in ("src", "python", "docs", "tests", "configs", "launch", ".ci")
                 for file in rules.source_files(ROOT / folder, WRITTEN)]
        files += [file for file in ROOT.iterdir() if file.suffix in WRITTEN]
        self.assertGreater(len(files), 500)
        found = [f"{file.relative_to(ROOT)}:{number}: {word}" for file in files if file.name != pathlib.Path(__file__).name
                 for number, word in findings(file.read_text(encoding="utf-8"))]
        self.assertEqual(found, [])


class Planted(unittest.TestCase):
    def test_american_words_are_found_also_within_names(self):
        for text, word in [("// the Center of it", "Center"), ("int gate_color;", "color"), ("struct AdamOptimizer;", "Optimizer"),
                           ("// it was normalized\n", "normalized"), ("x = SERIALIZE", "SERIALIZE"), ("favorite", "favorite"),
                           ("labeled", "labeled"), ("behavior", "behavior"), ("void initialize();", "initialize")]:
            self.assertEqual(list(findings(f"int a;\n{text}\n")), [(2, word)])

    def test_given_names_and_british_words_are_not(self):
        for text in ["resized, sized, prize", "normalised colour of the centre", "MPI_Finalize()", "std::initializer_list<int>",
                     "ThreadSanitizer", "data.cluster_center_min", "optimizer/gate/weight", '"optimizer"', "color-scheme: dark",
                     "labelled, modelling"]:
            self.assertEqual(list(findings(text)), [], text)


if __name__ == "__main__":
    unittest.main()
