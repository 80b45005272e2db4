"""All access to results/: what is written, where, and how it is read back.

    sweep.toml              the resolved spec
    provenance.json         versions, device, command and times of every session
    plan.parquet            one row a planned run: run_id, system, control, budget
    trajectories/*.parquet  one file a batch: run_id, step, one column a quantity
    runs.parquet            one row a run: labels, times, flags, final values, cost
    points.parquet          runs beside the grid, as `grokmap refine` chose them
    failed.parquet          runs that raised in the last session, with tracebacks
    checkpoints/            see `checkpoint`
    shards/                 parts that other processes train; see `store.shards`
    progress.json           while a session writes the folder: how far it is
    weights/*.safetensors   weights of a run at a step; see `store.weights`
    order-parameters.parquet   one row a quantity: values by phase, jumps, leads
    scaling.parquet         one row a number of the finite-size scaling
    laws.parquet            one row a law of t_grok, clock and scope: fit, AIC, spread
    forecast.parquet        one row a run that has not grokked: when it will
    forecast-score.parquet  the same of runs whose answer is known
    early-stopping.parquet  one row a patience and phase: what a stop would have lost
    early-stopping-warnings.parquet   one row a patience, quantity and measure: AUC
    early-stopping-rules.parquet   one row a system and rule: runs missed, steps saved

Beside the sweeps that a reproduction trained, in its own folder:

    comparison.json, .csv, .md   published numbers against ours; see `comparisons`

Done = run ids present in readable trajectory files; nothing else is authoritative.
Every file is written under a temporary name, synced, then renamed: a name that exists
is a file that is whole.
"""

from grokmap.store.comparisons import (
    COMPARISON,
    read_comparison,
    write_comparison,
)
from grokmap.store.files import (
    CHECKPOINTS,
    ENDS,
    FAILED,
    FIGURES,
    FOLDERS,
    LATEST,
    PLAN,
    POINTS,
    PREVIOUS,
    PROGRESS,
    PROVENANCE,
    RUNS,
    SHARD,
    SHARDS,
    SPEC,
    TRAJECTORIES,
    UNREADABLE,
    WEIGHTS,
    content_digest,
    digest_of,
    metadata_of,
    read_schema,
    read_table,
    refuse_links,
    result_dir,
)
from grokmap.store.merge import Taken, Unequal, take_files
from grokmap.store.shards import (
    ShardFacts,
    agree_on_rate,
    agreed_rate,
    end_of_log,
    last_steps_of,
    log_name,
    make_shard_folder,
    read_json,
    read_progress,
    read_shard,
    shard_folder,
    shard_folders,
    waiting_files,
    waiting_line,
    waiting_runs,
    write_progress,
    write_shard,
)
from grokmap.store.tables import (
    POINTS_AGAIN,
    add_session,
    add_sessions_of,
    n_labelled,
    read_failed,
    read_plan,
    read_points,
    read_spec,
    spec_hash,
    write_export,
    write_found,
    write_plan,
    write_points,
    write_spec,
)
from grokmap.store.trajectories import (
    BYTES_A_RUN,
    BYTES_A_VALUE,
    LABELS_READ,
    REQUIRED,
    Origin,
    Stored,
    Writer,
    aside_files,
    batch_files,
    is_batch_name,
    keep_longest,
    origins,
    read_kernels,
    read_trajectories,
    set_aside,
    stored,
    trajectory_parts,
    write_batch,
)
from grokmap.store.weights import (
    Weights,
    kept_weights,
    read_weights,
    take_weights,
    weights_name,
    write_weights,
)

__all__ = [
    "BYTES_A_RUN",
    "BYTES_A_VALUE",
    "CHECKPOINTS",
    "COMPARISON",
    "ENDS",
    "FAILED",
    "FIGURES",
    "FOLDERS",
    "LABELS_READ",
    "LATEST",
    "Origin",
    "PLAN",
    "POINTS",
    "POINTS_AGAIN",
    "PREVIOUS",
    "PROGRESS",
    "PROVENANCE",
    "REQUIRED",
    "RUNS",
    "SHARD",
    "SHARDS",
    "SPEC",
    "ShardFacts",
    "Stored",
    "TRAJECTORIES",
    "Taken",
    "UNREADABLE",
    "Unequal",
    "WEIGHTS",
    "Weights",
    "Writer",
    "add_session",
    "add_sessions_of",
    "agree_on_rate",
    "agreed_rate",
    "aside_files",
    "batch_files",
    "content_digest",
    "digest_of",
    "end_of_log",
    "is_batch_name",
    "keep_longest",
    "kept_weights",
    "last_steps_of",
    "log_name",
    "make_shard_folder",
    "metadata_of",
    "origins",
    "read_comparison",
    "n_labelled",
    "read_failed",
    "read_json",
    "read_plan",
    "read_points",
    "read_schema",
    "read_shard",
    "read_spec",
    "read_table",
    "read_kernels",
    "read_trajectories",
    "read_weights",
    "refuse_links",
    "result_dir",
    "set_aside",
    "shard_folder",
    "shard_folders",
    "spec_hash",
    "stored",
    "take_files",
    "take_weights",
    "trajectory_parts",
    "waiting_files",
    "waiting_line",
    "waiting_runs",
    "weights_name",
    "write_batch",
    "write_comparison",
    "write_export",
    "write_found",
    "write_plan",
    "write_points",
    "read_progress",
    "write_progress",
    "write_shard",
    "write_spec",
    "write_weights",
]
