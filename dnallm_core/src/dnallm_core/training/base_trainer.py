"""``transformers.Trainer`` as every training here uses it: checkpoints of tensors, nothing printed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn
from transformers import Trainer, TrainingArguments
from transformers.trainer_callback import PrinterCallback, ProgressCallback


def arguments_for(
    work: Path, device: torch.device, *, seed: int, batch: int, targets: str, **more: Any
) -> TrainingArguments:
    """Arguments of a run in ``work``: one checkpoint is kept, and nobody is reported to.

    ``batch``: rows at once; ``targets``: the name of what is learned in a batch; ``more``: what
    differs between trainings, under the names of TrainingArguments.
    """
    return TrainingArguments(
        output_dir=str(work),
        per_device_train_batch_size=batch,
        per_device_eval_batch_size=batch,
        save_total_limit=1,
        seed=seed,
        data_seed=seed,
        use_cpu=device.type == "cpu",
        report_to=[],
        disable_tqdm=True,
        remove_unused_columns=False,
        label_names=[targets],
        prediction_loss_only=True,
        dataloader_pin_memory=False,
        log_level="error",
        **more,
    )


class BaseTrainer(Trainer):
    """A Trainer whose checkpoints hold ``parameters_to_save`` and nothing else, as safetensors."""

    def __init__(self, **named: Any) -> None:
        super().__init__(**named)
        for each in (PrinterCallback, ProgressCallback):
            self.remove_callback(each)

    def parameters_to_save(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Every parameter, by name."""
        return self.model.named_parameters()

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        folder = Path(output_dir or str(self.args.output_dir))
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {
            name: each.detach().cpu().contiguous() for name, each in self.parameters_to_save()
        }
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})

    def _issue_warnings_after_load(self, load_result: Any) -> None:
        """What is frozen, tied or made by the network is in no checkpoint, and need not be."""
        assert not load_result.unexpected_keys, load_result.unexpected_keys
