"""Inputs that the fuzz targets begin with: small and whole, one of each form that the program reads."""

import base64
import gzip
import json
import pathlib
import struct
import zlib

import h5py
import numpy

ROOT = pathlib.Path(__file__).resolve().parents[2]


def config():
    yield from (file.read_bytes() for file in sorted((ROOT / "configs").rglob("*.ini"))
                if b"[study]" not in file.read_bytes())


def study():
    yield from (file.read_bytes() for file in sorted((ROOT / "configs").rglob("*.ini")) if b"[study]" in file.read_bytes())
    yield b"[study]\nname = s\nseeds = 1,2\n[all]\noptim.beta1 = 0.8,0.9\n[arm a]\nconfig = a.ini\n[arm b]\nconfig = a.ini\nafter = a\n"


def idx():
    for code, size, shape in ((8, 1, (5,)), (8, 1, (3, 4, 4)), (9, 1, (3,)), (11, 2, (2, 3)), (12, 4, (5,)), (13, 4, (2, 1, 2, 2)),
                              (14, 8, (2, 2))):
        content = struct.pack(">HBB", 0, code, len(shape)) + struct.pack(f">{len(shape)}I", *shape) + bytes(size * numpy.prod(shape))
        yield content
        yield gzip.compress(content, mtime=0)


def cifar():
    yield bytes(2 * 3073)
    yield bytes(2 * 3074)
    yield gzip.compress(bytes(3074), mtime=0)


# 8 x 8 pixels: grey, and of colours in several passes.
JPEGS = (
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDABsSFBcUERsXFhceHBsgKEIrKCUlKFE6PTBCYFVlZF9VXVtqeJmBanGQc1tdhbWGkJ6jq62rZ4C8yb"
    "qmx5moq6T/wAALCAAIAAgBAREA/8QAHwAAAQUBAQEBAQEAAAAAAAAAAAECAwQFBgcICQoL/8QAtRAAAgEDAwIEAwUFBAQAAAF9AQIDAAQRBRIh"
    "MUEGE1FhByJxFDKBkaEII0KxwRVS0fAkM2JyggkKFhcYGRolJicoKSo0NTY3ODk6Q0RFRkdISUpTVFVWV1hZWmNkZWZnaGlqc3R1dnd4eXqDhI"
    "WGh4iJipKTlJWWl5iZmqKjpKWmp6ipqrKztLW2t7i5usLDxMXGx8jJytLT1NXW19jZ2uHi4+Tl5ufo6erx8vP09fb3+Pn6/9oACAEBAAA/AJLn"
    "b5fHWv/Z",
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDACgcHiMeGSgjISMtKygwPGRBPDc3PHtYXUlkkYCZlo+AjIqgtObDoKrarYqMyP/L2u71////m8H///"
    "/6/+b9//j/2wBDASstLTw1PHZBQXb4pYyl+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj4+Pj/wgARCAAI"
    "AAgDASIAAhEBAxEB/8QAFQABAQAAAAAAAAAAAAAAAAAAAAL/xAAVAQEBAAAAAAAAAAAAAAAAAAABAv/aAAwDAQACEAMQAAABsM//xAAVEAEBAA"
    "AAAAAAAAAAAAAAAAAAAf/aAAgBAQABBQKv/8QAFBEBAAAAAAAAAAAAAAAAAAAAAP/aAAgBAwEBPwF//8QAFBEBAAAAAAAAAAAAAAAAAAAAAP/a"
    "AAgBAgEBPwF//8QAFBABAAAAAAAAAAAAAAAAAAAAAP/aAAgBAQAGPwJ//8QAFRABAQAAAAAAAAAAAAAAAAAAADH/2gAIAQEAAT8hl//aAAwDAQ"
    "ACAAMAAAAQ/wD/xAAUEQEAAAAAAAAAAAAAAAAAAAAA/9oACAEDAQE/EH//xAAUEQEAAAAAAAAAAAAAAAAAAAAA/9oACAECAQE/EH//xAAWEAAD"
    "AAAAAAAAAAAAAAAAAAAAETH/2gAIAQEAAT8QST//2Q==")


