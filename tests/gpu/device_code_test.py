#!/usr/bin/env python3
"""Is there device code, for every architecture, of every kernel that the sources define, and does it fit in registers?

A kernel whose header is compiled but which no CUDA file launches has no device code; a run on a GPU would find that out
late, and no machine without a GPU would. Reads the object files themselves (ELF, fat binary, cubin), so that neither a
GPU nor NVIDIA's binary tools are needed. A thread's stack, which is slow memory, holds arrays that are indexed at run time
and registers that are spilled.

usage: device_code_test.py --architectures 80 90 --most-stack-bytes N --sources FILE... --objects FILE...
"""

import argparse
import re
import struct
import subprocess
import sys
import typing
from pathlib import Path

FATBIN_MAGIC = 0xBA55ED50
FATBIN_CUBIN = 2  # entries hold PTX (1) or a cubin (2)
NV_INFO_SIZED = 4  # an attribute of .nv.info with its value behind it
NV_INFO_FRAME_BYTES, NV_INFO_REGISTERS = 0x11, 0x2F
ROW_KERNELS = ("run_rows_by_warp", "run_rows_by_block")  # of src/device/cuda/launch.cuh
BLOCK_KERNELS = ("run_rows_by_block",)  # of a scratch that is known when it is compiled
ELEMENT_KERNELS = ("run_elements",)


def elf_sections(image):
    """(name, type, bytes, entry size, linked section's index) of each section of a 64-bit ELF image."""
    table, = struct.unpack_from("<Q", image, 40)
    size, count, names = struct.unpack_from("<HHH", image, 58)
    headers = [struct.unpack_from("<IIQQQQIIQQ", image, table + size * i) for i in range(count)]
    text = headers[names][4]
    sections = []
    for name, kind, _, _, offset, length, link, _, _, entry_size in headers:
        start = text + name
        label = image[start:image.index(b"\0", start)].decode()
        content = b"" if kind == 8 else image[offset:offset + length]  # 8: NOBITS
        sections.append((label, kind, content, entry_size, link))
    return sections


def cubins(fatbin):
    """(architecture, cubin) of each cubin in the bytes of a .nv_fatbin section."""
    position = 0
    while position + 16 <= len(fatbin):
        magic, _, header_bytes, length = struct.unpack_from("<IHHQ", fatbin, position)
        if magic != FATBIN_MAGIC:
            position += 8  # padding between fat binaries
            continue
        entry = position + header_bytes
        position = entry + length
        while entry < position:
            kind, _, entry_header_bytes, payload_bytes = struct.unpack_from("<HHIQ", fatbin, entry)
            architecture, = struct.unpack_from("<I", fatbin, entry + 28)
            payload = fatbin[entry + entry_header_bytes:entry + entry_header_bytes + payload_bytes]
            if kind == FATBIN_CUBIN:
                if payload[:4] != b"\x7fELF":
                    sys.exit("the device code is compressed; compile with --no-compress")
                yield architecture, payload
            entry += entry_header_bytes + payload_bytes


class Function(typing.NamedTuple):
    code_bytes: int
    registers: int  # of a kernel; 0 of what kernels call
    stack_bytes: int


def attributes(nv_info, attribute):
    """{index of a symbol: value} of one attribute in the bytes of a .nv.info section."""
    values, position = {}, 0
    while position + 4 <= len(nv_info):
        form, found, size = struct.unpack_from("<BBH", nv_info, position)
        if form == NV_INFO_SIZED and found == attribute:
            symbol, value = struct.unpack_from("<II", nv_info, position + 4)
            values[symbol] = value
        position += 4 + (size if form == NV_INFO_SIZED else 0)
    return values


