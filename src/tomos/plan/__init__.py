"""Fingerprint -> `Plan`: one rules file per task, a timing probe (torch only inside it)."""

from tomos.plan.dimensions import WAYS
from tomos.plan.fingerprint import Fingerprint, fingerprint
from tomos.plan.make import learned, make
from tomos.plan.recipe import recipes
from tomos.plan.schema import Plan

__all__ = ["WAYS", "Fingerprint", "Plan", "fingerprint", "learned", "make", "recipes"]
