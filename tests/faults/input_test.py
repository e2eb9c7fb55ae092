"""Configurations and data that are wrong: one sentence, the right exit code, at once, on every rank count."""

import runs

RANKS = (0, 2, 3)  # 0: one rank without a launcher


class Configuration(runs.RunTest):
    train_samples = 500
    test_samples = 100

    def check(self, code, *fragments, arguments=(), kind="ConfigError", **sections):
        for ranks in RANKS:
            with self.subTest(ranks=ranks):
                config, run = self.write_config(train_max_steps=3, **sections)
                finished = runs.switchyard("train", config, *arguments, ranks=ranks)
                self.expect_failure(finished, code, *fragments, kind=kind)
                self.assertFalse((run / "metrics.jsonl").exists())

    def test_unknown_key_in_the_file(self):
        self.check(2, "optim.learning_rat'", "learning_rate", optim_learning_rat=1)

    def test_unknown_key_on_the_command_line(self):
        self.check(2, "optim.learning_rat'", "learning_rate", arguments=["--optim.learning_rat=1"])

    def test_value_out_of_range(self):
        self.check(2, "optim.beta1 = '1.5' is out of range", arguments=["--optim.beta1=1.5"])

    def test_value_of_another_type(self):
        self.check(2, "train.batch_size", arguments=["--train.batch_size=many"])

    def test_more_top_k_than_experts(self):
        self.check(2, "more top-k than experts (moe.top_k = 6, moe.experts = 5)", moe_top_k=6)

    def test_validation_takes_all_samples(self):
        self.check(2, "leaves no training sample", data_validation_samples=500)

    def test_missing_configuration(self):
        for ranks in RANKS:
            finished = runs.switchyard("train", self.folder / "nowhere.ini", ranks=ranks)
            self.expect_failure(finished, 2, "nowhere.ini", kind="ConfigError")

    def test_no_configuration_given(self):
        for ranks in RANKS:
            self.expect_failure(runs.switchyard("train", ranks=ranks), 2, "ConfigError: ")


class Data(runs.RunTest):
    train_samples = 500
    test_samples = 100

    def setUp(self):
        self.copy = self.new_path("data")
        runs.write_data_set(self.copy, self.train_samples, self.test_samples)

    def check(self, *fragments):
        for ranks in RANKS:
            with self.subTest(ranks=ranks):
                config, run = self.write_config(train_max_steps=3, data_dir=self.copy)
                finished = runs.switchyard("train", config, ranks=ranks)
                self.expect_failure(finished, 3, *fragments, kind="DataError")
                self.assertFalse(run.exists())  # a refused run leaves nothing

    def test_missing_folder(self):
        self.copy = self.folder / "nowhere"
        self.check("train-images-idx3-ubyte")

    def test_missing_file(self):
        (self.copy / "t10k-labels-idx1-ubyte").unlink()
        self.check("t10k-labels-idx1-ubyte")

    def test_truncated_gz(self):
        file = self.copy / "train-images-idx3-ubyte.gz"
        file.write_bytes(file.read_bytes()[:-1000])
        self.check("train-images-idx3-ubyte.gz")

    def test_damaged_gz(self):
        file = self.copy / "train-images-idx3-ubyte.gz"
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 0x10
        file.write_bytes(content)
        self.check("train-images-idx3-ubyte.gz")

    def test_truncated_plain_file(self):
        file = self.copy / "train-labels-idx1-ubyte"
        file.write_bytes(file.read_bytes()[:-1])
        self.check("train-labels-idx1-ubyte")

    def test_labels_that_do_not_match_the_images(self):
        file = self.copy / "t10k-labels-idx1-ubyte"
        labels = runs.numpy.zeros(99)
        runs.write_idx(file, labels)
        self.check("t10k-labels-idx1-ubyte has 99 numbers", "has 100 samples")

    def test_another_kind_of_file(self):
        (self.copy / "train-labels-idx1-ubyte").write_text("no labels at all\n")
        self.check("train-labels-idx1-ubyte")


class LearningRate(runs.RunTest):
    def test_absurd_learning_rate(self):
        for ranks in RANKS:
            with self.subTest(ranks=ranks):
                config, _ = self.write_config(
                    optim_learning_rate=1e30, optim_warmup_steps=0, optim_clip_norm=0, train_max_steps=20)
                finished = runs.switchyard("train", config, ranks=ranks)
                self.expect_failure(finished, 5, "optim.learning_rate", kind="NumericError")


if __name__ == "__main__":
    runs.main()
