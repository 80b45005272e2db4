"""Phase diagrams of grokking."""

__version__ = "0.1.0"
