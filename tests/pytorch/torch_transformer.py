"""The transformer of docs/language_models.md in PyTorch, written from that page and docs/gates.md.

A parameter is named as in a checkpoint, with dots for slashes, and a matrix is [inputs, outputs], as there.
"""

import dataclasses
import fractions
import math

import torch
from torch import nn
from torch.nn import functional

EPSILON = 1e-5  # of the norms


@dataclasses.dataclass(frozen=True)
class Shape:
    """The sections [transformer] and [moe] of a configuration."""

    vocabulary: int = 256
    width: int = 144
    layers: int = 6
    heads: int = 3
    hidden: int = 384
    window: int = 256
    mixture_every: int = 2
    rotary_base: float = 10_000.0
    tied: str = "yes"
    experts: int = 5
    top_k: int = 0
    expert_hidden: int = 384  # moe.hidden
    sub_heads: int = 1
    shared_hidden: int = 0
    scores: str = "softmax"
    normalise: str = "auto"
    scale: float = 1.0
    capacity: str = "0"  # in decimals, as it is written
    drop: str = "position"
    regularisers: tuple = ()  # (name, weight) of those in REGULARISERS


@dataclasses.dataclass
class Routing:
    """What a mixture did with its rows, [rows, experts] each but for the losses: name -> this regulariser's part of the loss."""

    p: torch.Tensor
    weights: torch.Tensor  # 0 of what was not chosen, and without moe.scale
    is_chosen: torch.Tensor
    dropped: float  # share of the slots
    margin: torch.Tensor  # [rows]: how near another choice was, in scores
    losses: dict


