"""What `bench` counts and says of its figures."""

import re

import runs

PIXELS = runs.IMAGE_SIDE ** 2
# Multiply-adds of a sample forward, per layer: gate, and the two layers of an expert.
GATE = PIXELS * runs.EXPERTS
FIRST, SECOND = PIXELS * 32, 32 * runs.CLASSES


class Step(runs.RunTest):
    """Forward, weight gradients, and input gradients where the input is no sample."""

    def step(self, **sections):
        config, _ = self.write_config(**{"train_max_steps": 2, "model_gate": "dense:experts",
                                         "model_expert": "dense:32 relu dense:classes", **sections})
        return self.expect(runs.switchyard("bench", "step", config), 0).out

    def multiply_adds(self, **sections):
        output = self.step(**sections)
        calculated = re.search(r"; (\S+) MFLOP a sample", output)[1]
        self.assertIn(f"\ncounted: {calculated} MFLOP a sample, and ", output)
        return round(float(calculated) * 1e6 / 2)

    def test_the_multiply_adds_that_are_done_are_counted(self):
        expert = 2 * FIRST + 3 * SECOND
        for sections, by_hand in (
                ({}, 2 * GATE + runs.EXPERTS * expert),
                ({"moe_top_k": 2}, 2 * GATE + 2 * expert),
                ({"moe_top_k": 2, "train_freeze": "gate", "moe_importance": 0}, GATE + 2 * expert),
                ({"moe_top_k": 2, "train_freeze": "experts"}, 2 * GATE + 2 * (FIRST + SECOND))):
            with self.subTest(**sections):
                self.assertEqual(self.multiply_adds(**sections), by_hand)

    def test_as_many_are_counted_whatever_the_layers(self):
        padded = "padded_conv:8 batch_norm relu max_pool padded_conv:12 relu max_pool dense:experts"
        for sections in ({"model_gate": "conv:8 batch_norm relu max_pool dense:64 relu dense:experts",
                          "model_expert": "conv:1 relu max_pool dense:16 relu dense:classes"},
                         {"model_gate": padded, "train_precision": "bf16"},
                         {"model_gate": "cosine:experts", "model_expert": "patch_filters:3 sum:classes"}):
            for top_k in (0, 2):
                with self.subTest(top_k=top_k, **sections):
                    self.multiply_adds(moe_top_k=top_k, **sections)

    def test_a_short_run_has_enough_of_its_reference_and_says_how_many(self):
        output = self.step()
        self.assertRegex(output, r"limit: 1 core\(s\) at \S+ GFLOP/s, the median of 25 float32 products")
        share = float(re.search(r"share of the float32 matrix limit: (\S+)", output)[1])
        self.assertEqual("the share is above 1: " in output, share > 1, output)


class Products(runs.RunTest):
    def test_what_is_said_of_bf16_is_what_was_measured(self):
        output = self.expect(runs.switchyard("bench", "matmul"), 0).out
        self.assertRegex(output, r"oneDNN \S+ with \w+")
        rows = [line.split()[-5:] for line in output.splitlines() if "%" in line and "x" in line]
        self.assertEqual(len(rows), 7, output)
        gains = [float(row[-1]) for row in rows]
        least, most = re.search(r"bf16 products ran (\S+) to (\S+) times as fast as float32 ones", output).groups()
        self.assertEqual((min(gains), max(gains)), (float(least), float(most)), output)
        shares = [int(row[-3].rstrip("%")) for row in rows]
        self.assertLess(max(shares), 1000, f"the peak was measured with code that is not optimised\n{output}")
        if max(shares) != 100:  # 100%: rounded from either side
            self.assertEqual("a share above 100%" in output, max(shares) > 100, output)


class Exchange(runs.RunTest):
    def test_the_dispatch_is_shown_with_and_without_the_gather_of_what_arrived(self):
        output = self.expect(runs.switchyard("bench", "exchange", ranks=2), 0).out
        header, *rows = [line for line in output.splitlines() if "MiB/pair" in line or "x " in line[-12:]]
        self.assertRegex(header, r" dispatch +gathered$")
        self.assertEqual(len(rows), 3, output)
        for row in rows:
            dispatch, gathered = (float(word.rstrip("x")) for word in row.split()[-2:])
            self.assertGreater(gathered, dispatch, output)


if __name__ == "__main__":
    runs.main()
