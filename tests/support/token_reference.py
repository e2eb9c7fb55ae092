"""Models of tokens (model.family = tokens and transformer) in float64: loss and gradient, written out by hand.

It takes nothing from the program: formulas are those of docs/gates.md. An array is named as in a checkpoint, without
`parameters/`. Rows are the tokens of all windows of a batch, window after window.
"""

import dataclasses
import fractions
import math

import numpy

import gate_noise

EPSILON = 1e-5  # of the norm
REGULARISERS = ("importance", "balance", "load", "z_loss", "gate_entropy", "similarity", "similarity_same",
                "similarity_different")

_normal_cdf = numpy.frompyfunc(lambda x: 0.5 * math.erfc(-x / math.sqrt(2)), 1, 1)


@dataclasses.dataclass(frozen=True)
class Model:
    """What a configuration says. similarity_layer: 0, or the number of a layer of the gate."""

    experts: int
    gate: str = "dense:experts"
    expert: str = "dense:8 relu dense:width"
    top_k: int = 0
    gate_value: str = "softmax"
    scores: str = "softmax"
    normalise: str = "auto"
    scale: float = 1
    bias_rate: float = 0
    groups: int = 0
    top_groups: int = 0
    capacity: str = "0"  # in decimals, which a float is not exactly
    drop: str = "position"
    temperature: float = 0.07  # of a gate that is cosine:experts
    noise_deviation: float = 0
    similarity_layer: int = 0
    parts: int = 1
    heads: int = 1  # of attention, where there is one
    rotary_base: float = 10_000
    end_of_document: int = -1  # what no later token sees beyond, where that is asked for
    dropout: float = 0
    seed: int = 0  # of dropout
    quantiser: object = None  # a Bitnet, of attention and feed-forward networks
    weights: dict = dataclasses.field(default_factory=dict)  # of REGULARISERS

    @property
    def slots(self):
        return self.top_k or self.experts


@dataclasses.dataclass
class Step:
    loss: float
    task_loss: float
    error: float  # share of wrong predictions
    regularisers: dict  # name -> its part of the loss, over all blocks
    gradients: dict  # name -> array, as the parameters
    routings: list  # of the blocks
    rounding_margin: float = math.inf  # of a Bitnet
    logits: numpy.ndarray = None  # [rows, vocabulary]


def log_softmax(x):
    x = x - x.max(-1, keepdims=True)
    return x - numpy.log(numpy.exp(x).sum(-1, keepdims=True))


def _cosines(random, gate, inputs, width, experts):
    return {f"{gate}/projection/weight": random.normal(0, 1 / math.sqrt(inputs), (inputs, width)),
            f"{gate}/cosine_1/weight": random.normal(0, 1 / math.sqrt(experts), (experts, width)),
            f"{gate}/cosine_1/log_scale": random.normal(0, 0.3, 1)}


def random_parameters(random, blocks, width, hidden, experts, gate_hidden=0, cosine_width=0):
    """Of experts `dense:HIDDEN relu dense:width`; a gate with a hidden layer where gate_hidden is above 0, and one of cosines
    where cosine_width is."""
    def normal(*shape):
        return random.normal(0, 1 / math.sqrt(shape[0]) if len(shape) > 1 else 0.3, shape)

    found = {"embedding/weight": random.normal(0, 1, (256, width)), "norm/weight": 1 + normal(width)}
    for b in range(blocks):
        block = f"blocks/{b:02}"
        found[f"{block}/norm/weight"] = 1 + normal(width)
        networks = {f"{block}/mixture/experts/{e:04}": (width, hidden, width) for e in range(experts)}
        gate = f"{block}/mixture/gate"
        if cosine_width:
            found |= _cosines(random, gate, width, cosine_width, experts)
        else:
            networks[gate] = (width, gate_hidden, experts) if gate_hidden else (width, experts)
        for name, sizes in networks.items():
            for layer, (rows, columns) in enumerate(zip(sizes, sizes[1:]), start=1):
                found[f"{name}/dense_{layer}/weight"] = normal(rows, columns)
                found[f"{name}/dense_{layer}/bias"] = normal(columns)
    return found


