"""`switchyard report`: the page of a run is whole, says what summary.json says, and needs nothing from elsewhere."""

import html.parser
import json
import re
import shutil
import xml.etree.ElementTree

import runs

SVG = "{http://www.w3.org/2000/svg}"
NAMESPACE = "http://www.w3.org/2000/svg"
VOID = {"meta", "br", "link", "img", "input", "hr"}


class Page(html.parser.HTMLParser):
    """The numbers, sections and pictures of a page; raises if elements do not nest."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.text = text
        self.numbers = {}  # id of a <data> -> its value
        self.shown = {}  # id of a <data> -> what a reader sees
        self.sections, self.titles, self.links, self.ids = [], [], [], []
        self._open = []
        self._data = None
        self.feed(text)
        self.close()
        if self._open:
            raise AssertionError(f"not closed: {self._open}")
        self.pictures = [xml.etree.ElementTree.fromstring(p) for p in re.findall(r"(?s)<svg xmlns.*?</svg>", text)]

    def handle_starttag(self, tag, attributes):
        if tag not in VOID:
            self._open.append(tag)
        self._attributes(tag, dict(attributes))

    def handle_startendtag(self, tag, attributes):
        self._attributes(tag, dict(attributes))

    def _attributes(self, tag, attributes):
        if "id" in attributes:
            self.ids.append(attributes["id"])
        if tag == "section":
            self.sections.append(attributes["id"])
        if tag == "data":
            self._data = attributes.get("id")
            if self._data:
                self.numbers[self._data] = float(attributes["value"])
        self.links += [attributes[name] for name in ("href", "src") if name in attributes]

    def handle_endtag(self, tag):
        if not self._open or self._open.pop() != tag:
            raise AssertionError(f"</{tag}> closes something else at {self.getpos()}")
        if tag == "data":
            self._data = None

    def handle_data(self, data):
        if self._data:
            self.shown[self._data] = data
        if self._open and self._open[-1] == "figcaption":
            self.titles.append(data)


class ReportTest(runs.RunTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        config, cls.run_folder = cls.write_config(train_max_steps=20, train_shards=4)
        finished = runs.switchyard("train", config)
        if finished.code != 0:
            raise AssertionError(finished)

    def copy_of_run(self):
        copy = self.new_path("copy")
        shutil.copytree(self.run_folder, copy)
        return copy

    def report(self, folder, *arguments):
        finished = self.expect(runs.switchyard("report", folder, *arguments), 0)
        self.assertEqual(len(finished.out.splitlines()), 1, finished)
        self.assertEqual(finished.err, "")
        file = finished.out.rsplit(" (", 1)[0]
        with open(file, encoding="utf-8") as opened:
            page = Page(opened.read())
        self.assertEqual(len(page.ids), len(set(page.ids)), "an id is there twice")
        self.assertGreater(len(page.pictures), 0)
        for picture in page.pictures:
            self.assertEqual(picture.tag, SVG + "svg")
            self.assertEqual(picture.get("role"), "img")
            self.assertTrue(picture.get("aria-label"))
            for element in picture.iter():
                for name, value in element.attrib.items():
                    self.assertNotRegex(value, r"\b(nan|inf)\b", f"{element.tag} {name}")
        without_namespace = page.text.replace(f'xmlns="{NAMESPACE}"', "")
        self.assertNotRegex(without_namespace, r"https?://")
        self.assertNotRegex(page.text, r"<script|@import|url\(")
        return page


class Runs(ReportTest):
    def test_the_numbers_are_those_of_the_summary(self):
        summary = runs.summary(self.run_folder)
        page = self.report(self.copy_of_run())
        for name in ("error", "loss", "h_s", "h_u", "mi_predicted", "mi_true"):
            self.assertEqual(page.numbers[f"test.{name}"], summary["test"][name], name)
        self.assertEqual(page.shown["test.error"], f"{100 * summary['test']['error']:.2f}%")
        self.assertEqual(page.numbers["steps"], 20)
        self.assertEqual(page.numbers["parameters"], summary["parameters"])
        self.assertEqual(page.numbers["train.samples_per_second"], summary["train"]["samples_per_second"])
        self.assertEqual(page.numbers["exit.code"], 0)

    def test_the_headline_has_the_keys_that_tell_runs_apart(self):
        shown = re.search(r"</h1>\n<p>(.*)</p>", self.report(self.copy_of_run()).text)[1]
        self.assertEqual([key.rsplit(" ", 1)[0] for key in shown.split(" · ") if not key.startswith("gate ")],
                         ["seed", "experts", "top_k", "importance", "optimiser", "learning rate", "batch", "epochs"])
        self.assertIn(" · importance 0.2 · ", shown)

    def test_the_counts_are_those_of_the_summary(self):
        page = self.report(self.copy_of_run())
        picture = next(p for p in page.pictures if p.get("aria-label").startswith("True class by expert (test)"))
        cells = [c for c in picture.iter(SVG + "rect") if c.get("class") == "cell"]
        found = [int(re.search(r": ([\d]+),", c.find(SVG + "title").text).group(1)) for c in cells]
        self.assertEqual(found, sum(runs.summary(self.run_folder)["test"]["class_by_expert"], []))

    def test_every_section_is_there(self):
        page = self.report(self.copy_of_run())
        self.assertEqual([s for s in page.sections if s != "warnings"], ["learning", "experts", "time", "configuration"])
        for title in ("Loss", "Error", "Share of the experts", "Usage of the experts", "Entropies of the gate",
                      "Mutual information of expert and class", "Time per step"):
            self.assertIn(title, page.titles)
        self.assertEqual(page.links, [])

    def test_where_the_page_goes(self):
        run = self.copy_of_run()
        self.report(run)
        self.assertTrue((run / "report.html").exists())
        elsewhere = self.new_path("page.html")
        self.report(run, f"--out={elsewhere}")
        self.assertEqual(elsewhere.read_bytes(), (run / "report.html").read_bytes())
        self.assertEqual([p.name for p in run.iterdir() if p.suffix == ".tmp"], [])

    def test_a_run_that_is_not_finished(self):
        run = self.copy_of_run()
        (run / "summary.json").unlink()
        metrics = run / "metrics.jsonl"
        metrics.write_bytes(metrics.read_bytes()[:-30])
        page = self.report(run)
        self.assertIn("warnings", page.sections)
        self.assertIn("has not finished", page.text)
        self.assertIn("ends in the middle of a record", page.text)
        self.assertEqual(page.numbers["steps"], max(r["step"] for r in map(json.loads, metrics.read_text().splitlines()[:-1])
                                                    if r["kind"] == "step"))

    def test_unknown_members_and_dispatch_entropy(self):
        run = self.copy_of_run()
        records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        for record in records:
            record["unheard_of"] = {"of": [1, "</svg>"]}
            record["dispatch_entropy"] = 1 / record["step"]
        (run / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
        page = self.report(run)
        self.assertIn("Dispatch entropy", page.titles)


class Refusals(ReportTest):
    def test_refusals(self):
        nothing = self.new_path("nothing")
        nothing.mkdir()
        file = self.folder / "file"
        file.write_text("")
        broken = self.copy_of_run()
        lines = (broken / "metrics.jsonl").read_text().splitlines(keepends=True)
        (broken / "metrics.jsonl").write_text("".join(lines[:3]) + "{\"kind\":\n" + "".join(lines[3:]))
        cut = self.copy_of_run()
        (cut / "summary.json").write_text("{")
        study = self.new_path("study")
        study.mkdir()
        (study / "study.json").write_text("[]")
        for arguments, code, fragment in [
            ([self.folder / "gone"], 3, "it does not exist"),
            ([nothing], 3, "it holds neither a study.json nor a config.ini"),
            ([file], 3, "it is a file"),
            ([broken], 3, "line 4 of"),
            ([cut], 3, "summary.json' is no JSON object"),
            ([study], 3, "study.json' is no JSON object"),
            ([self.run_folder, f"--out={self.folder}"], 3, "--out=FILE"),
            ([self.run_folder, f"--out={self.folder}/gone/page.html"], 3, "--out=FILE"),
            ([], 2, "report takes one folder"),
            ([nothing, nothing], 2, "report takes one folder"),
            ([self.run_folder, "--open"], 2, "--open is no option of this command (command line); there is --out"),
            ([self.run_folder, "--out="], 2, "--out has no value"),
        ]:
            with self.subTest(arguments=arguments):
                self.expect_failure(runs.switchyard("report", *arguments), code, fragment)
        self.assertEqual(list(nothing.iterdir()), [])
        self.assertFalse((broken / "report.html").exists())

    def test_a_page_that_cannot_be_written_leaves_the_old_one(self):
        run = self.copy_of_run()
        self.report(run)
        before = (run / "report.html").read_bytes()
        finished = runs.switchyard("report", run, environment=runs.fault("write", 1, "28", path=run))
        self.expect_failure(finished, 3, "--out=FILE")
        self.assertEqual((run / "report.html").read_bytes(), before)


class Studies(ReportTest):
    def test_a_study_of_two_runs(self):
        study = self.new_path("study")
        test = runs.summary(self.run_folder)["test"]
        arms = []
        for name in ("plain", "other"):
            shutil.copytree(self.run_folder, study / "runs" / name / "seed-0001")
            arms.append({"name": name, "title": f"<{name}>", "values": {"moe.importance": "0.2"},
                         "runs": [{"seed": 1, "folder": f"runs/{name}/seed-0001", "status": "finished",
                                   "metrics": {"test.error": test["error"]}}],
                         "summary": {"test.error": {"n": 1, "mean": test["error"], "std": None, "best": test["error"]}},
                         "selection": []})
        (study / "study.json").write_text(json.dumps({
            "name": "two", "metrics": ["test.error"], "baseline": "plain", "select_by": "validation.error", "arms": arms,
            "differences": [{"arm": "other", "baseline": "plain", "metric": "test.error", "n": 1, "mean": 0.0,
                             "low": None, "high": None}],
            "published": [{"arm": "plain", "metric": "loss", "step": 10, "value": 1.5, "std": None}]}))
        page = self.report(study)
        self.assertEqual(page.sections, ["results", "spread", "differences", "curves", "runs"])
        self.assertEqual(page.links, ["runs/plain/seed-0001/", "runs/other/seed-0001/"])
        for link in page.links:
            self.assertTrue((study / link / "config.ini").exists())
        self.assertIn(f'<data value="{test["error"]}">', page.text)
        self.assertIn("published: 1.500 at 10", page.text)


if __name__ == "__main__":
    runs.main()
