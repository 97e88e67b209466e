"""Settings of HyenaDNA, under the names of the ``-hf`` repositories' ``config.json``."""

from __future__ import annotations

from typing import Any, ClassVar

from transformers import PreTrainedConfig


class HyenaDNAConfig(PreTrainedConfig):
    """Settings under the names of the ``-hf`` repositories' ``config.json``."""

    model_type = "hyenadna"
    attribute_map: ClassVar[dict[str, str]] = {
        "hidden_size": "d_model",
        "num_hidden_layers": "n_layer",
        "intermediate_size": "d_inner",
        "max_position_embeddings": "max_seq_len",
    }

    def __init__(
        self,
        d_model: int = 256,
        n_layer: int = 8,
        d_inner: int | None = None,
        max_seq_len: int = 1026,
        vocab_size: int = 12,
        pad_vocab_size_multiple: int = 8,
        emb_dim: int = 5,
        filter_order: int = 64,
        num_inner_mlps: int = 2,
        short_filter_order: int = 3,
        activation_freq: float = 10,
        train_freq: bool = True,
        use_bias: bool = True,
        layer_norm_epsilon: float = 1e-5,
        embed_dropout: float = 0.1,
        initializer_range: float = 0.02,
        learned_positions: bool = False,
        pad_token_id: int | None = 4,
        tie_word_embeddings: bool = False,
        **others: Any,
    ) -> None:
        self.d_model = d_model
        self.n_layer = n_layer
        self.d_inner = d_inner if d_inner is not None else 4 * d_model
        self.max_seq_len = max_seq_len
        self.vocab_size = vocab_size
        self.pad_vocab_size_multiple = pad_vocab_size_multiple
        self.emb_dim = emb_dim
        self.filter_order = filter_order
        self.num_inner_mlps = num_inner_mlps
        self.short_filter_order = short_filter_order
        self.activation_freq = activation_freq
        self.train_freq = train_freq
        self.use_bias = use_bias
        self.layer_norm_epsilon = layer_norm_epsilon
        self.embed_dropout = embed_dropout
        self.initializer_range = initializer_range
        self.learned_positions = learned_positions
        super().__init__(
            pad_token_id=pad_token_id, tie_word_embeddings=tie_word_embeddings, **others
        )

    @property
    def rows(self) -> int:
        """Rows of the embedding: the vocabulary, filled up to a multiple."""
        multiple = self.pad_vocab_size_multiple
        return -(-self.vocab_size // multiple) * multiple
