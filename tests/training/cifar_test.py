"""CIFAR's binary files: augmented training gives the same bits on any layout and through stops; missing files."""

import numpy

import cifar_files
import runs

# 340 training samples after the validation split, batch 64: the sixth step of an epoch has 20 samples.
KEYS = {
    "data_source": "cifar",
    "data_validation_samples": 60,
    "data_augment": "flip crop:4",
    "data_mean": "0.5074 0.4867 0.4411",
    "data_standard_deviation": "0.2011 0.1987 0.2025",
    "model_gate": "dense:16 relu dense:experts",
    "model_expert": "dense:8 relu dense:classes",
    "moe_importance": 0.2,
    "train_batch_size": 64,
    "checkpoint_every_steps": 5,
}
STEPS = 16  # into the third epoch

# Batches of 160, 160 and 20: under a dense gate an expert's rows fill one tile of 128 and a part of the next, which is
# padded; under top-1 routing some of the twelve experts see no sample of a short batch.
CONVOLUTIONS = {
    "model_gate": "padded_conv:4 batch_norm relu max_pool padded_conv:6 batch_norm relu max_pool dense:16 relu "
                  "dense:experts",
    "model_expert": "padded_conv:3 relu max_pool padded_conv:18 batch_norm relu max_pool dense:8 relu dense:classes",
    "train_batch_size": 160,
    "optim_learning_rate": 5e-3,
}
# Two samples of each image: 680 for training, 11 steps an epoch.
IMAGES = {
    "data_derive": "rotated:30",
    "data_prepare": "centre_crop:24 resize:28x32",
    "data_augment": "rotate:10 flip crop:4 blur:3x7:1.1:2.2",
}
# Blocks with what they were given as it is and through a convolution, strides, depthwise and pointwise convolutions.
BLOCKS = {
    "model_gate": "padded_conv:4/2 batch_norm relu residual:4 residual:6/2 global_average_pool dense:experts",
    "model_expert": "padded_conv:3/2 batch_norm relu6 inverted_residual:3*2 inverted_residual:5/2*2 residual:5 "
                    "global_average_pool dense:classes",
    "train_batch_size": 160,
    "optim_learning_rate": 5e-3,
}
ROUTING = {0: {"moe_top_k": 0, "moe_experts": 5}, 1: {"moe_top_k": 1, "moe_experts": 12}}


