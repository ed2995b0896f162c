"""Tieout: the reconciliation control plane for revenue systems."""

__version__ = "0.1.0"
