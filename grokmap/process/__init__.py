"""What a process is given: signals, standard streams, environment variables.

Loaded before all else, so nothing here imports more than the standard library.
"""
