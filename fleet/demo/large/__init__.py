"""The large demo: many lots and orders, made through the edge under bounded load."""

from fleet.demo.large.plan import Plan
from fleet.demo.large.run import run_large

__all__ = ["Plan", "run_large"]
