"""What the names of a sweep file are called elsewhere: offered, never just taken."""

from __future__ import annotations

import difflib
from collections.abc import Collection

# name: the words for it, in lower case without signs. One word may stand for several.
CALLED = {
    # Keys.
    "modulus": "p prime mod",
    "width": "n hidden nhidden hiddensize hiddendim dhidden units neurons nneurons",
    "depth": "l layers nlayers numlayers hiddenlayers",
    "embedding": "dmodel dim embed emb embeddim embeddingdim dembed",
    "n_inputs": "d dimension inputs inputdim nin",
    "n_examples": "samples nsamples numsamples examples numexamples ndata",
    "n_relevant": "k relevant",
    "alpha": "α scale initialisationscale initializationscale",
    "weight_decay": "λ lambda lam wd decay l2 ridge regularization regularisation",
    "train_fraction": "frac fraction trainfrac trainingfraction datafraction",
    "learning_rate": "η eta lr rate stepsize",
    "seed": "rng seeds randomseed randomstate",
    "momentum": "mom",
    "beta1": "b1 β1 betas",
    "beta2": "b2 β2 betas",
    "epsilon": "ε eps",
    "label_noise": "ξ xi noise noiselevel",
    "gradient_noise": "noise gradnoise",
    "gradient_avalanche": "avalanche alphadiff diffusion",
    "chain": "chains nchains walker replica",
    "initial_scale": "initscale startscale",
    "embedding_scale": "embeddingstd embeddinginit",
    "sextic_decay": "kappa κ sextic l6",
    "dropout": "drop pdrop dropoutrate",
    "temperature": "t temp",
    "batch_size": "bs batch minibatch minibatchsize",
    "activation": "σ sigma act nonlin activationfunction activationfn",
    "model": "arch architecture net network",
    "optimizer": "opt optim optimiser",
    "loss": "lossfn lossfunction objective criterion",
    "task": "data dataset op operation problem",
    "precision": "dtype",
    "alpha_convention": "convention",
    "parameterization": "parametrization parameterisation parametrisation",
    "order_parameters": "metrics observables orderparams",
    "n_steps": "steps nstep numsteps trainsteps iterations iters niter niters updates",
    "n_epochs": "epoch epochs nepochs numepochs passes",
    "max_steps": "maxiter maxiters maxepochs",
    "horizon": "budget decaytimes",
    "schedule": "scheduler lrschedule lrscheduler",
    "warmup_steps": "warmup nwarmup warmupsteps",
    "sam_radius": "sam rho",
    "filter_strength": "grokfast lamb",
    "norm_clamp": "clamp projection normconstraint",
    "temperature_logits": "softmaxtemperature logittemperature",
    "heads": "nheads numheads nhead attentionheads",
    "head_dim": "dhead headdim",
    "blocks": "nblocks nlayers numlayers layers",
    "layer_norm": "ln layernorm norm normalisation normalization",
    "read_at": "pool pooling readat readposition",
    # Losses.
    "cross_entropy": "ce xe xent nll crossent softmax logsoftmax logloss "
    "crossentropyloss softmaxcrossentropy categoricalcrossentropy",
    "logistic": "bce bcewithlogits binarycrossentropy",
    "mse": "l2 square squared quadratic squarederror meansquarederror mseloss",
    # Optimizers.
    "gd": "sgd batchgd fullbatch gradientdescent heavyball nesterov sgdmomentum",
    "adamw": "adamwd nadamw decoupledadam adamweightdecay",
    "adam": "nadam amsgrad rmsprop",
    "adam_l2": "adamcoupled coupledadam",
    "langevin": "ld gld sgld",
    # Models.
    "mlp": "dnn fc fcn fnn dense deep feedforward fullyconnected",
    "two_layer": "2layer shallow onehidden onehiddenlayer twolayermlp",
    "transformer": "attention decoder gpt",
    # Activations.
    "quadratic": "x2 square squared",
    "swish": "silu",
    # Tasks.
    "modular_addition": "add addition sum plus addmod modadd modularsum moduloaddition",
    "plain_addition": "add addition sum plus",
    "modular_subtraction": "sub subtract subtraction minus modsub",
    "modular_multiplication": "mul multiply multiplication product times modmul",
    "modular_division": "div divide division moddiv",
    "s5_composition": "s5 permutation permutations",
    "s5_conjugation": "s5 permutation permutations",
    "s3_composition": "s3",
    "s3_templates": "s3",
    "sparse_parity": "parity kparity",
    "digits": "images mnist",
    "linear_teacher": "linear linearregression regression teacher",
    "quadratic_teacher": "teacher",
    "tanh_teacher": "teacher",
    # Conventions of alpha.
    "laziness": "lazy rich ntk meanfield mf",
    "output_scale": "kumar",
    "init_scale": "omnigrok",
    "standard": "default kaiming pytorch sp torch",
    "survey_code": "survey",
    # Parameterisations.
    "mup": "μp µp mu maximalupdate",
    # Precisions.
    "float32": "32 f32 float fp32 single",
    "bf16": "bfloat bfloat16",
    "tf32": "tensorfloat32",
    "tf32x3": "3xtf32 tf32tf32f32x3",
    "bf16x6": "6xbf16 bf16bf16f32x6 bf16x9 bf16bf16f32x9",
    # What is recorded.
    "participation_ratio": "pr participation",
    "effective_rank": "er erank effrank rank",
    "kernel_alignment": "alignment cka kernel kta ntk",
    "ntk_drift": "drift kerneldrift ntk",
    "hessian_top": "hessian lambdamax maxeigenvalue topeigenvalue",
    "sharpness": "flatness sam",
    "preactivation_kurtosis": "kurtosis",
    "gradient_norm": "grad gradnorm",
    "weight_norm": "norm l2norm paramnorm",
    "train_loss": "trainingloss",
    "test_loss": "valloss evalloss validationloss",
    "train_accuracy": "trainacc trainingaccuracy",
    "test_accuracy": "acc accuracy testacc valacc valaccuracy validationaccuracy",
}


MANY, MOST_NAMED = 60, 12


def meant(word: str, known: Collection[str]) -> tuple[str, ...]:
    """The known names that `word` may mean; none where none is like it.

    Those of the same letters, else those that are called so elsewhere, else the name
    with the most letters in common.
    """
    bare = _bare(word)
    same = tuple(name for name in known if _bare(name) == bare)
    called = tuple(name for name in known if bare in CALLED.get(name, "").split())
    if same or called:
        return same or called
    folded = {name.casefold(): name for name in known}
    near = difflib.get_close_matches(word.casefold(), folded, n=1, cutoff=0.6)
    return tuple(folded[name] for name in near)


def _bare(word: str) -> str:
    """`word` in lower case without signs: `Adam_W` and `adam-w` are spelled alike."""
    return "".join(letter for letter in word.casefold() if letter.isalnum())


def nearest(word: str, known: Collection[str]) -> str:
    """The known names that `word` may mean, or all of them, for a message; of very many
    the MOST_NAMED that are least unlike it."""
    near = meant(word, known)
    if near:
        return f"did you mean {' or '.join(map(repr, near))}?"
    if len(known) <= MANY:
        return f"known: {', '.join(sorted(known))}"
    some = difflib.get_close_matches(word, known, n=MOST_NAMED, cutoff=0.0)
    more = f"and {len(known) - len(some)} more, in docs/sweep-files.md"
    return f"known: {', '.join(sorted(some))}, {more}"
