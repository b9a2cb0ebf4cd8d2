"""Settings are searched inside the training part, with the stages' own training."""

import pytest

from resnext.contracts.json_files import read_json
from resnext.contracts.tables import read_table
from resnext.data.split.settings import SplitSettings
from resnext.training.recipe import Recipe
from tasks.pack import pack
from tasks.scan import scan
from tasks.search import search, split_inside
from tasks.split import split
from tasks.stage.artifact import Runtime
from tests.resnext.samples import CPU

RECIPE = Recipe(
    arch="resnext38_32x4d", image_size=32, epochs=1, batch_size=4, warmup_epochs=0, keep="last"
)


@pytest.mark.slow
def test_a_search_trains_inside_the_training_part_and_keeps_its_study(runtime: Runtime) -> None:
    manifest = scan.fn(runtime)
    parts = split.fn(runtime, manifest, SplitSettings(fold=(1, 2)))
    inner = split_inside.fn(runtime, parts, 0)
    outer, tried_on = (read_table(each.path("split.csv")) for each in (parts, inner))
    tested = set(outer.loc[outer["split"] == "test", "path"])
    assert not tested & set(tried_on.loc[tried_on["split"] != "unused", "path"])
    pixels = pack.fn(runtime, manifest, RECIPE.image_size)
    found = search.fn(runtime, manifest, inner, pixels, RECIPE, CPU, 2)
    content = read_json(found.path("search.json"))
    assert [each["ended"] for each in content["trials"]] == ["scored", "scored"]
    assert content["trials"][0]["settings"]["lr"] == RECIPE.lr
    assert 0 <= content["score"] <= 1
    assert found.clock_files == ("study.db",)
    assert set(found.files) == {"search.json"}
