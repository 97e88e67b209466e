"""Splits that don't leak, and the leakage of those that do."""

from __future__ import annotations

import random
import sys

import numpy as np
import pytest
from dnallm_core.errors import LabelError, RequirementError
from dnallm_core.sequences.alphabet import reverse_complement
from dnallm_core.training.labelled import Labelled
from dnallm_core.training.resemblance import clusters, leaked, near_duplicates
from dnallm_core.training.splits import folds, groups_of, held_out, leakage, missing_classes


def _random(count, length=200, seed=0):
    chooser = random.Random(seed)
    return ["".join(chooser.choices("ACGT", k=length)) for _ in range(count)]


def _changed(sequence, share, seed=0):
    chooser = random.Random(seed)
    letters = list(sequence)
    for at in chooser.sample(range(len(letters)), round(share * len(letters))):
        letters[at] = chooser.choice("ACGT".replace(letters[at], ""))
    return "".join(letters)


def _labelled(sequences, groups=None):
    count = len(sequences)
    names = tuple(f"r{each}" for each in range(count))
    targets = np.arange(count) % 2
    return Labelled("classification", ("a", "b"), names, tuple(sequences), targets, groups)


def test_copies_mutants_the_other_strand_and_shared_stretches_are_near_duplicates():
    base, *others = _random(40)
    alike = [base, reverse_complement(base), _changed(base, 0.03), base[60:] + others[0][:60]]
    pairs = near_duplicates([base, *alike, *others])
    assert {(0, 1), (0, 2), (0, 3), (0, 4)} <= set(map(tuple, pairs.tolist()))


def test_unrelated_sequences_and_distant_relatives_are_not():
    base, *others = _random(300, 300)
    assert len(near_duplicates([base, *others, _changed(base, 0.3)])) == 0


def test_long_sequences_are_compared_by_a_sample_of_their_kmers(monkeypatch):
    from dnallm_core.training import resemblance

    monkeypatch.setattr(resemblance, "_KMERS_HELD", 4_000)
    base, *others = _random(10, 5_000)
    assert near_duplicates([base, *others, _changed(base, 0.02)]).tolist() == [[0, 10]]


def test_short_sequences_resemble_their_equals_alone():
    assert near_duplicates(["ACGT", "ACGG", "CCGT", "ACGTN"]).tolist() == [[1, 2]]


def test_a_chain_of_near_duplicates_is_one_cluster():
    (long,) = _random(1, 400)
    found = clusters([long[:200], long[60:260], long[120:320], *_random(3, 200, seed=5)])
    assert len(set(found[:3])) == 1
    assert len(set(found)) == 4


def test_planted_duplicates_are_found_and_said():
    training = _random(60)
    planted = [training[3], reverse_complement(training[9]), _changed(training[20], 0.02)]
    test = [*_random(17, seed=9), *planted]
    assert leaked(training, test).tolist() == [17, 18, 19]
    found = leakage(_labelled(training), _labelled(test))
    assert (found.rows, found.of, found.share) == (3, 20, 0.15)
    assert "3 of the 20 test sequences (15.0%) have a near-duplicate in training" in found.sentence
    clean = leakage(_labelled(training), _labelled(test[:17]))
    assert clean.sentence == "None of the 17 test sequences has a near-duplicate in training."


def test_a_random_split_leaks_where_one_by_identity_does_not():
    families = [_changed(base, 0.03, seed) for base in _random(20) for seed in range(3)]
    labelled = _labelled(families)
    for how, leaks in [("random", True), ("identity", False)]:
        training, test = held_out(labelled, how)
        assert not set(training) & set(test)
        assert len(training) + len(test) == 60
        assert (leakage(labelled.rows(training), labelled.rows(test)).rows > 0) == leaks


def test_folds_hold_each_row_once_keep_groups_whole_and_classes_in_proportion():
    groups = np.repeat(np.arange(25), 4)
    labelled = _labelled(_random(100, 20))
    pairs = folds(labelled, groups, number=5)
    assert sorted(np.concatenate([test for _, test in pairs]).tolist()) == list(range(100))
    for training, test in pairs:
        assert not set(groups[training]) & set(groups[test])
        assert len(test) == 20
        assert labelled.targets[test].sum() == 10


def test_a_split_by_group_keeps_genes_whole():
    labelled = _labelled(_random(30), tuple(f"gene{each // 3}" for each in range(30)))
    training, test = held_out(labelled, "group")
    genes = [{labelled.groups[each] for each in rows} for rows in (training, test)]
    assert not genes[0] & genes[1]
    assert len(test) == 6


def test_the_same_seed_gives_the_same_split():
    labelled = _labelled(_random(50))
    first, again, other = (held_out(labelled, "random", seed=seed)[1] for seed in (1, 1, 2))
    assert first.tolist() == again.tolist() != other.tolist()


def test_splits_that_cannot_be_made_are_refused():
    labelled = _labelled(_random(10))
    with pytest.raises(RequirementError, match="no split 'fair'"):
        held_out(labelled, "fair")
    with pytest.raises(RequirementError, match="Name it with --group COLUMN"):
        held_out(labelled, "chromosome")
    with pytest.raises(LabelError, match="Every row is of one group, 'chr1'"):
        held_out(_labelled(_random(4), ("chr1",) * 4), "group")
    base = _random(1)[0]
    with pytest.raises(LabelError, match="none can be held back"):
        held_out(_labelled([base, base, base]), "identity")
    with pytest.raises(RequirementError, match="between 0 and 1"):
        held_out(labelled, "random", share=1.5)
    with pytest.raises(RequirementError, match="2 folds or more, not in 1"):
        folds(labelled, np.arange(10), number=1)


def test_a_class_that_training_lacks_is_named():
    labelled = _labelled(_random(10))
    assert missing_classes(labelled.rows([0, 2, 4])) == ["b"]
    assert missing_classes(labelled) == []


def test_a_missing_library_is_a_sentence_that_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.sparse", None)
    with pytest.raises(RequirementError, match=r"dnallm-core\[train\]"):
        groups_of(_labelled(_random(4)), "identity")
