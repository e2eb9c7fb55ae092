"""Studies: what comes out, the same on every layout, and what is refused."""

import csv
import json
import shutil

import runs
import studies


class Results(studies.StudyTest):
    def test_are_the_same_on_every_layout(self):
        first = self.straight()
        for ranks, per_run in ((1, 1), (2, 1), (2, 2)):
            with self.subTest(ranks=ranks, ranks_per_run=per_run):
                file, folder = self.write_study()
                self.study(file, f"--study.ranks_per_run={per_run}", ranks=ranks)
                self.assert_same_results(first, folder)

    def test_hold_every_run_and_the_selection(self):
        folder = self.straight()
        with open(folder / "runs.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        self.assertEqual([(row["stage"], row["arm"], row["seed"]) for row in rows],
                         [("result", "plain", "1"), ("result", "plain", "2")]
                         + [("selection", "sparse", seed) for seed in "1212"]
                         + [("result", "sparse", "1"), ("result", "sparse", "2")])
        found = json.loads((folder / "study.json").read_text())
        plain, sparse = found["arms"]
        self.assertEqual(plain["title"], "Plain mixture")
        errors = [runs.summary(folder / run["folder"])["test"]["error"] for run in plain["runs"]]
        self.assertEqual([run["metrics"]["test.error"] for run in plain["runs"]], errors)
        self.assertAlmostEqual(plain["summary"]["test.error"]["mean"], sum(errors) / 2, 12)
        # The combination with the smaller mean validation error won, and the results were made with it.
        means = []
        for top_k in "12":
            of_value = [runs.summary(folder / "selection" / "sparse" / f"moe.top_k={top_k}" / f"seed-000{seed}")
                        for seed in (1, 2)]
            self.assertEqual([summary["steps"] for summary in of_value], [32, 32])  # selection_epochs
            means.append(sum(summary["validation"]["error"] for summary in of_value) / 2)
        for candidate, mean in zip(sparse["selection"], means):
            self.assertAlmostEqual(candidate["mean"], mean, 12)
        best = "12"[means.index(min(means))]
        self.assertEqual(sparse["values"], {"moe.top_k": best})
        config = (folder / "runs" / "sparse" / "seed-0002" / "config.ini").read_text()
        self.assertIn(f"top_k = {best}\n", config)
        self.assertEqual(runs.summary(folder / "runs" / "sparse" / "seed-0002")["steps"], 48)
        self.assertEqual({difference["arm"] for difference in found["differences"]}, {"sparse"})
        self.assertEqual(found["published"][0]["value"], 0.25)
        self.assertIn("| Plain mixture |", (folder / "study.md").read_text())
        self.assert_only_best_checkpoints(folder)

    def test_a_run_of_the_selection_is_not_made_again(self):
        text = studies.TWO_ARMS.replace("selection_epochs = 2\n", "").replace("selection_seeds = 2", "selection_seeds = 1")
        for ranks in (0, 2):
            file, folder = self.write_study(text)
            (folder / "runs" / "sparse" / "seed-0001.tmp" / "left").mkdir(parents=True)  # of a study that was killed
            out = self.study(file, ranks=ranks).out
            values = json.loads((folder / "study.json").read_text())["arms"][1]["values"]["moe.top_k"]
            first, second = (folder / "runs" / "sparse" / f"seed-000{seed}" for seed in (1, 2))
            selecting = folder / "selection" / "sparse" / f"moe.top_k={values}" / "seed-0001"
            self.assertEqual(out.count("(its selection made it)"), 1)
            self.assertEqual((first / "summary.json").read_text(), (selecting / "summary.json").read_text())
            self.assertEqual({file.name for file in first.parent.iterdir()}, {first.name, second.name})
            self.assertIn(f"dir = {first}\n", (first / "config.ini").read_text())
            self.assert_only_best_checkpoints(folder)
            alone = self.new_path("alone")  # what the run would be if it were made
            self.expect(runs.switchyard("train", first / "config.ini", f"--run.dir={alone}"), 0)
            self.assertEqual(runs.results(first), runs.results(alone))

    def test_the_selection_makes_no_run_that_another_arm_reads(self):
        text = studies.TWO_ARMS.replace("selection_epochs = 2\n", "")
        reader = "[arm.third]\nconfig = base.ini\nafter = sparse\ninit.from = {study}/runs/sparse/seed-{seed}\n"
        file, folder = self.write_study(text, reader)
        self.assertNotIn("its selection made it", self.study(file).out)
        statuses = [run["status"] for run in json.loads((folder / "study.json").read_text())["arms"][2]["runs"]]
        self.assertEqual(statuses, ["finished"] * 2)

    def test_a_run_is_what_train_makes(self):
        folder = self.straight()
        config = (folder / "runs" / "plain" / "seed-0002" / "config.ini").read_text()
        file, run = self.new_path("alone.ini"), self.new_path("alone")
        file.write_text(config)
        self.expect(runs.switchyard("train", file, f"--run.dir={run}"), 0)
        self.assertEqual(runs.results(run), runs.results(folder / "runs" / "plain" / "seed-0002"))

    def test_checkpoints_stay_until_the_last_arm_that_comes_after(self):
        more = f"after = plain\n[arm.third]\nconfig = base.ini\nafter = sparse\n{studies.UNREADABLE}"
        file, folder = self.write_study(more=more)
        self.study(file, code=3)  # the third arm cannot run: what it comes after must still be there
        self.assertEqual(len(list(folder.glob("runs/sparse/*/checkpoints/latest"))), 2)
        self.assert_only_best_checkpoints(folder / "runs" / "plain")
        file, folder = self.write_study()
        self.study(file, "--study.keep_checkpoints=yes")
        self.assertTrue((folder / "runs" / "plain" / "seed-0001" / "checkpoints" / "latest").exists())

    def test_of_a_finished_run_the_best_checkpoint_stays(self):
        file, folder = self.write_study()
        self.assertNotIn("no checkpoint was kept", self.study(file).out)
        for run in [*folder.glob("runs/*/*"), *folder.glob("selection/*/*/*")]:
            best, = (run / "checkpoints").glob("*.h5")
            evaluated = json.loads(self.expect(runs.switchyard("eval", best), 0).out)
            said = runs.summary(run)["best"]
            self.assertEqual((evaluated["step"], evaluated["error"]), (said["step"], said["test"]["error"]))
        reader, _ = self.write_config(init_from=folder / "runs" / "plain" / "seed-0001")
        if not (folder / "runs" / "plain" / "seed-0001" / "checkpoints" / "latest").exists():
            self.expect(runs.switchyard("train", reader), 3, "its last checkpoint is gone (a study keeps the best one")

    def test_without_a_validation_split_no_checkpoint_is_kept_and_that_is_said(self):
        config, _ = self.write_config(data_validation_samples=0, train_epochs=1)
        only = studies.TWO_ARMS.split("[arm.sparse]")[0].replace("config = base.ini", f"config = {config}")
        file, folder = self.write_study(only)
        self.assertIn("no checkpoint was kept of 2 of 2 runs", self.study(file).out)
        self.assertEqual(list(folder.rglob("*.h5")), [])

    def test_quick(self):
        file, folder = self.write_study()
        self.study(file, "--study.quick=yes")
        self.assertFalse(folder.exists())
        quick = folder.parent / (folder.name + "_quick")
        found = json.loads((quick / "study.json").read_text())
        self.assertEqual([len(arm["runs"]) for arm in found["arms"]], [1, 1])
        self.assertEqual(runs.summary(quick / "runs" / "plain" / "seed-0001")["steps"], 16)

    def test_a_numeric_failure_is_recorded_and_the_study_goes_on(self):
        more = "[arm.wild]\nconfig = base.ini\noptim.learning_rate = 1e30\n"
        for ranks, per_run in ((0, 1), (2, 2)):
            with self.subTest(ranks=ranks):
                file, folder = self.write_study(more=more)
                self.study(file, f"--study.ranks_per_run={per_run}", ranks=ranks)
                failure = json.loads((folder / "runs" / "wild" / "seed-0001" / "failed.json").read_text())
                self.assertEqual(failure["kind"], "NumericError")
                found = json.loads((folder / "study.json").read_text())
                self.assertEqual([[run["status"] for run in arm["runs"]] for arm in found["arms"]],
                                 [["finished"] * 2, ["finished"] * 2, ["failed"] * 2])
                before = (folder / "runs" / "wild" / "seed-0001" / "failed.json").stat().st_mtime_ns
                self.study(file, f"--study.ranks_per_run={per_run}", ranks=ranks)
                self.assertEqual((folder / "runs" / "wild" / "seed-0001" / "failed.json").stat().st_mtime_ns, before)

    def test_of_failed_runs_alone_is_a_failure(self):
        for ranks in (0, 2):
            with self.subTest(ranks=ranks):
                file, _ = self.write_study("[study]\ndir = {dir}\nseeds = 2\nmetrics = test.error\n"
                                           "[arm.wild]\nconfig = base.ini\noptim.learning_rate = 1e30\n")
                self.assertIn("every run of the study failed or was skipped", self.study(file, ranks=ranks, code=5).out)