class Matrix(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        bound = 1 / math.sqrt(inputs)
        self.weight = nn.Parameter(torch.empty(inputs, outputs).uniform_(-bound, bound))

    def forward(self, x):
        return x @ self.weight


class Norm(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x):
        return functional.rms_norm(x, self.weight.shape, self.weight, EPSILON)


class SwiGlu(nn.Module):
    def __init__(self, width, hidden):
        super().__init__()
        self.glu, self.down = Matrix(width, 2 * hidden), Matrix(hidden, width)

    def forward(self, x):
        gate, value = self.glu(x).chunk(2, dim=-1)
        return self.down(functional.silu(gate) * value)


class Attention(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.heads = shape.heads
        self.qkv, self.out = Matrix(shape.width, 3 * shape.width), Matrix(shape.width, shape.width)
        half = shape.width // shape.heads // 2
        rates = shape.rotary_base ** (-torch.arange(half, dtype=torch.float64) / half)
        angles = torch.outer(torch.arange(shape.window, dtype=torch.float64), rates)
        self.register_buffer("cosines", angles.cos(), persistent=False)
        self.register_buffer("sines", angles.sin(), persistent=False)

    def _turn(self, x):
        a, b = x.chunk(2, dim=-1)
        return torch.cat((a * self.cosines - b * self.sines, a * self.sines + b * self.cosines), dim=-1)

    def forward(self, x):
        sequences, window, width = x.shape
        q, k, v = (part.view(sequences, window, self.heads, -1).transpose(1, 2) for part in self.qkv(x).chunk(3, dim=-1))
        seen = functional.scaled_dot_product_attention(self._turn(q), self._turn(k), v, is_causal=True)
        return self.out(seen.transpose(1, 2).reshape(sequences, window, width))


def squared_variation(amounts):
    return amounts.var() / amounts.mean() ** 2


# Of scores, their softmax over all experts, the weights and who is chosen, all [rows, experts].
REGULARISERS = {
    "importance": lambda scores, p, weights, is_chosen: squared_variation(weights.sum(0)),
    "balance": lambda scores, p, weights, is_chosen: p.shape[1] * (is_chosen.sum(0) / is_chosen.sum() * p.mean(0)).sum(),
    "z_loss": lambda scores, p, weights, is_chosen: (scores.logsumexp(1) ** 2).mean(),
    "gate_entropy": lambda scores, p, weights, is_chosen: -(p * p.log()).sum(1).mean(),
}


def shape_of(keys):
    """Of a configuration's keys (transformer.width ...), of which those of other sections are passed over."""
    found, weights = {}, []
    for name, value in keys.items():
        section, key = name.split(".", 1)
        if section == "moe" and key in REGULARISERS:
            weights.append((key, float(value)))
        elif section in ("transformer", "moe"):
            key = "expert_hidden" if name == "moe.hidden" else key
            found[key] = type(getattr(Shape, key))(value)
    return Shape(**found, regularisers=tuple(weights))


class Mixture(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.shape = shape
        narrow = shape.width // shape.sub_heads
        self.gate = nn.ModuleDict({"dense_1": Matrix(narrow, shape.experts)})
        self.experts = nn.ModuleDict({f"{e:04}": SwiGlu(narrow, shape.expert_hidden) for e in range(shape.experts)})
        if shape.sub_heads > 1:
            self.head, self.merge = Matrix(shape.width, shape.width), Matrix(shape.width, shape.width)
        if shape.shared_hidden:
            self.shared = SwiGlu(shape.width, shape.shared_hidden)
        self.routing = None  # of the last forward

    def _choose(self, rows):
        """The experts and the weights of each row, [rows, slots], and which of these slots are not dropped."""
        shape = self.shape
        scores = self.gate.dense_1(rows)
        slots = shape.top_k or shape.experts
        best, chosen = scores.topk(min(slots + 1, shape.experts), dim=1)
        margin = best[:, slots - 1] - best[:, slots] if slots < shape.experts else torch.full_like(best[:, 0], math.inf)
        chosen = chosen[:, :slots]
        value = scores.sigmoid() if shape.scores == "sigmoid" else scores.softmax(1)
        weights = value.gather(1, chosen)
        of_all = shape.normalise == "all" or (shape.normalise == "auto" and slots == 1)
        if not of_all:
            weights = weights / weights.sum(1, keepdim=True)
        p = value / value.sum(1, keepdim=True)
        is_kept = self._has_a_place(chosen, weights)
        self._record(scores, p, chosen, weights, is_kept, margin)
        return chosen, shape.scale * weights, is_kept

    def _has_a_place(self, chosen, weights):
        """[rows, slots], by moe.capacity in training."""
        factor = fractions.Fraction(self.shape.capacity)
        if factor == 0 or not self.training:
            return torch.ones_like(chosen, dtype=torch.bool)
        places = math.ceil(factor * chosen.numel() / self.shape.experts)
        experts = chosen.T.flatten()  # the first choices of all rows, then the second ones
        order = torch.arange(len(experts))
        if self.shape.drop == "score":
            # Weights of equal rows may differ in their last digits.
            order = weights.T.flatten().round(decimals=10).argsort(descending=True, stable=True)
        is_of = functional.one_hot(experts[order], self.shape.experts)
        place = (is_of.cumsum(0) * is_of).sum(1)  # from 1, at its expert
        is_kept = torch.empty_like(experts, dtype=torch.bool)
        is_kept[order] = place <= places
        return is_kept.view(chosen.T.shape).T

    def _record(self, scores, p, chosen, weights, is_kept, margin):
        spread = torch.zeros_like(p).scatter(1, chosen, weights)
        is_chosen = torch.zeros_like(p).scatter(1, chosen, 1.0)
        losses = {name: weight * REGULARISERS[name](scores, p, spread, is_chosen) for name, weight in self.shape.regularisers}
        self.routing = Routing(p, spread, is_chosen, 1 - is_kept.double().mean(), margin, losses)

    def forward(self, x):
        rows = self.head(x) if self.shape.sub_heads > 1 else x
        rows = rows.reshape(-1, self.shape.width // self.shape.sub_heads)
        chosen, weights, is_kept = self._choose(rows)
        mixed = torch.zeros_like(rows)
        for e, expert in enumerate(self.experts.values()):
            row, slot = ((chosen == e) & is_kept).nonzero(as_tuple=True)
            mixed = mixed.index_add(0, row, weights[row, slot, None] * expert(rows.index_select(0, row)))
        y = mixed.reshape(x.shape)
        y = self.merge(y) if self.shape.sub_heads > 1 else y
        return y + self.shared(x) if self.shape.shared_hidden else y


class Block(nn.Module):
    def __init__(self, shape, number):
        super().__init__()
        self.attention_norm, self.attention, self.norm = Norm(shape.width), Attention(shape), Norm(shape.width)
        if shape.mixture_every and (number + 1) % shape.mixture_every == 0:
            self.mixture = Mixture(shape)
        else:
            self.feed_forward = SwiGlu(shape.width, shape.hidden)

    def forward(self, x):
        x = x + self.attention(self.attention_norm(x))
        body = self.mixture if hasattr(self, "mixture") else self.feed_forward
        return x + body(self.norm(x))


class Transformer(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.embedding = nn.Embedding(shape.vocabulary, shape.width)
        nn.init.normal_(self.embedding.weight, std=1 / math.sqrt(shape.width))
        self.blocks = nn.ModuleDict({f"{b:02}": Block(shape, b) for b in range(shape.layers)})
        self.norm = Norm(shape.width)
        if shape.tied == "no":
            self.scores = Matrix(shape.vocabulary, shape.width)  # transposed, as the embedding is

    def forward(self, tokens):
        """Logits, [windows, window, vocabulary]."""
        x = self.embedding(tokens)
        for block in self.blocks.values():
            x = block(x)
        table = self.scores if hasattr(self, "scores") else self.embedding
        return self.norm(x) @ table.weight.T

    def mixtures(self):
        return [block.mixture for block in self.blocks.values() if hasattr(block, "mixture")]

    def losses(self, tokens, targets):
        """Of the task, and name -> that of a regulariser, over all mixtures."""
        task = functional.cross_entropy(self(tokens).flatten(0, 1), targets.flatten())
        found = {}
        for mixture in self.mixtures():
            for name, loss in mixture.routing.losses.items():
                found[name] = found.get(name, 0) + loss
        return task, found

    def load(self, arrays):
        """name as in a checkpoint -> array"""
        state = {name.replace("/", "."): torch.as_tensor(array) for name, array in arrays.items()}
        self.load_state_dict(state)
        return self

    def named_arrays(self):
        """name as in a checkpoint -> parameter"""
        return {name.replace(".", "/"): parameter for name, parameter in self.named_parameters()}
