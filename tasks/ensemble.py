"""Make one model of the networks of all folds."""

import shutil
from typing import Annotated

from tasks.stage.artifact import Artifact, Reads, Work
from tasks.stage.decorator import stage

OF_FIRST = ("history.csv", "timing.csv")


@stage(
    run_name="ensemble of the folds",
    clock_files=("timing.csv",),
    registered=("model.safetensors",),
)
def ensemble(
    work: Work,
    models: Annotated[
        tuple[Artifact, ...], Reads("model.safetensors", "history.csv", uncounted=("timing.csv",))
    ],
) -> None:
    """Write model.safetensors; history.csv and timing.csv are those of the first network."""
    from resnext.models.model_file import join_models

    join_models([each.path("model.safetensors") for each in models], work.out / "model.safetensors")
    for name in OF_FIRST:
        shutil.copyfile(models[0].path(name), work.out / name)
