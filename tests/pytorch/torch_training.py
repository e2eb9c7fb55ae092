"""Training as docs/optimisers.md says, in PyTorch, and text for it."""

import math
import pathlib

import h5py
import numpy
import torch

import runs
import sample_order
import token_runs

ROOT = pathlib.Path(__file__).resolve().parents[2]
ADAMW = dict(optim_name="adamw", optim_learning_rate=0.003, optim_beta1=0.9, optim_beta2=0.95, optim_epsilon=1e-8,
             optim_weight_decay=0.1, optim_clip_norm=1.0, optim_warmup_steps=50, optim_schedule="cosine", optim_floor=0.1)


def dotted(keys):
    """moe_top_k=2 as moe.top_k"""
    return {name.replace("_", ".", 1): value for name, value in keys.items()}


class Trainer:
    """AdamW by the keys of [optim] in `keys`, which decays matrices alone: not the embedding, norms and routers."""

    def __init__(self, model, keys, forward=None, **more):
        """forward: what computes model.losses, if not that itself; more: arguments of torch.optim.AdamW."""
        self.model, self.losses, self.done = model, forward or model.losses, 0
        of = {name.removeprefix("optim."): value for name, value in keys.items()}
        self.rate, self.floor, self.clip_norm = (float(of[name]) for name in ("learning_rate", "floor", "clip_norm"))
        self.warm_up, self.last = int(of["warmup_steps"]), int(of["schedule_steps"])
        groups = {True: [], False: []}
        for name, parameter in model.named_arrays().items():
            groups[parameter.dim() == 2 and name != "embedding/weight" and "/gate/" not in name].append(parameter)
        self.optimiser = torch.optim.AdamW(
            [{"params": parameters, "weight_decay": float(of["weight_decay"]) * decays} for decays, parameters in groups.items()],
            betas=(float(of.get("beta1", 0.9)), float(of["beta2"])), eps=float(of.get("epsilon", 1e-8)), **more)

    def rate_of(self, step):
        """From 1."""
        if step <= self.warm_up:
            return self.rate * step / self.warm_up
        done = min(1, (step - 1 - self.warm_up) / max(1, self.last - self.warm_up))
        return self.rate * (self.floor + (1 - self.floor) * (1 + math.cos(math.pi * done)) / 2)

    def step(self, tokens, targets):
        """The loss with that of regularisers, and the norm of the gradient."""
        self.done += 1
        task, regularisers = self.losses(tokens, targets)
        loss = task + sum(regularisers.values())
        self.optimiser.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.clip_norm)
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate_of(self.done)
        self.optimiser.step()
        return loss.item(), norm.item()


def batches(samples, size, seed, steps):
    """The samples of each step, in the order of the run of this seed; an epoch's last batch has what is left."""
    found, epoch = [], 0
    while len(found) < steps:
        found += numpy.split(sample_order.order(samples, seed, epoch), range(size, samples, size))
        epoch += 1
    return found[:steps]


class TextTest(token_runs.TokenTest):
    """windows: of a split's name, the tokens and targets of the files of `text_folder`, a text that stays."""

    text_folder, pattern = pathlib.Path("/usr/share/common-licenses"), "*"  # Debian's

    @classmethod
    def write_data(cls):
        files = sorted(file for file in cls.text_folder.glob(cls.pattern) if not file.is_symlink())
        token_runs.write_texts(cls.data, [file.read_bytes() for file in files])
        config, _ = cls.write_config()
        file = cls.new_path("samples.h5")
        finished = runs.switchyard("samples", config, f"--out={file}")
        if finished.code != 0:
            raise AssertionError(finished)
        with h5py.File(file) as opened:
            cls.windows = {split: tuple(torch.as_tensor(opened[f"{split}/{name}"][()]) for name in ("tokens", "targets"))
                           for split in ("train", "test")}
