"""Each command from a user's side: what it prints, and its exit code."""

import json
import re
import shutil

import h5py

import runs

COMMANDS = ("train", "resume", "eval", "inspect", "verify", "diff", "report", "doctor")


class Help(runs.RunTest):
    def test_help_of_every_command(self):
        for command in COMMANDS:
            with self.subTest(command=command):
                finished = self.expect(runs.switchyard(command, "--help"), 0)
                self.assertIn(f"usage: switchyard {command}", finished.out)
                self.assertEqual(finished.err, "")

    def test_the_list_of_commands(self):
        for words in (["help"], ["--help"], ["-h"]):
            finished = self.expect(runs.switchyard(*words), 0)
            for command in COMMANDS:
                self.assertRegex(finished.out, rf"(?m)^  {command} ")

    def test_the_list_tells_of_every_command_of_these_tests(self):
        listed = re.findall(r"(?m)^  (\w+) +\S", runs.switchyard("help").out)
        for command in listed:
            with self.subTest(command=command):
                self.expect(runs.switchyard(command, "--help"), 0)

    def test_help_of_a_section_or_of_a_command(self):
        whole = runs.switchyard("train", "--help").out
        commands = re.findall(r"(?m)^  (\w+) +\S", runs.switchyard("help").out)
        sections = re.findall(r"(?m)^\[(\w+)\]", whole)
        self.assertGreater(len(sections), 10)
        for section in sections:
            of_section = self.expect(runs.switchyard("help", section), 0).out
            of_section, of_command = (of_section + "\nA command, too: ").split("\nA command, too: ")[:2]
            self.assertEqual(bool(of_command), section in commands)
            self.assertIn(of_section, whole)
            self.assertEqual(re.findall(r"(?m)^\[(\w+)\]", of_section), [section])
            self.assertEqual(set(re.findall(r"(?m)^  --(\w+)\.", of_section)), {section})
        self.assertEqual(self.expect(runs.switchyard("help", "report"), 0).out, runs.switchyard("report", "--help").out)
        self.expect(runs.switchyard("help", "mow"), 2, "there is no command and no section 'mow'", "did you mean 'moe'?",
                    "sections are run, comm, data, ")
        self.expect(runs.switchyard("help", "data", "moe"), 2, "not also 'moe'")

    def test_every_key_is_documented(self):
        finished = self.expect(runs.switchyard("help", "configuration"), 0)
        for name in runs.BASE_KEYS:
            section, key = name.split(".")
            self.assertRegex(finished.out, rf"(?s)## \[{section}\].*`{key}`")

    def test_version(self):
        for word in ("--version", "version"):
            finished = self.expect(runs.switchyard(word), 0)
            self.assertRegex(finished.out, r"switchyard \d+\.\d+")

    def test_no_command(self):
        self.expect(runs.switchyard(), 2, "usage: switchyard COMMAND")

    def test_unknown_command(self):
        for ranks in (0, 1, 2, 3):
            with self.subTest(ranks=ranks):
                self.expect_failure(runs.switchyard("trian", ranks=ranks), 2, "unknown command 'trian'")

    def test_doctor(self):
        for ranks in (0, 2):
            finished = self.expect(runs.switchyard("doctor", ranks=ranks), 0)
            self.assertEqual(finished.out.count("processors for this process: "), max(1, ranks))
            self.assertIn("training device: cpu", finished.out)


class Device(runs.RunTest):
    def test_a_gpu_that_is_not_there(self):
        config, run_folder = self.write_config(train_max_steps=2)
        for ranks in (0, 2):
            with self.subTest(ranks=ranks):
                finished = runs.switchyard("train", config, "--run.device=cuda", ranks=ranks,
                                           environment={"CUDA_VISIBLE_DEVICES": ""})
                self.expect_failure(finished, 4, "run.device = cuda cannot be had", "run.device = cpu", kind="CudaError")


