"""Each output opened by the library that its users open it with."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
from dnallm_core.errors import CapabilityError
from dnallm_core.sequences.files import Genome, Record, Region, read_variants
from dnallm_core.tasks.embedding import embed_file
from dnallm_core.tasks.outputs import writer_for
from dnallm_core.tasks.scanning import scan_regions
from dnallm_core.tasks.scoring import score_file
from dnallm_core.tasks.variants import score_variants

RECORDS = [Record(f"gene {n}", "ACGGTTACGA"[: n + 1] * 3, "", "-", n) for n in range(8)]
GENOME = ">chr1 first\n" + "ACGGTTACGATTTACGACCA" * 6 + "\n>chr2\nACGTNACGTA\n"
VCF = """\
##fileformat=VCFv4.2
##contig=<ID=chr1,length=120>
##INFO=<ID=DP,Number=1,Type=Integer,Description="Depth">
##FILTER=<ID=PASS,Description="All filters passed">
##ALT=<ID=DEL,Description="Deletion">
#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO
chr1\t2\trs1\tC\tA,T\t.\tPASS\tDP=3
chr1\t5\t.\tT\t<DEL>\t.\t.\t.
chr1\t6\t.\tT\tTA\t.\t.\t.
"""


@pytest.fixture
def genome(tmp_path):
    path = tmp_path / "genome.fa"
    path.write_text(GENOME)
    with Genome(path) as opened:
        yield opened


def _expected(model):
    return model.embed([each.sequence for each in RECORDS])


@pytest.mark.parametrize("name", ["out.tsv", "out.csv.gz"])
def test_tables_open_in_pandas(toy, tmp_path, name):
    pandas = pytest.importorskip("pandas")
    model = toy()
    embed_file(model, RECORDS, tmp_path / name, quiet=True)
    frame = pandas.read_csv(tmp_path / name, sep="\t" if "tsv" in name else ",")
    assert frame["name"].tolist() == [each.name for each in RECORDS]
    values = frame[[f"embedding_{i}" for i in range(16)]].to_numpy()
    np.testing.assert_allclose(values, _expected(model), rtol=1e-4, atol=1e-5)


def test_the_same_rows_are_the_same_bytes_even_compressed(toy, tmp_path):
    model = toy()
    for name in ("a.tsv.gz", "b.tsv.gz"):
        embed_file(model, RECORDS, tmp_path / name, quiet=True)
    assert (tmp_path / "a.tsv.gz").read_bytes() == (tmp_path / "b.tsv.gz").read_bytes()
    with gzip.open(tmp_path / "a.tsv.gz", "rt") as file:
        assert file.readline().startswith("name\tstart\tend")


def test_parquet_opens_in_pyarrow_with_its_settings(toy, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    model = toy()
    embed_file(model, RECORDS, tmp_path / "out.parquet", quiet=True)
    table = parquet.read_table(tmp_path / "out.parquet")
    values = np.array(table["embedding"].to_pylist())
    np.testing.assert_allclose(values, _expected(model), rtol=1e-4, atol=1e-5)
    assert b'"pooling": "mean"' in table.schema.metadata[b"dnallm"]


def test_npy_opens_in_numpy(toy, tmp_path):
    model = toy()
    embed_file(model, RECORDS, tmp_path / "out.npy", quiet=True)
    found = np.load(tmp_path / "out.npy")
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, _expected(model), rtol=1e-4, atol=1e-5)


def test_zarr_opens_in_zarr(toy, tmp_path):
    zarr = pytest.importorskip("zarr")
    model = toy()
    embed_file(model, RECORDS, tmp_path / "out.zarr", quiet=True)
    group = zarr.open_group(str(tmp_path / "out.zarr"), mode="r")
    np.testing.assert_allclose(group["embedding"][:], _expected(model), rtol=1e-4, atol=1e-5)
    assert group["name"][:].tolist() == [each.name for each in RECORDS]
    assert group.attrs["dnallm"]["task"] == "embed"


def test_h5ad_opens_in_anndata(toy, tmp_path):
    anndata = pytest.importorskip("anndata")
    model = toy()
    embed_file(model, RECORDS, tmp_path / "out.h5ad", quiet=True)
    data = anndata.read_h5ad(tmp_path / "out.h5ad")
    np.testing.assert_allclose(data.X, _expected(model), rtol=1e-4, atol=1e-5)
    assert data.obs["name"].tolist() == [each.name for each in RECORDS]


def test_bigwig_opens_in_pybigwig(toy, tmp_path, genome):
    bigwig = pytest.importorskip("pyBigWig")
    model = toy()
    records = [Record(name, genome.fetch(name), "", "-", 0) for name in genome.lengths]
    score_file(
        model, records, tmp_path / "out.bw", per_base=True, window=40,
        contigs=list(genome.lengths.items()), quiet=True,
    )  # fmt: skip
    file = bigwig.open(str(tmp_path / "out.bw"))
    assert file.chroms() == dict(genome.lengths)
    expected = model.score(genome.fetch("chr2"), reduce="none")[0]
    np.testing.assert_allclose(file.values("chr2", 0, 10), expected, rtol=1e-4, atol=1e-5)


def test_an_annotated_vcf_opens_in_pysam_and_nothing_is_dropped(toy, tmp_path, genome):
    pysam = pytest.importorskip("pysam")
    model = toy()
    (tmp_path / "in.vcf").write_text(VCF)
    for name in ("out.vcf", "out.vcf.gz"):
        score_variants(
            model, read_variants(tmp_path / "in.vcf"), genome, tmp_path / name,
            source=tmp_path / "in.vcf", window=60, quiet=True,
        )  # fmt: skip
        with pysam.VariantFile(str(tmp_path / name)) as file:
            assert file.header.info["DNALLM"].number == "A"
            rows = list(file)
        assert [row.pos for row in rows] == [2, 5, 6]
        assert rows[0].info["DP"] == 3
        effects = rows[0].info["DNALLM"]
        text = genome.fetch("chr1", 0, 60)
        expected = model.variant_effects(text, [(2, "C", "A"), (2, "C", "T")])
        np.testing.assert_allclose(effects, expected, rtol=1e-3, atol=1e-4)
        assert rows[1].info["DNALLM"] == (None,)


def test_what_cannot_be_scored_stands_in_the_table_with_its_reason(toy, tmp_path, genome):
    pandas = pytest.importorskip("pandas")
    (tmp_path / "in.vcf").write_text(VCF)
    score_variants(
        toy(), read_variants(tmp_path / "in.vcf"), genome, tmp_path / "out.tsv",
        source=tmp_path / "in.vcf", quiet=True,
    )  # fmt: skip
    frame = pandas.read_csv(tmp_path / "out.tsv", sep="\t", keep_default_na=False)
    assert frame["alt"].tolist() == ["A", "T", "<DEL>", "TA"]
    assert frame["effect"].astype(bool).tolist() == [True, True, False, True]
    assert "symbolic allele" in frame["reason"][2]
    assert frame["allele"].tolist() == [0, 1, 0, 0]


def test_a_scan_has_three_rows_a_base_and_is_the_variants_of_each(toy, tmp_path, genome):
    model = toy()
    regions = [Region("chr1", 10, 20), Region("chr2", 0, 10)]
    scan_regions(model, genome, regions, tmp_path / "out.npz", window=40, quiet=True)
    with np.load(tmp_path / "out.npz") as found:
        assert len(found["pos"]) == 3 * 10 + 3 * 9  # chr2 has an N
        row = 3 * 4
        text = genome.fetch("chr1", 0, 40)
        expected = model.variant_effects(
            text, [(15, str(found["ref"][row]), str(found["alt"][row]))], window=40
        )
        assert found["pos"][row] == 15
        np.testing.assert_allclose(found["effect"][row], expected[0], rtol=1e-3, atol=1e-4)


def test_a_missing_library_is_named_before_any_work(tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(CapabilityError, match=r"Writing \.parquet needs pyarrow"):
        writer_for(tmp_path / "out.parquet")
