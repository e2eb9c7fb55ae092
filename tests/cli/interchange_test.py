"""`switchyard export` and `import` from a user's side: files read here byte by byte against the checkpoint, the way back to
the same bits, and forged files."""

import json
import pathlib
import re
import shutil
import struct

import h5py
import numpy

import runs
import token_runs
import tokens_test

SOURCE = pathlib.Path(__file__).resolve().parents[2]
WIDTH, LAYERS, HEADS, HIDDEN, EXPERTS, EXPERT_HIDDEN, SHARED = 12, 4, 3, 10, 5, 7, 6
KEYS = {name: value for name, value in token_runs.BASE_KEYS.items()
        if not name.startswith(("model.", "tokens.", "data.window"))}
KEYS |= {"model.family": "transformer", "transformer.width": WIDTH, "transformer.layers": LAYERS,
         "transformer.heads": HEADS, "transformer.hidden": HIDDEN, "transformer.window": token_runs.WINDOW,
         "transformer.mixture_every": 1, "transformer.rotary_base": 500, "moe.hidden": EXPERT_HIDDEN, "moe.top_k": 2,
         "moe.experts": EXPERTS, "train.max_steps": 3}
# What makes a model of each layout.
OF_LAYOUT = {"mixtral": {}, "qwen2_moe": dict(transformer_mixture_every=2, moe_top_k=1, moe_shared_hidden=SHARED),
             "llama": dict(transformer_mixture_every=0, moe_top_k=0), "plain": dict(moe_sub_heads=2)}
DTYPES = {"F32": numpy.float32, "BF16": numpy.uint16}


def read(file):
    """Name -> array of a safetensors file, as its format is defined; BF16 as its 16 bits."""
    content = file.read_bytes()
    size, = struct.unpack("<Q", content[:8])
    header = json.loads(content[8:8 + size])
    assert size % 8 == 0 and header.pop("__metadata__") == {"format": "pt"}
    data, arrays, end = content[8 + size:], {}, 0
    for name, array in header.items():
        begin, stop = array["data_offsets"]
        assert begin == end, "arrays lie in the order of the header, without a gap"
        end = stop
        arrays[name] = numpy.frombuffer(data[begin:stop], DTYPES[array["dtype"]]).reshape(array["shape"])
    assert end == len(data)
    return arrays