class OfCheckpoints(runs.RunTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        config, cls.run_folder = cls.write_config(moe_top_k=2, train_max_steps=16)
        cls.trained = runs.switchyard("train", config, ranks=2)
        if cls.trained.code != 0:
            raise AssertionError(cls.trained)
        cls.checkpoint = runs.newest_checkpoint(cls.run_folder)

    def copy_of_checkpoint(self):
        copy = self.new_path("copy.h5")
        copy.write_bytes(self.checkpoint.read_bytes())
        return copy

    def evaluate(self, *arguments, ranks=0):
        finished = self.expect(runs.switchyard("eval", *arguments, ranks=ranks), 0)
        self.assertEqual(len(finished.out.splitlines()), 1, finished)
        return json.loads(finished.out)

    def test_the_run_folder(self):
        names = sorted(entry.name for entry in self.run_folder.iterdir())
        self.assertEqual(names, ["checkpoints", "config.ini", "lock", "metrics.jsonl", "summary.json"])
        self.assertIn("experts per rank", self.trained.out)
        self.assertIn("finished all 16 steps", self.trained.out)

    def test_the_summary(self):
        found = runs.summary(self.run_folder)
        self.assertEqual(found["steps"], 16)
        self.assertEqual(found["exit"]["code"], 0)
        self.assertGreater(found["train"]["samples_per_second"], 0)
        # Counted from the layers: gate 8 x 9 + 8, batch norm 2 x 8, 392 x 64 + 64, 64 x 5 + 5; an expert 9 + 1,
        # 49 x 16 + 16, 16 x 6 + 6.
        gate = 80 + 16 + 392 * 64 + 64 + 64 * 5 + 5
        expert = 10 + 49 * 16 + 16 + 16 * 6 + 6
        self.assertEqual(found["parameters"], gate + 5 * expert)
        for split in ("validation", "test"):
            self.assertEqual(len(found[split]["expert_share"]), runs.EXPERTS)
            self.assertAlmostEqual(sum(found[split]["expert_share"]), 1.0, places=6)
            self.assertLess(found[split]["error"], 0.9)

    def test_the_effective_configuration_trains_the_same(self):
        again = self.new_path()
        finished = runs.switchyard("train", self.run_folder / "config.ini", f"--run.dir={again}")
        self.expect(finished, 0)
        self.assert_same_run(self.run_folder, again)

    def test_eval_prints_the_numbers_of_the_run(self):
        expected = runs.summary(self.run_folder)
        for ranks in (0, 1, 2, 3):
            for split in ("test", "validation"):
                with self.subTest(ranks=ranks, split=split):
                    found = self.evaluate(self.checkpoint, f"--split={split}", ranks=ranks)
                    self.assertEqual({key: found[key] for key in expected[split]}, expected[split])
                    self.assertEqual((found["split"], found["step"]), (split, 16))
        self.assertEqual(self.evaluate(self.run_folder)["error"], expected["test"]["error"])

    def test_the_help_of_eval_names_every_figure(self):
        figures = runs.summary(self.run_folder)["test"].keys() - {"samples", "sent_rows"}
        words = re.findall(r"\w+", runs.switchyard("eval", "--help").out)
        self.assertEqual(figures - set(words), set())

    def test_eval_refuses_a_split_without_samples(self):
        config, run_folder = self.write_config(data_validation_samples=0, train_max_steps=2)
        self.expect(runs.switchyard("train", config), 0)
        for ranks in (0, 2):
            with self.subTest(ranks=ranks):
                finished = runs.switchyard("eval", run_folder, "--split=validation", ranks=ranks)
                self.expect_failure(finished, 2, "the validation split has no samples")
                self.assertEqual(finished.out, "")

    def test_eval_sees_an_expert_without_weights(self):
        used = max(range(runs.EXPERTS),
                   key=lambda e: runs.summary(self.run_folder)["test"]["expert_share"][e])
        copy = self.copy_of_checkpoint()

        def zero_weights(file):
            def zero(path, item):
                if isinstance(item, h5py.Dataset):
                    item[...] = 0

            file[f"parameters/experts/{used:04}"].visititems(zero)

        runs.edit_checkpoint(copy, zero_weights)
        whole = runs.summary(self.run_folder)["test"]
        for ranks in (0, 2):
            found = self.evaluate(copy, ranks=ranks)
            self.assertNotEqual(found["loss"], whole["loss"])
            self.assertNotEqual(found["error"], whole["error"])
            self.assertEqual(found["h_s"], whole["h_s"], "the gate is as it was")

    def test_a_person_understands_the_file(self):
        expected = {
            "parameters/gate/conv_1/weight": (8, 1, 3, 3),
            "parameters/gate/dense_1/weight": (392, 64),
            "parameters/gate/dense_1/bias": (64,),
            "parameters/gate/dense_2/weight": (64, 5),
            "parameters/experts/0000/conv_1/weight": (1, 1, 3, 3),
            "parameters/experts/0004/dense_1/weight": (49, 16),
            "parameters/experts/0004/dense_2/weight": (16, 6),
            "optimizer/experts/0004/dense_2/weight/first_moment": (16, 6),
            "optimizer/gate/dense_1/weight/second_moment": (392, 64),
            "statistics/load": (5,),
            "statistics/importance": (5,),
        }
        with h5py.File(self.checkpoint, "r") as file:
            for path, shape in expected.items():
                with self.subTest(path=path):
                    self.assertIn(path, file)
                    self.assertEqual(file[path].shape, shape)
            self.assertEqual(sorted(file["parameters/experts"]), [f"{e:04}" for e in range(runs.EXPERTS)])
            self.assertEqual(int(file["state/step"][()]), 16)
            self.assertEqual(int(file["state/seed"][()]), 7)
            self.assertEqual(int(file["state/shards"][()]), 8)
            self.assertEqual(int(file["state/epoch"][()]), 2)
            self.assertEqual(int(file["schema_version"][()]), 2)
            config = file["config"][()].decode()
            self.assertIn("[moe]", config)
            self.assertRegex(config, r"(?m)^top_k = 2\b")
            self.assertIn("switchyard", file["build"][()].decode())
            self.assertEqual(int(file["statistics/load"][()].sum()),
                             2 * runs.metrics(self.run_folder)[-2]["samples"])

            def check(path, item):
                if isinstance(item, h5py.Dataset):
                    self.assertIn("crc32", item.attrs, path)

            file.visititems(check)

    def test_inspect(self):
        finished = self.expect(runs.switchyard("inspect", self.checkpoint), 0)
        for fragment in ("state/step", "parameters/experts/0004/dense_1/weight", "49 x 16", "total"):
            self.assertIn(fragment, finished.out)

    def test_verify(self):
        for ranks in (0, 2):
            finished = self.expect(runs.switchyard("verify", self.checkpoint, ranks=ranks), 0)
            self.assertEqual(finished.out.count(": whole"), max(1, ranks))

    def test_diff_with_a_tolerance(self):
        copy = self.copy_of_checkpoint()

        def move(file):
            file["parameters/gate/dense_2/bias"][3] += 0.25

        runs.edit_checkpoint(copy, move)
        finished = self.expect(runs.switchyard("diff", self.checkpoint, copy), 1)
        self.assertIn("parameters/gate/dense_2/bias", finished.out)
        self.assertIn("[3]", finished.out)
        self.expect(runs.switchyard("diff", self.checkpoint, copy, "--tolerance=0.5"), 0)
        self.expect(runs.switchyard("diff", self.checkpoint, copy, "--tolerance=0.1"), 1)

    def test_a_run_folder_stands_for_one_of_its_checkpoints(self):
        steps = {int(file.stem.split("-")[1]) for file in self.run_folder.glob("checkpoints/step-*.h5")}
        self.assertEqual(steps, {8, 16})
        best = runs.summary(self.run_folder)["best"]["step"]
        for option, step in (([], 16), (["--checkpoint=latest"], 16), (["--checkpoint=8"], 8), (["--checkpoint=best"], best)):
            with self.subTest(option=option):
                file = runs.checkpoint_at(self.run_folder, step)
                verified = self.expect(runs.switchyard("verify", self.run_folder, *option), 0)
                self.assertEqual(verified.out, f"{file}: whole\n")
                inspected = [runs.switchyard("inspect", *words).out for words in ([file], [self.run_folder, *option])]
                self.assertEqual(*inspected)
                found = self.expect(runs.switchyard("diff", self.run_folder, self.run_folder, *option), 0)
                self.assertEqual(found.out.count(f": {file}\n"), 2, found)
                for ranks in (0, 2):
                    self.assertEqual(self.evaluate(self.run_folder, *option, ranks=ranks)["step"], step)
        self.expect(runs.switchyard("diff", self.run_folder, runs.checkpoint_at(self.run_folder, 8)), 1)

    def test_a_checkpoint_that_is_not_there_is_refused_with_those_that_are(self):
        best = runs.summary(self.run_folder)["best"]["step"]
        there = f"best (step {best}), latest (step 16), 8, 16"
        for command in (["inspect"], ["verify"], ["diff", self.run_folder], ["eval"]):
            for ranks in (0, 2) if command == ["eval"] else (0,):
                with self.subTest(command=command, ranks=ranks):
                    for name, code in ((9, 3), ("newest", 2), ("-8", 2)):
                        finished = runs.switchyard(*command, self.run_folder, f"--checkpoint={name}", ranks=ranks)
                        self.expect_failure(finished, code, there)
                    finished = runs.switchyard(*command, self.run_folder, "--checkpoint=", ranks=ranks)
                    self.expect_failure(finished, 2, "--checkpoint has no value")
                    finished = runs.switchyard(*command, self.checkpoint, "--checkpoint=best", ranks=ranks)
                    self.expect_failure(finished, 2, "a file is one checkpoint")
                    finished = runs.switchyard(*command, self.folder, "--checkpoint=best", ranks=ranks)
                    self.expect_failure(finished, 3, "there is no checkpoint in")
                    finished = runs.switchyard(*command, self.folder / "nowhere", "--checkpoint=best", ranks=ranks)
                    self.expect_failure(finished, 3, "No such file or directory")

    def test_verify_never_takes_another_checkpoint_than_the_one_asked_for(self):
        copy = self.new_path("copy")
        shutil.copytree(self.run_folder, copy)
        content = bytearray(self.checkpoint.read_bytes())
        content[len(content) // 2] ^= 1
        runs.newest_checkpoint(copy).write_bytes(content)
        self.expect_failure(runs.switchyard("verify", copy), 3, "step-0000016.h5")
        self.expect(runs.switchyard("verify", copy, "--checkpoint=8"), 0)
        (copy / "checkpoints/latest").unlink()
        self.expect_failure(runs.switchyard("verify", copy), 3, "there is no checkpoint 'latest'")

    def test_wrong_uses(self):
        nothing = self.folder / "nothing.h5"
        uses = [
            (["inspect"], 2, "usage: switchyard inspect"),
            (["verify", "a", "b"], 2, "usage: switchyard verify"),
            (["diff", "a"], 2, "usage: switchyard diff"),
            (["diff", "a", "b", "--tolerance=-1"], 2, "--tolerance=-1 is no tolerance"),
            (["diff", "a", "b", "--exact"], 2, "--exact is no option of this command (command line); there is --checkpoint, --tolerance"),
            (["inspect", "a", "--checkpoint=1", "--checkpoint=1"], 2, "--checkpoint is given twice"),
            (["eval"], 2, "eval takes one checkpoint"),
            (["eval", self.checkpoint, "--split=all"], 2, "--split=all is no split"),
            (["eval", self.checkpoint, "--spilt=test"], 2, "--spilt is no option of this command (command line); there is "
             "--split, --checkpoint, and each key as --section.key=value"),
            (["eval", self.checkpoint, "--moe.experts=3"], 2, "moe.experts"),
            (["resume"], 2, "resume takes one run folder"),
            (["resume", self.folder], 3, "there is no run in"),
            (["verify", nothing], 3, "No such file or directory"),
            (["inspect", nothing], 3, "No such file or directory"),
            (["diff", self.checkpoint, nothing], 3, "No such file or directory"),
            (["eval", nothing], 3, "No such file or directory"),
            (["doctor", "twice"], 2, "doctor takes no arguments"),
        ]
        for arguments, code, fragment in uses:
            with self.subTest(arguments=arguments):
                self.expect_failure(runs.switchyard(*arguments), code, fragment)
        for arguments, code, fragment in uses[6:12] + uses[15:16]:
            with self.subTest(arguments=arguments, ranks=3):
                self.expect_failure(runs.switchyard(*arguments, ranks=3), code, fragment)


if __name__ == "__main__":
    runs.main()
