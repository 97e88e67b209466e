"""Continue DNA prompts.

dnallm generate MODEL prompts.fa --bases 1000 --seed 1 -o designs.fa
dnallm generate MODEL --prompt ATGAAACGC --bases 300 -o designs.fa
dnallm generate MODEL --tag "d__Bacteria;p__Pseudomonadota" --bases 300 -o designs.fa
"""

from __future__ import annotations

import argparse

from .divided import divided
from .running import add_model, add_output, finish, open_model, read_length


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    add_model(parser)
    parser.add_argument("input", nargs="?", help="a file of prompts, as for embed; - for stdin")
    parser.add_argument("--prompt", action="append", default=[], help="a prompt; may be repeated")
    parser.add_argument(
        "--tag",
        default="",
        metavar="LINEAGE",
        help="d__Bacteria;p__...;s__..., before every prompt, for models that know such tags",
    )
    parser.add_argument("--bases", type=read_length, required=True, metavar="BP", help="bp to add")
    parser.add_argument("--samples", type=int, default=1, metavar="N", help="continuations each")
    parser.add_argument("--temperature", type=float, default=1.0)
    parser.add_argument("--top-k", type=int)
    parser.add_argument("--top-p", type=float)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--any-token", action="store_true", help="allow more than A, C, G and T")
    add_output(parser, ".fa .tsv .csv .parquet")


@divided
def run(options: argparse.Namespace) -> int:
    """Generate from the prompts."""
    from ..errors import RequirementError
    from ..sequences.files import Record, read_records
    from ..tasks.generation import generate_file

    if options.tag and not (options.input or options.prompt):
        options.prompt = [""]  # the tag alone
    if bool(options.input) == bool(options.prompt):
        raise RequirementError("Give a file of prompts or --prompt, one of the two.")
    if options.prompt:
        prompts = [
            Record(f"prompt_{number}", text, "", "--prompt", number - 1)
            for number, text in enumerate(options.prompt, start=1)
        ]
    else:
        # a prompt is taken as it is: case and tags may carry meaning for a tokenizer
        prompts = list(read_records(options.input, keep_case=True))
    record = generate_file(
        open_model(options),
        prompts,
        options.output,
        source=options.input or "--prompt",
        max_new_bases=options.bases,
        samples=options.samples,
        tag=options.tag,
        temperature=options.temperature,
        top_k=options.top_k,
        top_p=options.top_p,
        seed=options.seed,
        alphabet=None if options.any_token else "ACGT",
        overwrite=options.overwrite,
        quiet=options.quiet,
    )
    return finish(options, record)
