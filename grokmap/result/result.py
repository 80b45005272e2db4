"""A result folder as tables, and every analysis as a method."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy.typing as npt
import pandas as pd

from grokmap import store
from grokmap.analysis.advice import Advice
from grokmap.analysis.early_stopping import PATIENCE
from grokmap.avalanches import Probe
from grokmap.classify import Criteria, read_criteria
from grokmap.errors import ResultError, SpecError, short
from grokmap.order_parameters import OrderParameter, quantities
from grokmap.result import labels, selection
from grokmap.result.groups import Place
from grokmap.result.moments import step_at
from grokmap.result.plotting import Plots
from grokmap.shell import argument, pasted
from grokmap.spec import Sweep, is_log
from grokmap.spec.axis import Axis

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from grokmap.engine.restored import Network
    from grokmap.plot import Plane
    from grokmap.spec.kernels import Kernels


class Result:
    """The folder of a sweep.

    Tables are read when they are asked for, so that a sweep that goes on elsewhere is
    seen as it is by then. Each command of the command line is a method here with the
    same options; `plot` draws the same figures.

    Args:
      path: the folder.
      say: told of every file that cannot be read (default: a warning).

    Raises:
      SpecError, ResultError: no result folder, or its sweep.toml is not sound.
    """

    def __init__(
        self, path: str | Path, say: Callable[[str], None] = warnings.warn
    ) -> None:
        self.path = Path(path)
        self.spec: Sweep = labels.spec_of(self.path)
        self.say = say

    def __repr__(self) -> str:
        axes = ", ".join(f"{axis.name} ({len(axis.values)})" for axis in self.axes)
        return f"Result({str(self.path)!r}: {axes or 'one run'})"

    def say_waiting(self) -> None:
        """Says how many runs are done in shards and not in the folder, if any are."""
        waiting = store.waiting_runs(self.path)
        if waiting:
            self.say(store.waiting_line(self.path, len(waiting)))

    @property
    def axes(self) -> tuple[Axis, ...]:
        """The swept axes: name, values, kind."""
        return self.spec.axes

    @property
    def place(self) -> dict[str, Any]:
        """The values that `at` and `near` have chosen; none of a whole result."""
        return {}

    def at(self, place: Place | None = None, **values: float | str | bool) -> Result:
        """The result at one value of some axes, as in at(depth=2, optimizer="gd").

        Every table and method is then of the runs there. Numbers are matched to four
        digits; an axis that is not swept has its one value.

        Raises:
          SpecError: no such axis or value, or no run there.
        """
        from grokmap.result import slices

        wanted = {**(place or {}), **values}
        return slices.at(self, wanted) if wanted else self

    def near(self, place: Place | None = None, **values: float | str | bool) -> Result:
        """The same at the nearest values that there are, which `say` is told of:
        nearest by ratios on a log axis. Choices have to be there."""
        from grokmap.result import slices

        wanted = {**(place or {}), **values}
        return slices.near(self, wanted) if wanted else self

    def axis(self, name: str) -> Axis:
        """One swept axis by its name.

        Raises:
          SpecError: it is not swept.
        """
        for axis in self.axes:
            if axis.name == name:
                return axis
        known = ", ".join(axis.name for axis in self.axes) or "nothing"
        raise SpecError(f"axis {short(repr(name))} is not swept; swept: {known}")

    @property
    def plan(self) -> pd.DataFrame:
        """The planned runs, done or not: run_id, system, control, budget."""
        return store.read_plan(self.path)

    @property
    def planned(self) -> pd.DataFrame:
        """The plan of the whole folder, also of a slice of it."""
        return self.plan

    @property
    def n_done(self) -> int:
        """How many of the planned runs are done."""
        done = store.stored(self.path).steps.keys()
        return len(done & set(self.plan["run_id"]))

    @property
    def quantities(self) -> dict[str, OrderParameter]:
        """What may be recorded, by name; those of plugins that are not loaded, too."""
        return quantities(self.spec.order_parameters or ())

    @property
    def runs(self) -> pd.DataFrame:
        """The finished runs, labelled by the default criteria, with all final values.

        Raises:
          ResultError: nothing is finished yet.
        """
        return self.labelled(columns=None)

    def labelled(
        self,
        criteria: str | Criteria = "default",
        columns: Sequence[str] | None = store.LABELS_READ,
    ) -> pd.DataFrame:
        """The finished runs, labelled by any criteria.

        Args:
          criteria: a preset, a TOML file, or `Criteria`.
          columns: quantities whose final values are wanted (None: all).

        Raises:
          ResultError: nothing is finished yet. SpecError: no such criteria.
        """
        rules = read_criteria(criteria) if isinstance(criteria, str) else criteria
        runs, unreadable = labels.label_runs(self.path, rules, columns)
        for line in unreadable:
            self.say(line)
        if len(runs) == 0:
            raise ResultError(f"{self.path}: {self._why_empty()}")
        return runs

    def _why_empty(self) -> str:
        """Why there is no run to label: labels are made of trajectories alone."""
        count = store.n_labelled(self.path)
        if not count:
            return "no finished run in it yet"
        here = argument(self.path)
        again = pasted(["grokmap", "sweep", here, "--out", f"{here}-again"])
        return (
            f"its trajectories are not in it, only the labels made of them, {count} "
            f"rows of {store.RUNS}; to train them again: {again}"
        )

    def records(
        self,
        columns: Sequence[str] | None = None,
        runs: Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """What was recorded along the runs: run_id, step and the quantities.

        Args:
          columns: quantities wanted (None: all). runs: run ids wanted (None: all).
        """
        return store.read_trajectories(self.path, columns, runs)[0]

    def nearest(self, **place: float | str) -> pd.Series:
        """The planned run that is nearest to a place, as in alpha=0.2, optimizer="gd".

        Distances are in spans of each named axis, of its logarithm on a log axis; of
        runs as near, the lowest seed.

        Raises:
          SpecError: an axis that the runs do not have.
        """
        plan = selection.with_choices(self.plan, place)
        known = [axis for axis in place if axis in selection.axes_of(plan)]
        log = [axis for axis in known if self.is_log(axis, plan)]
        return selection.nearest_run(plan, place, log)

    def is_log(self, name: str, runs: pd.DataFrame) -> bool:
        """Whether an axis is read as its log: by the sweep's own axis if it is swept,
        else by the values of the runs, as of decay_rate."""
        for axis in self.axes:
            if axis.name == name:
                return axis.is_log
        return is_log(runs[name])

    def plane(self, x: str, y: str, runs: pd.DataFrame) -> Plane:
        """Two axes of a diagram, and whether each is read as its log."""
        from grokmap.plot import Plane

        return Plane(x, y, self.is_log(x, runs), self.is_log(y, runs))

    def find(self, text: str) -> str:
        """The one run id that begins with `text`.

        Raises:
          SpecError: no run begins so, or several do.
        """
        # Not by pandas, whose strings hold no prefix that is not valid UTF-8.
        ids = [run_id for run_id in self.plan["run_id"] if run_id.startswith(text)]
        if len(ids) == 1:
            return str(ids[0])
        given = short(repr(text))
        hint = (
            "ids stand in runs.parquet; or give coordinates: "
            "alpha=0.2,weight_decay=0.01"
        )
        if not ids:
            raise SpecError(f"{self.path}: no run {given}; {hint}")
        first = ", ".join(ids[:3])
        raise SpecError(
            f"{self.path}: {len(ids)} runs begin with {given}: {first}, ...; {hint}"
        )

    def weights(
        self, run: str, at: int | str = "t_grok"
    ) -> dict[str, npt.NDArray[Any]]:
        """The saved weights of a run, arrays by name ("first", "readout", ...).

        Args:
          run: the run's id or its beginning. at: "t_mem", "t_grok", "end" or a step.

        Raises:
          SpecError: no such run, or a time that it has not. ResultError: not done, not
            saved (`grokmap.save_weights` saves them), or a damaged file.
        """
        run_id = self.find(run)
        step = step_at(self.path, run_id, at)
        return store.read_weights(self.path, run_id, step).leaves

    def network(self, run: str, at: int | str = "t_grok") -> Network:
        """A run's network with saved weights: params, module, a function of inputs, and
        its examples; see `grokmap.engine.restored.Network`. Arguments and errors as of
        `weights`."""
        from grokmap.engine.restored import network_of

        leaves = self.weights(run, at)
        return network_of(
            selection.run_of(self.spec, self.plan, self.find(run)), leaves
        )

    def kernels(self, run: str) -> Kernels:
        """The tangent kernels recorded along a run, of a sweep with `kernel_examples`:
        steps [r], examples [m] (rows of the run's examples, as in `network`), and
        values [r, m, m].

        They are of f itself; N^(1-2 alpha) times them is what training sees, whatever
        alpha and N (convention "laziness").

        Raises:
          SpecError: no such run, or a sweep that records no kernels. ResultError: the
            run is not done.
        """
        from grokmap.result import kernels

        return kernels.of_run(self, self.find(run))

    @cached_property
    def plot(self) -> Plots:
        """Figures: `result.plot.laws()`, ..."""
        return Plots(self)

    def boundaries(
        self,
        x: str = "weight_decay",
        y: str = "alpha",
        criteria: str | Criteria = "default",
        budget: bool = True,
        at: Place | None = None,
    ) -> pd.DataFrame:
        """Where the grok wedge begins and ends in each row, with intervals.

        See `grokmap.result.boundaries.find` for the columns, and for alpha_c.
        """
        from grokmap.result import boundaries

        return boundaries.find(self, x, y, criteria, budget, at).table

    def surface(
        self,
        over: Sequence[str],
        x: str = "weight_decay",
        criteria: str | Criteria = "default",
        precision: float = 0.1,
        at: Place | None = None,
    ) -> pd.DataFrame:
        """Where the grok wedge begins and ends over several axes at once, with bands.

        See `grokmap.result.surface.find`, and `Edges` there for the columns.
        """
        from grokmap.result import surface

        return surface.find(self, over, x, criteria, at, precision).table

    def refine(
        self,
        x: str = "weight_decay",
        y: str = "alpha",
        precision: float = 0.08,
        y_precision: float | None = None,
        max_runs: int = 500,
        criteria: str | Criteria = "default",
        batch: int | None = None,
        at: Place | None = None,
        over: Sequence[str] = (),
        *,
        time_budget: float = float("inf"),
        on_progress: Callable[[Any], None] | None = None,
    ) -> pd.DataFrame:
        """Trains where the edges of the wedge are uncertain, until they are known.

        Args: as of `grokmap.result.refine.Wanted`; time_budget, on_progress: as of
          `grokmap.sweep`.

        Returns:
          The edges, as of `boundaries`, without shifts; of `over`, as of `surface`.
        """
        from grokmap.result.refine import Wanted
        from grokmap.session.library import refine

        at = {**self.place, **(at or {})}
        limits = (precision, y_precision, max_runs, criteria, batch)
        wanted = Wanted(x, y, *limits, at, tuple(over))
        refine(self.path, wanted, time_budget, on_progress)
        refined = Result(self.path, self.say)
        if over:
            return refined.surface(over, x, criteria, precision, at)
        return refined.boundaries(x, y, criteria, False, at)

    def uncertainty(
        self,
        x: str = "weight_decay",
        y: str = "alpha",
        criteria: str | Criteria = "default",
        at: Place | None = None,
    ) -> pd.DataFrame:
        """P(phase) and t_grok with intervals, and labels that other bars change; see
        `grokmap.result.uncertainty.find`."""
        from grokmap.result import uncertainty

        return uncertainty.find(self, x, y, criteria, at).table

    def classify(self, criteria: str | Criteria = "default") -> pd.DataFrame:
        """The finished runs as `grokmap classify` writes them: labelled, with all final
        values, and cost_s, each run's share of the wall time in seconds."""
        return labels.with_costs(self.path, self.labelled(criteria, None))

    def status(self) -> dict[str, Any]:
        """Runs planned, done and missing, files that are unreadable, and, if any run is
        done, how many there are of each phase and flag."""
        from grokmap.result import status

        return status.counts(self)

    def advice(self) -> list[Advice]:
        """What to do next where the sweep got stuck: what was found, by which counts,
        and what to change; see `analysis.advice`. Empty where nothing calls for it."""
        from grokmap.result import advice

        return advice.find(self)

    def verify(self) -> dict[str, Any]:
        """Whether the folder is whole, and what the next sweep would do; see
        `grokmap.session.whole.facts`."""
        from grokmap.session import whole

        return whole.facts(self.path)

    def show(self, run: str, criteria: str | Criteria = "default") -> dict[str, Any]:
        """Everything known of one run; None for what is undefined or infinite.

        run: a run id, or how it begins (`nearest` finds it by coordinates).

        Raises:
          SpecError: no such run. ResultError: it is not done.
        """
        from grokmap.result import status

        return status.facts(self, run, criteria)

    def report(
        self,
        out: str | Path,
        criteria: str | Criteria = "default",
        show: Sequence[str] | None = None,
        over: Sequence[str] = (),
        x: str = "weight_decay",
    ) -> Path:
        """A page to click in, one file; see `grokmap.report.write`, which also puts
        several results side by side. over, x: as of `surface`."""
        from grokmap import report

        wanted = report.Over(tuple(over), x)
        return report.write([self], out, criteria, show, over=wanted)

    def laws(self, criteria: str | Criteria = "default") -> pd.DataFrame:
        """Every law of t_grok, fitted to grokked and censored runs, best first.

        See `analysis.laws.compare` for the columns, and `grokmap.result.laws.find`.
        """
        from grokmap.result import laws

        return laws.find(self, criteria).table

    def forecast(self, criteria: str | Criteria = "default") -> pd.DataFrame:
        """When the runs that their budget cut short will grok, if they do, in steps.

        See `grokmap.result.forecast.find`, which also says how well that is known.
        """
        from grokmap.result import forecast

        return forecast.find(self, criteria).table

    def early_stopping(
        self,
        patience: Sequence[float] = PATIENCE,
        unit: str = "t_mem",
        criteria: str | Criteria = "default",
    ) -> pd.DataFrame:
        """Test accuracy lost by a stop some patience after t_mem, by phase.

        See `grokmap.result.early_stopping.find`, which also says what would have
        warned.
        """
        from grokmap.result import early_stopping

        return early_stopping.find(self, patience, unit, criteria).losses

    def stopping_rules(self, criteria: str | Criteria = "default") -> pd.DataFrame:
        """What rules that stop runs by their records miss, and what they save.

        See `grokmap.analysis.stopping_rules`.
        """
        from grokmap.result import stopping_rules

        return stopping_rules.find(self, criteria).table

    def scaling(
        self,
        size: str = "width",
        x: str = "weight_decay",
        quantity: str = "test_accuracy",
        at: Place | None = None,
        between: tuple[float, float] | None = None,
        log: bool | None = None,
        clock: str = "decay",
        criteria: str | Criteria = "default",
    ) -> pd.DataFrame:
        """Crossings, cumulants, data collapse and times by size, one row a number; see
        `grokmap.result.scaling.find`."""
        from grokmap.result import scaling

        return scaling.find(
            self, size, x, quantity, at, between, log, clock, criteria
        ).table

    def transition(
        self,
        quantity: str | Sequence[str] = "test_accuracy",
        x: str = "weight_decay",
        at: Place | None = None,
        loops: Result | None = None,
    ) -> pd.DataFrame:
        """Evidence for a transition of first order or a continuous one; see
        `grokmap.result.transition.find`, which also gives the verdict."""
        from grokmap.result import transition

        return transition.find(self, quantity, x, at, loops).table

    def hysteresis(self, quantity: str = "test_accuracy") -> pd.DataFrame:
        """The loop of each run whose weight decay was ramped, one row a run.

        See `grokmap.result.hysteresis.find`, which also has medians by rate.
        """
        from grokmap.result import hysteresis

        return hysteresis.find(self, quantity).table

    def avalanches(
        self,
        snapshots: int = 51,
        log: bool = False,
        graph: str = "barabasi_albert",
        probe: Probe = Probe(),
        size: str = "total",
        fixed: bool = False,
    ) -> pd.DataFrame:
        """D of avalanches of gradients over time, and its excess over each null.

        Trains the runs again for their gradients. Arguments as of
        `grokmap.result.avalanches.Question`; see `find` there, which also has D by
        phase, exponents and distributions.
        """
        from grokmap.result import avalanches
        from grokmap.session.gradients import gradients_at

        question = avalanches.Question(snapshots, log, graph, probe, size, fixed)
        wanted = avalanches.steps_wanted(self, question)
        gradients = gradients_at(self.path, wanted, self.say)
        return avalanches.over_time(avalanches.find(self, gradients, question))

    def spectrum(
        self,
        run: str | None = None,
        at: Sequence[int | str] = (0, "t_mem", "t_grok", "end"),
        matrix: str = "first",
    ) -> pd.DataFrame:
        """Singular values of a matrix of a run and of its motion, along training.

        Trains the run again for its weights. See `grokmap.result.spectrum.find` for
        the columns.

        Args:
          run: its id or the beginning of it (None: one that groks). at: moments, of
            which those of the default may be missing. matrix: a name in its weights.
        """
        from grokmap.result import spectrum
        from grokmap.session.gradients import reached_at

        run_id = spectrum.typical(self) if run is None else self.find(run)
        moments = spectrum.moments_of(self, run_id, at)
        reached = reached_at(self.path, {run_id: {0, *moments.values()}}, self.say)
        return spectrum.find(self, reached, moments, matrix).table

    def order_parameters(self, criteria: str | Criteria = "default") -> pd.DataFrame:
        """Which quantity moves first where runs grok, and which tell phases apart.

        See `grokmap.result.order_parameters.find`.
        """
        from grokmap.result import order_parameters

        return order_parameters.find(self, criteria).table

    def phase_diagram(
        self,
        x: str | None = None,
        y: str | None = None,
        colour: str = "delay_ratio",
        when: str = "final",
        criteria: str | Criteria = "default",
        at: Place | None = None,
        theory: str | None = None,
    ) -> Figure:
        """The phases in a plane of two axes: `plot.phase_diagram`."""
        return self.plot.phase_diagram(x, y, colour, when, criteria, at, theory=theory)

    def curves(
        self,
        runs: Sequence[str] = (),
        show: Sequence[str] | None = None,
        criteria: str | Criteria = "default",
        theory: str | None = None,
    ) -> Figure:
        """Trajectories of a few runs: `plot.curves`."""
        return self.plot.curves(runs, show, criteria, theory=theory)
