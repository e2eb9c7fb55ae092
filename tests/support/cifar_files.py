"""Small data sets in CIFAR's binary form."""

import gzip

import numpy

CLASSES = 10


def images(labels, classes, random):
    """Noise and a brightness of each channel that tells the class: no flip and no crop hides it."""
    levels = numpy.stack([40 + 50 * (labels * step % classes) / classes * 3 for step in (1, 3, 7)], axis=1)
    noise = random.integers(-40, 41, (len(labels), 3, 32, 32))
    return numpy.clip(levels[:, :, None, None] + noise, 0, 255).astype(numpy.uint8)


def write_records(file, label_columns, classes, random):
    """Label bytes, then pixels; the last column decides what the image shows."""
    labels = numpy.stack(label_columns, axis=1).astype(numpy.uint8)
    pixels = images(label_columns[-1], classes, random).reshape(len(labels), -1)
    content = numpy.concatenate([labels, pixels], axis=1).tobytes()
    file.write_bytes(gzip.compress(content, mtime=0) if file.suffix == ".gz" else content)


def write_cifar10(folder):
    folder.mkdir()
    random = numpy.random.default_rng(1)
    for batch in range(1, 6):
        name = f"data_batch_{batch}.bin" + (".gz" if batch % 2 else "")
        write_records(folder / name, [random.integers(0, CLASSES, 80)], CLASSES, random)
    write_records(folder / "test_batch.bin", [random.integers(0, CLASSES, 100)], CLASSES, random)


def write_cifar100(folder):
    folder.mkdir()
    random = numpy.random.default_rng(2)
    for name, count in (("train.bin", 400), ("test.bin.gz", 100)):
        fine = random.integers(0, 100, count)
        write_records(folder / name, [fine // 5, fine], 100, random)
