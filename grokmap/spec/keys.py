"""The keys that a sweep file may have, each with what it may be."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from grokmap.spec import choices
from grokmap.spec.kernels import MOST_EXAMPLES
from grokmap.spec.moments import moments
from grokmap.spec.points import Points, whole

Name = Annotated[str | tuple[str, ...], BeforeValidator(choices.names)]
Switch = Annotated[bool | tuple[bool, ...], BeforeValidator(choices.switches)]
Labels = Annotated[tuple[str, ...], BeforeValidator(choices.plugin_labels)]
Moments = Annotated[tuple[int | str, ...], BeforeValidator(moments)]
_WHOLE = BeforeValidator(whole)  # so that 1e5 is a number of steps


def _key(text: str, **kwargs: Any) -> Any:
    return Field(description=text, **kwargs)


def _size(text: str) -> Any:
    """A size: 0 where neither task nor model reads it; else it has to be given."""
    return Field(description=text, default=(0,))


class Keys(BaseModel):
    """One attribute a key: numbers as tuples of points, choices as they are written."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")] = _key(
        "name of the sweep and of its folder under results/"
    )
    task: Name = _key("task to learn")
    modulus: Annotated[tuple[int, ...], Points(whole=True, ge=2, le=1024)] = _size(
        "p: residues 0..p-1, p^2 examples"
    )
    width: Annotated[tuple[int, ...], Points(whole=True, ge=1, le=65536)] = _size(
        "N: neurons of a hidden layer"
    )
    depth: Annotated[tuple[int, ...], Points(whole=True, ge=1, le=16)] = _size(
        "hidden layers of mlp and embedding_mlp"
    )
    embedding: Annotated[tuple[int, ...], Points(whole=True, ge=1, le=4096)] = _size(
        "dimension of the embeddings of embedding_mlp and transformer"
    )
    n_inputs: Annotated[tuple[int, ...], Points(whole=True, ge=1, le=65536)] = _size(
        "d: dimension of real inputs"
    )
    n_examples: Annotated[tuple[int, ...], Points(whole=True, ge=2, le=2**22)] = _size(
        "examples drawn, train and test together, of tasks that draw their own"
    )
    n_relevant: Annotated[tuple[int, ...], Points(whole=True, ge=1, le=64)] = _size(
        "k: inputs that a parity or a sum depends on"
    )
    alpha: Annotated[tuple[float, ...], Points(ge=0, le=1e6)] = _key(
        "initialisation scale; see alpha_convention"
    )
    weight_decay: Annotated[tuple[float, ...], Points(ge=0)] = _key("lambda")
    train_fraction: Annotated[tuple[float, ...], Points(gt=0, lt=1)] = _key(
        "share of the examples trained on"
    )
    learning_rate: Annotated[tuple[float, ...], Points(gt=0)] = _key(
        'eta, in function space (see alpha_convention); "auto": one step for all runs, '
        "a share of the largest that is stable at initialisation"
    )
    learning_rate_choice: Literal["given", "auto"] = _key(
        'whether learning_rate was given or chosen by "auto"', default="given"
    )
    seed: Annotated[tuple[int, ...], Points(whole=True, ge=0, le=2**32 - 1)] = _key(
        "seeds split and initial weights", default=(0,)
    )
    momentum: Annotated[tuple[float, ...], Points(ge=0, lt=1)] = _key(
        "heavy-ball momentum of gd; Nesterov's of muon", default=(0.0,)
    )
    beta1: Annotated[tuple[float, ...], Points(ge=0, lt=1)] = _key(
        "adam, adamw, muon, lion: decay of the mean", default=(0.9,)
    )
    beta2: Annotated[tuple[float, ...], Points(ge=0, lt=1)] = _key(
        "adam, adamw, muon: decay of the square; lion: of the mean that is kept",
        default=(0.999,),
    )
    epsilon: Annotated[tuple[float, ...], Points(gt=0)] = _key(
        "adam, adamw, muon: added to the root", default=(1e-8,)
    )
    ramp_factor: Annotated[tuple[float, ...], Points(ge=1, le=1e6)] = _key(
        "weight decay rises to ramp_factor times weight_decay and falls back, both "
        "geometrically, in one run of 2 ramp_steps",
        default=(1.0,),
    )
    ramp_steps: Annotated[tuple[int, ...], Points(whole=True, ge=0, le=5 * 10**8)] = (
        _key(
            "steps of the ramp's way up, and of its way down; 0: no ramp", default=(0,)
        )
    )
    ramp_of: Literal["weight_decay", "noise"] = _key(
        "what is ramped: weight decay alone; or noise: temperature and weight decay "
        "together, so that the prior of langevin stays",
        default="weight_decay",
    )
    label_noise: Annotated[tuple[float, ...], Points(ge=0, le=1)] = _key(
        "xi: share of the training examples whose label is drawn at random",
        default=(0.0,),
    )
    dropout: Annotated[tuple[float, ...], Points(ge=0, lt=1)] = _key(
        "share of the last hidden layer that is silenced in each step", default=(0.0,)
    )
    gradient_noise: Annotated[tuple[float, ...], Points(ge=0)] = _key(
        "standard deviation of the noise added to every component of the gradient",
        default=(0.0,),
    )
    temperature: Annotated[tuple[float, ...], Points(ge=0)] = _key(
        "T of langevin, which samples exp(-F / T)", default=(0.0,)
    )
    embedding_learning_rate: Annotated[tuple[float, ...], Points(ge=0)] = _key(
        "eta of the embeddings of embedding_mlp, which do not decay", default=(1e-3,)
    )
    adam_learning_rate: Annotated[tuple[float, ...], Points(gt=0)] = _key(
        "muon: eta of what it leaves to adam: all but hidden matrices",
        default=(1e-3,),
    )
    nonlinearity: Annotated[tuple[float, ...], Points()] = _key(
        "epsilon of the polynomial activation h + (epsilon/2) h^2", default=(0.0,)
    )
    gradient_avalanche: Annotated[tuple[float, ...], Points(ge=0, le=1)] = _key(
        "share of the largest tenth of the gradient that goes on to neighbours on a "
        "graph of all weights, until nothing is above that tenth's bound",
        default=(0.0,),
    )
    chain: Annotated[tuple[int, ...], Points(whole=True, ge=0, le=2**20)] = _key(
        "number of a chain: other initial weights, and other noise of the steps, for "
        "the same examples; 0: those of the seed alone",
        default=(0,),
    )
    initial_scale: Annotated[tuple[float, ...], Points(gt=0, le=1e3)] = _key(
        "factor of the initial weights that alpha_convention gives; rates stay",
        default=(1.0,),
    )
    embedding_scale: Annotated[tuple[float, ...], Points(gt=0, le=1e3)] = _key(
        "the same, of embeddings alone (and positions, of transformer)",
        default=(1.0,),
    )
    sextic_decay: Annotated[tuple[float, ...], Points(ge=0)] = _key(
        "kappa of a loss (kappa / 6N) sum w^6 beside that of weight decay, over all "
        "weights but readout and biases",
        default=(0.0,),
    )
    batch_size: Annotated[tuple[int, ...], Points(whole=True, ge=0, le=2**22)] = _key(
        "training examples of each step, a batch; 0: all of them", default=(0,)
    )
    batch_replacement: Switch = _key(
        "draw each batch by itself, with replacement; false: pass once through all "
        "training examples in each epoch, in a new order, its last batch smaller where "
        "they do not divide",
        default=True,
    )
    tolerance: Annotated[float, Field(ge=0)] = _key(
        "squared error (mean over outputs) below which an example with real targets "
        "counts as right; 0: such tasks have no accuracy",
        default=0.0,
    )
    perp_grad: Switch = _key(
        "take the part along the weights out of the gradient of each array, size kept",
        default=False,
    )
    published_seed: Annotated[
        tuple[int, ...], Points(whole=True, ge=-1, le=2**32 - 1)
    ] = _key(
        "draw examples, split and initial weights as the authors' code does at this "
        "seed (plain_addition with embedding_mlp); -1: by the run's own seed",
        default=(-1,),
    )
    split: Name = _key(
        "what training and test set differ in: pairs at random, or whole differences a "
        "- b, rows a, residues, or all but the corner of a square; unordered: a pair "
        "and its mirror stay together",
        default="random",
    )
    held_out: Name = _key(
        "kinds of pairs that are in neither set, with a loss and an accuracy of their "
        "own: difference, rows, residues, square (a corner)",
        default="none",
    )
    held_out_size: Annotated[tuple[int, ...], Points(whole=True, ge=0, le=1024)] = _key(
        "how many differences, rows or residues are held out, or the corner's side",
        default=(0,),
    )
    blocks: Annotated[tuple[int, ...], Points(whole=True, ge=1, le=16)] = _key(
        "blocks of transformer: attention, then an mlp of `width` neurons",
        default=(1,),
    )
    heads: Annotated[tuple[int, ...], Points(whole=True, ge=1, le=64)] = _key(
        "attention heads of each block of transformer", default=(4,)
    )
    head_dim: Annotated[tuple[int, ...], Points(whole=True, ge=0, le=1024)] = _key(
        "dimension of each head; 0: embedding / heads", default=(0,)
    )
    warmup_steps: Annotated[tuple[float, ...], Points(ge=0)] = _key(
        "steps in which the learning rate rises from 0, in proportion; 0: none",
        default=(0.0,),
    )
    schedule_steps: Annotated[tuple[float, ...], Points(ge=0)] = _key(
        "step at which a schedule ends, warm-up included", default=(0.0,)
    )
    final_share: Annotated[tuple[float, ...], Points(ge=0, le=1)] = _key(
        "share of the learning rate at the end of a schedule, and from there on",
        default=(0.0,),
    )
    sam_radius: Annotated[tuple[float, ...], Points(ge=0)] = _key(
        "rho of sharpness-aware minimisation: the gradient is taken at theta + rho g / "
        "|g|, which is a second gradient a step; 0: at theta",
        default=(0.0,),
    )
    filter_strength: Annotated[tuple[float, ...], Points(ge=0)] = _key(
        "Grokfast: how often the average of past gradients is added to the gradient",
        default=(0.0,),
    )
    filter_decay: Annotated[tuple[float, ...], Points(ge=0, lt=1)] = _key(
        "decay of that running average", default=(0.98,)
    )
    filter_window: Annotated[tuple[int, ...], Points(whole=True, ge=0, le=4096)] = _key(
        "average the last so many gradients instead, which are all kept; 0: a running "
        "average",
        default=(0,),
    )
    norm_clamp: Annotated[tuple[float, ...], Points(ge=0)] = _key(
        "norm at which all weights together are held, over their initial norm; 0: free",
        default=(0.0,),
    )
    norm_clamp_step: Annotated[tuple[float, ...], Points(ge=0)] = _key(
        "step from which on they are held", default=(0.0,)
    )
    temperature_logits: Annotated[tuple[float, ...], Points(gt=0)] = _key(
        "what outputs are divided by", default=(1.0,)
    )
    schedule: Name = _key(
        "how the learning rate goes on after its warm-up", default="constant"
    )
    model: Name = _key("network", default="two_layer")
    activation: Name = _key("sigma of the hidden layer", default="quadratic")
    alpha_convention: Name = _key("what alpha means", default="laziness")
    parameterization: Name = _key(
        "convention: one step for all arrays, as alpha_convention says; mup: steps "
        "with which layers of any width move alike (two_layer and mlp)",
        default="convention",
    )
    center: Switch = _key("train f(x) - f_0(x)", default=False)
    bias: Switch = _key(
        "add biases, which begin at 0 (under alpha_convention standard as PyTorch's)",
        default=False,
    )
    decay_bias: Switch = _key("whether weight decay shrinks biases", default=True)
    decay_embedding: Switch = _key(
        "whether weight decay shrinks embeddings (and positions, of transformer); "
        "never those with a learning rate of their own",
        default=True,
    )
    layer_norm: Name = _key(
        "where transformer normalises its residual stream: pre, before each part of a "
        "block and before the readout; post, after each part; none",
        default="none",
    )
    read_at: Name = _key(
        'where transformer reads its outputs: equals, at a third token "=" after '
        "causal attention; last or mean, at the second of two tokens that see each "
        "other, or at their mean",
        default="equals",
    )
    loss: Name = _key("training loss", default="mse")
    optimizer: Name = _key("update rule", default="gd")
    precision: Name = _key("arithmetic of matrix products", default="float32")
    order_parameters: tuple[str, ...] | None = _key(
        "order parameters recorded besides losses, accuracies and norms "
        "(default: all that the task has)",
        default=None,
    )
    records_per_octave: Annotated[int, Field(ge=8, le=256), _WHOLE] = _key(
        "records each time the step doubles: 64 resolves times to 1.6%", default=64
    )
    order_parameters_per_octave: Annotated[int, Field(ge=1, le=256), _WHOLE] = _key(
        "records of the cheap order parameters each time the step doubles", default=8
    )
    expensive_order_parameters_per_octave: Annotated[
        int, Field(ge=1, le=256), _WHOLE
    ] = _key(
        "records of the expensive order parameters each time the step doubles",
        default=2,
    )
    kernel_examples: Annotated[int, Field(ge=0, le=MOST_EXAMPLES), _WHOLE] = _key(
        "record the tangent kernel between so many examples, spread evenly over the "
        "probe set, as often as expensive order parameters; 0: not",
        default=0,
    )
    horizon: Annotated[float, Field(gt=0, le=1e6)] | None = _key(
        "length of a run in weight-decay times 1/decay_rate", default=None
    )
    n_steps: Annotated[int, Field(ge=1, le=10**9), _WHOLE] | None = _key(
        "fixed length of every run, instead of horizon", default=None
    )
    n_epochs: Annotated[int, Field(ge=1, le=10**9), _WHOLE] | None = _key(
        "the same in epochs: passes through the training examples, each of n_train / "
        "batch_size steps, rounded up",
        default=None,
    )
    min_steps: Annotated[int, Field(ge=1, le=10**9), _WHOLE] = _key(
        "shortest run under a horizon: memorisation gets its chance", default=1000
    )
    max_steps: Annotated[int, Field(ge=1, le=10**9), _WHOLE] = _key(
        "longest run under a horizon; what it cuts short is censored", default=100_000
    )
    tail: Annotated[float, Field(ge=0)] | None = _key(
        "a run that has grokked at step t is followed to (1 + tail) t; inf: to the end "
        "of its budget (default: 1 under a horizon, inf for n_steps and n_epochs)",
        default=None,
    )
    save_weights: Moments = _key(
        "weights that are kept of every run, at t_mem, t_grok, end or steps, as in "
        '["t_grok", "end"]; no part of a run: it may change between two calls',
        default=(),
    )
    max_weights_gib: Annotated[float, Field(gt=0, le=2**20)] = _key(
        "GiB that save_weights may take in all", default=2.0
    )

    plugins: Labels = _key(
        "plugins that its names come from, as NAME or NAME VERSION (docs/plugins.md)",
        default=(),
    )

    axis_kinds: dict[str, Literal["linear", "log"]] = _key(
        "whether the values of a swept key are spaced by differences (linear) or by "
        "ratios (log), where neither how it is written nor its values tell",
        default={},
    )