class After(studies.StudyTest):
    PLAIN = studies.TWO_ARMS.split("[arm.sparse]")[0]
    READS_PLAIN = """
[arm.frozen]
config = base.ini
after = plain
init.from = {study}/runs/plain/seed-{seed}
init.parts = gate
train.freeze = gate
[arm.second]
config = base.ini
after = frozen
init.from = {study}/runs/frozen/seed-{seed}
"""

    def test_an_arm_begins_with_the_weights_of_another(self):
        file, folder = self.write_study(self.PLAIN, self.READS_PLAIN)
        for ranks in (0, 2):
            file, folder = self.write_study(self.PLAIN, self.READS_PLAIN)
            self.study(file, "--study.keep_checkpoints=yes", ranks=ranks)
            for seed in ("seed-0001", "seed-0002"):
                gates = []
                for arm in ("plain", "frozen", "second"):
                    found = runs.checkpoint_bytes(runs.newest_checkpoint(folder / "runs" / arm / seed))
                    gates.append({p: c for p, c in found.items() if p.startswith("parameters/gate/")})
                self.assertEqual(gates[0], gates[1])
                self.assertNotEqual(gates[1], gates[2])

    def test_checkpoints_stay_until_they_are_read(self):
        file, folder = self.write_study(self.PLAIN, self.READS_PLAIN)
        self.study(file, ranks=2)
        found = json.loads((folder / "study.json").read_text())
        self.assertEqual({run["status"] for arm in found["arms"] for run in arm["runs"]}, {"finished"})
        self.assert_only_best_checkpoints(folder)

    def test_may_be_made_in_parts(self):
        file, folder = self.write_study(self.PLAIN, self.READS_PLAIN)
        self.study(file, "--study.arms=plain")
        self.assertNotEqual(list(folder.rglob("*.h5")), [], "another part reads them")
        plain = studies.summaries(folder)
        self.study(file, "--study.arms=plain frozen", ranks=2)
        self.study(file, ranks=2)
        self.assertEqual({path: studies.summaries(folder)[path] for path in plain}, plain, "made once")
        self.assert_only_best_checkpoints(folder)
        whole, straight = self.write_study(self.PLAIN, self.READS_PLAIN)
        self.study(whole, ranks=2)
        self.assert_same_results(folder, straight)

    def test_is_skipped_where_the_needed_run_failed(self):
        wild = self.PLAIN.replace("[arm.plain]", "[arm.plain]\noptim.learning_rate = 1e30")
        more = self.READS_PLAIN + "[arm.other]\nconfig = base.ini\n[arm.grid]\nconfig = base.ini\nafter = plain\n" \
            "init.from = {study}/runs/plain/seed-{seed}\nmoe.top_k = 1 | 2\n"
        for ranks in (0, 2):
            file, folder = self.write_study(wild, more)
            with self.subTest(ranks=ranks):
                finished = self.study(file, ranks=ranks)
                self.assertIn("frozen seed 2: skipped (the run of plain with this seed failed)", finished.out)
                self.assertIn("second seed 1: skipped (the run of frozen with this seed was skipped)", finished.out)
                self.assertEqual(self.statuses(folder), {"plain": "failed", "frozen": "skipped", "second": "skipped",
                                                         "other": "finished", "grid": "missing"})
                with open(folder / "runs.csv", newline="") as rows:
                    selection = [row["status"] for row in csv.DictReader(rows) if row["stage"] == "selection"]
                self.assertEqual(selection, ["skipped"] * 4)
                self.assertIn("runs were skipped", self.report_of(folder))
                before = self.statuses(folder)
                self.study(file, ranks=ranks)  # nothing is left to do
                self.assertEqual(self.statuses(folder), before)
                # What was skipped is made once the needed run is there.
                shutil.rmtree(folder / "runs" / "plain")
                file.write_text(file.read_text().replace("1e30", "1e-2"))
                self.study(file, ranks=ranks)
                self.assertEqual(set(self.statuses(folder).values()), {"finished"})
                self.assertEqual(list(folder.rglob("skipped.json")), [])

    def statuses(self, folder):
        """Arm -> the status of all its runs."""
        found = {}
        for arm in json.loads((folder / "study.json").read_text())["arms"]:
            status = {run["status"] for run in arm["runs"]}
            self.assertEqual(len(status), 1, arm)
            found[arm["name"]] = status.pop()
        return found

    def report_of(self, folder):
        self.expect(runs.switchyard("report", folder), 0)
        return (folder / "report.html").read_text()


