"""Labelled sequences as users have them, and a sentence for each way in which they are useless."""

from __future__ import annotations

import numpy as np
import pytest
from dnallm_core.errors import LabelError, SequenceError
from dnallm_core.training.labelled import read_labelled

PLAIN = "sequence,label\nACGT,b\nTTGA,a\nCCCC,b\n"


def _write(tmp_path, text, name="train.csv"):
    path = tmp_path / name
    path.write_text(text)
    return path


def test_names_are_classes_in_order_of_the_alphabet(tmp_path):
    found = read_labelled(_write(tmp_path, PLAIN))
    assert (found.kind, found.classes) == ("classification", ("a", "b"))
    assert found.targets.tolist() == [1, 0, 1]
    assert found.sequences == ("ACGT", "TTGA", "CCCC")


def test_few_whole_numbers_are_classes_in_order_of_size(tmp_path):
    found = read_labelled(_write(tmp_path, "sequence,label\nA,10\nC,2\nG,10\n"))
    assert (found.kind, found.classes) == ("classification", ("2", "10"))


def test_numbers_with_fractions_are_measurements(tmp_path):
    found = read_labelled(_write(tmp_path, "sequence,label\nA,1.5\nC,2\nG,-3\n"))
    assert (found.kind, found.classes) == ("regression", ("label",))
    assert found.targets.tolist() == [[1.5], [2.0], [-3.0]]


def test_values_parted_by_semicolons_are_several_labels(tmp_path):
    named = read_labelled(
        _write(tmp_path, "sequence\tlabels\nA\troot;leaf\nC\tleaf\nG\t-\n", "a.tsv")
    )
    assert (named.kind, named.classes) == ("multi-label", ("leaf", "root"))
    assert named.targets.tolist() == [[1, 1], [1, 0], [0, 0]]
    placed = read_labelled(_write(tmp_path, "sequence,labels\nA,0;1\nC,1;0\n"))
    assert placed.classes == ("0", "1")
    assert placed.targets.tolist() == [[0, 1], [1, 0]]


def test_several_columns_are_labels_or_measurements(tmp_path):
    path = _write(tmp_path, "sequence,root,leaf\nA,1,0\nC,0,0\n")
    found = read_labelled(path, label=["root", "leaf"])
    assert (found.kind, found.classes) == ("multi-label", ("root", "leaf"))
    path = _write(tmp_path, "sequence,root,leaf\nA,1.5,0\nC,0,0.25\n")
    assert read_labelled(path, label=["root", "leaf"]).kind == "regression"


@pytest.mark.parametrize("title", [">{} label={}", ">{} {}", ">{}|{}"])
def test_the_title_of_fasta_holds_the_label(tmp_path, title):
    text = "".join(
        f"{title.format(name, label)}\nACGT{name}\n" for name, label in [("A", "x"), ("C", "y")]
    )
    assert read_labelled(_write(tmp_path, text, "a.fa")).classes == ("x", "y")


def test_parquet_is_read_with_its_types(tmp_path):
    pandas = pytest.importorskip("pandas")
    pandas.DataFrame({"seq": ["AC", "GT"], "label": [0.5, 2.25]}).to_parquet(tmp_path / "a.parquet")
    assert read_labelled(tmp_path / "a.parquet").targets.tolist() == [[0.5], [2.25]]


def test_a_test_file_takes_the_classes_of_training(tmp_path):
    training = read_labelled(_write(tmp_path, PLAIN))
    test = read_labelled(_write(tmp_path, "sequence,label\nGG,b\n", "test.csv"), like=training)
    assert test.classes == training.classes
    assert test.targets.tolist() == [1]


BAD = {
    "a single class": ("sequence,label\nA,x\nC,x\n", r"Every row .* has the label 'x'"),
    "a missing label": ("sequence,label\nA,x\nC,\nG,y\n", r"Row 2 of train.csv \(2\) has no label"),
    "mixed types": ("sequence,label\nA,1\nC,high\n", "mixed type: '1' is a number, 'high' is none"),
    "one row": ("sequence,label\nA,x\n", "has one row"),
    "contrary labels": (
        "sequence,label\nAC,x\nGG,y\nac,y\n",
        r"Rows 1 and 3 of train.csv \(1 and 3\) are one sequence with contrary labels",
    ),
    "a NaN target": ("sequence,label\nA,1.5\nC,nan\n", r"Row 2 of train.csv \(2\) has the target nan"),
    "an infinite target": ("sequence,label\nA,1.5\nC,inf\n", "has the target inf"),
    "no column of labels": ("sequence,score\nA,1\nC,2\n", "no column called label"),
    "equal measurements": ("sequence,label\nA,1.5\nC,1.5\n", "the same label: there is nothing"),
    "equal sets": ("sequence,labels\nA,0;1\nC,0;1\n", "the same labels: there is nothing"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_labels_that_nothing_can_be_learned_from_are_refused(tmp_path, case):
    text, sentence = BAD[case]
    with pytest.raises(LabelError, match=sentence):
        read_labelled(_write(tmp_path, text))


def test_a_row_without_a_sequence_is_refused_or_left_out(tmp_path):
    path = _write(tmp_path, "sequence,label\nAC,x\n,y\nGG,y\n")
    with pytest.raises(SequenceError, match=r"Record 2 of .*train.csv is empty.*--skip-empty"):
        read_labelled(path)
    assert read_labelled(path, skip_empty=True).sequences == ("AC", "GG")


def test_a_column_that_is_not_there_names_the_nearest(tmp_path):
    path = _write(tmp_path, "sequence,strength\nA,1\nC,2\n")
    with pytest.raises(LabelError, match=r"no column 'strenght'\. Did you mean \"strength\""):
        read_labelled(path, label=["strenght"])
    with pytest.raises(LabelError, match="no column 'gene'"):
        read_labelled(path, label=["strength"], group="gene")


def test_a_test_label_that_training_has_not_is_refused(tmp_path):
    training = read_labelled(_write(tmp_path, PLAIN))
    path = _write(tmp_path, "sequence,label\nGG,c\n", "test.csv")
    with pytest.raises(LabelError, match=r"Row 1 of test.csv \(1\) has the label 'c', which no"):
        read_labelled(path, like=training)
    sets = read_labelled(_write(tmp_path, "sequence,labels\nA,root;leaf\nC,leaf\n"))
    path = _write(tmp_path, "sequence,labels\nA,stem;leaf\n", "test.csv")
    with pytest.raises(LabelError, match="has the label 'stem', which no training row has"):
        read_labelled(path, like=sets)


def test_replicates_of_a_measurement_may_differ(tmp_path):
    found = read_labelled(_write(tmp_path, "sequence,label\nA,1.5\nA,1.75\n"))
    np.testing.assert_allclose(found.targets[:, 0], [1.5, 1.75])


def test_values_that_the_asked_kind_cannot_be_are_refused(tmp_path):
    with pytest.raises(LabelError, match="target 'b', which is no number"):
        read_labelled(_write(tmp_path, PLAIN), kind="regression")
    with pytest.raises(LabelError, match="There is no kind of labels 'ranking'"):
        read_labelled(_write(tmp_path, PLAIN), kind="ranking")
    path = _write(tmp_path, "sequence,a,b\nA,1,0\nC,2,1\n")
    with pytest.raises(LabelError, match="has '2' where a label is 0 or 1"):
        read_labelled(path, label=["a", "b"], kind="multi-label")
