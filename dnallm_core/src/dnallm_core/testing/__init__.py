"""The conformance kit: it holds a plugin to what its manifest declares.

Three doors to one list of checks: ``check_plugin("dnallm-mine")`` in Python, ``dnallm check`` in a
shell, and in pytest a subclass of ``PluginConformance``. What each check promises stands in
``docs/conformance.md``, generated from the checks themselves.
"""

from __future__ import annotations

from .conformance import Case, Conformance, check_plugin
from .promise import CHECKS, TIERS, Broken, Check, NotApplicable
from .pytest_class import PluginConformance
from .report import Record, Report

__all__ = [
    "CHECKS",
    "TIERS",
    "Broken",
    "Case",
    "Check",
    "Conformance",
    "NotApplicable",
    "PluginConformance",
    "Record",
    "Report",
    "check_plugin",
]
