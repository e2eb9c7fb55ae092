"""What `plan` says a token costs: by hand, as a step counts it, and beside another model."""

import pathlib
import random
import re

import runs
import token_runs

SOURCE = pathlib.Path(__file__).resolve().parents[2]
TEXT_CONFIGS = sorted((SOURCE / "configs/text").glob("*.ini"))
WIDTH, HEADS, LAYERS, HIDDEN, WINDOW, VOCABULARY = 24, 2, 4, 40, 32, 400
CONFIG = """\
[run]
threads = 1
dir = {folder}
[data]
source = tokens
file = {file}
[model]
family = transformer
[transformer]
width = {width}
layers = 4
heads = 2
hidden = {hidden}
window = 32
mixture_every = {every}
[train]
batch_size = 8
shards = 4
{more}
"""
# Of Huang et al. (2024): SMoE, and multi-head mixtures of as many FLOPs and nearly as many parameters.
PAPER = dict(width=768, hidden=2048)
SMOE = "[moe]\nexperts = 8\ntop_k = 1\nhidden = 2048"
MULTI_HEAD = "[moe]\nexperts = {1}\ntop_k = {0}\nhidden = {2}\nsub_heads = {0}"


def number(text):
    return float(text.replace(",", ""))


def table(said, title, columns):
    """The lines below a title: name -> numbers."""
    lines = said[said.index(title):].splitlines()[1:]
    found = {}
    for line in lines:
        if not line.startswith("  "):
            break
        words = line.split()
        try:
            found[" ".join(words[:-columns])] = [number(word) for word in words[-columns:]]
        except ValueError:
            continue  # a heading
    return found


def page(number, lines=100):
    drawn = random.Random(number)
    words = ["".join(drawn.choices("abcdefghijklmnop", k=drawn.randint(2, 6))) for _ in range(80)]
    return "".join(" ".join(drawn.choices(words, k=10)) + "\n" for _ in range(lines)).encode()


