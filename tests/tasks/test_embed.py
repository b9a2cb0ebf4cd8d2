"""Features are made once for all folds and seeds, and a probe on them goes through all stages."""

import numpy as np
import pytest

import resnext
from resnext.contracts.json_files import read_json
from resnext.contracts.tables import read_predictions
from resnext.data.split.settings import SplitSettings
from resnext.models.model_file import read_card
from resnext.training.recipe import Recipe
from tasks.embed import backbone_of, embed, open_features
from tasks.explain import explain
from tasks.pack import pack
from tasks.predict import predict
from tasks.scan import scan
from tasks.split import split
from tasks.stage.artifact import Artifact, Runtime
from tasks.train import train
from tests.resnext.samples import CPU

RECIPE = Recipe(
    arch="tf_efficientnet_lite2", weights="bundled", method="probe", fit="centre", image_size=64,
    views="d4", epochs=5, batch_size=4, warmup_epochs=0, ema_decay=0.98, keep="last",
)  # fmt: skip


def prepared(runtime: Runtime, fold: int) -> tuple[Artifact, Artifact, Artifact, Artifact]:
    manifest = scan.fn(runtime)
    parts = split.fn(runtime, manifest, SplitSettings(fold=(fold, 3)))
    pixels = pack.fn(runtime, manifest, RECIPE.image_size, fit=RECIPE.fit)
    return manifest, parts, pixels, embed.fn(runtime, pixels, parts, backbone_of(RECIPE), CPU)


def test_features_are_those_of_originals_in_every_view_and_serve_all_folds(
    runtime: Runtime,
) -> None:
    _, parts, _, features = prepared(runtime, fold=1)
    values, digests = open_features(features)
    assert values.shape == (12, 8, 2992)  # 12 patients, each with a copy that is left out
    assert len(digests) == 12
    assert np.isfinite(values).all()
    _, other, _, again = prepared(runtime, fold=2)
    assert other.key != parts.key
    assert again.key == features.key


def test_what_features_do_not_depend_on_is_not_in_their_key() -> None:
    other = RECIPE.model_copy(update={"epochs": 9, "lr": 0.1, "seed": 3, "label_smoothing": 0.0})
    assert backbone_of(other) == backbone_of(RECIPE)
    assert backbone_of(RECIPE.model_copy(update={"views": "mirror"})) != backbone_of(RECIPE)


def test_a_probe_is_trained_predicts_explains_itself_and_loads_anywhere(runtime: Runtime) -> None:
    manifest, parts, pixels, features = prepared(runtime, fold=1)
    model = train.fn(runtime, manifest, parts, pixels, RECIPE, CPU, None, features)
    file = model.path("model.safetensors")
    card = read_card(file)
    assert (card.fit, card.trained_on) == ("centre", ("train", "val"))
    assert card.probe is not None
    assert card.probe.views == "d4"

    predicted = predict.fn(runtime, manifest, parts, pixels, model, CPU)
    found = read_predictions(predicted.path("predictions.csv"))
    assert set(found["split"]) == {"test"}, "it learnt on the images of val"
    assert (found["predicted"] == found["label"]).mean() >= 0.75
    assert runtime.data is not None
    answers = resnext.load_model(file, "cpu").predict(
        [runtime.data / each for each in found["path"]]
    )
    shares = [answer.probabilities["Red"] for answer in answers]
    assert shares == pytest.approx(found["p_Red"].tolist(), abs=1e-5)

    explained = read_json(
        explain.fn(runtime, manifest, pixels, model, predicted, CPU).path("explained.json")
    )
    assert explained["layer"] == "embedding.network.blocks.6"
    assert all(each["heat"] for each in explained["pictures"])


def test_a_training_of_heads_gives_the_same_bytes_again(runtime: Runtime) -> None:
    manifest, parts, pixels, features = prepared(runtime, fold=1)
    given = manifest, parts, pixels, RECIPE, CPU, None, features
    first = train.fn(runtime, *given)
    elsewhere = runtime.model_copy(update={"store": runtime.store.with_name("other")})
    again = train.fn(elsewhere, *given)
    assert first.files["model.safetensors"] == again.files["model.safetensors"]
    assert first.files["history.csv"] == again.files["history.csv"]
