"""Whether the words that a sweep chooses go together."""

from __future__ import annotations

from collections.abc import Iterator

from grokmap import plugins
from grokmap.losses import LOSSES
from grokmap.models import ALPHA_CONVENTIONS, LAYER_NORMS, MODELS, MUP, READ_AT, Model
from grokmap.optimizers import OPTIMIZERS
from grokmap.spec import Sweep
from grokmap.spec.words import Combination
from grokmap.tasks import TASKS


def check_fit(part: Sweep, chosen: Combination) -> Iterator[str]:
    """Whether task, model, loss, optimizer and convention go together."""
    task, model = TASKS[chosen.task], MODELS[chosen.model]
    if task.inputs not in model.inputs:
        able = sorted(k for k, m in MODELS.items() if task.inputs in m.inputs)
        yield (
            f"model = {chosen.model!r}: takes no {task.inputs}, which task "
            f"{chosen.task!r} has; models that do: {', '.join(able)}"
        )
    # What a loss of a plugin is for, the plugin's author knows.
    is_ours = chosen.loss in LOSSES and not plugins.origin("loss", chosen.loss)
    if is_ours and chosen.loss not in task.losses:
        yield (
            f"loss = {chosen.loss!r}: not defined for task {chosen.task!r}; defined: "
            f"{', '.join(task.losses)}"
        )
    exists = chosen.alpha_convention in ALPHA_CONVENTIONS
    known = model.conventions
    if known and exists and chosen.alpha_convention not in known:
        yield (
            f"alpha_convention = {chosen.alpha_convention!r}: model {chosen.model!r} "
            f"knows {', '.join(known)}"
        )
    if chosen.parameterization == MUP:
        yield from _check_mup(chosen)
    seed = max(part.published_seed)
    if seed >= 0 and not (task.published and model.published):
        yield (
            f"published_seed = {seed}: only for task 'plain_addition' "
            "with model 'embedding_mlp'; leave it out"
        )
    if not chosen.batch_replacement and min(part.batch_size) == 0:
        yield (
            "batch_replacement = false: batches without replacement need a batch_size "
            "of 1 or more"
        )
    if set(part.embedding_scale) != {1.0} and "embedding" not in model.sizes:
        embedding = ", ".join(k for k, m in MODELS.items() if "embedding" in m.sizes)
        yield (
            f"embedding_scale: model {chosen.model!r} has no embeddings; models that "
            f"have: {embedding}"
        )
    yield from _check_decays(chosen, model)
    yield from _check_norm(chosen, model)
    flat = "depth" in model.sizes and min(part.depth) < 2
    needs_hidden = OPTIMIZERS[chosen.optimizer].needs_hidden
    if needs_hidden and (flat or not model.hidden_matrices):
        yield (
            f"optimizer = {chosen.optimizer!r}: model {chosen.model!r} has no matrix "
            "between hidden layers for it; choose adamw, a depth of 2 or more in mlp "
            "or embedding_mlp, or transformer"
        )


def _check_decays(chosen: Combination, model: Model) -> Iterator[str]:
    """Whether there is what is told not to decay, so that no flat axis is swept."""
    if chosen.bias and not model.biased:
        with_biases = ", ".join(k for k, m in MODELS.items() if m.biased)
        yield (
            f"bias = true: model {chosen.model!r} has none; models that have: "
            f"{with_biases}"
        )
    if not chosen.decay_bias and not chosen.bias:
        yield "decay_bias = false: no biases are there; give bias = true, or leave it"
    own = "embedding" in model.sizes and "embedding_learning_rate" not in model.controls
    if not chosen.decay_embedding and not own:
        able = [k for k, m in MODELS.items() if "embedding" in m.sizes]
        able = [k for k in able if "embedding_learning_rate" not in MODELS[k].controls]
        yield (
            f"decay_embedding = false: model {chosen.model!r} has no embeddings that "
            f"decay; models that do: {', '.join(able)}"
        )


def _check_norm(chosen: Combination, model: Model) -> Iterator[str]:
    able = ", ".join(k for k, m in MODELS.items() if m.normalised)
    if chosen.layer_norm in LAYER_NORMS and chosen.layer_norm != "none":
        if not model.normalised:
            yield (
                f"layer_norm = {chosen.layer_norm!r}: model {chosen.model!r} has no "
                f"normalisation; models that have: {able}"
            )
    if chosen.read_at in READ_AT and chosen.read_at != "equals":
        if not model.normalised:
            yield (
                f"read_at = {chosen.read_at!r}: model {chosen.model!r} has no places "
                f"to read at; models that have: {able}"
            )


def _check_mup(chosen: Combination) -> Iterator[str]:
    """Whether steps of maximal update are known of what is chosen."""
    able = {
        "model": [name for name, model in MODELS.items() if model.mup],
        "optimizer": [k for k, entry in OPTIMIZERS.items() if entry.mup_rates],
        "alpha_convention": ["laziness"],
    }
    for key, names in able.items():
        if getattr(chosen, key) not in names:
            yield (
                f"parameterization = {MUP!r}: not with {key} = "
                f"{getattr(chosen, key)!r}; choose {' or '.join(names)}, or "
                "parameterization = 'convention'"
            )
