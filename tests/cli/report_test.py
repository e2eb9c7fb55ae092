"""`switchyard report`: the page of a run is whole, says what summary.json says, and needs nothing from elsewhere."""

import base64
import gzip
import html.parser
import json
import re
import shutil
import struct
import xml.etree.ElementTree
import zlib

import h5py
import numpy

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

    def report(self, *arguments, samples=False):
        """`samples`: pictures of them are there, and nothing else from outside the text."""
        finished = self.expect(runs.switchyard("report", *arguments), 0)
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
        self.assertEqual([link for link in page.links if link.startswith("data:")] != [], samples)
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
        for title in ("Loss", "Error", "Share of the experts, by gate weight", "Share of the experts, by largest weight", "Usage of the experts", "Entropies of the gate",
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
            ([], 2, "report takes the folder of a run or study"),
            ([nothing, nothing], 3, "it holds neither a config.ini nor"),
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


class Comparisons(ReportTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        _, cls.other = cls.train_for_all(train_max_steps=16, train_shards=4, moe_top_k=2)

    def test_the_numbers_are_those_of_the_summaries(self):
        out = self.new_path("page.html")
        page = self.report(self.run_folder, self.other, f"--out={out}")
        summaries = [runs.summary(folder) for folder in (self.run_folder, self.other)]
        for run, summary in enumerate(summaries, start=1):
            for name in ("error", "loss", "h_s", "h_u", "mi_predicted", "mi_true", "largest_share"):
                self.assertEqual(page.numbers[f"run-{run}.test.{name}"], summary["test"][name], name)
                self.assertEqual(page.numbers[f"run-{run}.validation.{name}"], summary["validation"][name], name)
            self.assertEqual(page.numbers[f"run-{run}.steps"], summary["steps"])
            self.assertEqual(page.numbers[f"run-{run}.parameters"], summary["parameters"])
        error = 100 * (summaries[1]["test"]["error"] - summaries[0]["test"]["error"])
        shown = re.search(r'id="run-2.test.error".*?<span class="difference">(.*?) pp<', page.text)[1]
        self.assertAlmostEqual(float(shown.replace("±", "")), error, delta=0.0051)
        self.assertIn('<span class="difference">-4</span>', page.text)  # steps

    def test_only_the_keys_that_differ_are_there(self):
        page = self.report(self.run_folder, self.other, f"--out={self.new_path('page.html')}")
        table = re.search(r'(?s)<section id="differences">(.*?)</section>', page.text)[1]
        rows = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in re.findall(r"<tr><td.*?</tr>", table)]
        self.assertEqual(rows, [["moe.top_k", "0", "2"], ["train.max_steps", "20", "16"]])
        self.assertNotIn("Builds", page.text)

    def test_every_chart_has_a_curve_for_each_run(self):
        page = self.report(self.run_folder, self.other, f"--out={self.new_path('page.html')}")
        self.assertEqual([s for s in page.sections if s != "warnings"], ["results", "differences", "learning", "experts"])
        self.assertGreater(len(page.pictures), 8)
        for picture in page.pictures:
            curves = [p.get("class") for p in picture.iter(SVG + "path")]
            self.assertEqual(sorted(curves), ["curve c0", "curve c1"], picture.get("aria-label"))

    def test_the_page_is_in_this_folder_and_links_to_the_runs(self):
        here = self.new_path("here")
        here.mkdir()
        finished = self.expect(runs.switchyard("report", self.run_folder, self.other, cwd=here), 0)
        self.assertRegex(finished.out, r"^comparison\.html \(\d+ KiB\)\n$")
        page = Page((here / "comparison.html").read_text(encoding="utf-8"))
        self.assertEqual([(here / link).resolve() for link in page.links], [self.run_folder.resolve(), self.other.resolve()])

    def test_refusals(self):
        study = self.new_path("study")
        study.mkdir()
        (study / "study.json").write_text("{}")
        run = self.run_folder
        for arguments, code, fragment in [
            ([run, run], 2, "are one run"),
            ([run, f"{run}/../{run.name}"], 2, "are one run"),
            ([run, study], 2, "is a study, and runs alone are compared"),
            ([run, self.folder / "gone"], 3, "it does not exist"),
            ([run, self.folder], 3, "it holds neither a config.ini nor"),
            ([run, self.other, "--predictions=x.h5"], 2, "--predictions is of one run"),
            ([run, "--data.dir=x"], 2, "--data.dir has nothing to change"),
            ([run, "--predictions=gone.h5"], 3, "gone.h5"),
            ([run, "--predictions=some.csv"], 2, "--predictions=some.csv is a table of text"),
        ]:
            with self.subTest(arguments=arguments):
                self.expect_failure(runs.switchyard("report", *arguments, cwd=self.folder), code, fragment)
        self.assertFalse((self.folder / "comparison.html").exists())


def pixels_of(source):
    """The pixels of a grey picture in a page, by the standard: a reader of our own."""
    png = base64.b64decode(source.removeprefix("data:image/png;base64,"))
    chunks, at = {}, 8
    while at < len(png):
        size, kind = struct.unpack(">I4s", png[at:at + 8])
        content = png[at + 8:at + 8 + size]
        assert struct.unpack(">I", png[at + 8 + size:at + 12 + size])[0] == zlib.crc32(kind + content)
        chunks[kind] = content
        at += 12 + size
    width, height, depth, colours = struct.unpack(">IIBB", chunks[b"IHDR"][:10])
    assert (depth, colours) == (8, 0)
    rows = numpy.frombuffer(zlib.decompress(chunks[b"IDAT"]), numpy.uint8).reshape(height, width + 1)
    assert not rows[:, 0].any()  # no filter
    return rows[:, 1:]


class Samples(ReportTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.predictions = cls.new_path("predictions.h5")
        finished = runs.switchyard("predict", cls.run_folder, f"--out={cls.predictions}")
        if finished.code != 0:
            raise AssertionError(finished)
        with h5py.File(cls.predictions) as file:
            cls.said = {name: values[()] for name, values in file.items() if values.shape}

    def report_samples(self):
        return self.report(self.run_folder, f"--predictions={self.predictions}", f"--out={self.new_path('page.html')}",
                           samples=True)

    def expected(self):
        """Of each expert, the ids of the most certain and of the most contested samples."""
        weights, experts = self.said["gate_weights"].astype(float), self.said["experts"]
        first = experts[numpy.arange(len(weights)), weights.argmax(1)]
        ordered = numpy.sort(weights, 1)
        lead, sure = ordered[:, -1] - ordered[:, -2], self.said["probabilities"].max(1)
        found = {}
        for expert in numpy.unique(first):
            mine = numpy.flatnonzero(first == expert)
            count = min(8, (len(mine) + 1) // 2)
            certain = sorted(mine, key=lambda n: (-ordered[n, -1], -sure[n]))[:count]
            left = [n for n in mine if n not in certain]
            contested = sorted(left, key=lambda n: (lead[n], sure[n]))[:count]
            found[int(expert)] = [[int(self.said["ids"][n]) for n in kind] for kind in (certain, contested) if kind]
        return found

    def test_are_those_of_the_predictions(self):
        page = self.report_samples()
        found = {}
        for part in re.findall(r'(?s)<div class="card">(.*?)</div>', page.text):
            expert = int(re.search(r"<h3>Expert (\d+): ", part)[1])
            sheets = re.findall(r'(?s)<ul class="samples">(.*?)</ul>', part)
            found[expert] = [[int(i) for i in re.findall(r'alt="sample (\d+): ', sheet)] for sheet in sheets]
        self.assertEqual(found, self.expected())

    def test_pictures_are_of_the_samples(self):
        page = self.report_samples()
        with gzip.open(self.data / "t10k-images-idx3-ubyte.gz") as file:
            images = numpy.frombuffer(file.read(), numpy.uint8, offset=16).reshape(-1, runs.IMAGE_SIDE, runs.IMAGE_SIDE).astype(float)
        found = re.findall(r'<img src="([^"]*)" width="56" height="56" alt="sample (\d+): label (\d+), prediction (\d+)', page.text)
        self.assertGreater(len(found), 10)
        for source, sample, label, prediction in found:
            at = numpy.flatnonzero(self.said["ids"] == int(sample))[0]
            self.assertEqual((self.said["labels"][at], self.said["prediction"][at]), (int(label), int(prediction)))
            numpy.testing.assert_allclose(pixels_of(source), images[int(sample)], atol=0.51)

    def test_wrong_predictions_are_counted(self):
        page = self.report_samples()
        picture = next(p for p in page.pictures if p.get("aria-label").startswith("Wrong predictions (test)"))
        found = numpy.array([int(re.search(r": (\d+),", c.find(SVG + "title").text)[1]) for c in picture.iter(SVG + "rect")])
        first = self.said["experts"][numpy.arange(len(self.said["ids"])), self.said["gate_weights"].argmax(1)]
        wrong = self.said["labels"] != self.said["prediction"]
        expected = numpy.zeros((runs.CLASSES, runs.EXPERTS), int)
        numpy.add.at(expected, (self.said["labels"][wrong], first[wrong]), 1)
        self.assertEqual(found.tolist(), expected.ravel().tolist())

    def test_without_the_data_are_a_table(self):
        run = self.copy_of_run()
        config = (run / "config.ini").read_text()
        (run / "config.ini").write_text(config.replace(f"dir = {self.data}", f"dir = {self.folder}/gone"))
        asked = ["report", run, f"--predictions={self.predictions}"]
        finished = self.expect(runs.switchyard(*asked), 0, "samples are shown without pictures: ")
        self.assertNotIn("predictions", finished.err)  # a copy of the run holds the checkpoint, too
        page = Page((run / "report.html").read_text(encoding="utf-8"))
        self.assertIn("samples", page.sections, finished)
        self.assertNotIn("<img", page.text)
        self.assertIn("most contested", page.text)
        # Where they are now.
        self.expect(runs.switchyard(*asked, f"--data.dir={self.data}"), 0)
        self.assertIn("<img", (run / "report.html").read_text(encoding="utf-8"))

    def test_of_other_data_are_refused(self):
        other = self.new_path("other")
        runs.write_data_set(other, self.train_samples, 50)
        self.expect_failure(runs.switchyard("report", self.run_folder, f"--predictions={self.predictions}",
                                            f"--data.dir={other}"), 3, "are of other data than these (the digest of ")
        run = self.copy_of_run()
        config = (run / "config.ini").read_text()
        (run / "config.ini").write_text(config.replace(f"dir = {self.data}", f"dir = {other}"))
        self.expect_failure(runs.switchyard("report", run, f"--predictions={self.predictions}"), 3, "are of other data than the run's")

    def test_of_other_scales_and_other_data_are_seen_as_they_are(self):
        """Data that hold test samples alone have no scales of their own."""
        run = self.train(data_normalise="channel", data_mean=0, data_standard_deviation=1)
        random = numpy.random.default_rng(3)
        images = random.integers(0, 200, (40, runs.IMAGE_SIDE, runs.IMAGE_SIDE), numpy.uint8)
        data, said = self.new_path("new.h5"), self.new_path("said.h5")
        with h5py.File(data, "w") as out:
            out["test/samples"] = images
        keys = ("--data.source=hdf5", f"--data.file={data}")
        self.expect(runs.switchyard("predict", run, *keys, f"--out={said}"), 0)
        page = self.report(run, f"--predictions={said}", *keys, samples=True)
        found = re.findall(r'<img src="([^"]*)" width="56" height="56" alt="sample (\d+): ', page.text)
        self.assertGreater(len(found), 10)
        for source, sample in found:
            numpy.testing.assert_allclose(pixels_of(source), images[int(sample)], atol=0.51)
        # Without the keys these would be other samples of the same ids.
        self.expect_failure(runs.switchyard("report", run, f"--predictions={said}"), 3, "are of other data than the run's")

    def test_of_another_model_are_refused(self):
        run = self.train(run_seed=77, train_max_steps=20, train_shards=4)
        asked = ["report", run, f"--predictions={self.predictions}"]
        self.expect_failure(runs.switchyard(*asked), 3, "are of another model than that of ", "has the digest ", "write them again")
        # A checkpoint that the run does not hold any more cannot be compared.
        for file in (run / "checkpoints").glob("step-*.h5"):
            file.rename(file.with_name("step-9999999.h5"))
        self.expect(runs.switchyard(*asked), 0, "whether they are of its model is not known")
        self.assertIn("whether they are of its model is not known", (run / "report.html").read_text())
        config = (run / "config.ini").read_text()
        (run / "config.ini").write_text(config.replace(f"experts = {runs.EXPERTS}", "experts = 1"))
        self.expect_failure(runs.switchyard(*asked), 3, "one is by expert ", "and the run has 1")

    def test_of_a_study_are_refused(self):
        study = self.new_path("study")
        study.mkdir()
        (study / "study.json").write_text("{}")
        finished = runs.switchyard("report", study, f"--predictions={self.predictions}")
        self.expect_failure(finished, 2, "is a study, and predictions are of the model of a run")
        self.assertNotIn("warning", finished.err)

    def test_of_another_file_are_refused(self):
        samples = self.new_path("samples.h5")
        config, _ = self.write_config()
        self.expect(runs.switchyard("samples", config, f"--out={samples}"), 0)
        self.expect_failure(runs.switchyard("report", self.run_folder, f"--predictions={samples}"), 3,
                            "holds no predictions (there is no array ids)")


if __name__ == "__main__":
    runs.main()
