"""The time of a training step of PyTorch on a GPU, of a model of launch/gpu-check.sh: in eager mode, float32, made-up samples.

    pytorch_step.py original|top1_64|attentive|text [--device cuda] [--steps 100]

prints milliseconds of the median step, and how it was measured. Nothing but PyTorch is needed.
"""

import argparse
import pathlib
import statistics
import sys
import time

import torch
from torch import nn
from torch.nn import functional

sys.path.append(str(pathlib.Path(__file__).resolve().parents[2] / "pytorch"))
import torch_transformer

CLASSES, SIDE = 10, 28
PLACES = 13 * 13  # of a channel behind a convolution by 3 x 3 and a pool


class Gate(nn.Module):
    """conv:8 batch_norm relu max_pool dense:512 relu dense:32 relu"""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8 * PLACES, 512), nn.ReLU(),
            nn.Linear(512, 32), nn.ReLU())

    def forward(self, x):
        return self.layers(x)


class Expert(nn.Module):
    """conv:1 relu max_pool dense:64 relu dense:32 relu dense:classes"""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 1, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(PLACES, 64), nn.ReLU(), nn.Linear(64, 32))
        self.last = nn.Linear(32, CLASSES)

    def forward(self, x):
        """Its hidden vector, before the ReLU, and logarithms of probabilities."""
        hidden = self.layers(x)
        return hidden, functional.log_softmax(self.last(functional.relu(hidden)), dim=1)


class Mixture(nn.Module):
    """The likelihood of a mixture: of all experts, weighed by scores or by attention, or of the best one."""

    def __init__(self, experts, top_1=False, attention=False):
        super().__init__()
        self.gate, self.experts, self.top_1 = Gate(), nn.ModuleList(Expert() for _ in range(experts)), top_1
        self.scores = None if attention else nn.Linear(32, experts)
        if attention:
            self.query, self.key = nn.Linear(32, 32, bias=False), nn.Linear(32, 32, bias=False)

    def forward(self, x, labels):
        g = self.gate(x)
        if self.top_1:
            return self._of_the_best(x, labels, self.scores(g).softmax(1))
        hidden, outputs = (torch.stack(parts, dim=1) for parts in zip(*(expert(x) for expert in self.experts)))
        if self.scores is None:
            scores = (self.key(hidden) @ self.query(g).unsqueeze(2)).squeeze(2) / 32**0.5
        else:
            scores = self.scores(g)
        of_label = outputs.gather(2, labels.view(-1, 1, 1).expand(-1, len(self.experts), 1)).squeeze(2)
        return -(scores.log_softmax(1) + of_label).logsumexp(1).mean()

    def _of_the_best(self, x, labels, p):
        weight, chosen = p.max(1)
        order = chosen.argsort()
        counts = chosen.bincount(minlength=len(self.experts)).tolist()  # waits for the GPU, as such code does
        rows = order.split(counts)
        of_label = [self.experts[e](x[part])[1].gather(1, labels[part].unsqueeze(1)) for e, part in enumerate(rows) if len(part)]
        return -(weight[order].log() + torch.cat(of_label).squeeze(1)).mean()


def images(device, batch, **kind):
    """A step of the mixture with Adam."""
    model = Mixture(**kind).to(device)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    x, labels = torch.randn(batch, 1, SIDE, SIDE, device=device), torch.randint(CLASSES, (batch,), device=device)
    return step_of(model, optimiser, lambda: model(x, labels))


def text(device, batch=32, vocabulary=4096):
    """A step of configs/text/mixture.ini with AdamW."""
    shape = torch_transformer.Shape(vocabulary=vocabulary, experts=8, top_k=1, regularisers=(("balance", 0.01),))
    model = torch_transformer.Transformer(shape).float().to(device)
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3, betas=(0.9, 0.95), weight_decay=0.1, fused=True)
    windows = torch.randint(vocabulary, (batch, shape.window + 1), device=device)

    def loss():
        task, regularisers = model.losses(windows[:, :-1], windows[:, 1:])
        return task + sum(regularisers.values())

    return step_of(model, optimiser, loss, clip_norm=2)


def step_of(model, optimiser, loss_of, clip_norm=None):
    def step():
        optimiser.zero_grad()
        loss_of().backward()
        if clip_norm is not None:
            nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
        optimiser.step()

    return step


MODELS = {
    "original": lambda device: images(device, 512, experts=5),
    "top1_64": lambda device: images(device, 4500, experts=64, top_1=True),
    "attentive": lambda device: images(device, 512, experts=5, attention=True),
    "text": text,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=MODELS)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--steps", type=int, default=100)
    given = parser.parse_args()
    torch.manual_seed(1)
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
    step = MODELS[given.model](given.device)
    wait = torch.zeros(1, device=given.device).item  # behind all that is enqueued
    # Some steps at once, as a run enqueues them.
    at_once = max(1, given.steps // 10)
    times = []
    for _ in range(11):
        wait()
        begin = time.perf_counter()
        for _ in range(at_once):
            step()
        wait()
        times.append((time.perf_counter() - begin) / at_once)
    print(f"{1e3 * statistics.median(times[1:]):.3f} eager, float32 without TF32, PyTorch {torch.__version__}")


if __name__ == "__main__":
    main()
