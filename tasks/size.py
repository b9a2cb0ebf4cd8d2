"""Count the parameters of a trained network, and what an image costs it."""

from typing import Annotated

from resnext.contracts.json_files import write_json
from tasks.stage.artifact import Artifact, Reads, Work
from tasks.stage.decorator import stage


@stage(run_name="count parameters and multiply-adds")
def size(work: Work, model: Annotated[Artifact, Reads("model.safetensors")]) -> None:
    """Write size.json."""
    from resnext.models.model_file import read_card
    from resnext.models.sizes import size_of_model

    found = size_of_model(read_card(model.path("model.safetensors")))
    write_json(found._asdict(), work.out / "size.json")