def functions(cubin):
    """(mangled name, Function) of each function of a cubin."""
    sections = elf_sections(cubin)
    nv_info = next((content for label, _, content, _, _ in sections if label == ".nv.info"), b"")
    registers, stacks = attributes(nv_info, NV_INFO_REGISTERS), attributes(nv_info, NV_INFO_FRAME_BYTES)
    for _, kind, content, entry_size, link in sections:
        if kind != 2:  # SYMTAB
            continue
        names = sections[link][2]
        for symbol, offset in enumerate(range(0, len(content), entry_size)):
            name, info, _, section, _, size = struct.unpack_from("<IBBHQQ", content, offset)
            if info & 15 == 2 and section != 0:  # a function that is defined here
                yield (names[name:names.index(b"\0", name)].decode(),
                       Function(size, registers.get(symbol, 0), stacks.get(symbol, 0)))


def device_functions(objects):
    """{architecture: {demangled name: Function}}."""
    found = {}
    for path in objects:
        image = Path(path).read_bytes()
        if image[:4] != b"\x7fELF":
            sys.exit(f"{path} is no object file")
        for label, _, content, _, _ in elf_sections(image):
            if label == ".nv_fatbin":
                for architecture, cubin in cubins(content):
                    found.setdefault(architecture, {}).update(functions(cubin))
    mangled = sorted({name for names in found.values() for name in names})
    plain = subprocess.run(["c++filt"], input="\n".join(mangled), capture_output=True, text=True, check=True)
    demangled = dict(zip(mangled, plain.stdout.splitlines()))
    return {a: {demangled[name]: function for name, function in names.items()} for a, names in found.items()}


def defined_functors(sources):
    """{name: kernels it must appear in} of each functor in the sources: row functors and elementwise ones."""
    functors = {}
    for path in sources:
        text = re.sub(r"//[^\n]*", "", Path(path).read_text())
        for match in re.finditer(r"\bstruct\s+(\w+)[^;{()]*\{", text):
            depth, end = 1, match.end()
            while depth > 0:
                depth += {"{": 1, "}": -1}.get(text[end], 0)
                end += 1
            body = text[match.end():end]
            if re.search(r"\boperator\(\)\(const Team&", body):
                constant_scratch = re.search(r"\bstatic constexpr index_t scratch_bytes\(\)", body)
                functors[match[1]] = BLOCK_KERNELS if constant_scratch else ROW_KERNELS
            elif re.search(r"\bSY_HD\s+void\s+operator\(\)\(index_t\b", body):
                functors[match[1]] = ELEMENT_KERNELS
    return functors


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--architectures", nargs="+", type=int, required=True)
    parser.add_argument("--most-stack-bytes", type=int, required=True)
    parser.add_argument("--sources", nargs="+", required=True)
    parser.add_argument("--objects", nargs="+", required=True)
    arguments = parser.parse_args()

    functors = defined_functors(arguments.sources)
    found = device_functions(arguments.objects)
    missing, spilling = [], []
    for architecture in arguments.architectures:
        names = found.get(architecture, {})
        for functor, kernels in sorted(functors.items()):
            for kernel in kernels:
                if not any(re.search(rf"\b{kernel}<.*\b{functor}\b", name) for name in names):
                    missing.append(f"no device code for sm_{architecture}: {kernel}<{functor}>")
        most = max((function.stack_bytes for function in names.values()), default=0)
        code_bytes = sum(function.code_bytes for function in names.values())
        print(f"sm_{architecture}: {len(names)} functions, {code_bytes} bytes of code, at most {most} bytes of stack")
        spilling += [f"sm_{architecture}: {function.stack_bytes} bytes of stack and {function.registers} registers: {name}"
                     for name, function in names.items()
                     if function.registers > 0 and function.stack_bytes > arguments.most_stack_bytes]
    print("\n".join(missing + spilling))
    if not functors:
        sys.exit("no functor was found in the sources: the test looks in the wrong place")
    if missing:
        sys.exit("launch these functors from a file under KERNELS (src/cmake/room.cmake), or remove them")
    if spilling:
        sys.exit(f"more than {arguments.most_stack_bytes} bytes of stack: unroll loops over small arrays, or use scratch")
    print(f"{len(functors)} functors have device code: {' '.join(sorted(functors))}")


if __name__ == "__main__":
    main()
