"""Train a network of a family from nothing on a genome: ``pretrain``, what ``dnallm pretrain`` runs."""
