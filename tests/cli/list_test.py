"""`switchyard list`: how far runs are and how good, as their own files say, whatever state they are in."""

import csv
import io
import json
import shutil

import runs


class ListTest(runs.RunTest):
    def rows(self, folder):
        """By folder, as csv.DictReader has them, and their order."""
        finished = self.expect(runs.switchyard("list", folder, "--format=csv"), 0)
        self.assertEqual(finished.err, "")
        rows = list(csv.DictReader(io.StringIO(finished.out)))
        return {row["folder"]: row for row in rows}, [row["folder"] for row in rows]

    def train_in(self, folder, code=0, **keys):
        config, _ = self.write_config(run_dir=folder, **keys)
        self.expect(runs.switchyard("train", config), code)
        return folder


class States(ListTest):
    def test_of_a_finished_run(self):
        folder = self.new_path("runs")
        run = self.train_in(folder / "one", train_epochs=2)
        rows, _ = self.rows(folder)
        row, summary = rows["one"], runs.summary(run)
        self.assertEqual((row["kind"], row["state"], row["exit_code"], row["score"]), ("run", "finished", "0", "error"))
        self.assertEqual((int(row["done"]), int(row["planned"])), (summary["steps"], summary["steps"]))
        self.assertEqual(float(row["validation"]), summary["validation"]["error"])
        self.assertEqual(float(row["test"]), summary["test"]["error"])
        self.assertEqual(int(row["parameters"]), summary["parameters"])
        seconds = sum(r["time"]["step"] for r in map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
                      if r["kind"] == "step")
        self.assertAlmostEqual(float(row["seconds"]), seconds, places=6)

    def test_of_a_run_that_records_some_steps(self):
        folder = self.new_path("runs")
        for every in (3, 1000):
            run = self.train_in(folder / str(every), train_epochs=2, metrics_every_steps=every)
            row, summary = self.rows(folder)[0][str(every)], runs.summary(run)
            self.assertEqual((int(row["done"]), int(row["planned"])), (summary["steps"], summary["steps"]))
            self.assertAlmostEqual(float(row["seconds"]), summary["train"]["seconds"], delta=2 * summary["train"]["seconds"])
            self.assertGreater(float(row["seconds"]), 0)
            page = self.folder / f"{every}.html"
            self.expect(runs.switchyard("report", run, f"--out={page}"), 0)
            self.assertNotIn("metrics.jsonl lacks", page.read_text())
        # What is missing is still told.
        lines = (folder / "3" / "metrics.jsonl").read_text().splitlines()
        (folder / "3" / "metrics.jsonl").write_text("\n".join(lines[1:]) + "\n")
        self.expect(runs.switchyard("report", folder / "3", f"--out={page}"), 0)
        self.assertIn("metrics.jsonl lacks 1 of the 5 records of steps", page.read_text())

    def test_of_a_run_that_stopped_early_and_went_on(self):
        folder = self.new_path("runs")
        run = self.train_in(folder / "one", code=75, train_epochs=2, run_max_minutes=1e-5)
        rows, _ = self.rows(folder)
        self.assertEqual((rows["one"]["state"], rows["one"]["exit_code"]), ("stopped", "75"))
        self.assertEqual(rows["one"]["reason"], runs.summary(run)["exit"]["reason"])
        shown = runs.switchyard("list", folder).out.splitlines()
        self.assertTrue(shown[1].startswith("stopped 75  "), shown)
        self.assertIn(runs.summary(run)["exit"]["reason"][:40], shown[2])
        self.resume(run, "--run.max_minutes=0")
        self.assertEqual(self.rows(folder)[0]["one"]["state"], "finished")

    def test_of_a_run_under_way_and_killed(self):
        folder = self.new_path("runs")
        config, run = self.write_config(run_dir=folder / "one", train_epochs=500)
        running = runs.Running("train", config)
        metrics = folder / "one" / "metrics.jsonl"
        try:
            self.assertTrue(running.wait_until(lambda: metrics.exists() and b'"epoch":3' in metrics.read_bytes()))
            row = self.rows(folder)[0]["one"]
            self.assertEqual(row["state"], "running")
            self.assertGreater(int(row["done"]), 0)
            self.assertEqual(int(row["planned"]), 8 * 500)  # 900 samples in batches of 128
            self.assertNotEqual(row["validation"], "")
            self.assertIsNone(running.process.poll(), "asking ended it")
        finally:
            running.kill()
        self.assertEqual(self.rows(folder)[0]["one"]["state"], "unfinished")

    def test_a_run_starts_while_others_ask(self):
        folder = self.new_path("runs")
        folder.mkdir()
        config, _ = self.write_config(run_dir=folder / "one", train_max_steps=2)
        running = runs.Running("train", config)
        while running.process.poll() is None:
            self.expect(runs.switchyard("list", folder), 0)
        self.expect(running.wait(), 0)

    def test_of_a_damaged_run(self):
        folder = self.new_path("runs")
        run = self.train_in(folder / "one", train_max_steps=2)
        (run / "summary.json").write_text("{")
        rows, _ = self.rows(folder)
        self.assertEqual(rows["one"]["state"], "damaged")
        self.assertIn("is no JSON object", rows["one"]["reason"])


