"""HyenaDNA for dnallm, in plain PyTorch."""
