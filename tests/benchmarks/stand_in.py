"""A network that costs next to nothing, in an exported file: what is measured is all the rest."""

from pathlib import Path

import onnx
from onnx import TensorProto, helper

from resnext.inference.exported import ANSWERS, IMAGES, LOGS, PROBABILITIES, Facts, metadata_of
from resnext.models.architectures import MEAN, STD
from resnext.models.model_file import ModelCard

CLASSES = ("dark", "bright")


def write_stand_in(file: Path, size: int) -> None:
    """Write a file that answers by the mean of the pixels."""
    nodes = [
        helper.make_node("Cast", [IMAGES], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["pixels"], ["mean"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Div", ["mean", "white"], ["bright"]),
        helper.make_node("Sub", ["one", "bright"], ["dark"]),
        helper.make_node("Unsqueeze", ["bright"], ["bright_column"], axes=[1]),
        helper.make_node("Unsqueeze", ["dark"], ["dark_column"], axes=[1]),
        helper.make_node("Concat", ["dark_column", "bright_column"], [PROBABILITIES], axis=1),
        helper.make_node("Log", [PROBABILITIES], [LOGS]),
        helper.make_node("ArgMax", [PROBABILITIES], [ANSWERS], axis=1, keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "stand-in",
        [helper.make_tensor_value_info(IMAGES, TensorProto.UINT8, ["batch", size, size, 3])],
        [
            helper.make_tensor_value_info(PROBABILITIES, TensorProto.FLOAT, ["batch", 2]),
            helper.make_tensor_value_info(ANSWERS, TensorProto.INT64, ["batch"]),
            helper.make_tensor_value_info(LOGS, TensorProto.FLOAT, ["batch", 2]),
        ],
        [
            helper.make_tensor("white", TensorProto.FLOAT, [], [255.0]),
            helper.make_tensor("one", TensorProto.FLOAT, [], [1.0]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=8)
    card = ModelCard(classes=CLASSES, architecture="resnet50", image_size=size, mean=MEAN, std=STD)
    helper.set_model_props(model, metadata_of(Facts(card, {}, ""), {}))
    onnx.save(model, file)
