"""A model of text from a user's side: what the table at the start says, and each command on what its run leaves."""

import json
import re

import h5py

import runs
import token_runs

STEPS = 16
PLACE = (2, 3)  # of a weight that a test moves
MOVED = "parameters/blocks/01/mixture/experts/0003/dense_1/weight"


def start_table(finished):
    """Word -> what it says of it, as one line."""
    text = re.sub(r"\n {28}", " ", finished.out.split("\nepoch ")[0])
    rows = [re.fullmatch(r".{10}(\S.{16}) (.*)", line) for line in text.splitlines()]
    return {row[1].strip(): row[2] for row in rows if row}


class Start(token_runs.TokenTest):
    def table(self, **keys):
        config, _ = self.write_config(train_max_steps=1, **keys)
        return start_table(self.expect(runs.switchyard("train", config), 0))

    def test_of_several_blocks(self):
        found = self.table(moe_top_k=2, moe_importance=0.1, moe_z_loss=0.01)
        self.assertEqual(found["shape"], "windows of 16 bytes, 3 domains")
        self.assertEqual(found["family"], "tokens, 2 blocks of width 12")
        self.assertEqual(found["experts"], "5, top-2")
        self.assertEqual(found["loss"], "cross-entropy of the next token + 0.1 importance + 0.01 z_loss")
        gate, expert, trunk = 12 * 5 + 5, 12 * 16 + 16 + 16 * 12 + 12, 256 * 12 + 3 * 12
        self.assertEqual(found["parameters"], f"{trunk + 2 * (gate + 5 * expert):,} ({trunk:,} outside of gates and experts; in each of "
                                              f"2 mixture layers: gate {gate}, an expert {expert})")
        self.assertEqual(found["first weights"], "drawn")

    def test_of_one(self):
        folder = self.new_path("texts")
        token_runs.write_texts(folder, [token_runs.MarkovChain(1).text(5, 300_000)])
        found = self.table(tokens_blocks=1, data_dir=folder)
        self.assertEqual(found["shape"], "windows of 16 bytes, 1 domain")
        self.assertEqual(found["family"], "tokens, 1 block of width 12")
        self.assertEqual(found["experts"], "5, dense (every expert sees every token)")
        self.assertEqual(found["loss"], "cross-entropy of the next token")
        self.assertIn("outside of gates and experts; in each of 1 mixture layer:", found["parameters"])


class OfCheckpoints(token_runs.TokenTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        _, cls.run_folder = cls.train_for_all(ranks=2, moe_top_k=2, moe_importance=0.1, train_max_steps=STEPS,
                                              checkpoint_every_steps=8)
        cls.checkpoint = runs.newest_checkpoint(cls.run_folder)

    def moved_copy(self):
        """A whole checkpoint of which one weight is 0.25 larger."""
        copy = self.new_path("copy.h5")
        copy.write_bytes(self.checkpoint.read_bytes())

        def move(file):
            array = file[MOVED][()]
            array[PLACE] += 0.25
            file[MOVED][...] = array

        runs.edit_checkpoint(copy, move)
        return copy

    def evaluate(self, *arguments, ranks=0):
        return json.loads(self.expect(runs.switchyard("eval", *arguments, ranks=ranks), 0).out)

    def test_eval_prints_the_numbers_of_the_run_on_any_number_of_ranks(self):
        expected = runs.summary(self.run_folder)
        self.assertGreater(sum(expected["test"]["layers"][1]["load"]), 0)
        for ranks in (0, 1, 3, 8):
            for split in ("test", "validation"):
                with self.subTest(ranks=ranks, split=split):
                    found = self.evaluate(self.checkpoint, f"--split={split}", ranks=ranks)
                    self.assertEqual({key: found[key] for key in expected[split]}, expected[split])
                    self.assertEqual((found["split"], found["step"]), (split, STEPS))

    def test_eval_sees_one_weight(self):
        whole, moved = self.evaluate(self.checkpoint), self.evaluate(self.moved_copy(), ranks=2)
        self.assertNotEqual(moved["loss"], whole["loss"])
        first, second = zip(moved["layers"], whole["layers"])
        self.assertEqual(*first, "what comes before it is as it was")
        self.assertEqual(*(layer["load"] for layer in second), "as are the scores of its own gate")

    def test_inspect(self):
        shapes = {"parameters/embedding/weight": "256 x 12", "parameters/norm/weight": "12",
                  "parameters/blocks/00/norm/weight": "12", "parameters/blocks/01/mixture/gate/dense_1/weight": "12 x 5",
                  MOVED: "12 x 16", "parameters/blocks/00/mixture/experts/0004/dense_2/weight": "16 x 12",
                  "optimizer/blocks/01/mixture/experts/0004/dense_2/bias/first_moment": "12",
                  "optimizer/embedding/weight/second_moment": "256 x 12"}
        finished = self.expect(runs.switchyard("inspect", self.run_folder), 0)
        for path, shape in shapes.items():
            self.assertRegex(finished.out, rf"(?m)^{path} +float32 +{shape} ")
        with h5py.File(self.checkpoint) as file:
            self.assertEqual({path: " x ".join(map(str, file[path].shape)) for path in shapes}, shapes)
            self.assertEqual(sum(array.size for array in token_runs.parameters(self.checkpoint).values()),
                             runs.summary(self.run_folder)["parameters"])

    def test_verify(self):
        for ranks in (0, 2):
            finished = self.expect(runs.switchyard("verify", self.checkpoint, ranks=ranks), 0)
            self.assertEqual(finished.out.count(": whole"), max(1, ranks))
        damaged = self.new_path("damaged.h5")
        content = bytearray(self.checkpoint.read_bytes())
        content[len(content) // 2] ^= 1
        damaged.write_bytes(content)
        self.expect_failure(runs.switchyard("verify", damaged), 3, str(damaged))

    def test_diff(self):
        copy = self.moved_copy()
        self.expect(runs.switchyard("verify", copy), 0)
        finished = self.expect(runs.switchyard("diff", self.checkpoint, copy), 1)
        self.assertIn(MOVED, finished.out)
        self.assertIn(str(list(PLACE)), finished.out)
        self.expect(runs.switchyard("diff", self.checkpoint, copy, "--tolerance=0.3"), 0)
        self.expect(runs.switchyard("diff", self.checkpoint, copy, "--tolerance=0.2"), 1)
        self.expect(runs.switchyard("diff", self.run_folder, runs.checkpoint_at(self.run_folder, 8)), 1)

    def test_the_effective_configuration_trains_the_same(self):
        again = self.new_path()
        self.expect(runs.switchyard("train", self.run_folder / "config.ini", f"--run.dir={again}", ranks=3), 0)
        self.assert_same_run(self.run_folder, again)


if __name__ == "__main__":
    runs.main()