class Cifar(runs.RunTest):
    train_samples = 500  # of the made-up data set, not used here
    test_samples = 100

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.cifar10, cls.cifar100 = cls.folder / "cifar-10-batches-bin", cls.folder / "cifar-100-binary"
        cifar_files.write_cifar10(cls.cifar10)
        cifar_files.write_cifar100(cls.cifar100)

    def run_to(self, step, ranks, **sections):
        keys = {**KEYS, "data_dir": self.cifar10, "train_max_steps": step, **sections}
        return self.train(ranks=ranks, **keys)

    def test_layouts(self):
        straight = self.run_to(STEPS, 0)
        losses = [m["task_loss"] for m in runs.metrics(straight) if m["kind"] == "step"]
        self.assertEqual(len(losses), STEPS)
        self.assertLess(losses[-1], 0.8 * losses[0], "the run learned nothing: equal bits would prove nothing")
        for ranks, threads in ((2, 1), (3, 1), (0, 2)):
            with self.subTest(ranks=ranks, threads=threads):
                self.assert_same_run(straight, self.run_to(STEPS, ranks, run_threads=threads))

    def test_convolutions_with_batch_norm_on_any_layout(self):
        for top_k, routing in ROUTING.items():
            keys = {**CONVOLUTIONS, **routing}
            straight = self.run_to(8, 0, **keys)
            losses = [m["task_loss"] for m in runs.metrics(straight) if m["kind"] == "step"]
            self.assertLess(losses[-1], 0.98 * losses[0], "the run learned nothing: equal bits would prove nothing")
            self.check_running_statistics(straight, routing["moe_experts"])
            for ranks, threads in ((3, 1), (0, 2)):
                with self.subTest(top_k=top_k, ranks=ranks, threads=threads):
                    self.assert_same_run(straight, self.run_to(8, ranks, run_threads=threads, **keys))
            with self.subTest(top_k=top_k, stopped="and moved"):
                self.check_stopped_and_moved(straight, keys)

    def test_residual_blocks_on_any_layout(self):
        for top_k, routing in ROUTING.items():
            keys = {**BLOCKS, **routing}
            straight = self.run_to(6, 0, **keys)
            losses = [m["task_loss"] for m in runs.metrics(straight) if m["kind"] == "step"]
            self.assertLess(losses[-1], 0.99 * losses[0], "the run learned nothing: equal bits would prove nothing")
            for ranks, threads in ((2, 1), (3, 1), (0, 2)):
                with self.subTest(top_k=top_k, ranks=ranks, threads=threads):
                    self.assert_same_run(straight, self.run_to(6, ranks, run_threads=threads, **keys))

    def check_running_statistics(self, run, experts):
        """Each expert has its own, beside its parameters."""
        found = set()
        with runs.h5py.File(runs.newest_checkpoint(run), "r") as file:
            for expert in range(experts):
                norm = file[f"buffers/experts/{expert:04}/batch_norm_1"]
                self.assertEqual((norm["running_mean"].shape, norm["running_variance"].shape), ((18,), (18,)))
                found.add(norm["running_mean"][:].tobytes())
                self.assertNotIn("bias", file[f"parameters/experts/{expert:04}/conv_2"])
        # Under top-1 routing some experts are sent nothing and keep the zeros that all begin with.
        self.assertGreater(len(found), 3, "experts share their statistics")

    def check_stopped_and_moved(self, straight, keys):
        run = self.run_to(4, 2, **keys)
        self.resume(run, "--train.max_steps=6", ranks=4)
        self.resume(run, "--train.max_steps=8")
        self.assert_same_run(straight, run)
        test = runs.summary(straight)["test"]
        other = runs.switchyard("eval", run, "--split=test", ranks=3)
        self.assertEqual(runs.json.loads(other.out)["error"], test["error"])

    def test_augmentation_changes_the_run(self):
        files = [runs.newest_checkpoint(self.run_to(2, 0, data_augment=augment)) for augment in ("none", "flip crop:4")]
        self.assertEqual(runs.switchyard("diff", *files).code, 1)

    def test_stopped_within_epochs_and_moved(self):
        straight = self.run_to(STEPS, 0)
        run = self.run_to(4, 2)
        self.resume(run, "--train.max_steps=9", ranks=3)
        self.resume(run, f"--train.max_steps={STEPS}")
        self.assert_same_run(straight, run)

    def test_resume_refuses_another_augmentation(self):
        run = self.run_to(2, 0)
        finished = runs.switchyard("resume", run, "--data.augment=none", ranks=2)
        self.expect_failure(finished, 2, "data.augment", kind="ConfigError")

    def test_derived_prepared_and_augmented_images_on_any_layout(self):
        straight = self.run_to(14, 0, **IMAGES)
        test = runs.summary(straight)["test"]
        self.assertEqual(numpy.array(test["cluster_by_expert"]).sum(axis=1).shape, (10,))
        self.assertEqual((len(test["class_by_expert"]), numpy.sum(test["class_by_expert"])), (2, 200))
        for ranks, threads in ((2, 1), (3, 1), (0, 2)):
            with self.subTest(ranks=ranks, threads=threads):
                self.assert_same_run(straight, self.run_to(14, ranks, run_threads=threads, **IMAGES))
        run = self.run_to(4, 2, **IMAGES)
        self.resume(run, "--train.max_steps=9", ranks=3)
        self.resume(run, "--train.max_steps=14")
        self.assert_same_run(straight, run)
        for words in ("--data.derive=rotated:31", "--data.prepare=none", "--data.augment=flip crop:4"):
            self.expect_failure(runs.switchyard("resume", run, words), 2, words[2:].partition("=")[0], kind="ConfigError")
        self.check_what_is_said(run)

    def check_what_is_said(self, run):
        """Of images that are derived and prepared."""
        config = run / "config.ini"
        said = "derived: rotated:30; prepared: centre_crop:24 resize:28x32; augmented: rotate:10 flip crop:4 blur:3x7:1.1:2.2"
        self.assertIn(f"images {said}\n", self.expect(runs.switchyard("plan", config), 0).out)
        samples, table = self.new_path("samples.h5"), self.new_path("predictions.csv")
        self.expect(runs.switchyard("samples", config, f"--out={samples}"), 0)
        with runs.h5py.File(samples) as file:
            self.assertEqual(file["test/samples"].shape, (200, 3, 28, 32))
            self.assertEqual(file["validation/labels"][:].tolist(), [0, 1] * 60)
            clusters = file["validation/clusters"][:]
            ids = file["validation/ids"][:]
        self.assertEqual(clusters[::2].tolist(), clusters[1::2].tolist())
        self.assertEqual((ids[::2] + 1).tolist(), ids[1::2].tolist())
        self.expect(runs.switchyard("predict", run, f"--out={table}"), 0)
        rows = [line.split(",") for line in table.read_text().splitlines()[1:]]
        self.assertEqual([int(row[0]) for row in rows], list(range(200)))
        # Own data are prepared as the run's are; those that are labelled and turned already, not derived.
        own = self.new_path("own.h5")
        self.expect(runs.switchyard("convert", config, f"--out={own}"), 0)
        with runs.h5py.File(own) as file:
            self.assertEqual(file["test/samples"].shape, (100, 3, 32, 32))
        asked = [self.evaluated(run, *words) for words in ([], ["--data.source=hdf5", f"--data.file={own}"])]
        self.assertEqual(*(found["error"] for found in asked))
        prepared = self.new_path("prepared.h5")
        with runs.h5py.File(own) as file, runs.h5py.File(prepared, "w") as half:
            half["test/samples"], half["test/labels"] = file["test/samples"][:], numpy.zeros(100, "i4")
        words = ["--data.source=hdf5", f"--data.file={prepared}", "--data.derive=none"]
        self.assertEqual(self.evaluated(run, *words, command="predict")[1], 100)

    def evaluated(self, run, *words, command="eval"):
        if command == "predict":
            table = self.new_path("predictions.csv")
            finished = self.expect(runs.switchyard(command, run, *words, f"--out={table}"), 0)
            return finished, len(table.read_text().splitlines()) - 1
        return runs.json.loads(self.expect(runs.switchyard(command, run, *words), 0).out)

    def test_fine_labels_have_coarse_groups(self):
        straight = self.run_to(8, 0, data_dir=self.cifar100)
        found = [m for m in runs.metrics(straight) if m["kind"] == "evaluation" and m["split"] == "test"]
        table = numpy.array(runs.summary(straight)["test"]["cluster_by_expert"])
        self.assertEqual((table.shape, table.sum()), ((20, runs.EXPERTS), 100), found)
        self.assert_same_run(straight, self.run_to(8, 3, data_dir=self.cifar100))

    def test_coarse_labels(self):
        run = self.run_to(2, 2, data_dir=self.cifar100, cifar_labels="coarse")
        test = runs.summary(run)["test"]
        self.assertEqual(len(test["class_by_expert"]), 20)
        self.assertNotIn("cluster_by_expert", test)

    def test_evaluation_is_not_augmented(self):
        run = self.run_to(2, 0)

        def evaluate(split, ranks=0):
            finished = self.expect(runs.switchyard("eval", run, f"--split={split}", ranks=ranks), 0)
            found = runs.json.loads(finished.out)
            del found["time"]
            return found

        splits = {split: evaluate(split) for split in ("train", "test")}
        self.assertEqual(evaluate("train", ranks=3), splits["train"])
        self.assertEqual(splits["test"]["error"], runs.summary(run)["test"]["error"])

    def test_networks_that_do_not_fit_the_images(self):
        layers = "padded_conv:2 max_pool max_pool dense:classes"
        self.check_failure(2, "layer 3 of the expert, max_pool, cannot stand there", "any number of `padded_conv:N",
                           kind="ConfigError", model_expert=layers)
        layers = "dense:8 batch_norm relu dense:experts"
        self.check_failure(2, "layer 2 of the gate, batch_norm, cannot stand there", kind="ConfigError", model_gate=layers)

    def check_failure(self, code, *fragments, kind, **sections):
        for ranks in (0, 2, 3):
            with self.subTest(ranks=ranks):
                keys = {**KEYS, "data_dir": self.cifar10, "train_max_steps": 2, **sections}
                config, _ = self.write_config(**keys)
                finished = runs.switchyard("train", config, ranks=ranks)
                self.expect_failure(finished, code, *fragments, kind=kind)

    def test_missing_files_say_where_to_get_them(self):
        self.check_failure(3, "holds no file of CIFAR-10 or CIFAR-100", "data_batch_1.bin to data_batch_5.bin",
                           "the binary version from the CIFAR page of the University of Toronto", kind="DataError",
                           data_dir=self.folder / "nowhere")

    def test_coarse_labels_of_cifar10(self):
        self.check_failure(2, "cifar.labels = coarse but", "holds CIFAR-10", kind="ConfigError", cifar_labels="coarse")

    def test_wrong_count_of_means(self):
        self.check_failure(2, "data.mean has 2 numbers but the samples have 3 channels", kind="ConfigError",
                           data_mean="0.5 0.5")

    def test_label_out_of_range(self):
        folder = self.new_path("data")
        cifar_files.write_cifar10(folder)
        file = folder / "test_batch.bin"
        content = bytearray(file.read_bytes())
        content[7 * 3073] = 200
        file.write_bytes(content)
        self.check_failure(3, "test_batch.bin has the label 200 at byte 21511", kind="DataError", data_dir=folder)


if __name__ == "__main__":
    runs.main()
