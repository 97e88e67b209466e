"""DNABERT: BERT over overlapping k-mers, its masked-language bias added twice.

Ji et al., Bioinformatics 2021 (10.1093/bioinformatics/btab083). The authors' fork of transformers
sets ``decoder.bias = self.bias`` and returns ``decoder(x) + self.bias``: the published weights were
trained so, and stock BERT is off by the bias (facts, finding 10).
"""

from __future__ import annotations

from .bert import StockBert


class Dnabert(StockBert):
    """DNABERT with k = 3 to 6: one network, its vocabulary of 4^k + 5 apart."""

    decoder_bias_twice = True
    pooler_expected = True
