"""Text of a trained model: against probabilities in float64, by counts, on any layout, and beyond the window."""

import shutil
import subprocess

import numpy

import runs
import token_reference as reference
import token_runs
from token_runs import EXPERTS, WINDOW
from transformer_test import EXPERT_HIDDEN, HEADS, HIDDEN, KEYS, LAYERS, WIDTH

SENTENCE = b"the quick brown fox jumps over the lazy dog. "  # no two of its windows of five bytes are alike


class Sampling(token_runs.TokenTest):
    base_keys = KEYS

    def sample(self, run, *arguments, ranks=0, stdin=b""):
        """What it prints, as bytes."""
        if stdin:
            done = subprocess.run([runs.binary(), "sample", run, *arguments], input=stdin, capture_output=True, check=True)
            return done.stdout
        file = self.new_path("out")
        with open(file, "wb") as out:
            self.expect(runs.switchyard("sample", run, *arguments, ranks=ranks, stdout=out), 0)
        return file.read_bytes()

    def samples(self, run, *arguments, ranks=0):
        texts = self.sample(run, *arguments, ranks=ranks).split(b"\n\0")
        self.assertEqual(texts.pop(), b"")
        return texts


class Probabilities(Sampling):
    RUN = dict(moe_top_k=2, moe_sub_heads=3, moe_shared_hidden=5, moe_importance=0.1, optim_learning_rate=0.02,
               train_max_steps=40)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        _, cls.run_folder = cls.train_for_all(**cls.RUN)
        cls.parameters = token_runs.parameters(runs.newest_checkpoint(cls.run_folder))
        cls.model = reference.Model(EXPERTS, top_k=2, heads=HEADS)
        cls.prompt = b"nab\ncgha k"

    def log_probabilities(self, text, parameters=None):
        return reference.next_log_probabilities(self.model, parameters or self.parameters, list(text))

    def of_random_weights(self):
        """A checkpoint whose greedy text does not soon repeat itself, and its parameters."""
        parameters = reference.random_transformer(numpy.random.default_rng(3), LAYERS, WIDTH, HIDDEN, EXPERTS, EXPERT_HIDDEN, 2,
                                                  self.RUN["moe_sub_heads"], self.RUN["moe_shared_hidden"])
        # Of a large one a token says itself.
        parameters["embedding/weight"] *= 0.1
        parameters = {name: array.astype(numpy.float32) for name, array in parameters.items()}
        self.assertEqual(sorted(parameters), sorted(self.parameters))
        file = self.new_path("random.h5")
        shutil.copy(runs.newest_checkpoint(self.run_folder), file)

        def write(opened):
            for name, array in parameters.items():
                opened["parameters"][name][...] = array

        runs.edit_checkpoint(file, write)
        return file, parameters

    def test_greedy_is_the_most_probable_token_of_all_that_the_window_has(self):
        file, parameters = self.of_random_weights()
        text = self.sample(file, f"--prompt={self.prompt.decode()}", "--temperature=0", "--tokens=100")[:-1]
        self.assertEqual(len(text), 100)
        whole, seen = self.prompt + text, len(self.prompt)
        for at in range(len(self.prompt), len(whole)):
            if seen > WINDOW:
                seen = WINDOW // 2
            expected = self.log_probabilities(whole[at - seen:at], parameters)
            best, other = numpy.sort(expected)[[-1, -2]]
            self.assertTrue(whole[at] == expected.argmax() or best - other < 1e-5, f"byte {at}")
            seen += 1
        self.assertGreater(len(set(text)), 10)

    def test_tokens_are_drawn_as_often_as_probable(self):
        p = numpy.exp(self.log_probabilities(self.prompt))
        self.assertGreater((p > 0.01).sum(), 8)
        of_temperature = p ** (1 / 0.6) / (p ** (1 / 0.6)).sum()
        ranked = numpy.argsort(-p)
        kept = ranked[: (p[ranked].cumsum() < 0.7).sum() + 1]
        of_top = numpy.zeros(256)
        of_top[kept] = p[kept] / p[kept].sum()
        count = 4000
        for expected, option in ((p, "--temperature=1"), (of_temperature, "--temperature=0.6"), (of_top, "--top-p=0.7")):
            with self.subTest(option=option):
                found = self.samples(self.run_folder, f"--prompt={self.prompt.decode()}", option, f"--count={count}",
                                     "--tokens=1", "--seed=3")
                self.assertEqual(len(found), count)
                counts = numpy.bincount([text[0] for text in found], minlength=256)
                self.assertEqual(counts[expected == 0].sum(), 0)
                often = expected * count >= 5
                # What is rare is one more kind.
                groups = [(counts[often], expected[often] * count)]
                groups.append(([counts[~often].sum()], [max(expected[~often].sum() * count, 1e-9)]))
                chi_squared = sum(((numpy.asarray(c) - e) ** 2 / e).sum() for c, e in groups)
                freedom = often.sum()
                self.assertLess(chi_squared, freedom + 4 * numpy.sqrt(2 * freedom) + 4)

    def test_a_seed_is_a_text_on_any_layout(self):
        arguments = (f"--prompt={self.prompt.decode()}", "--tokens=50", "--count=3")
        expected = self.samples(self.run_folder, *arguments)
        self.assertEqual(len(set(expected)), 3)
        self.assertEqual(self.samples(self.run_folder, *arguments, "--seed=1"), expected)
        self.assertNotEqual(self.samples(self.run_folder, *arguments, "--seed=2"), expected)
        for ranks, threads in ((0, 2), (2, 1), (3, 2)):
            self.assertEqual(self.samples(self.run_folder, *arguments, f"--run.threads={threads}", ranks=ranks), expected)
        # Of one sample, the first alone.
        self.assertEqual(self.sample(self.run_folder, *arguments[:2]), expected[0] + b"\n")
        self.assertEqual(self.sample(self.run_folder, "--prompt=-", arguments[1], stdin=self.prompt), expected[0] + b"\n")

    def test_little_of_the_probability_is_greedy(self):
        arguments = (self.run_folder, f"--prompt={self.prompt.decode()}", "--tokens=60")
        greedy = self.sample(*arguments, "--temperature=0")
        self.assertEqual(self.sample(*arguments, "--top-p=1e-9"), greedy)
        self.assertEqual(self.sample(*arguments, "--temperature=1e-9"), greedy)

    def test_prompts_of_a_file(self):
        file = self.new_path("prompts.txt")
        file.write_bytes(b"abc\nnab\ncgh\n")
        found = self.samples(self.run_folder, f"--prompts={file}", "--temperature=0", "--tokens=9", "--count=2", ranks=2)
        expected = [self.sample(self.run_folder, f"--prompt={p}", "--temperature=0", "--tokens=9")[:-1]
                    for p in ("abc", "nab", "cgh") for _ in range(2)]
        self.assertEqual(found, expected)

    def test_the_last_of_a_long_prompt(self):
        text = (self.prompt * 9).decode()
        done = subprocess.run([runs.binary(), "sample", self.run_folder, f"--prompt={text}", "--temperature=0", "--tokens=1"],
                              capture_output=True, check=True)
        self.assertIn(f"the prompt has {len(text)} tokens (the model reads {WINDOW} at once)", done.stderr.decode())
        of_last = self.sample(self.run_folder, f"--prompt={text[-WINDOW:]}", "--temperature=0", "--tokens=1")
        self.assertEqual(done.stdout, of_last)