def write(file, header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    file.write_bytes(struct.pack("<Q", len(text)) + text + data)


def parameters(checkpoint):
    with h5py.File(checkpoint) as file:
        found = {}
        file["parameters"].visititems(lambda name, item: found.update({name: item[()]}) if hasattr(item, "dtype") else None)
    return found


def expected_of(layout, ours):
    """The arrays of a layout, from those of a checkpoint."""
    if layout == "plain":
        return {name.replace("/", "."): array for name, array in ours.items()}
    found = {"model.embed_tokens.weight": ours["embedding/weight"], "model.norm.weight": ours["norm/weight"]}

    def add_swiglu(name, path, gate="gate_proj", up="up_proj", down="down_proj", factor=1):
        g, v = numpy.split(ours[f"{path}/glu/weight"], 2, axis=1)
        found.update({f"{name}.{gate}.weight": g.T, f"{name}.{up}.weight": v.T,
                      f"{name}.{down}.weight": factor * ours[f"{path}/down/weight"].T})

    for layer in range(LAYERS):
        name, path = f"model.layers.{layer}", f"blocks/{layer:02}"
        found |= {f"{name}.input_layernorm.weight": ours[f"{path}/attention_norm/weight"],
                  f"{name}.post_attention_layernorm.weight": ours[f"{path}/norm/weight"],
                  f"{name}.self_attn.o_proj.weight": ours[f"{path}/attention/out/weight"].T}
        for letter, part in zip("qkv", numpy.split(ours[f"{path}/attention/qkv/weight"], 3, axis=1)):
            found[f"{name}.self_attn.{letter}_proj.weight"] = part.T
        if f"{path}/feed_forward/glu/weight" in ours:
            add_swiglu(f"{name}.mlp", f"{path}/feed_forward")
            continue
        mlp, names = (f"{name}.block_sparse_moe", ("w1", "w3", "w2")) if layout == "mixtral" else (f"{name}.mlp", ())
        found[f"{mlp}.gate.weight"] = ours[f"{path}/mixture/gate/dense_1/weight"].T
        for e in range(EXPERTS):
            add_swiglu(f"{mlp}.experts.{e}", f"{path}/mixture/experts/{e:04}", *names)
        if layout == "qwen2_moe":
            found[f"{mlp}.shared_expert_gate.weight"] = numpy.zeros((1, WIDTH), numpy.float32)
            add_swiglu(f"{mlp}.shared_expert", f"{path}/mixture/shared", factor=2)
    return found


class ModelTest(token_runs.TokenTest):
    base_keys = KEYS

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.models = {layout: cls.train_for_all(**keys)[1] for layout, keys in OF_LAYOUT.items()}

    def export(self, run, *more):
        """The folder, and what was said."""
        folder = self.new_path("exported")
        return folder, self.expect(runs.switchyard("export", run, f"--out={folder}", *more), 0).out

    def evaluation(self, checkpoint):
        found = json.loads(self.expect(runs.switchyard("eval", checkpoint), 0).out)
        del found["time"], found["checkpoint"], found["step"]
        return found


class Export(ModelTest):
    def test_arrays_are_those_of_the_checkpoint(self):
        for layout, run in self.models.items():
            with self.subTest(layout=layout):
                folder, said = self.export(run)
                self.assertIn(f": layout {layout}\n", said)
                found = read(folder / "model.safetensors")
                expected = expected_of(layout, parameters(runs.newest_checkpoint(run)))
                self.assertEqual(sorted(found), sorted(expected))
                for name, array in expected.items():
                    self.assertEqual(found[name].shape, array.shape, name)
                    self.assertEqual(found[name].tobytes(), numpy.ascontiguousarray(array).tobytes(), name)
                self.assertEqual((folder / "config.json").exists(), layout != "plain")
                self.assertTrue((folder / "switchyard.ini").exists())
                self.assertIn("no tokenizer.model: the model's tokens are no pieces of a vocabulary", said)

    def test_rounded_to_bfloat16(self):
        run = self.models["mixtral"]
        folder, _ = self.export(run, "--dtype=bfloat16")
        found = read(folder / "model.safetensors")
        for name, array in expected_of("mixtral", parameters(runs.newest_checkpoint(run))).items():
            bits = numpy.ascontiguousarray(array).view(numpy.uint32).astype(numpy.uint64)
            nearest = (bits + 0x7fff + (bits >> 16 & 1)) >> 16  # ties to even
            numpy.testing.assert_array_equal(found[name], nearest, name)

    def test_the_configuration_of_a_layout(self):
        common = {"vocab_size": 256, "hidden_size": WIDTH, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS,
                  "num_key_value_heads": HEADS, "hidden_act": "silu", "rms_norm_eps": 1e-5, "rope_theta": 500,
                  "tie_word_embeddings": True, "max_position_embeddings": token_runs.WINDOW, "torch_dtype": "float32"}
        own = {"mixtral": {"architectures": ["MixtralForCausalLM"], "intermediate_size": EXPERT_HIDDEN,
                           "num_local_experts": EXPERTS, "num_experts_per_tok": 2, "sliding_window": None},
               "qwen2_moe": {"architectures": ["Qwen2MoeForCausalLM"], "intermediate_size": HIDDEN, "qkv_bias": False,
                             "decoder_sparse_step": 2, "mlp_only_layers": [], "num_experts": EXPERTS,
                             "num_experts_per_tok": 1, "norm_topk_prob": False, "moe_intermediate_size": EXPERT_HIDDEN,
                             "shared_expert_intermediate_size": SHARED},
               "llama": {"architectures": ["LlamaForCausalLM"], "intermediate_size": HIDDEN, "attention_bias": False,
                         "mlp_bias": False}}
        for layout, members in own.items():
            with self.subTest(layout=layout):
                folder, _ = self.export(self.models[layout])
                found = json.loads((folder / "config.json").read_text())
                for name, value in {**common, **members, "model_type": layout}.items():
                    self.assertEqual(found[name], value, name)

    def test_without_a_shared_expert_qwen2_moe_has_an_empty_one(self):
        run = self.train(transformer_mixture_every=2)
        folder, _ = self.export(run)
        found = read(folder / "model.safetensors")
        self.assertEqual(found["model.layers.1.mlp.shared_expert.gate_proj.weight"].shape, (0, WIDTH))
        self.assertEqual(found["model.layers.1.mlp.shared_expert.down_proj.weight"].shape, (WIDTH, 0))
        self.assertTrue(json.loads((folder / "config.json").read_text())["norm_topk_prob"])

    def test_says_why_another_layout_does_not_fit(self):
        odd = {"moe_sub_heads": 2, "moe_router": "cosine", "moe_scores": "sigmoid", "moe_scale": 1.5, "moe_bias_rate": 0.01}
        for key, value in odd.items():
            name = key.replace("_", ".", 1)
            with self.subTest(key=name):
                run = self.train(**{key: value})
                _, said = self.export(run)
                self.assertIn(": layout plain\n", said)
                self.assertIn(f"not mixtral: {name} = {value} (", said)
                self.assertIn("not llama: transformer.mixture_every = 1 (", said)
                folder = self.new_path("none")
                self.expect_failure(runs.switchyard("export", run, f"--out={folder}", "--layout=mixtral"), 2,
                                    "does not fit --layout=mixtral", f"{name} = {value}")
                self.assertFalse(folder.exists())
        for keys, why in ((dict(moe_head="yes"), "moe.head or moe.merge is yes"), (dict(moe_merge="yes"), "moe.head or moe.merge is yes"),
                          (dict(moe_capacity=1, moe_capacity_when="always"), "moe.capacity_when = always")):
            with self.subTest(**keys):
                self.assertIn(f"not mixtral: {why} (", self.export(self.train(**keys))[1])
        for layout, key in (("mixtral", "moe.normalise = auto with moe.top_k = 1"), ("llama", "transformer.mixture_every = 1")):
            finished = runs.switchyard("export", self.train(moe_top_k=1), f"--out={folder}", f"--layout={layout}")
            self.expect_failure(finished, 2, f"does not fit --layout={layout}", key)

    def test_other_models_are_plain(self):
        rows = {name: value for name, value in token_runs.BASE_KEYS.items() if name.startswith(("model.", "tokens."))}
        keys = {"model_family": "tokens", "model_gate": rows["model.gate"], "model_expert": rows["model.expert"]}
        config, run = self.write_config(**keys)
        config.write_text("".join(line for line in config.read_text().splitlines(True) if not line.startswith((
            "layers", "heads", "hidden", "mixture_every", "rotary_base", "window", "width"))).replace("[transformer]\n", ""))
        self.expect(runs.switchyard("train", config), 0)
        folder, said = self.export(run)
        self.assertIn("not llama: model.family = tokens (", said)
        self.assertEqual(sorted(read(folder / "model.safetensors")),
                         sorted(name.replace("/", ".") for name in parameters(runs.newest_checkpoint(run))))

    def test_refusals(self):
        run = self.models["llama"]
        folder, _ = self.export(run)
        self.expect_failure(runs.switchyard("export", run, f"--out={folder}"), 3, "model.safetensors is there already")
        self.expect_failure(runs.switchyard("export", run), 2, "was not told where to write")
        out = f"--out={self.new_path('none')}"
        self.expect_failure(runs.switchyard("export", run, out, "--layout=olmoe"), 2, "--layout=olmoe is no layout",
                            "auto, mixtral, qwen2_moe, llama, plain")
        self.expect_failure(runs.switchyard("export", run, out, "--dtype=int8"), 2, "--dtype=int8 is no type")
        self.expect_failure(runs.switchyard("export", run, out, "--moe.top_k=1"), 2, "moe.top_k cannot be changed here")
        self.expect_failure(runs.switchyard("export", out), 2, "export takes one checkpoint or run folder")
        self.expect_failure(runs.switchyard("export", self.new_path("nothing"), out), 3, "nothing")
        self.expect_failure(runs.switchyard("export", run, f"--out={run / 'config.ini'}/below"), 3, "cannot make the folder")


class Vocabulary(runs.RunTest):
    """Of a model whose tokens are pieces."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        texts, cls.file, config = cls.new_path("texts"), cls.new_path("tokens.h5"), cls.new_path("config.ini")
        tokens_test.write_pages(texts, ["switch", "yard", "wagons", "arrive,"], 1)
        cls.run_folder = cls.new_path("run")
        config.write_text(f"[run]\ndir = {cls.run_folder}\nthreads = 1\n[data]\nsource = tokens\nfile = {cls.file}\n"
                          "[model]\nfamily = transformer\n[transformer]\nwidth = 8\nheads = 2\nlayers = 1\nwindow = 16\n"
                          "mixture_every = 0\n[train]\nmax_steps = 1\n")
        for words in (["corpus", texts, "--vocabulary=330", f"--out={cls.file}"], ["train", config]):
            finished = runs.switchyard(*words)
            if finished.code != 0:
                raise AssertionError(finished)

    def export(self, *more):
        folder = self.new_path("exported")
        return folder, self.expect(runs.switchyard("export", self.run_folder, f"--out={folder}", *more), 0).out

    def test_goes_along(self):
        folder, said = self.export()
        self.assertIn(f"{folder}/tokenizer.model\n", said)
        with h5py.File(self.file) as file:
            self.assertEqual((folder / "tokenizer.model").read_bytes(), file["model"][()].tobytes())
        config = json.loads((folder / "config.json").read_text())
        self.assertEqual((config["vocab_size"], config["eos_token_id"]), (330, 1))

    def test_is_that_of_the_tokens_that_come_in(self):
        folder, _ = self.export()
        texts, other = self.new_path("others"), self.new_path("others.h5")
        tokens_test.write_pages(texts, ["switches", "yards", "waggons", "arrived,"], 2)
        self.expect(runs.switchyard("corpus", texts, "--vocabulary=300", f"--out={other}"), 0)
        self.expect_failure(runs.switchyard("import", folder, f"--out={self.new_path('in.h5')}", f"--data.file={other}"), 3,
                            "are of another vocabulary than the model's", kind="DataError")

    def test_of_a_file_that_is_elsewhere_or_another(self):
        moved, other = self.new_path("moved.h5"), self.new_path("other.h5")
        self.file.rename(moved)
        self.addCleanup(moved.rename, self.file)
        folder, _ = self.export()
        self.assertTrue((folder / "tokenizer.model").exists(), "the checkpoint holds it")
        older = self.new_path("older.h5")
        shutil.copy(runs.newest_checkpoint(self.run_folder), older)
        runs.edit_checkpoint(older, lambda opened: opened.pop("data/vocabulary"))
        self.run_folder = older
        folder, said = self.export()
        self.assertIn("no tokenizer.model: ", said)
        self.assertFalse((folder / "tokenizer.model").exists())
        folder, _ = self.export(f"--data.file={moved}")
        self.assertTrue((folder / "tokenizer.model").exists())
        texts = self.new_path("texts")
        tokens_test.write_pages(texts, ["switch", "yard", "wagons", "arrive,"], 1)
        self.expect(runs.switchyard("corpus", texts, "--vocabulary=320", f"--out={other}"), 0)
        _, said = self.export(f"--data.file={other}")
        self.assertIn("other.h5 has 320 tokens, and the model 330", said)


def assert_names(test, family, run):
    """Parameters are called as docs/checkpoints.md says."""
    rules = dict(re.findall(r"(?m)^    (\w+) = (\S+)$", (SOURCE / "docs/checkpoints.md").read_text()))
    pattern = f"<{family}>"
    while "<" in pattern:
        pattern = re.sub(r"<(\w+)>", lambda word: rules[word[1]], pattern)
    for name in parameters(runs.newest_checkpoint(run)):
        test.assertRegex(name, f"^{pattern}$")


class NamesOfText(ModelTest):
    def test_are_as_documented(self):
        for run in self.models.values():
            assert_names(self, "transformer", run)
        for keys in ({"transformer_tied": "no"}, {"moe_router": "cosine"}):
            assert_names(self, "transformer", self.train(train_max_steps=1, **keys))


class NamesOfRows(runs.RunTest):
    def test_are_as_documented(self):
        for gate in (self.base_keys["model.gate"], "dense:8 relu cosine:experts", "dense:8 relu attention:experts"):
            assert_names(self, "mixture", self.train(train_max_steps=1, model_gate=gate))


class NamesOfTokens(token_runs.TokenTest):
    def test_are_as_documented(self):
        assert_names(self, "tokens", self.train(train_max_steps=1))


class Import(ModelTest):
    def imported(self, folder, *more):
        file = self.new_path("imported.h5")
        return file, self.expect(runs.switchyard("import", folder, f"--out={file}", *more), 0).out

    def test_gives_the_same_bits_again(self):
        for layout, run in self.models.items():
            with self.subTest(layout=layout):
                folder, _ = self.export(run)
                file, said = self.imported(folder)
                self.assertIn(f": layout {layout}\n", said)
                ours, again = parameters(runs.newest_checkpoint(run)), parameters(file)
                self.assertEqual({name: array.tobytes() for name, array in ours.items()},
                                 {name: array.tobytes() for name, array in again.items()})
                self.assertEqual(self.evaluation(file), self.evaluation(run))
                self.expect(runs.switchyard("verify", file), 0)

    def test_biases_of_the_choice_are_among_the_plain_arrays(self):
        run = self.train(moe_bias_rate=0.01)
        folder, _ = self.export(run)
        self.assertIn("buffers.blocks.00.mixture.gate.choice.bias", read(folder / "model.safetensors"))
        file, _ = self.imported(folder)
        self.assertEqual(self.evaluation(file), self.evaluation(run))

    def test_a_new_run_begins_with_it(self):
        folder, _ = self.export(self.models["mixtral"])
        file, _ = self.imported(folder)
        keys = dict(optim_learning_rate=1e-30, train_max_steps=1)
        losses = [runs.metrics(self.train(ranks=ranks, init_from=source, **keys))[0]["loss"]
                  for ranks, source in ((0, self.models["mixtral"]), (2, file))]
        self.assertEqual(losses[0], losses[1])

    def test_numbers_of_bfloat16(self):
        folder, _ = self.export(self.models["mixtral"], "--dtype=bfloat16")
        file, _ = self.imported(folder)
        rounded = read(folder / "model.safetensors")["model.embed_tokens.weight"].astype(numpy.uint32) << 16
        self.assertEqual(parameters(file)["embedding/weight"].tobytes(), rounded.tobytes())

    def test_another_configuration(self):
        folder, _ = self.export(self.models["llama"])
        other = self.new_path("other.ini")
        other.write_text((folder / "switchyard.ini").read_text())
        (folder / "switchyard.ini").unlink()
        self.imported(folder, f"--config={other}", "--run.seed=3")

        def refused(key, *said):
            out = self.new_path("none.h5")
            self.expect_failure(runs.switchyard("import", folder, f"--out={out}", f"--config={other}", key), 2, *said)
            self.assertFalse(out.exists())

        refused("--transformer.rotary_base=10000", "config.json' says rope_theta = 500.0", "makes it 10000.0")
        refused("--transformer.heads=2", "says num_attention_heads = 3, and the configuration makes it 2")
        refused("--transformer.mixture_every=2", "is of layout llama, and the configuration's model is not: "
                "transformer.mixture_every = 2")
        config = json.loads((folder / "config.json").read_text())
        del config["rope_theta"]
        config["rope_parameters"] = {"rope_theta": 501, "rope_type": "default"}  # as newer versions write it
        (folder / "config.json").write_text(json.dumps(config))
        refused("--run.seed=3", "says rope_theta = 501")
        config["rope_parameters"] = {"rope_theta": 500, "rope_type": "yarn"}
        (folder / "config.json").write_text(json.dumps(config))
        refused("--run.seed=3", 'says rope_type = "yarn"')
        config["rope_parameters"] = {"rope_theta": 500}
        for key, value, said in (("residual_multiplier", 0.5, "= 0.5, of which nothing is known here"),
                                 ("partial_rotary_factor", 0.5, "makes it 1.0"), ("head_dim", 7, "makes it")):
            (folder / "config.json").write_text(json.dumps({**config, key: value}))
            refused("--run.seed=3", f"says {key} = {value}", said)
        harmless = {"logits_to_keep": None, "use_cache": True, "head_dim": config["hidden_size"] // config["num_attention_heads"]}
        (folder / "config.json").write_text(json.dumps({**config, **harmless}))
        self.imported(folder, f"--config={other}", "--run.seed=3")
        (folder / "config.json").write_text("[" * 100_000)
        self.expect_failure(runs.switchyard("import", folder, f"--config={other}", f"--out={self.new_path()}"), 3,
                            "config.json' is no JSON object")
        (folder / "config.json").unlink()
        self.imported(folder, f"--config={other}")


class Forged(ModelTest):
    """Files that break the format, or hold another model."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.source = cls.new_path("exported")
        finished = runs.switchyard("export", cls.models["llama"], f"--out={cls.source}")
        if finished.code != 0:
            raise AssertionError(finished)
        cls.content = (cls.source / "model.safetensors").read_bytes()
        size, = struct.unpack("<Q", cls.content[:8])
        cls.header, cls.data_bytes = json.loads(cls.content[8:8 + size]), cls.content[8 + size:]

    def refused(self, *said, code=3, content=None, header=None, data=None):
        folder, out = self.new_path("forged"), self.new_path("none.h5")
        shutil.copytree(self.source, folder)
        file = folder / "model.safetensors"
        if content is not None:
            file.write_bytes(content)
        else:
            write(file, self.header if header is None else header, self.data_bytes if data is None else data)
        finished = runs.switchyard("import", folder, f"--out={out}")
        self.expect_failure(finished, code, "model.safetensors' ", *said)
        self.assertFalse(out.exists())

    def changed(self, name="model.norm.weight", **members):
        header = json.loads(json.dumps(self.header))
        header[name].update(members)
        return header

    def test_lengths(self):
        self.refused("it has 5 bytes", content=b"short")
        self.refused("its header would have 1000 bytes, and the file has 10", content=struct.pack("<Q", 1000) + b"{}")
        self.refused("its header would have 18446744073709551615 bytes", content=b"\xff" * 8 + b"{}")
        self.refused("its header would have 200000000 bytes, and 100000000 are the most",
                     content=struct.pack("<Q", 200_000_000) + b"{}")
        self.refused("its arrays take", "and the file holds", content=self.content[:-4])
        self.refused("its arrays take", "and the file holds", content=self.content + b"more")

    def test_headers_that_are_none(self):
        for text, said in ((b"[]", "does not begin with a brace"), (b"{", "breaks off or goes wrong at byte"),
                           (b"{} {}", "breaks off or goes wrong"), (b'{"a": 1}', "holds a number at 'a'"),
                           (b'{"a": {"b": {}}}', "an object where it has none"), (b'{"a": null}', "holds null"),
                           (b'{"a": [1]}', "holds a list"), (b'{"a":{"shape":[[1]]}}', "holds a list"),
                           (b'{"a":{"shape":[-1]}}', "a negative number"), (b'{"a":{"shape":[1.5]}}', "a broken number"),
                           (b'{"a":{"shape":[1e3]}}', "a broken number"), (b'{"a":{"dtype":3}}', "holds a number"),
                           (b'{"a":{}}', "has not the three members"), (b'{"\xff":{}}', "goes wrong at byte"),
                           (b'{"a":{"shape":[' + b"1," * 8 + b"1]}}", "too long a list"),
                           (b'{"a":' * 100_000, "an object where it has none")):
            with self.subTest(text=text[:40]):
                self.refused(said, header=text, data=b"")

    def test_names_that_stand_there_twice(self):
        array = json.dumps(self.header["model.norm.weight"])
        twice = json.dumps(self.header)[:-1] + f', "model.norm.weight": {array}}}'
        self.refused("the header has 'model.norm.weight' twice", header=twice.encode())
        self.refused("'a' has 'shape' twice", header=b'{"a":{"shape":[1],"shape":[2]}}')
        self.refused("the header has '__metadata__' twice", header=b'{"__metadata__":{},"__metadata__":{}}')

    def test_offsets(self):
        begin, end = self.header["model.norm.weight"]["data_offsets"]
        self.refused("48 bytes", header=self.changed(data_offsets=[begin, end - 4]))
        self.refused("lies at bytes", header=self.changed(data_offsets=[end, begin]))
        self.refused("begins at byte 0, and what lies before it ends at", header=self.changed(data_offsets=[0, 48]))
        self.refused("begins at byte", header=self.changed(data_offsets=[begin + 4, end + 4]), data=self.data_bytes + b"more")
        self.refused("more numbers than there are bytes", header=self.changed(shape=[2**40, 2**40]))

    def test_types_and_shapes(self):
        self.refused("'model.norm.weight' is of 'F16', and F32 and BF16", header=self.changed(dtype="F16"))
        self.refused("'model.norm.weight' has the shape 3 x 4, and the model's 12", header=self.changed(shape=[3, 4]))

    def test_arrays_that_are_missing_or_too_many(self):
        header = json.loads(json.dumps(self.header))
        header["model.other.weight"] = header.pop("model.norm.weight")
        self.refused("it has no array 'model.norm.weight'", header=header)
        begin, end = len(self.data_bytes), len(self.data_bytes) + 4
        more = {**self.header, "lm_head.weight": {"dtype": "F32", "shape": [1], "data_offsets": [begin, end]}}
        self.refused("its array 'lm_head.weight' has no place in this model", header=more, data=self.data_bytes + b"more")

    def test_numbers_that_are_not_finite(self):
        begin, _ = self.header["model.norm.weight"]["data_offsets"]
        data = bytearray(self.data_bytes)
        data[begin:begin + 4] = struct.pack("<f", float("nan"))
        folder, out = self.new_path("forged"), self.new_path("none.h5")
        shutil.copytree(self.source, folder)
        write(folder / "model.safetensors", self.header, bytes(data))
        self.expect_failure(runs.switchyard("import", folder, f"--out={out}"), 3, "'model.norm.weight' of ", "not finite")

    def test_what_is_no_file(self):
        folder = self.new_path("empty")
        folder.mkdir()
        out = f"--out={self.new_path('none.h5')}"
        self.expect_failure(runs.switchyard("import", folder, out), 2, "switchyard.ini", "--config=FILE.ini")
        shutil.copy(self.source / "switchyard.ini", folder)
        self.expect_failure(runs.switchyard("import", folder, out), 3, "model.safetensors' is no whole safetensors file")
        (folder / "model.safetensors").mkdir()
        self.expect_failure(runs.switchyard("import", folder, out), 3, "it is a folder")
        self.expect_failure(runs.switchyard("import", out), 2, "import takes one folder")
        self.expect_failure(runs.switchyard("import", self.source), 2, "was not told where to write")

    def test_a_shared_gate_of_its_own(self):
        folder, _ = self.export(self.models["qwen2_moe"])
        file = folder / "model.safetensors"
        content = bytearray(file.read_bytes())
        size, = struct.unpack("<Q", content[:8])
        begin, _ = json.loads(content[8:8 + size])["model.layers.1.mlp.shared_expert_gate.weight"]["data_offsets"]
        content[8 + size + begin:8 + size + begin + 4] = struct.pack("<f", 0.5)
        file.write_bytes(content)
        self.expect_failure(runs.switchyard("import", folder, f"--out={self.new_path('none.h5')}"), 3,
                            "shared_expert_gate.weight' is not zeros")


if __name__ == "__main__":
    runs.main()
