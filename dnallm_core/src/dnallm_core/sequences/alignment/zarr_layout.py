"""The Zarr layout in which alignments for models are published: an array (length, species) a contig.

Each element is one byte, a letter or ``-``; column 0 is the reference. The published files name no
species; ``write_zarr`` adds the names as the group's attributes ``reference`` and ``species``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import OutputError, PluginError, SequenceError
from .alignment import Alignment

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CHUNK = 4096  # positions; a window of 128 bp then reads one chunk or two


class ZarrAlignment(Alignment):
    """A Zarr folder or ``.zip``; windows are read as they are asked for.

    ``reference``, ``species``: their names, where the file does not say them.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        reference: str | None = None,
        species: Sequence[str] | None = None,
    ) -> None:
        zarr = _zarr()
        try:
            store = zarr.storage.ZipStore(path, mode="r") if str(path).endswith(".zip") else path
            group = zarr.open_group(store, mode="r")
            self._arrays = {name: array for name, array in group.arrays() if array.ndim == 2}
        except (OSError, KeyError, ValueError) as error:
            raise SequenceError(f"{path} cannot be read as a Zarr group: {error}.") from error
        widths = {array.shape[1] for array in self._arrays.values()}
        if len(widths) != 1:
            raise SequenceError(
                f"{path} is no alignment: it holds "
                + ("no array (length, species)." if not widths else "contigs of different widths.")
            )
        (width,) = widths
        odd = next((n for n, a in self._arrays.items() if a.dtype.itemsize != 1), None)
        if odd is not None:
            raise SequenceError(
                f"{path}: {odd} holds {self._arrays[odd].dtype}, not one byte a letter."
            )
        names = tuple(species or group.attrs.get("species") or ())
        self.named = bool(names)
        if names and len(names) != width - 1:
            raise SequenceError(
                f"{path} holds {width - 1} species beside the reference; {len(names)} are named."
            )
        self.reference = str(reference or group.attrs.get("reference") or "reference")
        self.species = names or tuple(f"row {number}" for number in range(1, width))
        self.contigs = {name: array.shape[0] for name, array in self._arrays.items()}

    def columns(self, contig: str, start: int, end: int) -> NDArray[np.uint8]:
        """See ``Alignment.columns``."""
        import numpy as np

        letters = np.ascontiguousarray(self._arrays[contig][start:end])
        return letters.view(np.uint8).reshape(end - start, -1)


def write_zarr(alignment: Alignment, path: Path | str, *, step: int = 1_000_000) -> None:
    """Write any alignment in this layout, so that windows are found fast.

    Raises OutputError where ``path`` exists, SequenceError where a contig's length is unknown.
    """
    import numpy as np

    zarr = _zarr()
    target = Path(path)
    if target.exists():
        raise OutputError(f"{target} exists already; it is left as it is.")
    group = zarr.open_group(target, mode="w-")
    group.attrs["reference"] = alignment.reference
    group.attrs["species"] = list(alignment.species)
    width = 1 + len(alignment.species)
    for name, length in alignment.contigs.items():
        if length is None:
            raise SequenceError(f"How long {name} is, the alignment does not say.", record=name)
        array = group.create_array(
            name, shape=(length, width), chunks=(min(CHUNK, max(1, length)), width), dtype=np.uint8
        )
        for start in range(0, length, step):
            end = min(length, start + step)
            array[start:end] = alignment.columns(name, start, end)


def _zarr() -> Any:
    try:
        import zarr
    except ModuleNotFoundError:
        raise PluginError(
            "Reading an alignment in the Zarr layout needs zarr, which is not installed.",
            hint='pip install "dnallm-core[files]"',
        ) from None
    return zarr
