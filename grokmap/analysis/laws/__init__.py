"""Laws of t_grok, fitted to grokked and censored runs alike, and compared.

The data are the runs that memorised. One that grokked contributes the density of
log t_grok, one that has not by its last step the chance of surviving it, P(t >
n_steps): a censored (Tobit) regression in log time, with normal residuals of one width
sigma. Runs that never memorised, diverged, died or stalled are outside the laws' scope,
and so are runs without weight decay: the laws say nothing of them.

Times in steps, r = decay_rate (relative shrinkage of the weights per step), lambda =
weight_decay. The time of gradient flow after t steps is t r / lambda: what eta,
momentum and N^(-2 alpha) do to the clock cancels in it.
"""

from grokmap.analysis.laws.comparison import (
    FEWEST,
    compare,
    fitted_alone,
    pure_decay,
    residuals,
)
from grokmap.analysis.laws.data import (
    START,
    T_MEM,
    data_of,
    memorised,
    outside,
)
from grokmap.analysis.laws.fitting import Fit, fit, log_likelihoods, standard_errors
from grokmap.analysis.laws.table import LAWS, Law, applies
from grokmap.analysis.systems import ALL

__all__ = [
    "ALL",
    "FEWEST",
    "Fit",
    "LAWS",
    "Law",
    "START",
    "T_MEM",
    "applies",
    "compare",
    "data_of",
    "fit",
    "fitted_alone",
    "log_likelihoods",
    "memorised",
    "outside",
    "pure_decay",
    "residuals",
    "standard_errors",
]