class Refused(studies.StudyTest):
    def test_a_changed_study(self):
        file, folder = self.write_study()
        self.study(file)
        before = studies.summaries(folder)
        for old, new, fragment in (("[all]\n", "[all]\noptim.beta1 = 0.5\n", "optim.beta1 = 0.9"),
                                   ("importance = 0.2", "importance = 0.3", "moe.importance = 0.2")):
            changed = self.folder / "changed.ini"
            changed.write_text(file.read_text().replace(old, new))
            for ranks in (0, 2):
                finished = runs.switchyard("study", changed, ranks=ranks)
                self.expect_failure(finished, 2, fragment, "changed.ini now says", kind="ConfigError")
        self.assertEqual(studies.summaries(folder), before)
        # What does not change a result may change, and more seeds are more runs.
        self.study(file, "--study.seeds=3")
        self.assertEqual({path: studies.summaries(folder)[path] for path in before}, before)

    def test_mistakes_in_the_file(self):
        for more, fragment in (("[arm.third]\nconfig = absent.ini\n", "cannot read the configuration file"),
                               ("[arm.third]\nconfig = base.ini\nmoe.top_k = 9\n", "the arm third"),
                               ("[arm.third]\nconfig = base.ini\nmoe.topk = 1\n", "did you mean 'moe.top_k'"),
                               ("[arm.third]\nconfig = base.ini\nafter = fourth\n", "names no arm"),
                               ("[arm.third]\nconfig = base.ini\ninit.from = {study}/runs/plain/seed-{seed}\n",
                                "reads the runs of plain, and `after` does not name it")):
            file, folder = self.write_study(more=more)
            with self.subTest(fragment=fragment):
                self.expect_failure(runs.switchyard("study", file, ranks=2), 2, fragment)
                self.assertFalse(folder.exists())

    def test_an_arm_on_a_gpu_that_is_not_there(self):
        file, folder = self.write_study(more="[arm.third]\nconfig = base.ini\nrun.device = cuda\n")
        finished = runs.switchyard("study", file, ranks=2, environment={"CUDA_VISIBLE_DEVICES": ""})
        self.expect_failure(finished, 4, "run.device = cuda cannot be had", kind="CudaError")
        self.assertFalse(folder.exists())

    def test_mistakes_on_the_command_line(self):
        file, folder = self.write_study()
        for arguments, fragment in (([], "study takes one study file"),
                                    ([file, "--study.sedes=1"], "did you mean 'study.seeds'?"),
                                    ([file, "--moe.topk=1"], "did you mean 'moe.top_k'?"),
                                    ([file, "--study.ranks_per_run=2"], "does not divide the 3 rank(s)"),
                                    ([file, "--study.select_by=test.eror"], "did you mean 'test.error'?"),
                                    ([file, "--study.published=absent.csv"], "cannot read the published values")):
            with self.subTest(arguments=arguments):
                self.expect_failure(runs.switchyard("study", *arguments, ranks=3), 2, fragment, kind="ConfigError")
        self.assertFalse(folder.exists())


if __name__ == "__main__":
    runs.main()