class OfTokens(runs.RunTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        pages = cls.new_path("pages")
        token_runs.write_texts(pages, [page(number) for number in range(100)])
        cls.file = cls.new_path("tokens.h5")
        made = runs.switchyard("corpus", pages, f"--vocabulary={VOCABULARY}", f"--out={cls.file}")
        if made.code != 0:
            raise AssertionError(made)

    def write(self, name="config", width=WIDTH, hidden=HIDDEN, every=2, more=""):
        folder = self.new_path(name)
        folder.mkdir()
        file = folder / f"{name}.ini"
        file.write_text(CONFIG.format(folder=folder / "run", file=self.file, width=width, hidden=hidden, every=every,
                                      more=more))
        return file

    def say(self, *arguments, ranks=0):
        return self.expect(runs.switchyard(*arguments, ranks=ranks), 0).out


class Costs(OfTokens):
    EXPERTS, TOP_K, SUB_HEADS, EXPERT_HIDDEN, SHARED = 6, 2, 3, 10, 14
    MIXTURE = (f"[moe]\nexperts = {EXPERTS}\ntop_k = {TOP_K}\nsub_heads = {SUB_HEADS}\nhidden = {EXPERT_HIDDEN}\n"
               f"shared_hidden = {SHARED}")

    def test_of_each_part_by_hand(self):
        found = table(self.say("plan", self.write(more=self.MIXTURE)), "a token costs", 4)
        sub_width, mixtures, dense = WIDTH // self.SUB_HEADS, LAYERS // 2, LAYERS // 2
        expert = 3 * sub_width * self.EXPERT_HIDDEN
        # parameters, those that a token meets, multiply-adds forward
        by_hand = {
            "embedding, logits": [VOCABULARY * WIDTH] * 3,
            "norms": [(2 * LAYERS + 1) * WIDTH] * 2 + [0],
            "attention": [LAYERS * 4 * WIDTH**2] * 2 + [LAYERS * (4 * WIDTH**2 + 2 * WINDOW * WIDTH)],
            "feed-forward": [dense * 3 * WIDTH * HIDDEN] * 3,
            "router": [mixtures * sub_width * self.EXPERTS] * 2 + [mixtures * WIDTH * self.EXPERTS],
            "experts": [mixtures * self.EXPERTS * expert] * 2 + [mixtures * self.SUB_HEADS * self.TOP_K * expert],
            "head and merge": [mixtures * 2 * WIDTH**2] * 3,
            "shared expert": [mixtures * 3 * WIDTH * self.SHARED] * 3,
        }
        of_layer = ("router", "experts", "head and merge", "shared expert")
        layer = [sum(by_hand[part][i] for part in of_layer) // mixtures for i in range(3)]
        training = {name: 3 * of_part[2] for name, of_part in by_hand.items()}
        training["attention"] = LAYERS * (3 * 4 * WIDTH**2 + 7 * WINDOW * WIDTH)  # probabilities are computed again
        whole = [sum(of_part[i] for of_part in by_hand.values()) for i in range(3)]
        training |= {"the model": sum(training.values()), "a mixture layer": 3 * layer[2]}
        by_hand |= {"the model": whole, "a mixture layer": layer}
        expected = {name: [*of_part[:2], 2 * of_part[2], 2 * training[name]] for name, of_part in by_hand.items()}
        self.assertEqual(found, expected)

    def test_what_is_exchanged(self):
        for sub_heads, top_k, experts, ranks in ((1, 1, 8, 4), (3, 2, 6, 3), (2, 2, 40, 8)):
            more = f"[moe]\nexperts = {experts}\ntop_k = {top_k}\nsub_heads = {sub_heads}\nhidden = 8"
            found = table(self.say("plan", self.write(more=more), f"--ranks={ranks}"), "a token exchanges", 4)
            slots, row_bytes = sub_heads * top_k, 4 * WIDTH // sub_heads
            here = slots * (ranks - 1) / ranks
            for way in ("combine", "combine, backward", "dispatch, backward"):
                for value, expected in zip(found[way], (slots, slots * row_bytes, here, here * row_bytes)):
                    self.assertAlmostEqual(value, expected, delta=max(0.5, 5e-4 * expected), msg=way)
            # A row goes to a rank once: of two experts, the second is beside the first in (E / R - 1) cases of (E - 1).
            met = 1 if top_k == 1 else 2 - (experts / ranks - 1) / (experts - 1)
            rows = sub_heads * met * (ranks - 1) / ranks
            self.assertEqual(found["dispatch"][:2], [slots, slots * row_bytes])
            self.assertAlmostEqual(found["dispatch"][2], rows, delta=5e-4 * rows)
            self.assertAlmostEqual(found["dispatch"][3], rows * row_bytes, delta=0.5)

    def test_a_checkpoint_is_as_large(self):
        for optimiser in ("adamw", "sgd"):
            config = self.write(more=f"[moe]\nexperts = 1500\ntop_k = 1\nhidden = 1\n[optim]\nname = {optimiser}")
            about = number(re.search(r"checkpoint: about (\S+) MiB", self.say("plan", config))[1]) * 2**20
            folder = self.new_path("run")
            self.say("train", config, "--train.max_steps=1", f"--run.dir={folder}")
            self.assertAlmostEqual(about, runs.newest_checkpoint(folder).stat().st_size, delta=0.05 * about)


class Match(OfTokens):
    def test_multi_head_mixtures_of_the_paper(self):
        smoe = self.write("smoe", **PAPER, more=SMOE)
        for sub_heads, experts, hidden, exact_experts in ((2, 40, 768, "41.3"), (3, 96, 512, "93.0")):
            config = self.write("multi_head", **PAPER, more=MULTI_HEAD.format(sub_heads, experts, hidden))
            said = self.say("plan", config, f"--match={smoe}")
            layer = table(said, "a mixture layer, or", 3)
            self.assertEqual(layer["FLOP forward without the router"][2], 1)
            self.assertEqual(layer["rows dispatched"], [sub_heads**2, 1, sub_heads**2])
            self.assertEqual(layer["bytes dispatched"][2], sub_heads)
            self.assertEqual(layer["parameters without the router"][2], {40: 0.9688, 96: 1.0312}[experts])
            # The router sees a row in h columns, h times.
            router = layer["FLOP of a token, forward"][0] - layer["FLOP forward without the router"][0]
            self.assertEqual(router, 2 * 768 * experts)
            sizes = table(said, "as in the layer of smoe", 2)
            self.assertEqual(sizes["moe.hidden for as many FLOP"][0], hidden)
            self.assertIn(f" {exact_experts} ", re.search(r"moe.experts for as many parameters(.*)", said)[1])
            # 2 d E more for the router, 2 d 8 there: moe.hidden falls by the difference, over 6 d top_k for each of it.
            less = 2 * (experts - 8) / 6 / sub_heads
            self.assertAlmostEqual(sizes["moe.hidden for as many FLOP"][1], hidden - less, delta=0.05)

    def test_sizes_that_are_found_make_layers_equal(self):
        other = self.write("other", more="[moe]\nexperts = 5\ntop_k = 2\nhidden = 60\nshared_hidden = 12")
        more = "[moe]\nexperts = {}\ntop_k = 2\nhidden = {}\nsub_heads = 2"
        said = self.say("plan", self.write("own", more=more.format(9, 11)), f"--match={other}")
        sizes = table(said, "as in the layer of other", 2)
        hidden = sizes["moe.hidden for as many FLOP"][0]
        config = self.write("own", more=more.format(9, round(hidden)))
        found = table(self.say("plan", config, f"--match={other}"), "a mixture layer, or", 3)
        self.assertAlmostEqual(found["FLOP forward without the router"][2], round(hidden) / hidden, delta=0.01)
        experts = sizes["moe.experts for as many parameters"][1]
        config = self.write("own", more=more.format(round(experts), 11))
        found = table(self.say("plan", config, f"--match={other}"), "a mixture layer, or", 3)
        self.assertAlmostEqual(found["parameters"][2], round(experts) / experts, delta=0.01)

    def test_with_a_dense_model(self):
        dense = self.write("dense", every=0)
        config = self.write("own", more=f"[moe]\nexperts = 4\ntop_k = 1\nhidden = {HIDDEN}")
        said = self.say("plan", config, f"--match={dense}")
        found = table(said, "a mixture layer, or what is in its place", 3)
        self.assertEqual(found["FLOP forward without the router"][2], 1)
        self.assertEqual(found["parameters without the router"][2], 4)
        self.assertRegex(said, r"moe.experts for as many parameters +1.0 ")
        said = self.say("plan", dense, f"--match={config}")
        self.assertIn("no sizes that would make them alike: dense has no mixture layer", said)
        self.assertNotIn("moe.hidden for", said)
        self.assertNotIn("a token exchanges", said)

    def test_no_size_is_found_where_head_and_merge_alone_cost_more(self):
        other = self.write("other", more="[moe]\nexperts = 3\ntop_k = 1\nhidden = 2")
        own = self.write("own", more="[moe]\nexperts = 4\ntop_k = 1\nhidden = 40\nsub_heads = 2")
        said = self.say("plan", own, f"--match={other}")
        self.assertRegex(said, r"moe.hidden for as many FLOP +none +none\n")

    def test_what_is_refused(self):
        config = self.write()
        images, _ = self.write_config()
        for first, second, why in ((config, images, "is no model of tokens"), (images, config, "is no model of tokens"),
                                   (config, self.new_path("none.ini"), "none.ini")):
            self.expect_failure(runs.switchyard("plan", first, f"--match={second}"), 2, why)


class Counted(OfTokens):
    """A step's own count, and its memory."""

    def check(self, config, *keys, ranks=0, threads=1):
        keys = [f"--data.file={self.file}", f"--run.threads={threads}", "--train.batch_size=8", *keys]
        planned = self.say("plan", config, *keys, f"--ranks={max(ranks, 1)}")
        training = table(planned, "a token costs", 4)["the model"][3]
        memory = float(re.search(r"(?m)^ +0 +\d+ +\d+ +\S+ MiB +(\S+) MiB", planned)[1])
        said = self.say("bench", "step", config, *keys, "--train.max_steps=1", ranks=ranks)
        calculated = float(re.search(r"; (\S+) MFLOP a token", said)[1])
        counted = float(re.search(r"counted: (\S+) MFLOP a token", said)[1])
        used = float(re.search(r"workspace: (\S+) MiB", said)[1])
        self.assertAlmostEqual(calculated * 1e6, training, delta=1e-5 * training)
        self.assertAlmostEqual(counted, calculated, delta=1e-5 * calculated)
        self.assertAlmostEqual(memory, used, delta=0.05 * used)

    def test_of_the_configurations(self):
        self.assertGreaterEqual(len(TEXT_CONFIGS), 5)
        for config in TEXT_CONFIGS:
            with self.subTest(config.name):
                self.check(config)

    def test_of_other_layouts_and_precisions(self):
        config = SOURCE / "configs/text/multi_head_2.ini"
        self.check(config, "--moe.shared_hidden=100", "--train.precision=bf16", "--train.parts=2", threads=2)
        self.check(config, "--transformer.mixture_every=1", ranks=2)

    def test_of_what_is_computed_again_dropped_or_apart(self):
        config = SOURCE / "configs/text/mixture.ini"
        self.check(config, "--train.recompute=yes")
        self.check(config, "--transformer.tied=no", "--transformer.dropout=0.1", "--transformer.across_documents=no")

    def test_of_one_bit_products_and_blocks_of_rows(self):
        config = SOURCE / "configs/text/mixture.ini"
        self.check(config, "--transformer.quantise=bitnet")
        self.check(config, "--transformer.quantise=bitnet", "--train.precision=bf16")
        self.check(config, "--moe.gradient_blocks=4")


if __name__ == "__main__":
    runs.main()
