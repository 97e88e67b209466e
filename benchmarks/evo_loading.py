"""A checkpoint of an Evo 2 size, sparse on disk, loaded: memory of the process's own, and time.

Writes a file laid out as ``torch.save`` does with holes for tensors (and an ``io.BytesIO``, as the
published ones have, so that the restricted reader reads it), whole or in two parts, and loads it in
bfloat16. Anonymous memory is what the process cannot give back: mapped pages of the file are not.

    python benchmarks/evo_loading.py [--model evo-2-7b] [--parts 2]
"""

from __future__ import annotations

import argparse
import io
import json
import pickle
import tempfile
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml
from dnallm_core.catalog import catalog
from dnallm_core.loading import build, find_implementation

import dnallm_core


class Hole:
    """A tensor of a shape whose bytes are a hole in the file."""

    def __init__(self, record: str, shape: tuple[int, ...], dtype: torch.dtype) -> None:
        self.record, self.shape, self.dtype = record, shape, dtype
        self.count = torch.Size(shape).numel()

    def __reduce__(self) -> Any:
        strides = torch.empty(self.shape, device="meta").stride()
        return torch._utils._rebuild_tensor_v2, (Bytes(self), 0, self.shape, strides, False, {})


class Bytes:
    """The storage of a hole."""

    def __init__(self, hole: Hole) -> None:
        self.hole = hole


class Writer(pickle.Pickler):
    """Refers to storages as ``torch.save`` does."""

    def persistent_id(self, obj: Any) -> Any:
        if not isinstance(obj, Bytes):
            return None
        kind = torch.FloatStorage if obj.hole.dtype == torch.float32 else torch.BFloat16Storage
        return "storage", kind, obj.hole.record, "cpu", obj.hole.count


def write_sparse(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """A file of ``torch.save`` with holes in place of numbers."""
    exact = ("log_poles", "residues")
    holes = {
        key: Hole(str(i), tuple(shape), torch.float32 if key.endswith(exact) else torch.bfloat16)
        for i, (key, shape) in enumerate(shapes.items())
    }
    buffer = io.BytesIO()
    extra = {"blocks.0.projections._extra_state": io.BytesIO(b"not used")}
    Writer(buffer, protocol=2).dump({**holes, **extra})
    with path.open("wb") as file, zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", buffer.getvalue())
        archive.writestr("archive/byteorder", b"little")
        for hole in holes.values():
            entry = zipfile.ZipInfo(f"archive/data/{hole.record}")
            entry.file_size = entry.compress_size = hole.count * hole.dtype.itemsize
            entry.CRC, entry.header_offset = 0, file.tell()
            file.write(entry.FileHeader())
            file.seek(entry.file_size, io.SEEK_CUR)
            archive.filelist.append(entry)
            archive.NameToInfo[entry.filename] = entry
            archive.start_dir = file.tell()  # where the list of contents goes


def in_parts(path: Path, count: int) -> None:
    """Cut a sparse file into parts, holes staying holes where they can."""
    size = path.stat().st_size
    step = -(-size // count)
    with path.open("rb") as whole:
        for number in range(count):
            with path.with_name(f"{path.name}.part{number}").open("wb") as part:
                end = min(size, (number + 1) * step)
                whole.seek(number * step)
                while whole.tell() < end:
                    block = whole.read(min(1 << 20, end - whole.tell()))
                    part.seek(len(block), 1) if not any(block) else part.write(block)
                part.truncate(end - number * step)
    path.unlink()


def memory() -> dict[str, float]:
    """Anonymous and mapped memory of this process, in GB."""
    lines = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
    return {name: int(lines[name].split()[0]) * 1024 / 1e9 for name in ("RssAnon", "RssFile")}


def main() -> None:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default="evo-2-7b")
    parser.add_argument("--parts", type=int, default=1)
    given = parser.parse_args()
    manifest = catalog()[given.model]
    implementation = find_implementation(manifest)
    network = build(implementation, implementation.read_config(None, manifest.config, None))
    shapes = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    weights = sum(each.numel() for each in network.parameters()) * 2 / 1e9
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "evo2.pt"
        write_sparse(path, shapes)
        if given.parts > 1:
            in_parts(path, given.parts)
        (Path(folder) / "evo2.yml").write_text(yaml.safe_dump(dict(manifest.config)))
        before, wall, processor = memory(), time.perf_counter(), time.process_time()
        model = dnallm_core.load("evo-2", weights=folder, device="cpu", dtype="bfloat16")
        after = memory()
        print(
            json.dumps(
                {
                    **vars(given),
                    "weights_gb": round(weights, 2),
                    "anonymous_gb": round(after["RssAnon"] - before["RssAnon"], 3),
                    "mapped_gb": round(after["RssFile"] - before["RssFile"], 3),
                    "wall_s": round(time.perf_counter() - wall, 2),
                    "cpu_s": round(time.process_time() - processor, 2),
                    "blocks": len(model.module.blocks),
                }
            )
        )


if __name__ == "__main__":
    main()
