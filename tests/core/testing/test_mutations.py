"""The mutation trial: lies and faults, one at a time, in a sound plugin; each is caught by name."""

# ruff: noqa: E501

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from dnallm_core.testing import Conformance

PLUGIN = "sound-plugin"


class Lie(NamedTuple):
    """``old`` becomes ``new`` in ``file``; a check of ``code`` on ``subject`` must break."""

    name: str
    code: str
    subject: str
    file: str
    old: str
    new: str


TOML, TIDE, BROOK, POND = "sound/dnallm.toml", "sound/tide.py", "sound/brook.py", "sound/pond.py"
INFO = "sound_plugin-0.1.dist-info/METADATA"
LIES = [
    # --- in the manifest and around it ---
    Lie("another interface number", "C001", PLUGIN, TOML, '">=1,<2"', '">=2,<3"'),
    Lie("another manifest format", "C001", PLUGIN, TOML, "schema = 1", "schema = 9"),
    Lie("an unknown field", "C001", PLUGIN, TOML, 'title = "Tide"', 'titel = "Tide"'),
    Lie("an impossible word", "C001", PLUGIN, TOML, '"convolutional"', '"waves"'),
    Lie("a causal model by masking", "C001", PLUGIN, TOML,
        'direction = "causal"\nobjective = "causal-language-modelling"',
        'direction = "causal"\nobjective = "masked-language-modelling"'),
    Lie("torch at the package's import", "C003", PLUGIN, "sound/__init__.py", '"""\n', '"""\nimport torch\n'),
    Lie("torch in the hooks", "C004", PLUGIN, "sound/hooks.py", "from dnallm_core", "import torch\nfrom dnallm_core"),
    Lie("a hook that does not exist", "C004", PLUGIN, "sound/hooks.py", "def dnallm_commands", "def dnallm_wishes"),
    Lie("one alias for two models", "C001", PLUGIN, TOML, 'family = "pond"\nparameters',
        'family = "pond"\naliases = ["someone/brook-1"]\nparameters'),
    Lie("check vectors that are not there", "C006", PLUGIN, TOML, "facts/checks.json", "facts/cheques.json"),
    Lie("bundled weights that are not there", "C006", PLUGIN, TOML, '"weights" }', '"waits" }'),
    Lie("it depends on another dnallm", "C007", PLUGIN, INFO, "torch>=2.6", "dnallm>=1"),
    Lie("its core has no ceiling", "C007", PLUGIN, INFO, ">=2,<3", ">=2"),
    Lie("its implementation is missing", "C008", "tide", TOML, "sound.tide:Tide", "sound.ebb:Tide"),
    Lie("its implementation is no model", "C008", "tide", TOML, "sound.tide:Tide", "sound.tide:Block"),
    Lie("a branch for a revision", "C009", "brook-1", TOML, "0123456789abcdef0123456789abcdef01234567", "main"),
    Lie("no licence", "C010", "pond-1", TOML, 'licence = { id = "MIT", commercial = true }\ncheck', "check"),
    Lie("no source", "C011", "brook-1", TOML, 'sources = ["a test"]\n\n', "\n"),
    Lie("code among the weights", "C012", "brook-1", TOML, '"model.safetensors"', '"modeling.py"'),
    Lie("more bases than its tokens hold", "C013", "pond-1", TOML, "max_length = 520", "max_length = 5_200"),
    # --- running ---
    Lie("a buffer right only on the CPU", "C102", "tide", TIDE, "module.order.copy_(", "torch.zeros(8).copy_("),
    Lie("no last_hidden_state", "C103", "tide", TIDE, 'result["last_hidden_state"] = states[-1]', "pass"),
    Lie("no logits", "C103", "pond", POND, "logits=self.head(states[-1])", "logits=None"),
    Lie("the norm is left out of hidden_states", "C104", "brook", BROOK,
        "hidden_states=tuple(states) if", "hidden_states=(*states[:-1], x) if"),
    Lie("hidden_states unasked", "C104", "pond", POND, "if output_hidden_states else None", ""),
    Lie("a block is missing in hidden_states", "C104", "tide", TIDE, "for a, b in zip(here, there, strict=True)",
        "for a, b in zip(here[1:], there[1:], strict=True)"),
    Lie("dropout stays on", "C105", "brook", BROOK, "x = self.table(input_ids)",
        "x = nn.functional.dropout(self.table(input_ids), 0.1)"),
    Lie("memory of the call before", "C105", "pond", POND, "states[-1] = self.norm(x)",
        "states[-1] = self.norm(x + getattr(self, 'old', 0)); self.old = x.mean()"),
    Lie("a mask of ones is not none", "C106", "brook", BROOK, "x = self.table(input_ids)",
        "x = self.table(input_ids) * (1.0 if attention_mask is None else 1.1)"),
    Lie("padding leaks from behind", "C107", "tide", TIDE, "mask = mask[..., None]",
        "mask = torch.ones_like(mask)[..., None]"),
    Lie("padding leaks through attention", "C107", "pond", POND, "allowed = None if bool(mask.all())", "allowed = None if True"),
    Lie("padding leaks from before", "C108", "pond", POND, "(mask.cumsum(1) - 1)",
        "(torch.ones_like(mask).cumsum(1) - 1)"),
    Lie("the state feels the padding", "C108", "brook", BROOK, "torch.where(mask > 0, keep, torch.ones_like(keep)), new * mask",
        "keep, new"),
    Lie("rows feel each other", "C109", "tide", TIDE, "x = self.table(ids) * mask",
        "x = self.table(ids) * mask; x = x - x.mean(0, keepdim=True)"),
    Lie("no end declared, and positions end", "C110", "pond", TOML, 'length_limit = "hard"', 'length_limit = "none"'),
    Lie("a task that raises", "C111", "tide", TIDE, "    def receptive_field",
        "    def embed(self, *a, **b):\n        raise RuntimeError('not yet')\n\n    def receptive_field"),
    Lie("offsets off by one", "C112", "brook", BROOK, "    def advance", """\
    def __init__(self, manifest, module, tokenizer, **more):
        inner = tokenizer.encode
        def encode(text, special_tokens=True):
            found = inner(text, special_tokens)
            moved = [(a + 1, b + 1) if b > a and b < len(text) else (a, b) for a, b in found.offsets]
            return type(found)(found.ids, moved)
        tokenizer.encode = encode
        super().__init__(manifest, module, tokenizer, **more)

    def advance"""),
    Lie("ids beyond the vocabulary", "C113", "tide", TIDE, "    def receptive_field", """\
    def __init__(self, manifest, module, tokenizer, **more):
        inner = tokenizer.encode
        def encode(text, special_tokens=True):
            found = inner(text, special_tokens)
            return type(found)([each + (each == 7) for each in found.ids], found.offsets)
        tokenizer.encode = encode
        super().__init__(manifest, module, tokenizer, **more)

    def receptive_field"""),
    Lie("decoding backwards", "C114", "brook", BROOK, "    def advance", """\
    def __init__(self, manifest, module, tokenizer, **more):
        inner = tokenizer.decode
        tokenizer.decode = lambda ids: inner(ids)[::-1]
        super().__init__(manifest, module, tokenizer, **more)

    def advance"""),
    Lie("a call home when it is asked", "C115", "tide", TIDE, "        mask = torch.ones_like(input_ids) if",
        "        import contextlib, urllib.request\n        with contextlib.suppress(OSError):\n"
        "            urllib.request.urlopen('http://example.org')\n        mask = torch.ones_like(input_ids) if"),
    Lie("a call home when it is imported", "C115", "pond", POND, "import torch\n",
        "import contextlib, socket, torch\nwith contextlib.suppress(OSError):\n"
        "    socket.create_connection(('example.org', 80), 1)\n"),
    Lie("it seeds everyone's chance", "C116", "brook", BROOK, "        mask = torch.ones_like(input_ids) if",
        "        torch.manual_seed(0)\n        mask = torch.ones_like(input_ids) if"),
    Lie("it changes the default dtype", "C116", "tide", TIDE, "        return TideNetwork(config)",
        "        made = TideNetwork(config); torch.set_default_dtype(torch.float64); return made"),
    Lie("bfloat16 gone wrong", "C117", "pond", POND, "x = self.table(input_ids) +",
        "x = (self.table(input_ids).round() if self.dtype == torch.bfloat16 else self.table(input_ids)) +"),
    Lie("a layer that never learns", "C118", "brook", BROOK, "keep = torch.sigmoid(self.gate(inner))",
        "keep = torch.sigmoid(self.gate(inner)).detach()"),
    Lie("it sees nothing while it trains", "C119", "brook", BROOK, "x = self.table(input_ids)",
        "x = self.table(torch.zeros_like(input_ids) if self.training else input_ids)"),
    Lie("a tensor may lack", "C121", "tide", TIDE, "return KeyRules()", 'return KeyRules(computed=(r"head\\..*",))'),
    Lie("left-over tensors are ignored", "C122", "brook", BROOK, "return KeyRules()",
        'return KeyRules(ignore=(r"(?!table|layers|norm|head).*",))'),
    Lie("what is saved lacks the head", "C124", "pond", POND, 'base_model_prefix = "pond"',
        'base_model_prefix = "pond"\n    _keys_to_ignore_on_save = {"head.weight", "head.bias"}'),
    # --- truth ---
    Lie("it declares what its class cannot", "C201", "tide", TIDE, "class Tide(PredictsBases, PredictsMaskedBases, Embeds,",
        "class Tide(Embeds,"),
    Lie("it declares an alignment it does not take", "C201", "pond", TOML,
        'implementation = "sound.pond:Pond"\ninputs = ["sequence"]',
        'implementation = "sound.pond:Pond"\ninputs = ["sequence", "alignment"]'),
    Lie("declared causal, it looks ahead", "C202", "brook", BROOK, "x = self.table(input_ids)",
        "x = self.table(input_ids); x = x + 0.1 * x.roll(-1, 1)"),
    Lie("declared bidirectional, it is causal", "C203", "pond", POND, "attn_mask=allowed", "is_causal=True"),
    Lie("the wrong complement", "C204", "tide", TIDE, "[0, 1, 2, 6, 5, 4, 3, 7]", "[0, 1, 2, 4, 3, 6, 5, 7]"),
    Lie("declared equivariant, it is not", "C204", "pond", TOML, 'implementation = "sound.pond:Pond"',
        'implementation = "sound.pond:Pond"\nreverse_complement = "equivariant"'),
    Lie("equivariant, and not declared", "C204", "tide", TOML, '"equivariant"', '"none"'),
    Lie("more parameters than there are", "C205", "brook-1", TOML, "1_992", "7_000_000"),
    Lie("the longest input doubled", "C206", "pond-1", TOML, "max_tokens = 520", "max_tokens = 1_040"),
    Lie("fewer rows than tokens", "C207", "brook-1", TOML, "config = { vocab_size = 8, width = 16, layers = 2 }",
        "config = { vocab_size = 4, width = 16, layers = 2 }"),
    Lie("the receptive field halved", "C208", "tide", TIDE, "2**self.module.config.num_hidden_layers - 1",
        "2**self.module.config.num_hidden_layers // 2 - 1"),
    Lie("the receptive field trebled", "C208", "tide", TIDE, "2**self.module.config.num_hidden_layers - 1",
        "3 * 2**self.module.config.num_hidden_layers - 1"),
    Lie("the state is dropped", "C209", "brook", BROOK, "past=state)", "past=None)"),
    Lie("the wrong rows are kept", "C209", "brook", BROOK, "each[rows]", "each[rows - 1]"),
    Lie("shared masks that are not one by one", "C210", "tide", TIDE, "    def receptive_field", """\
    def masked_logits(self, input_ids, positions, mask_id):
        masked = input_ids.clone()
        masked[positions] = mask_id
        return self.module(input_ids=masked[None]).logits[0, positions]

    def receptive_field"""),
    Lie("attention that is no share", "C211", "pond", POND, ".softmax(-1)", ".sigmoid()"),
    Lie("coarser than it is", "C212", "pond-1", TOML, 'config = { vocab_size = 8, width = 16, layers = 2, positions = 520 }',
        'config = { vocab_size = 8, width = 16, layers = 2, positions = 520 }\nresolution = 6.0'),
    Lie("declared linear in time, it is quadratic", "C221", "tide", TIDE, "states[-1] = self.norm(x)",
        "states[-1] = self.norm(x) + 0 * ((x @ x.transpose(1, 2)).softmax(-1) @ x)"),
    Lie("declared quadratic in time, it is linear", "C221", "tide", TOML, 'time = "linear"', 'time = "quadratic"'),
    Lie("declared linear in memory, it is quadratic", "C222", "pond", POND,
        "nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=allowed)",
        "(query @ key.transpose(-1, -2)).softmax(-1) @ value"),
]  # fmt: skip

