"""One call of `grokmap sweep` on a result folder: lock, train, write, record."""
