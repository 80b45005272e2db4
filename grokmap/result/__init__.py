"""A result folder as tables: runs, records, axes; and what analyses find in them."""

from grokmap.result.result import Result

__all__ = ["Result"]
