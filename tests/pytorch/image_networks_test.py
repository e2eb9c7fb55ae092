"""ResNet18 and MobileNetV2 beside those of torchvision, with its state: probabilities, loss, every gradient, running statistics.

As every program of this folder it is run by hand and is no test of `ctest`; it needs torchvision, too.
"""

import copy
import shutil

import h5py
import numpy
import torch
import torchvision

import cifar_files
import predictions
import runs

BATCH = 32
CLASSES = 10
OF_FORWARD = 3e-5  # float32 beside float64, through up to 52 convolutions
# Of the units some are so near to zero that rounding decides whether a ReLU lets them pass. What that does to the gradient, PyTorch
# in float32 shows beside itself in float64; which units they are is chance.
OF_PYTORCH = 5


def resnet18():
    """As it is built for images of 32 x 32, and its layers in the order of ours: the way past a block is first."""
    model = torchvision.models.resnet18(num_classes=CLASSES)
    model.conv1 = torch.nn.Conv2d(3, 64, 3, padding=1, bias=False)
    model.maxpool = torch.nn.Identity()
    layers = [model.conv1, model.bn1]
    for stage in (model.layer1, model.layer2, model.layer3, model.layer4):
        for block in stage:
            layers += [*(block.downsample or ()), block.conv1, block.bn1, block.conv2, block.bn2]
    return model, [*layers, model.fc]


def mobilenet_v2():
    """Likewise, without its dropout."""
    model = torchvision.models.mobilenet_v2(num_classes=CLASSES, dropout=0)
    model.features[0][0].stride = (1, 1)
    model.features[2].conv[1][0].stride = (1, 1)
    return model, list(model.modules())


def with_random_state(model, layers, images):
    """Probabilities that are far from equal, with running statistics that are those of these images."""
    norms = [layer for layer in layers if isinstance(layer, torch.nn.BatchNorm2d)]
    for layer in norms:
        layer.weight.data.uniform_(0.5, 1.5)
        layer.bias.data.uniform_(-0.2, 0.2)
        layer.momentum = 1
    layers[-1].weight.data.normal_(0, 0.1)
    with torch.no_grad():
        model.train()(images.float())
    for layer in norms:
        layer.momentum = 0.1
    return model, layers


KINDS = {torch.nn.Conv2d: "conv", torch.nn.BatchNorm2d: "batch_norm", torch.nn.Linear: "dense"}


def arrays_of(layers, of=lambda parameter: parameter):
    """Name in a checkpoint -> what `of` makes of a parameter, or a buffer."""
    found, counts = {}, dict.fromkeys(KINDS.values(), 0)
    for layer in layers:
        kind = KINDS.get(type(layer))
        if not kind:
            continue
        counts[kind] += 1
        name = f"experts/0000/{kind}_{counts[kind]}"
        if kind == "batch_norm":
            found |= {f"parameters/{name}/gamma": of(layer.weight), f"parameters/{name}/beta": of(layer.bias),
                      f"buffers/{name}/running_mean": layer.running_mean, f"buffers/{name}/running_variance": layer.running_var}
            continue
        weight = of(layer.weight)
        found[f"parameters/{name}/weight"] = weight.T if kind == "dense" else weight
        if layer.bias is not None:
            found[f"parameters/{name}/bias"] = of(layer.bias)
    return {name: array.detach().numpy() for name, array in found.items()}


def data_sets(opened):
    found = {}
    for group in ("parameters", "buffers"):
        opened[group].visititems(lambda name, item, group=group: found.update({f"{group}/{name}": item})
                                 if isinstance(item, h5py.Dataset) else None)
    return found


def distance(found, expected, prefix):
    """Of all arrays of this prefix together, of their norm."""
    names = [name for name in expected if name.startswith(prefix)]
    differences, norms = (numpy.linalg.norm([numpy.linalg.norm(of(name)) for name in names])
                          for of in (lambda name: found[name] - expected[name], lambda name: expected[name]))
    return differences / norms


