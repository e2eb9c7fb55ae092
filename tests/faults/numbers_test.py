"""Numbers that are none: found before they are saved, named with step and array, and never among the checkpoints."""

import h5py
import numpy

import runs

RANKS = (0, 3)
BUFFER = "buffers/gate/batch_norm_1/running_variance"


class Numbers(runs.RunTest):
    train_samples = 500
    test_samples = 100

    def train_badly(self, ranks, **sections):
        config, run = self.write_config(train_epochs=3, data_validation_samples=0, checkpoint_every_steps=1, optim_warmup_steps=0,
                                        optim_schedule="constant", optim_clip_norm=0, **sections)
        return runs.switchyard("train", config, ranks=ranks), run

    def check_end(self, finished, run, *fragments):
        """Exit 5, one sentence, a summary that says the same, and nothing but finite checkpoints."""
        self.expect_failure(finished, 5, "step ", *fragments, kind="NumericError")
        found = runs.summary(run)["exit"]
        self.assertEqual(found["code"], 5)
        for fragment in fragments:
            self.assertIn(fragment, found["reason"])
        for file in (run / "checkpoints").glob("*.h5"):
            with h5py.File(file) as opened:
                opened.visititems(lambda path, item: self.assertTrue(numpy.isfinite(item[()]).all(), f"{path} of {file}")
                                  if isinstance(item, h5py.Dataset) and item.dtype.kind == "f" else None)

    def test_an_update_that_overflows_is_not_saved(self):
        for ranks in RANKS:
            with self.subTest(ranks=ranks):
                finished, run = self.train_badly(ranks, optim_learning_rate=3e38)
                self.check_end(finished, run, "step 1: ", "not finite after an update", "there is no checkpoint yet")
                self.assertEqual(list((run / "checkpoints").glob("*")), [])
                finished, run = self.train_badly(ranks, optim_learning_rate=3e38, optim_name="sgd")
                self.check_end(finished, run, "is not finite")

    def test_a_run_that_diverges_names_its_last_checkpoint(self):
        for ranks in RANKS:
            with self.subTest(ranks=ranks):
                finished, run = self.train_badly(ranks, optim_learning_rate=1e20)
                newest = runs.newest_checkpoint(run)
                self.check_end(finished, run, str(newest), "--init.from=")
                self.expect(runs.switchyard("verify", newest), 0)
                # The advice is accepted.
                config, other = self.write_config(train_max_steps=1, init_from=newest)
                self.expect_failure(runs.switchyard("train", config), 5, "step 1: ")

    def test_a_second_moment_that_overflows(self):
        finished, run = self.train_badly(0, optim_learning_rate=1e-3, optim_beta2=0, optim_epsilon=1, data_mean=0,
                                         data_standard_deviation=1e-22)
        self.check_end(finished, run, "not finite" if "not finite" in finished.err else "finite")

    def test_a_checkpoint_that_was_changed(self):
        """In every kind of array; a hidden layer's NaN, too, which a ReLU would hide."""
        for path in ("parameters/gate/dense_1/weight", "parameters/experts/0003/dense_1/bias",
                     "optimizer/experts/0002/dense_2/weight/second_moment", BUFFER):
            for value in (numpy.nan, -numpy.inf):
                with self.subTest(path=path, value=value):
                    config, run = self.write_config(train_max_steps=2)
                    self.expect(runs.switchyard("train", config), 0)

                    def spoil(file):
                        found = [name for name in names(file) if name.startswith(path.rsplit("/", 1)[0])]
                        self.assertIn(path, found)
                        array = file[path][()]
                        array.flat[0] = value
                        file[path][...] = array

                    runs.edit_checkpoint(runs.newest_checkpoint(run), spoil)
                    for ranks in RANKS:
                        finished = runs.switchyard("resume", run, "--train.max_steps=4", ranks=ranks)
                        self.expect_failure(finished, 5, f"'{path}' of the checkpoint is not finite", kind="NumericError")
                    if not path.startswith("optimizer"):
                        self.expect_failure(runs.switchyard("eval", run), 5, f"'{path}'")

    def test_every_end_leaves_a_summary(self):
        for fault, code in (("0:1:numeric", 5), ("0:1:unexpected", 70)):
            config, run = self.write_config(train_epochs=2)
            finished = runs.switchyard("train", config, environment={"SWITCHYARD_FAULT": fault})
            self.expect(finished, code)
            if code == 5:
                self.assertEqual(runs.summary(run)["exit"]["code"], code)


def names(file):
    found = []
    file.visit(found.append)
    return found


if __name__ == "__main__":
    runs.main()
