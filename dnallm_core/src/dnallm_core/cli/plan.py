"""A run on paper: parts, shards, device-hours, bytes and memory, with what each number rests on.

dnallm plan MODEL --bases 3Gb --window 8192 --gpu "H100 SXM" --devices 64
"""

from __future__ import annotations

import argparse

from ..resources import described
from .output import print_json, say, size
from .running import read_length


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("model", help="a model's id or alias")
    parser.add_argument("--bases", type=read_length, required=True, metavar="BP", help="bp in all")
    parser.add_argument("--window", type=read_length, required=True, metavar="BP")
    parser.add_argument("--stride", type=read_length, metavar="BP", help="default: the window")
    parser.add_argument("--gpu", required=True, metavar="NAME", help='a card: "H100 SXM"')
    parser.add_argument("--devices", type=int, default=1, metavar="N", help="how many of them")
    parser.add_argument(
        "--output", default="embed", help="embed, embed --tokens, score or score --per-base"
    )
    parser.add_argument("--both-strands", action="store_true", help="each window twice")
    parser.add_argument("--dtype", default="bfloat16", help="float32, bfloat16 or float16")
    parser.add_argument(
        "--shard-hours", type=float, default=4.0, metavar="H", help="a shard at most (default 4)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> int:
    """Print the estimate."""
    from ..catalog import catalog
    from ..footprint.records import Records, overlay_path
    from ..tasks.on_paper import estimate

    model = catalog()[options.model]
    resources = described(gpu=options.gpu)
    device = resources.devices[0]
    for problem in resources.problems:
        say(problem)
    found = estimate(
        model,
        device,
        bases=options.bases,
        window=options.window,
        stride=options.stride,
        devices=max(1, options.devices),
        output=options.output,
        both_strands=options.both_strands,
        dtype=options.dtype,
        shard_hours=options.shard_hours,
        records=Records(overlay_path()),
    )
    if options.json:
        print_json({"model": model.id, "device": device.name, "plan": found.to_dict()})
        return 0
    print(f"{model.id}, {options.bases:,} bp in windows of {options.window:,}, {options.output}")
    print(f"on {options.devices} x {device.name} in {options.dtype}")
    print(f"  windows   {found.windows:,}, in {found.parts:,} parts")
    print(f"  shards    {found.shards:,}  (--shard 1/{found.shards} and so on)")
    print(f"  hours     {found.hours_low:,.1f} to {found.hours_high:,.1f} of one device")
    print(f"            {found.wall_hours_low:,.2f} to {found.wall_hours_high:,.2f} on all of them")
    print(f"            {found.hours_basis}")
    print(f"  written   {size(found.bytes_written)} of parts, and about as much again of output")
    print(f"  memory    {size(found.memory)} a device for one window ({found.memory_basis});")
    print(f"            {found.batch} at a time")
    return 0
