"""Tasks: tables of examples, split per seed into train and test.

data    what a task is
pairs   binary operations on finite sets, all pairs
drawn   examples that each run draws for itself, and packaged images
splits  what is left out of training: pairs at random, or whole kinds of them
table   the literal table of names
"""

from grokmap.tasks.data import REALS, TOKENS, Data, Shape, Task
from grokmap.tasks.table import TASKS, kernel_rows, probe, similarity

__all__ = [
    "REALS",
    "TASKS",
    "TOKENS",
    "Data",
    "Shape",
    "Task",
    "kernel_rows",
    "probe",
    "similarity",
]
