"""What to do next where a result got stuck."""

from __future__ import annotations

from grokmap import store
from grokmap.analysis.advice import Advice, advise
from grokmap.result.labels import with_costs
from grokmap.result.result import Result


def find(result: Result) -> list[Advice]:
    """Advice by the runs that are done, labelled by the default criteria."""
    runs = result.labelled("default", store.LABELS_READ)
    return advise(with_costs(result.path, runs), result.spec)
