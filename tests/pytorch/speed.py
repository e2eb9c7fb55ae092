"""Tokens a second of a training step, ours and that of the same model in PyTorch, in turns:

    PYTHONPATH=tests/support venv/bin/python tests/pytorch/speed.py SWITCHYARD [FILE.ini ...]

without files of configs/text/dense.ini and mixture.ini. Of PyTorch both eager and torch.compile; the better one counts.
"""

import argparse
import configparser
import pathlib
import re
import statistics
import subprocess
import tempfile
import time

import torch

import torch_training
from torch_transformer import Transformer, shape_of

TEXTS = [torch_training.ROOT / name for name in ("docs", "src", "tests", "README.md")]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("switchyard", type=pathlib.Path)
    configs = [torch_training.ROOT / "configs" / "text" / f"{name}.ini" for name in ("dense", "mixture")]
    parser.add_argument("configs", nargs="*", type=pathlib.Path, default=configs)
    parser.add_argument("--set", nargs="+", default=[], metavar="SECTION.KEY=VALUE", help="keys of all files")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=10, help="of each in a turn")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--vocabulary", type=int, default=4096)
    parser.add_argument("--no-compile", action="store_true", help="eager alone: compiling takes a minute or more")
    return parser.parse_args()


def output_of(*command):
    return subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True).stdout


def keys_of(config, given):
    """section.key -> text, of a file of configs/text."""
    parser = configparser.ConfigParser(inline_comment_prefixes="#")
    parser.read(config)
    keys = {f"{section}.{key}": value for section in parser.sections() for key, value in parser[section].items()}
    keys |= dict(word.split("=", 1) for word in given.set)
    return keys | {"transformer.vocabulary": str(given.vocabulary), "optim.schedule_steps": "1000"}


class Theirs:
    """Steps of PyTorch on random tokens: which they are changes no product, and routing alone a little."""

    def __init__(self, keys, compiled):
        torch.manual_seed(1)
        shape = shape_of(keys)
        model = Transformer(shape).float()
        forward = torch.compile(model.losses) if compiled else model.losses
        self.trainer = torch_training.Trainer(model, keys, forward, fused=True)
        self.size = (int(keys["train.batch_size"]), shape.window + 1)
        self.vocabulary = shape.vocabulary
        self.seconds_of_step()  # compiles

    def seconds_of_step(self):
        windows = torch.randint(self.vocabulary, self.size)
        begin = time.perf_counter()
        self.trainer.step(windows[:, :-1], windows[:, 1:])
        return time.perf_counter() - begin

    def rate(self, steps):
        """Tokens a second, by the median step."""
        seconds = statistics.median(self.seconds_of_step() for _ in range(steps))
        return self.size[0] * (self.size[1] - 1) / seconds


def rate_of_ours(binary, config, tokens, given):
    """The same of `switchyard bench step`."""
    said = output_of(binary, "bench", "step", config, f"--data.file={tokens}", f"--run.threads={given.threads}",
                     f"--train.max_steps={given.steps}", "--train.epochs=1000000", *(f"--{word}" for word in given.set))
    median_ms = float(re.search(r"^step +\S+ +(\S+)", said, re.MULTILINE)[1])
    keys = keys_of(config, given)
    return int(keys["train.batch_size"]) * int(keys["transformer.window"]) / median_ms * 1e3


def compare(config, tokens, given):
    keys = keys_of(config, given)
    sides = {"switchyard": lambda: rate_of_ours(given.switchyard.resolve(), config, tokens, given)}
    for name, compiled in (("eager", False), ("compiled", True)):
        if compiled and given.no_compile:
            continue
        try:
            theirs = Theirs(keys, compiled)
        except Exception as error:  # of many kinds: what the compiler cannot do is no comparison
            print(f"{config.stem}: PyTorch {name} does not run: {str(error).splitlines()[0]}")
            continue
        sides[name] = lambda theirs=theirs: theirs.rate(given.steps)
    rates = {name: [] for name in sides}
    for _ in range(given.turns):
        for name, side in sides.items():
            rates[name].append(side())
    for name, found in rates.items():
        print(f"{config.stem:<15} {name:<12} {statistics.median(found):>9,.0f} tokens/s  (turns {min(found):,.0f} to {max(found):,.0f})")
    best = max((name for name in rates if name != "switchyard"), key=lambda name: statistics.median(rates[name]))
    ratios = [ours / theirs for ours, theirs in zip(rates["switchyard"], rates[best])]
    print(f"{config.stem:<15} ours is {statistics.median(ratios):.2f} times PyTorch {best} (turns {min(ratios):.2f} to "
          f"{max(ratios):.2f}), {given.threads} threads each", flush=True)


def main():
    given = arguments()
    torch.set_num_threads(given.threads)
    torch.set_flush_denormal(True)  # as ours does
    with tempfile.TemporaryDirectory() as folder:
        tokens = pathlib.Path(folder) / "tokens.h5"
        output_of(given.switchyard, "corpus", *TEXTS, f"--vocabulary={given.vocabulary}", f"--out={tokens}")
        for config in given.configs:
            compare(config, tokens, given)


if __name__ == "__main__":
    main()