class Families(Sampling):
    def test_a_model_of_tokens(self):
        keys = {name: value for name, value in token_runs.BASE_KEYS.items()}
        self.base_keys, transformer = keys, self.base_keys
        try:
            run = self.train(moe_top_k=2, train_max_steps=20)
        finally:
            self.base_keys = transformer
        parameters = token_runs.parameters(runs.newest_checkpoint(run))
        model = reference.Model(EXPERTS, expert="dense:16 relu dense:width", top_k=2)
        text = self.sample(run, "--prompt=ab", "--temperature=0", "--tokens=30")[:-1]
        last = ord("b")
        for byte in text:  # it sees one token
            expected = reference.next_log_probabilities(model, parameters, [last])
            self.assertEqual(byte, expected.argmax())
            last = byte


class Repetition(Sampling):
    @classmethod
    def write_data(cls):
        token_runs.write_texts(cls.data, [bytes([97 + n]) + SENTENCE * 4000 for n in range(3)])

    def test_is_learned_and_goes_on(self):
        run = self.train(transformer_width=32, transformer_heads=2, transformer_hidden=64, moe_hidden=32, moe_top_k=1,
                         transformer_layers=2, transformer_window=32, optim_learning_rate=0.01, train_epochs=1,
                         train_max_steps=250)
        for options in (("--temperature=0",), ("--top-p=0.5",)):
            text = self.sample(run, "--prompt=the quick brown fox ", "--tokens=400", *options)[:-1]
            whole = b"the quick brown fox " + text
            self.assertEqual(whole, (SENTENCE * 20)[: len(whole)])


if __name__ == "__main__":
    runs.main()