OTHERS = [  # told by what is written below rather than by a line changed
    ("imported at discovery", "C002"),
    ("two plugins with one id", "C005"),
    ("an object in the checkpoint", "C125"),
    ("a key dropped from the bundled checkpoint", "C125"),
    ("recorded memory of the weights halved", "C223"),
    ("recorded memory of the activations halved", "C224"),
    ("numbers that are not the authors'", "C301"),
]


def _broken(subject: str, *, with_weights: bool = False) -> dict[str, str]:
    """code -> message of every broken promise about ``subject``."""
    conformance = Conformance("sound", with_weights=with_weights)
    records = [conformance.run(case) for case in conformance.cases() if case.subject == subject]
    return {each.code: each.message for each in records if each.status == "failed"}


def _spoil(site: Path, file: str, change: Callable[[str], str]) -> None:
    path = site / file
    before = path.read_text()
    after = change(before)
    assert after != before, "the lie was not told"
    path.write_text(after)


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.name)
def test_a_lie_is_caught_by_the_check_that_names_it(site, lie):
    import torch

    _spoil(site, lie.file, lambda text: text.replace(lie.old, lie.new, 1))
    try:
        broken = _broken(lie.subject)
    finally:
        torch.set_default_dtype(torch.float32)
    assert lie.code in broken, broken