class ImageNetworks(predictions.PredictionTest):
    base_keys = {
        "run.seed": 1, "run.wait_seconds": 120, "data.source": "cifar", "data.validation_samples": 0, "data.mean": "0.5 0.4 0.6",
        "data.standard_deviation": "0.3 0.2 0.25", "model.gate": "none", "moe.experts": 1, "moe.top_k": 0, "optim.name": "sgd",
        "optim.learning_rate": 1, "train.order": "fixed", "train.batch_size": BATCH, "train.max_steps": 1}

    @classmethod
    def write_data(cls):
        torch.manual_seed(2)
        cifar_files.write_cifar10(cls.data)

    def samples(self, split):
        """As a model sees them, with their labels; of training samples the first two batches."""
        config, _ = self.write_config(model_expert="dense:classes")
        file = self.new_path("samples.h5")
        self.expect(runs.switchyard("samples", config, f"--out={file}"), 0)
        count = 2 * BATCH if split == "train" else None
        with h5py.File(file) as opened:
            samples, labels = (opened[f"{split}/{name}"][:count] for name in ("samples", "labels"))
        return torch.as_tensor(samples.astype(float)).reshape(-1, 3, 32, 32), torch.as_tensor(labels.astype(int))

    def with_state(self, file, arrays):
        """A copy of a checkpoint with these."""
        state = self.new_path("state.h5")
        shutil.copy(file, state)

        def write(opened):
            found = data_sets(opened)
            theirs = {name: array.shape for name, array in arrays.items()}
            self.assertEqual({name: item.shape for name, item in found.items()}, theirs)
            for name, array in arrays.items():
                found[name][...] = array

        runs.edit_checkpoint(state, write)
        return state

    def check(self, word, build):
        first = self.train(model_expert=f"{word}:classes")
        images, labels = self.samples("train")
        network = with_random_state(*build(), images[BATCH:])
        start = self.with_state(runs.newest_checkpoint(first), arrays_of(network[1]))

        with torch.no_grad():
            expected = copy.deepcopy(network[0]).double().eval()(self.samples("test")[0]).softmax(1).numpy()
        self.assertGreater(expected.std(0).mean(), 0.02)
        of_probabilities = abs(self.arrays(start)["probabilities"] - expected).max()

        steps = {}
        for number in (torch.float32, torch.float64):
            model, layers = copy.deepcopy(network)
            loss = torch.nn.functional.cross_entropy(model.to(number).train()(images[:BATCH].to(number)), labels[:BATCH])
            loss.backward()
            steps[number] = loss.item(), arrays_of(layers, lambda parameter: parameter.grad)
        run = self.train(model_expert=f"{word}:classes", init_from=start)
        loss = next(found["loss"] for found in runs.metrics(run) if found["kind"] == "step")
        with h5py.File(start) as before, h5py.File(runs.newest_checkpoint(run)) as after:
            before, after = data_sets(before), data_sets(after)
            found = {name: before[name][()].astype(float) - array[()] if name.startswith("parameters/") else array[()]
                     for name, array in after.items()}

        expected_loss, expected = steps[torch.float64]
        of_buffers, of_gradients = (distance(found, expected, prefix) for prefix in ("buffers/", "parameters/"))
        of_pytorch = distance(steps[torch.float32][1], expected, "parameters/")
        print(f"\n{word}: probabilities differ by {of_probabilities:.1e} at most, the loss ({expected_loss:.4f}) by "
              f"{loss - expected_loss:.1e}; running statistics by {of_buffers:.1e} of their norm, gradients by "
              f"{of_gradients:.1e} of theirs (of PyTorch in float32: {of_pytorch:.1e})", flush=True)
        self.assertLess(of_probabilities, OF_FORWARD)
        self.assertAlmostEqual(loss, expected_loss, delta=OF_FORWARD * expected_loss)
        self.assertLess(of_buffers, OF_FORWARD)
        self.assertLess(of_gradients, OF_PYTORCH * of_pytorch)

    def test_resnet18(self):
        self.check("resnet18", resnet18)

    def test_mobilenet_v2(self):
        self.check("mobilenet_v2", mobilenet_v2)


if __name__ == "__main__":
    runs.main()