class Folders(ListTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        _, cls.run_folder = cls.train_for_all(train_max_steps=4)

    def copies(self, *names):
        folder = self.new_path("runs")
        for name in names:
            shutil.copytree(self.run_folder, folder / name)
        return folder

    def test_nothing_is_written(self):
        folder = self.copies("a", "b/c")
        before = [(p, p.stat().st_mtime_ns) for p in sorted(folder.rglob("*"))]
        for form in ("text", "csv"):
            self.expect(runs.switchyard("list", folder, f"--format={form}"), 0)
        self.assertEqual([(p, p.stat().st_mtime_ns) for p in sorted(folder.rglob("*"))], before)

    def test_fits_80_columns(self):
        folder = self.copies("one", "a_name_of_17_lett", "deeper/two")
        lines = runs.switchyard("list", folder).out.splitlines()
        self.assertEqual(len(lines), 5, lines)
        self.assertEqual(lines[0].split(), ["state", "steps", "valid.", "test", "param.", "time", "last", "run"])
        self.assertEqual(lines[-1], "valid. and test: error")
        self.assertLessEqual(max(map(len, lines)), 80, lines)
        error = f"{100 * runs.summary(self.run_folder)['test']['error']:.2f}%"
        for line in lines[1:-1]:
            self.assertEqual(line.split()[3], error)

    def test_the_default_is_runs(self):
        folder = self.copies("one")
        self.assertEqual(runs.switchyard("list", cwd=folder.parent / folder.name / "..").code, 3)
        (folder / "runs").mkdir()
        shutil.move(folder / "one", folder / "runs/one")
        self.assertIn("one", self.expect(runs.switchyard("list", cwd=folder), 0).out)

    def test_a_study_is_a_line(self):
        folder = self.new_path("runs")
        for seed in (1, 2):
            shutil.copytree(self.run_folder, folder / f"small/runs/plain/seed-{seed}")
        arms = [{"name": "plain", "runs": [{"seed": seed, "status": "finished"} for seed in (1, 2)]}]
        (folder / "small/study.json").write_text(json.dumps({"arms": arms}))
        rows, _ = self.rows(folder)
        self.assertEqual(list(rows), ["small"])
        self.assertEqual([rows["small"][k] for k in ("kind", "state", "done", "planned")], ["study", "finished", "2", "2"])
        self.assertIn("2 runs", runs.switchyard("list", folder).out)
        self.assertEqual(sorted(self.rows(folder / "small")[0]), ["runs/plain/seed-1", "runs/plain/seed-2"])

    def test_a_name_that_is_no_word(self):
        folder = self.copies('a,b "c"', "d\x1b[1m\ne")
        self.assertEqual(sorted(self.rows(folder)[0]), ['a,b "c"', "d\x1b[1m\ne"])
        self.assertNotIn("\x1b", runs.switchyard("list", folder).out)

    def test_refusals(self):
        empty = self.new_path("empty")
        empty.mkdir()
        self.assertEqual(self.expect(runs.switchyard("list", empty), 0).out, f"there is no run in '{empty}' or below it\n")
        for arguments, code, fragment in [
            ([self.folder / "gone"], 3, "cannot list"),
            ([self.run_folder / "config.ini"], 3, "cannot list"),
            ([empty, empty], 2, "list takes one folder"),
            ([empty, "--format=json"], 2, "--format=json is neither text nor csv"),
            ([empty, "--sort=x"], 2, "--sort is no option of this command"),
        ]:
            with self.subTest(arguments=arguments):
                self.expect_failure(runs.switchyard("list", *arguments), code, fragment)


if __name__ == "__main__":
    runs.main()