def random_transformer(random, layers, width, hidden, experts, expert_hidden, mixture_every, sub_heads=1, shared=0,
                       tied=True, around=None, cosine_width=0):
    """As model.family = transformer names them. around: which of head and merge there are; None: both, of sub-heads."""
    around = (("head", "merge") if sub_heads > 1 else ()) if around is None else around

    def normal(rows, columns):
        return random.normal(0, 1 / math.sqrt(rows), (rows, columns))

    def norm():
        return 1 + random.normal(0, 0.3, width)

    found = {"embedding/weight": random.normal(0, 1, (256, width)), "norm/weight": norm()}
    if not tied:
        found["scores/weight"] = random.normal(0, 1, (256, width))
    for b in range(layers):
        block = f"blocks/{b:02}"
        found |= {f"{block}/attention_norm/weight": norm(), f"{block}/norm/weight": norm(),
                  f"{block}/attention/qkv/weight": normal(width, 3 * width),
                  f"{block}/attention/out/weight": normal(width, width)}
        networks = {f"{block}/feed_forward": hidden}
        if mixture_every and (b + 1) % mixture_every == 0:
            networks = {f"{block}/mixture/experts/{e:04}": expert_hidden for e in range(experts)}
            found |= _cosines(random, f"{block}/mixture/gate", width // sub_heads, cosine_width, experts) if cosine_width else {
                f"{block}/mixture/gate/dense_1/weight": normal(width // sub_heads, experts)}
            found |= {f"{block}/mixture/{part}/weight": normal(width, width) for part in around}
            if shared:
                networks[f"{block}/mixture/shared"] = shared
        for name, inner in networks.items():
            outer = width // sub_heads if "/experts/" in name else width
            found |= {f"{name}/glu/weight": normal(outer, 2 * inner), f"{name}/down/weight": normal(inner, outer)}
    return found


class Gradients(dict):
    def add(self, name, value):
        self[name] = self.get(name, 0) + value


class RmsNorm:
    """y = g x r with r = 1 / sqrt(mean x^2 + epsilon)"""

    def __init__(self, name):
        self.name = f"{name}/weight"

    def forward(self, parameters, x):
        self.x, self.g = x, parameters[self.name]
        self.r = 1 / numpy.sqrt((x * x).mean(1, keepdims=True) + EPSILON)
        return self.g * x * self.r

    def backward(self, dy, gradients):
        gradients.add(self.name, (dy * self.x * self.r).sum(0))
        h = dy * self.g
        return self.r * h - self.x * self.r**3 * (self.x * h).mean(1, keepdims=True)


class Network:
    """Dense layers, each with or without a ReLU, as model.gate and model.expert write them."""

    def __init__(self, text, name):
        words = text.split()
        self.names = [f"{name}/dense_{n + 1}" for n in range(sum(word.startswith("dense:") for word in words))]
        self.is_relu = [words[i + 1 : i + 2] == ["relu"] for i, word in enumerate(words) if word.startswith("dense:")]

    def forward(self, parameters, x):
        self.inputs, self.weights, self.sums, self.outputs = [], [], [], []
        self.has_bias = f"{self.names[0]}/bias" in parameters
        for name, is_relu in zip(self.names, self.is_relu):
            self.inputs.append(x)
            self.weights.append(parameters[f"{name}/weight"])
            self.sums.append(x @ self.weights[-1] + parameters.get(f"{name}/bias", 0))
            x = numpy.maximum(self.sums[-1], 0) if is_relu else self.sums[-1]
            self.outputs.append(x)
        return x

    def backward(self, dy, gradients):
        for name, is_relu, x, weight, z in reversed(
                list(zip(self.names, self.is_relu, self.inputs, self.weights, self.sums))):
            dz = dy * (z > 0) if is_relu else dy
            gradients.add(f"{name}/weight", x.T @ dz)
            if self.has_bias:
                gradients.add(f"{name}/bias", dz.sum(0))
            dy = dz @ weight.T
        return dy


class Cosine:
    """Scores by a projection of the row and a vector of each expert: cos(P x, e_i) e^s / temperature."""

    SMALLEST_SQUARE = 1e-6

    def __init__(self, name, temperature):
        self.names = [f"{name}/projection/weight", f"{name}/cosine_1/weight", f"{name}/cosine_1/log_scale"]
        self.temperature = temperature

    def forward(self, parameters, x):
        self.x = x
        self.projection, vectors, log_scale = (parameters[name] for name in self.names)
        self.scale = numpy.exp(log_scale[0]) / self.temperature
        self.units, self.inverse = self._unit(x @ self.projection)
        self.vectors, self.inverse_of_vectors = self._unit(vectors)
        self.scores = self.scale * self.units @ self.vectors.T
        return self.scores

    def _unit(self, rows):
        inverse = 1 / numpy.sqrt((rows * rows).sum(1, keepdims=True) + self.SMALLEST_SQUARE)
        return rows * inverse, inverse

    @staticmethod
    def _through_unit(unit, inverse, d):
        return inverse * (d - unit * (unit * d).sum(1, keepdims=True))

    def backward(self, dy, gradients):
        d_projected = self._through_unit(self.units, self.inverse, self.scale * dy @ self.vectors)
        d_vectors = self._through_unit(self.vectors, self.inverse_of_vectors, self.scale * dy.T @ self.units)
        for name, gradient in zip(self.names, (self.x.T @ d_projected, d_vectors, [(dy * self.scores).sum()])):
            gradients.add(name, numpy.asarray(gradient))
        return d_projected @ self.projection.T


class Bitnet:
    """BitNet b1.58: weights of -1, 0 and 1 times their mean magnitude, rows of eight bits. Ties go to even."""

    SMALLEST = 1e-5

    def __init__(self):
        self.margin = math.inf  # how near a tie a number was, as a share of the largest

    def weight(self, matrices):
        return numpy.hstack([self._ternary(w) for w in matrices])

    def _ternary(self, w):
        gamma = max(abs(w).mean(), self.SMALLEST)
        self.margin = min(self.margin, abs(abs(w / gamma) - 0.5).min())
        return gamma * numpy.clip(numpy.rint(w / gamma), -1, 1)

    def rows(self, x):
        s = 127 / numpy.maximum(abs(x).max(1, keepdims=True), self.SMALLEST)
        if x.size:
            self.margin = min(self.margin, abs(x * s - numpy.floor(x * s) - 0.5).min() / 127)
        return numpy.clip(numpy.rint(x * s), -128, 127) / s


class Linear:
    """y = x W, of `matrices` side by side; with a quantiser, of what that makes of both, and straight through it back."""

    def __init__(self, name, quantiser=None, matrices=1):
        self.name, self.quantiser, self.matrices = f"{name}/weight", quantiser, matrices

    def forward(self, parameters, x):
        self.x, self.weight = x, parameters[self.name]
        if self.quantiser:
            self.x = self.quantiser.rows(x)
            self.weight = self.quantiser.weight(numpy.split(self.weight, self.matrices, axis=1))
        return self.x @ self.weight

    def backward(self, dy, gradients):
        gradients.add(self.name, self.x.T @ dy)
        return dy @ self.weight.T


class SwiGlu:
    """y = (silu(x G) * (x V)) W, where `glu` holds G and V side by side"""

    def __init__(self, name, quantiser):
        self.glu, self.down = Linear(f"{name}/glu", quantiser, 2), Linear(f"{name}/down", quantiser)

    def forward(self, parameters, x):
        self.g, self.v = numpy.split(self.glu.forward(parameters, x), 2, axis=1)
        self.s = 1 / (1 + numpy.exp(-self.g))
        return self.down.forward(parameters, self.g * self.s * self.v)

    def backward(self, dy, gradients):
        dh = self.down.backward(dy, gradients)
        silu_slope = self.s + self.g * self.s * (1 - self.s)
        return self.glu.backward(numpy.hstack([dh * self.v * silu_slope, dh * self.g * self.s]), gradients)


class Attention:
    """Of every head, softmax(Q K^T / sqrt(d)) V over the tokens up to a row's own; Q and K turned by their positions."""

    def __init__(self, name, heads, window, base, documents, quantiser):
        """documents: [windows, window], which document a token is of."""
        self.heads, self.window, self.base = heads, window, base
        self.qkv, self.out = Linear(f"{name}/qkv", quantiser, 3), Linear(f"{name}/out", quantiser)
        self.unseen = numpy.triu(numpy.ones((window, window), bool), 1)
        self.unseen = self.unseen | (documents[:, None, :, None] != documents[:, None, None, :])

    def _split(self, rows):
        """[rows, heads * d] as [windows, heads, window, d]"""
        return rows.reshape(-1, self.window, self.heads, rows.shape[1] // self.heads).swapaxes(1, 2)

    def _join(self, heads):
        return heads.swapaxes(1, 2).reshape(-1, heads.shape[1] * heads.shape[3])

    def _turn(self, heads, way):
        half = heads.shape[3] // 2
        angle = numpy.outer(numpy.arange(self.window), self.base ** (-numpy.arange(half) / half))
        a, b = heads[..., :half], heads[..., half:]
        c, s = numpy.cos(angle), way * numpy.sin(angle)
        return numpy.concatenate([a * c - b * s, a * s + b * c], axis=3)

    def forward(self, parameters, x):
        q, k, self.v = map(self._split, numpy.split(self.qkv.forward(parameters, x), 3, axis=1))
        self.q, self.k = self._turn(q, 1), self._turn(k, 1)
        self.scale = 1 / math.sqrt(q.shape[3])
        scores = self.scale * self.q @ self.k.swapaxes(2, 3)
        self.p = numpy.exp(log_softmax(numpy.where(self.unseen, -numpy.inf, scores)))
        return self.out.forward(parameters, self._join(self.p @ self.v))

    def backward(self, dy, gradients):
        d = self._split(self.out.backward(dy, gradients))
        d_p = d @ self.v.swapaxes(2, 3)
        d_s = self.scale * self.p * (d_p - (self.p * d_p).sum(3, keepdims=True))
        d_q, d_k = self._turn(d_s @ self.k, -1), self._turn(d_s.swapaxes(2, 3) @ self.q, -1)
        d_in = numpy.hstack([self._join(part) for part in (d_q, d_k, self.p.swapaxes(2, 3) @ d)])
        return self.qkv.backward(d_in, gradients)


class Dropout:
    """What is left of each number in the first step, by its place in the model: 0 or 1 / (1 - probability)."""

    def __init__(self, model, shape):
        self.model, self.shape = model, shape

    def mask(self, place):
        rows, columns = self.shape
        if self.model.dropout == 0:
            return 1
        drawn = gate_noise.uniform(gate_noise.DROPOUT, gate_noise.seed_of(self.model.seed, place), 0, range(rows), columns)
        return (drawn >= numpy.float32(self.model.dropout)) / (1 - self.model.dropout)


class Residual:
    """x + dropout(body(norm(x)))"""

    def __init__(self, norm, body, dropout):
        self.norm, self.body = RmsNorm(norm), body
        self.kept = dropout.mask(norm)

    def forward(self, parameters, x):
        return x + self.kept * self.body.forward(parameters, self.norm.forward(parameters, x))

    def backward(self, dy, gradients):
        return dy + self.norm.backward(self.body.backward(self.kept * dy, gradients), gradients)


class Routing:
    """Who sees which row, and how much of it. [rows, experts] throughout; what was not chosen has weight 0.

    clean: scores of the gate; noisy: with noise; value: those of the two that the weights are of, or the logarithms of their
    sigmoids; p: their softmax, which is a sigmoid's share of all sigmoids.
    """

    def __init__(self, model, clean, noise, bias=None):
        self.clean, self.noisy = clean, clean + noise
        self.value = self.noisy if model.gate_value == "noisy_softmax" else clean
        self.sigmoid = None
        if model.scores == "sigmoid":
            self.sigmoid = 1 / (1 + numpy.exp(-self.value))
            self.value = numpy.log(self.sigmoid)
        self.p = numpy.exp(log_softmax(self.value))
        by, groups_margin = self.noisy, math.inf
        if bias is not None or model.groups:
            by = (self.p if self.sigmoid is None else self.sigmoid) + (0 if bias is None else bias)
        if model.groups:
            by, groups_margin = self.in_best_groups(model, by)
        self.order = numpy.argsort(-by, axis=1, kind="stable")  # ties to the lower expert
        self.is_chosen = numpy.zeros(clean.shape, bool)
        numpy.put_along_axis(self.is_chosen, self.order[:, : model.slots], True, axis=1)
        # What the weights add up to 1 over: the chosen, all, or nothing.
        self.of_all = model.normalise == "all" or (model.normalise == "auto" and model.slots == 1)
        if self.of_all:
            self.weights = (self.p if self.sigmoid is None else self.sigmoid) * self.is_chosen
        else:
            self.weights = numpy.exp(log_softmax(numpy.where(self.is_chosen, self.value, -numpy.inf)))
        self.by_score = model.gate_value == "noisy_logit"
        self.scale = model.scale
        self.factors = self.noisy * self.is_chosen if self.by_score else model.scale * self.weights
        sorted_scores = numpy.take_along_axis(by, self.order, 1)
        k = model.slots
        # How near another choice was: float32 and float64 only agree above their rounding.
        self.margin = (sorted_scores[:, k - 1] - sorted_scores[:, k]).min() if k < model.experts else math.inf
        self.margin = min(self.margin, groups_margin)

    def limit(self, model, parts):
        """Drops what an expert has no place for among the rows of each part: is_kept."""
        self.is_kept = self.is_chosen.copy()
        if fractions.Fraction(model.capacity) == 0:
            return
        for rows in parts:
            size = rows.stop - rows.start
            places = math.ceil(fractions.Fraction(model.capacity) * model.slots * size / model.experts)
            for expert in range(model.experts):
                sent = [row for slot in range(model.slots) for row in range(rows.start, rows.stop)
                        if self.order[row, slot] == expert]
                if model.drop == "score":
                    # Weights of equal rows may differ in a float64's last digits.
                    weight = {row: round(self.weights[row, expert], 10) for row in sent}
                    sent.sort(key=lambda row: -weight[row])
                    if len(sent) > places and weight[sent[places - 1]] > weight[sent[places]]:
                        self.margin = min(self.margin, weight[sent[places - 1]] - weight[sent[places]])
                self.is_kept[sent[places:], expert] = False

    @property
    def dropped(self):
        """Share of the slots."""
        return 1 - self.is_kept.sum() / self.is_chosen.sum()

    @staticmethod
    def in_best_groups(model, values):
        """The values of those experts, -inf for all others; and how near another choice of groups was."""
        of_groups = values.reshape(len(values), model.groups, -1)
        scores = numpy.sort(of_groups, axis=2)[:, :, -2:].sum(2)
        order = numpy.argsort(-scores, axis=1, kind="stable")
        is_kept = numpy.zeros(scores.shape, bool)
        numpy.put_along_axis(is_kept, order[:, : model.top_groups], True, axis=1)
        sorted_scores = numpy.take_along_axis(scores, order, 1)
        margin = (sorted_scores[:, model.top_groups - 1] - sorted_scores[:, model.top_groups]).min()
        return numpy.where(is_kept[:, :, None], of_groups, -numpy.inf).reshape(values.shape), margin

    def backward(self, d_factors, d_weights, d_p, d_value, d_clean):
        """By the clean scores: noise is a constant."""
        if self.by_score:
            d_clean = d_clean + d_factors * self.is_chosen
        else:
            d_weights = d_weights + self.scale * d_factors
        d = self.weights * d_weights
        total = d.sum(1, keepdims=True)
        by_weights = d
        if not self.of_all:
            by_weights = d - self.weights * total
        elif self.sigmoid is None:
            by_weights = d - self.p * total
        by_p = self.p * (d_p - (self.p * d_p).sum(1, keepdims=True))
        d_value = d_value + by_weights + by_p
        return d_clean + (d_value if self.sigmoid is None else (1 - self.sigmoid) * d_value)


def entropy(shares):
    """In bits, of each row."""
    return -(shares * numpy.log2(numpy.where(shares > 0, shares, 1))).sum(-1)


class Penalty:
    """The regularisers of one block over some rows: losses, and the gradients that they hand to Routing.backward."""

    def __init__(self, model, routing, rows, distances):
        self.model, self.experts, self.count = model, model.experts, rows.stop - rows.start
        self.losses = dict.fromkeys(REGULARISERS, 0.0)
        for name in ("clean", "noisy", "value", "p", "weights", "is_chosen", "order"):
            setattr(self, name, getattr(routing, name)[rows])
        self.d_weights, self.d_p, self.d_value, self.d_clean = (numpy.zeros_like(self.p) for _ in range(4))
        for name in REGULARISERS[:5]:
            if model.weights.get(name, 0) > 0:
                getattr(self, f"_{name}")(model.weights[name])
        if any(model.weights.get(name, 0) > 0 for name in REGULARISERS[5:]):
            self._similarities(distances)

    def _variation(self, weight, amounts):
        """weight s^2 / m^2 with the unbiased variance, and its gradient by the amounts."""
        n = self.experts
        mean = amounts.mean()
        variance = amounts.var(ddof=1)
        slope = 2 * (amounts - mean) / ((n - 1) * mean**2) - 2 * variance / (n * mean**3)
        return weight * variance / mean**2, weight * slope

    def _importance(self, weight):
        self.losses["importance"], slope = self._variation(weight, self.weights.sum(0))
        self.d_weights += slope

    def _balance(self, weight):
        share = self.is_chosen.sum(0) / self.is_chosen.sum()
        self.losses["balance"] = weight * self.experts * share @ self.p.mean(0)
        self.d_p += weight * self.experts * share / self.count

    def _load(self, weight):
        k, s = self.model.slots, self.model.noise_deviation
        # A chosen expert has to beat the best of the others, any other the last that was chosen.
        threshold = numpy.where(self.is_chosen, self.order[:, k : k + 1], self.order[:, k - 1 : k])
        gap = (self.clean - numpy.take_along_axis(self.noisy, threshold, 1)) / s
        self.losses["load"], slope = self._variation(weight, _normal_cdf(gap).astype(float).sum(0))
        d_gap = slope * numpy.exp(-gap * gap / 2) / math.sqrt(2 * math.pi) / s
        self.d_clean += d_gap
        numpy.subtract.at(self.d_clean, (numpy.arange(self.count)[:, None], threshold), d_gap)

    def _z_loss(self, weight):
        log_sum = numpy.log(numpy.exp(self.value).sum(1, keepdims=True))
        self.losses["z_loss"] = weight * (log_sum**2).mean()
        self.d_value += weight * 2 * log_sum * self.p / self.count

    def _gate_entropy(self, weight):
        log_p = log_softmax(self.value)
        self.losses["gate_entropy"] = -weight * (self.p * log_p).sum() / self.count
        self.d_p += -weight * log_p / self.count  # what is the same for all experts does not pass the softmax

    def _similarities(self, distances):
        """G = sum of d(x, x') p(x) . p(x') over pairs, D = sum of d; distances are constants."""
        weighted = distances @ self.p
        total, same = distances.sum(), (weighted * self.p).sum()
        if total == 0:
            return
        e = self.experts
        scaled, of_same, of_different = (self.model.weights.get(name, 0) for name in REGULARISERS[5:])
        by_pairs = of_different / ((e * e - e) * self.count**2)
        self.losses["similarity"] = scaled * same / total
        self.losses["similarity_same"] = of_same * same / e
        self.losses["similarity_different"] = -by_pairs * (total - same)
        self.d_p += 2 * (scaled / total + of_same / e + by_pairs) * weighted


def distances_of(features):
    """Euclidean, between all pairs of rows."""
    return numpy.sqrt(((features[:, None, :] - features[None, :, :]) ** 2).sum(2))


def part_rows(model, windows, window):
    """The rows of each part: samples are cut into nearly equal runs, and part p begins at floor(p windows / parts)."""
    starts = [p * windows // model.parts for p in range(model.parts + 1)]
    return [slice(a * window, b * window) for a, b in zip(starts, starts[1:]) if b > a]


class Mixture:
    """x + dropout(mixture(norm(x)))"""

    def __init__(self, model, name, expert, dropout):
        self.model = model
        self.kept = dropout.mask(f"{name}/norm")
        self.norm = RmsNorm(f"{name}/norm")
        gate = f"{name}/mixture/gate"
        self.gate = Cosine(gate, model.temperature) if model.gate == "cosine:experts" else Network(model.gate, gate)
        self.networks = [expert(f"{name}/mixture/experts/{e:04}") for e in range(model.experts)]

    def forward(self, parameters, x, noise, bias, parts, distances):
        return x + self.kept * self.mix(parameters, self.norm.forward(parameters, x), noise, bias, parts, distances)

    def backward(self, dy, gradients):
        return dy + self.norm.backward(self.unmix(self.kept * dy, gradients), gradients)

    def mix(self, parameters, inputs, noise, bias, parts, distances):
        self.inputs = x = inputs
        self.routing = Routing(self.model, self.gate.forward(parameters, self.inputs), noise, bias)
        self.routing.limit(self.model, parts)
        self.parts = parts
        self.outputs = []
        mixed = numpy.zeros_like(x)
        for e, network in enumerate(self.networks):
            chosen = self.routing.is_kept[:, e]
            self.outputs.append(network.forward(parameters, self.inputs[chosen]))
            mixed[chosen] += self.routing.factors[chosen, e, None] * self.outputs[e]
        self.distances = distances or [distances_of(self._features()[rows]) for rows in parts]
        self.penalties = [Penalty(self.model, self.routing, rows, d) for rows, d in zip(parts, self.distances)]
        return mixed

    def _features(self):
        layer = self.model.similarity_layer
        return self.inputs if layer == 0 else self.gate.outputs[layer - 1]

    def shares(self):
        """(rows, how much of the batch, regularisers) of each part."""
        total = len(self.inputs)
        return [(rows, (rows.stop - rows.start) / total, p) for rows, p in zip(self.parts, self.penalties)]

    def unmix(self, dy, gradients):
        d_inputs = numpy.zeros_like(dy)
        d_factors = numpy.zeros_like(self.routing.p)
        for e, network in enumerate(self.networks):
            chosen = self.routing.is_kept[:, e]
            d_factors[chosen, e] = (dy[chosen] * self.outputs[e]).sum(1)
            d_inputs[chosen] += network.backward(dy[chosen] * self.routing.factors[chosen, e, None], gradients)
        of_penalties = [numpy.zeros_like(self.routing.p) for _ in range(4)]
        for rows, share, p in self.shares():
            for total, d in zip(of_penalties, (p.d_weights, p.d_p, p.d_value, p.d_clean)):
                total[rows] = share * d
        return d_inputs + self.gate.backward(self.routing.backward(d_factors, *of_penalties), gradients)


class SubTokenMixture(Mixture):
    """x + dropout(merge(mixture(head(n))) + shared(n)), n = norm(x), where the mixture sees each row in `heads` parts, one by one;
    without those of head, merge and shared that have no parameters"""

    def __init__(self, model, name, heads, parameters, dropout):
        super().__init__(model, name, lambda expert: SwiGlu(expert, model.quantiser), dropout)
        self.heads = heads
        self.head, self.merge = (Linear(f"{name}/mixture/{part}") if f"{name}/mixture/{part}/weight" in parameters else None
                                 for part in ("head", "merge"))
        shared = f"{name}/mixture/shared"
        self.shared = SwiGlu(shared, model.quantiser) if f"{shared}/glu/weight" in parameters else None

    def forward(self, parameters, x, noise, bias, parts, distances):
        inputs = self.norm.forward(parameters, x)
        rows = self.head.forward(parameters, inputs) if self.head else inputs
        cut = [slice(part.start * self.heads, part.stop * self.heads) for part in parts]
        y = self.mix(parameters, rows.reshape(len(x) * self.heads, -1), noise, bias, cut, distances).reshape(x.shape)
        y = self.merge.forward(parameters, y) if self.merge else y
        return x + self.kept * (y + (self.shared.forward(parameters, inputs) if self.shared else 0))

    def backward(self, dy, gradients):
        d_y = self.kept * dy
        d = self.merge.backward(d_y, gradients) if self.merge else d_y
        d = self.unmix(d.reshape(len(dy) * self.heads, -1), gradients).reshape(dy.shape)
        d = self.head.backward(d, gradients) if self.head else d
        if self.shared:
            d = d + self.shared.backward(d_y, gradients)
        return dy + self.norm.backward(d, gradients)


def documents_of(model, tokens):
    """Which document of its window each token is of: the one that ends behind it."""
    ends = tokens == model.end_of_document
    return ends.cumsum(1) - ends


def branches_of(model, parameters, tokens):
    """What is added to a row, in order: what there is of each block, its parameters say."""
    found = []
    dropout = Dropout(model, (tokens.size, parameters["norm/weight"].size))
    for b in range(len({name.split("/")[1] for name in parameters if name.startswith("blocks/")})):
        name = f"blocks/{b:02}"
        if f"{name}/attention/qkv/weight" in parameters:
            attention = Attention(f"{name}/attention", model.heads, tokens.shape[1], model.rotary_base,
                                  documents_of(model, tokens), model.quantiser)
            found.append(Residual(f"{name}/attention_norm", attention, dropout))
        if f"{name}/feed_forward/glu/weight" in parameters:
            found.append(Residual(f"{name}/norm", SwiGlu(f"{name}/feed_forward", model.quantiser), dropout))
        elif f"{name}/mixture/experts/0000/glu/weight" in parameters:
            heads = parameters["norm/weight"].size // len(parameters[f"{name}/mixture/experts/0000/glu/weight"])
            found.append(SubTokenMixture(model, name, heads, parameters, dropout))
        else:
            found.append(Mixture(model, name, lambda expert: Network(model.expert, expert), dropout))
    return found


def next_log_probabilities(model, parameters, tokens):
    """[V] of the token that follows these, all of which are read."""
    parameters = {name: numpy.asarray(value, float) for name, value in parameters.items()}
    tokens = numpy.asarray(tokens)
    x = parameters["embedding/weight"][tokens]
    for branch in branches_of(model, parameters, tokens[None]):
        is_mixture = isinstance(branch, Mixture)
        x = branch.forward(parameters, x, *((0, None, [slice(0, len(x))], None) if is_mixture else ()))
    table = parameters.get("scores/weight", parameters["embedding/weight"])
    return log_softmax(RmsNorm("norm").forward(parameters, x)[-1] @ table.T)


def moved(bias, routing, rate):
    """The bias of a choice after a step, in float32 as a checkpoint has it."""
    load = routing.is_chosen.sum(0)
    sign = numpy.sign(load.mean() - load)
    return numpy.float32(bias) + (rate * (sign - sign.mean())).astype(numpy.float32)


def step(model, parameters, tokens, targets, noise=None, distances=None, biases=None):
    """A Step over a batch, and the distances of its rows that the similarity is of.

    tokens, targets: [windows, window]; noise: [rows, experts] of each block, or None; biases: [experts] of the choice of each
    block, or None; distances: those of another step, to
    compare its loss with: they are constants for the gradient.
    """
    parameters = {name: numpy.asarray(value, float) for name, value in parameters.items()}
    parts = part_rows(model, *tokens.shape)
    branches = branches_of(model, parameters, tokens)
    mixtures = [branch for branch in branches if isinstance(branch, Mixture)]
    tokens, targets = tokens.reshape(-1), targets.reshape(-1)
    rows = numpy.arange(len(tokens))
    norm, embedding = RmsNorm("norm"), parameters["embedding/weight"]
    table = "scores/weight" if "scores/weight" in parameters else "embedding/weight"
    kept = Dropout(model, (len(rows), embedding.shape[1])).mask("embedding")

    x = kept * embedding[tokens]
    for branch in branches:
        if isinstance(branch, Mixture):
            m = mixtures.index(branch)
            x = branch.forward(parameters, x, 0 if noise is None else noise[m], biases and biases[m], parts,
                               distances and distances[m])
        else:
            x = branch.forward(parameters, x)
    y = norm.forward(parameters, x)
    logits = y @ parameters[table].T
    log_probabilities = log_softmax(logits)
    task_loss = -log_probabilities[rows, targets].mean()
    regularisers = {name: sum(share * p.losses[name] for mixture in mixtures for _, share, p in mixture.shares())
                    for name in REGULARISERS}

    gradients = Gradients()
    d_logits = numpy.exp(log_probabilities)
    d_logits[rows, targets] -= 1
    d_logits /= len(rows)
    gradients.add(table, d_logits.T @ y)
    dx = norm.backward(d_logits @ parameters[table], gradients)
    for branch in reversed(branches):
        dx = branch.backward(dx, gradients)
    gradients.add("embedding/weight", numpy.zeros_like(embedding))
    numpy.add.at(gradients["embedding/weight"], tokens, kept * dx)
    found = Step(task_loss + sum(regularisers.values()), task_loss, (log_probabilities.argmax(1) != targets).mean(),
                 regularisers, gradients, [mixture.routing for mixture in mixtures],
                 model.quantiser.margin if model.quantiser else math.inf, logits)
    return found, [mixture.distances for mixture in mixtures]
