"""A model of text from a user's side: what the table at the start says, and each command on what its run leaves."""

import re

import runs
import token_runs

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
        self.assertEqual(found["loss"], "cross-entropy of the next byte + 0.1 importance + 0.01 z_loss")
        gate, expert, trunk = 12 * 5 + 5, 12 * 16 + 16 + 16 * 12 + 12, 256 * 12 + 3 * 12
        self.assertEqual(found["parameters"], f"{trunk + 2 * (gate + 5 * expert):,} ({trunk:,} outside of 2 mixture layers; "
                                              f"in each: gate {gate}, an expert {expert})")
        self.assertEqual(found["first weights"], "drawn")

    def test_of_one(self):
        folder = self.new_path("texts")
        token_runs.write_texts(folder, [token_runs.MarkovChain(1).text(5, 300_000)])
        found = self.table(tokens_blocks=1, data_dir=folder)
        self.assertEqual(found["shape"], "windows of 16 bytes, 1 domain")
        self.assertEqual(found["family"], "tokens, 1 block of width 12")
        self.assertEqual(found["experts"], "5, dense (every expert sees every token)")
        self.assertEqual(found["loss"], "cross-entropy of the next byte")
        self.assertIn("outside of 1 mixture layer; in each:", found["parameters"])


if __name__ == "__main__":
    runs.main()