def test_being_imported_at_discovery_is_caught(site):
    (site / "sitecustomize.py").write_text("import sound\n")
    assert "C002" in _broken(PLUGIN)


def test_two_plugins_with_one_id_are_caught(site):
    import shutil

    shutil.copytree(site / "sound", site / "other")
    (site / "other/__init__.py").write_text("")
    toml = site / "other/dnallm.toml"
    toml.write_text(toml.read_text().replace('"sound.', '"other.'))
    info = site / "other_plugin-0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: other-plugin\nVersion: 0.1\n")
    (info / "entry_points.txt").write_text("[dnallm.manifests]\nother = other:dnallm.toml\n")
    assert "C005" in _broken(PLUGIN)


def test_an_object_in_the_checkpoint_is_caught(site):
    import torch
    from safetensors.torch import load_file

    weights = site / "sound/weights"
    tensors = load_file(weights / "model.safetensors")
    (weights / "model.safetensors").unlink()
    torch.save({**tensors, "surplus": Path("/")}, weights / "model.bin")
    assert "C125" in _broken("pond-1")


def test_a_key_dropped_from_the_bundled_checkpoint_is_caught(site):
    from safetensors.torch import load_file, save_file

    path = site / "sound/weights/model.safetensors"
    tensors = load_file(path)
    del tensors["head.bias"]
    save_file(tensors, path)
    assert "C125" in _broken("pond-1")


@pytest.mark.parametrize(("term", "code"), [("weights", "C223"), ("per_token", "C224")])
def test_memory_halved_is_caught(site, term, code):
    def halve(text: str) -> str:
        content = json.loads(text)
        content["models"]["pond-1"][0]["terms"][term] /= 2
        return json.dumps(content)

    _spoil(site, "sound/facts/footprints.json", halve)
    assert code in _broken("pond-1")


def test_numbers_that_are_not_the_authors_are_caught(site):
    def move(text: str) -> str:
        content = json.loads(text)
        content["pond-1"][0]["values"][0] += 0.1
        return json.dumps(content)

    _spoil(site, "sound/facts/checks.json", move)
    assert "C301" in _broken("pond-1", with_weights=True)
