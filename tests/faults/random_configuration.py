"""Random configurations of small runs, of every family of options, as INI text."""

# A value is drawn for each key; the program may refuse what does not fit together.
IMAGE_GATES = ("dense:experts", "dense:6 relu cosine:experts", "conv:2 relu max_pool dense:experts",
               "conv:2 batch_norm relu max_pool dense:8 relu dense:experts", "padded_conv:2 relu max_pool dense:experts",
               "conv:2 relu max_pool attention:experts", "dense:4 relu attention:experts", "most_certain:experts", "none")
IMAGE_EXPERTS = ("dense:classes", "dense:5 relu dense:classes", "conv:1 relu max_pool dense:6 relu dense:classes",
                 "conv:2 batch_norm relu max_pool dense:4 dense:classes", "padded_conv:2 batch_norm relu max_pool dense:classes")
ROW_GATES = ("dense:experts", "cosine:experts", "dense:4 relu dense:experts", "dense:4 relu attention:experts", "most_certain:experts",
             "none")
ROW_EXPERTS = ("dense:classes", "dense:4 relu dense:classes", "dense:6 relu dense:3 relu dense:classes")
PATCH_GATES = ("patch_filters:1 sum:experts",)
PATCH_EXPERTS = ("patch_filters:2 cubic sum:classes", "patch_filters:3 sum:classes", "patch_filters:2 bias celu sum:classes",
                 "patch_filters:2 gelu sum:classes", "patch_filters:1 tanh sum:classes")


def maybe(random, probability, value, otherwise):
    return value if random.random() < probability else otherwise


def number(random, smallest, largest):
    """Uniform in the logarithm, three digits."""
    return float(f"{smallest * (largest / smallest) ** random.random():.3g}")


def draw(random, image_folder):
    """Section -> key -> value. `image_folder`: IDX files for the runs that take images."""
    kind = random.choice(("images", "images", "rows", "rows", "patches"))
    data, gates, experts = {
        "images": ({"data": {"source": "idx", "dir": image_folder, "validation_samples": random.choice((0, 20, 60)),
                             "mean": 0.3, "standard_deviation": 0.25}}, IMAGE_GATES, IMAGE_EXPERTS),
        "rows": ({"data": {"source": "random"},
                  "random": {"samples": random.randint(8, 90), "features": random.randint(1, 20),
                             "classes": random.randint(2, 5)}}, ROW_GATES, ROW_EXPERTS),
        "patches": ({"data": {"source": "clusters"},
                     "clusters": {"count": 2, "patches": random.randint(3, 5), "patch_size": random.randint(4, 9),
                                  "samples": random.randint(8, 90)}}, PATCH_GATES, PATCH_EXPERTS)}[kind]
    gate = random.choice(gates)
    learned = gate not in ("none", "most_certain:experts")
    attentive = gate.endswith("attention:experts")
    if attentive:  # it attends to a hidden vector
        experts = [expert for expert in experts if " dense:classes" in expert]
    count = 1 if gate == "none" else random.choice((1, 2, 3, 4, 5, 8, 11))
    top_k = maybe(random, 0.6, random.randint(1, count), 0) if learned and not attentive else 0
    losses = ("cross_entropy", "logistic", "double_softmax")
    if kind != "patches":
        losses = ("likelihood", "likelihood", "stochastic", "cross_entropy", "double_softmax") if learned else ("likelihood",)
        if learned and not attentive and top_k == 0:
            losses += ("predicted_loss",)
    loss = random.choice(losses)
    moe = {"experts": count, "top_k": top_k, "placement": random.choice(("block", "cyclic"))}
    if 0 < top_k < count and random.random() < 0.4:
        moe["noise"] = random.choice(("uniform", "normal"))
        moe["noise_draw"] = random.choice(("every_step", "once"))
        moe["noise_when"] = random.choice(("training", "always"))
        if loss in ("cross_entropy", "logistic", "double_softmax"):
            moe["gate_value"] = random.choice(("softmax", "noisy_softmax", "noisy_logit"))
        if moe["noise"] == "normal" and random.random() < 0.5:
            moe["load"] = number(random, 0.01, 1)
    if 0 < top_k < count and "noise" not in moe and random.random() < 0.3:
        moe["bias_rate"] = number(random, 1e-3, 0.1)
    if count in (4, 8) and 0 < top_k <= count // 2 and "noise" not in moe and random.random() < 0.3:
        moe |= {"groups": 4, "top_groups": random.choice((2, 3))}
    if learned and not attentive and loss in ("cross_entropy", "logistic", "double_softmax"):
        if moe.get("gate_value") != "noisy_logit":
            moe["scores"] = maybe(random, 0.3, "sigmoid", "softmax")
            moe["normalise"] = random.choice(("auto", "all") if top_k == 1 else ("auto", "chosen", "all"))
            moe["scale"] = maybe(random, 0.3, number(random, 0.3, 3), 1)
    if learned and count > 1:
        for key in ("importance", "balance", "z_loss", "gate_entropy", "similarity", "similarity_same"):
            if random.random() < 0.15 and (key != "z_loss" or moe.get("scores") != "sigmoid"):
                moe[key] = number(random, 0.01, 1)
    optim = {"name": random.choice(("adam", "adamw", "sgd", "normalised_sgd")), "learning_rate": number(random, 1e-3, 3e-2),
             "weight_decay": maybe(random, 0.3, 1e-3, 0), "schedule": random.choice(("constant", "cosine", "linear", "warmup_stable_decay")),
             "warmup_steps": maybe(random, 0.3, random.randint(1, 5), 0)}
    if learned:
        optim["gate_name"] = maybe(random, 0.2, random.choice(("adam", "sgd")), "same")
    if optim["name"] == "sgd":
        optim["momentum"] = maybe(random, 0.5, 0.9, 0)
    if optim["name"] != "normalised_sgd":
        optim["clip_norm"] = maybe(random, 0.3, number(random, 0.1, 5), 0)
    train = {"shards": random.choice((1, 2, 3, 5, 8, 9)), "batch_size": random.randint(2, 40),
             "epochs": random.randint(1, 3), "order": random.choice(("shuffled", "shuffled", "fixed")),
             "precision": maybe(random, 0 if kind == "patches" else 0.2, "bf16", "float32"),
             "freeze": maybe(random, 0.1, random.choice(("gate", "experts")), "none")}
    return {"run": {"seed": random.randint(0, 10**6), "threads": 1}, **data,
            "model": {"gate": gate, "expert": random.choice(experts), "loss": loss,
                      "init": random.choice(("uniform", "uniform", "normal")) if kind == "patches" else "uniform"},
            "moe": moe, "optim": optim, "train": train, "checkpoint": {"every_steps": random.choice((0, 1, 3))}}


def write(file, sections):
    file.write_text("".join(f"[{section}]\n" + "".join(f"{key} = {value}\n" for key, value in keys.items())
                            for section, keys in sections.items()))