def image():
    yield from (base64.b64decode(text) for text in JPEGS)

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
    for bits, kind, row_bytes, interlaced in ((1, 0, 1, 0), (8, 2, 9, 0), (16, 6, 24, 0), (4, 3, 2, 0), (8, 4, 6, 1)):
        header = chunk(b"IHDR", struct.pack(">IIBBBBB", 3, 1 if interlaced else 2, bits, kind, 0, 0, interlaced))
        palette = chunk(b"PLTE", bytes(range(48))) + chunk(b"tRNS", bytes(5)) if kind == 3 else b""
        # In passes the three pixels of one row are the first and sixth of them.
        rows = b"".join(bytes(1 + size) for size in (2, 2, 2)) if interlaced else bytes(2 * (1 + row_bytes))
        yield b"\x89PNG\r\n\x1a\n" + header + palette + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def checkpoint():
    """What stands behind the user block, made as the program does."""
    for members in (3, 12, 60):
        access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
        access.set_fapl_core(backing_store=False)
        access.set_libver_bounds(h5py.h5f.LIBVER_V110, h5py.h5f.LIBVER_V110)
        create = h5py.h5p.create(h5py.h5p.FILE_CREATE)
        create.set_userblock(512)
        create.set_obj_track_times(False)
        file = h5py.File(h5py.h5f.create(f"seed-{members}".encode(), h5py.h5f.ACC_TRUNC, fcpl=create, fapl=access))
        file.create_dataset("config", data=b"[run]\n", dtype=h5py.string_dtype("utf-8", 6))
        file["parameters/gate/weight"] = numpy.zeros((2, 3), "<f4")
        for member in range(members):
            file[f"state/{member}"] = numpy.int64(member)
            file[f"state/{member}"].attrs["crc32"] = numpy.uint32(0)
            file[f"state/{member}"].attrs["header"] = numpy.uint8(1)
        file.flush()
        image = file.id.get_file_image()
        yield image[image.index(b"\x89HDF"):]  # some versions of libhdf5 leave the user block out


def json_files():
    yield json.dumps({"steps": 2, "parameters": 10, "seed": 1, "exit": 0, "test": {"loss": 0.5, "error": 0.1}}).encode()
    yield b'{"kind": "step", "step": 1, "loss": 0.5, "load": [1, 2], "epoch": 0.5}\n{"kind": "validation", "step": 1, "loss": 1}\n'
    layers = {"domains": ["a", "b"], "layers": [{"name": "l", "h_s": 1, "load": [1, 2], "domain_by_expert": [[1, 0], [0, 2]]}]}
    yield json.dumps({"steps": 2, "test": layers, "validation": layers}).encode()
    yield json.dumps({"kind": "evaluation", "split": "validation", "step": 1, **layers}).encode() + b"\n"
    yield json.dumps({"name": "s", "metrics": ["test.error"], "arms": [
        {"name": "a", "title": "A", "runs": [{"seed": 1, "folder": "a", "metrics": {"test.error": 0.1}}]}]}).encode()


def safetensors():
    array = {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}
    rounded = {"dtype": "BF16", "shape": [4], "data_offsets": [24, 32]}
    for header in ({}, {"a": array}, {"__metadata__": {"format": "pt"}, "a.b": rounded, "c": array,
                                      "none": {"dtype": "F32", "shape": [0, 7], "data_offsets": [32, 32]}}):
        text = json.dumps(header).encode()
        end = max((value["data_offsets"][1] for value in header.values() if "dtype" in value), default=0)
        yield struct.pack("<Q", len(text)) + text + bytes(end)


TARGETS = {"config": config, "study": study, "idx": idx, "cifar": cifar, "image": image, "checkpoint": checkpoint, "json": json_files,
           "safetensors": safetensors}


def write(target, folder):
    for number, content in enumerate(TARGETS[target]()):
        (folder / f"seed-{number}").write_bytes(content)
